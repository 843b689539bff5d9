//! Peterson's lock with its two stores the other way round.
//! Peterson, "Myths about the mutual exclusion problem", IPL 1981.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static WANTS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static TURN: AtomicU32 = AtomicU32::new(0);
static INSIDE: AtomicU32 = AtomicU32::new(0);

fn enter(mended: bool, me: usize) {
    let other = 1 - me;
    if mended {
        WANTS[me].store(1, SeqCst);
        TURN.store(other as u32, SeqCst);
    } else {
        TURN.store(other as u32, SeqCst);
        WANTS[me].store(1, SeqCst);
    }
    while WANTS[other].load(SeqCst) == 1 && TURN.load(SeqCst) == other as u32 {
        std::thread::yield_now();
    }
    assert_eq!(INSIDE.fetch_add(1, SeqCst), 0, "two are inside");
    INSIDE.fetch_sub(1, SeqCst);
    WANTS[me].store(0, SeqCst);
}

pub fn run(mended: bool) {
    crate::together(mended, [|m| enter(m, 0), |m| enter(m, 1)]);
}
