//! A sequence lock whose reader does not look at the sequence again.
//! Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static SEQUENCE: AtomicU32 = AtomicU32::new(0);
static PAIR: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

fn write(_: bool) {
    SEQUENCE.fetch_add(1, SeqCst);
    PAIR[0].store(1, SeqCst);
    PAIR[1].store(1, SeqCst);
    SEQUENCE.fetch_add(1, SeqCst);
}

fn read(mended: bool) {
    let pair = loop {
        let before = SEQUENCE.load(SeqCst);
        if before % 2 == 1 {
            std::thread::yield_now();
            continue;
        }
        let pair = [PAIR[0].load(SeqCst), PAIR[1].load(SeqCst)];
        if !mended || SEQUENCE.load(SeqCst) == before {
            break pair;
        }
    };
    assert_eq!(pair[0], pair[1], "half of it is old");
}

pub fn run(mended: bool) {
    crate::together(mended, [write, read]);
}
