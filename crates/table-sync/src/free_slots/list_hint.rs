//! The free list that this thread used last, in any table: a guess at an unlocked one. It decides
//! only where a search starts, never its result.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

const UNSET: usize = usize::MAX;

// Nothing in it is dropped, so it is there to the end of the thread.
#[cfg(not(loom))]
thread_local! {
    static HINT: Cell<usize> = const { Cell::new(UNSET) };
}
// Each run of a model has its own hint and its own count, so that all runs are alike.
#[cfg(loom)]
loom::thread_local! {
    static HINT: Cell<usize> = Cell::new(UNSET);
}
#[cfg(not(loom))]
static THREADS: AtomicUsize = AtomicUsize::new(0);
#[cfg(loom)]
loom::lazy_static! {
    static ref THREADS: AtomicUsize = AtomicUsize::new(0);
}

#[inline]
pub(crate) fn get() -> usize {
    HINT.with(|hint| match hint.get() {
        UNSET => first(hint),
        hint => hint,
    })
}

#[cold]
fn first(hint: &Cell<usize>) -> usize {
    hint.set(THREADS.fetch_add(1, Ordering::Relaxed) & 0xffff);
    hint.get()
}

pub(crate) fn set(to: usize) {
    HINT.with(|hint| hint.set(to));
}
