//! Support for the integration tests: compiling guests, and running the real
//! binary as a user would, within a time limit.

pub mod debug_info;
pub mod emulated;
mod guest;
mod hashes;
mod process;
mod record;
mod rust;
#[cfg(target_os = "linux")]
pub mod seccomp;

pub use guest::{Guest, compiled_before, repository};
pub use process::{Finished, Input, Program, TRAPPED};
pub use record::{record, recorded};
pub use rust::{RUST_TARGET, guest_toolchain, has_rust_target, rustc};

/// Examples of pages, compiled and, but for those that say otherwise, run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/migrating.md")]
struct Migrating;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
