//! The free list this thread used last, of whichever table: a guess at one that is free. It decides
//! where to start looking, never what happens.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

const UNSET: usize = usize::MAX;

// Nothing in it is dropped, so it is there to the end of the thread.
#[cfg(not(loom))]
thread_local! {
    static HINT: Cell<usize> = const { Cell::new(UNSET) };
}
// Its own, and a count of its own, for each run of a model: all runs are alike.
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
