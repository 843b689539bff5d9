//! One window of two steps in a long run: the file is away between them. Burckhardt et al., "A
//! randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010, on depth and
//! length; the bug is CWE-367 (time of check, time of use).

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static STEPS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static THERE: AtomicU32 = AtomicU32::new(1);

fn work(me: usize) {
    for _ in 0..300 {
        STEPS[me].fetch_add(1, SeqCst);
    }
}

fn replace(mended: bool) {
    work(0);
    if mended {
        THERE.swap(2, SeqCst);
    } else {
        THERE.store(0, SeqCst);
        THERE.store(2, SeqCst);
    }
    work(0);
}

fn look(_: bool) {
    work(1);
    assert_ne!(THERE.load(SeqCst), 0, "it is away");
    work(1);
}

pub fn run(mended: bool) {
    crate::together(mended, [replace, look]);
}
