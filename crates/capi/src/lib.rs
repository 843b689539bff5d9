//! Programs with threads and WASI preview1, from C: the functions of `include/wasi_threads.h`.
//!
//! The C library is thin: an engine, a module, a configuration, a group, an outcome, each behind a pointer. What they do is
//! [`wasi_threads_p1`]'s, where Rust programs find it. The header is made of [`ffi`]'s sources, and a test fails where the two
//! differ.
//!
//! What holds for every function is at the top of the header, [`INTRODUCTION`].

mod ended;
pub mod ffi;
mod settings;
mod words;

/// What stands at the top of the header.
pub const INTRODUCTION: &str = include_str!("introduction.txt");
