//! Lost update: a load and a store where an addition is meant.
//! Netzer and Miller, "What are race conditions?", LOPLAS 1992.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static COUNT: AtomicU32 = AtomicU32::new(0);

fn add(mended: bool) {
    if mended {
        COUNT.fetch_add(1, SeqCst);
    } else {
        let before = COUNT.load(SeqCst);
        COUNT.store(before + 1, SeqCst);
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [add, add]);
    assert_eq!(COUNT.load(SeqCst), 2, "an update was lost");
}
