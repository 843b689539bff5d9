//! The guest of all suites: a module of one trampoline per function, driven from here, in a memory
//! that is its own or shared.
//!
//! Each suite takes this folder in by its path and uses a part of it.
#![allow(dead_code, unused_imports)]

pub(crate) mod abi;
mod calls;
#[path = "../../../../tests/support/emulated.rs"]
pub(crate) mod emulated;
mod table;
mod world;

pub(crate) use abi::*;
pub(crate) use calls::{both, ctx_with};
pub(crate) use table::{FUNCTIONS, text_of};
pub(crate) use world::{Guest, WORLD, World};
