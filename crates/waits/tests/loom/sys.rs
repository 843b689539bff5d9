//! `src/sys` over loom's types.

use std::time::Instant;

use crate::sync::{AtomicU32, Ordering};

/// The fence that the library leaves to the processor on x86.
pub(crate) fn fence_after_update() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

#[path = "../../src/sys/portable.rs"]
mod portable;

/// Loom has no clock, so every deadline passes as soon as its sleeper has queued up. Loom's
/// scheduler varies what others do before the sleeper takes the bucket's lock again.
#[derive(Debug)]
pub(crate) struct Sleeper(portable::CondvarSleeper);

impl Sleeper {
    pub(crate) fn new() -> Self {
        Self(portable::CondvarSleeper::new())
    }

    pub(crate) fn sleep(&self, word: &AtomicU32, seen: u32, deadline: Option<Instant>) -> bool {
        deadline.is_none() && self.0.sleep(word, seen, None)
    }

    pub(crate) fn wake(&self, word: &AtomicU32) {
        self.0.wake(word);
    }
}
