//! Where things lie in the guests' memories.

use std::ops::Range;

/// What a call gives back: a number, a structure.
pub const OUT: u32 = 64;
/// A list of buffers.
pub const LIST: u32 = 512;
pub const PATH: u32 = 768;
pub const SUBSCRIPTIONS: u32 = 1024;
pub const EVENTS: u32 = 2048;
/// What is written.
pub const BYTES: u32 = 0x4000;
/// Where what is read goes.
pub const INTO: u32 = 0xA000;

/// Everywhere a call may be told to put a result.
pub const RESULTS: [Range<u32>; 3] = [OUT..LIST, EVENTS..BYTES, INTO..INTO + 0x3000];

/// The paths that are opened.
pub const NAMES: [&str; 3] = ["file", "new", "missing/x"];
