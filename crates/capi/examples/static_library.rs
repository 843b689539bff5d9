//! The static library, built as the tests are: `scripts/c-library.sh FOLDER dev` makes it. One that
//! is given away has fewer features, and is made of the crate itself.

pub use wasi_threads_c::*;
