//! Programs with threads and WASI preview1, from C: the functions of `include/wasi_threads.h`.
//!
//! The C library is thin: an engine, a module, a configuration, a group, an outcome, each behind a
//! pointer. The work is done by [`wasi_threads_p1`], which Rust programs use directly. The header
//! is generated from [`ffi`]'s sources, and a test fails if the two differ.
//!
//! [`INTRODUCTION`], at the top of the header, says what holds for every function.

mod ended;
pub mod ffi;
mod settings;
mod sys;
mod words;

/// The text at the top of the header.
pub const INTRODUCTION: &str = include_str!("introduction.txt");
