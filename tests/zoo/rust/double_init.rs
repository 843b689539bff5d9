//! Double initialisation: two threads find nothing there, and both make it.
//! CWE-543, use of the singleton pattern without synchronization.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static VALUE: AtomicU32 = AtomicU32::new(0);
static MADE: AtomicU32 = AtomicU32::new(0);
static ONCE: Once = Once::new();

fn make() {
    MADE.fetch_add(1, SeqCst);
    VALUE.store(7, SeqCst);
}

fn get(mended: bool) {
    if mended {
        ONCE.call_once(make);
    } else if VALUE.load(SeqCst) == 0 {
        make();
    }
    assert_eq!(VALUE.load(SeqCst), 7);
}

pub fn run(mended: bool) {
    crate::together(mended, [get, get]);
    assert_eq!(MADE.load(SeqCst), 1, "was made so often");
}
