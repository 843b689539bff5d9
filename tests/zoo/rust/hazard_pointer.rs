//! A hazard pointer that is not looked at again: what it protects may have been retired before it
//! was set. Michael, "Hazard pointers", IEEE TPDS 2004.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static CURRENT: AtomicU32 = AtomicU32::new(1);
static HAZARD: AtomicU32 = AtomicU32::new(0);
static FREED: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

fn read(mended: bool) {
    let at = loop {
        let at = CURRENT.load(SeqCst);
        HAZARD.store(at, SeqCst);
        if !mended || CURRENT.load(SeqCst) == at {
            break at;
        }
    };
    assert_eq!(FREED[at as usize].load(SeqCst), 0, "read after its end");
    HAZARD.store(0, SeqCst);
}

fn replace(_: bool) {
    let old = CURRENT.swap(2, SeqCst);
    while HAZARD.load(SeqCst) == old {
        std::thread::yield_now();
    }
    FREED[old as usize].store(1, SeqCst);
}

pub fn run(mended: bool) {
    crate::together(mended, [read, replace]);
}
