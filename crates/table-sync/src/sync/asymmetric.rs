//! A pair of barriers that order a store before a later load on both sides of a handshake, the
//! cost shifted to the rare side.
//!
//! `light` on one side and `heavy` on the other act like a `SeqCst` fence on each; `light` against
//! `light` orders nothing. On Linux `light` is a compiler fence. `heavy` is the `membarrier` system
//! call, which runs a full barrier on every running thread of the process. Elsewhere, under loom,
//! Miri and sanitizers, and where the kernel refuses, both are `SeqCst` fences.

use crate::sync::atomic::Ordering;
use crate::sync::fence;
use crate::sys;

/// Decides, once, which kind of barrier this process uses. Runs when a table is made, so it
/// happens before every `light` and `heavy` on that table.
pub(crate) fn init() {
    sys::register();
}

/// Whether `light` costs nothing.
#[inline]
pub(crate) fn light_is_free() -> bool {
    sys::light_is_free()
}

/// The frequent side.
#[inline]
pub(crate) fn light() {
    if sys::light_is_free() {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The rare side.
#[cold]
pub(crate) fn heavy() {
    fence(Ordering::SeqCst);
    if sys::register() {
        sys::barrier();
        fence(Ordering::SeqCst);
    }
}
