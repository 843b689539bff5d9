//! A ring buffer whose end moves before what is put there is there.
//! Lamport, "Specifying concurrent program modules", TOPLAS 1983 (the queue with one of each side).

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static SLOTS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static END: AtomicU32 = AtomicU32::new(0);

fn put(mended: bool) {
    for at in 0..2 {
        if mended {
            SLOTS[at as usize].store(at + 1, SeqCst);
            END.store(at + 1, SeqCst);
        } else {
            END.store(at + 1, SeqCst);
            SLOTS[at as usize].store(at + 1, SeqCst);
        }
    }
}

fn take(_: bool) {
    for at in 0..2 {
        while END.load(SeqCst) <= at {
            std::thread::yield_now();
        }
        assert_eq!(SLOTS[at as usize].load(SeqCst), at + 1, "not there yet");
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [put, take]);
}
