//! The bakery without its `choosing`: two have drawn the same number, and one has not put it up
//! yet. Lamport, "A new solution of Dijkstra's concurrent programming problem", CACM 1974.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static CHOOSING: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static NUMBER: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static INSIDE: AtomicU32 = AtomicU32::new(0);

fn enter(mended: bool, me: usize) {
    let other = 1 - me;
    if mended {
        CHOOSING[me].store(1, SeqCst);
    }
    let number = 1 + NUMBER[other].load(SeqCst);
    NUMBER[me].store(number, SeqCst);
    if mended {
        CHOOSING[me].store(0, SeqCst);
        while CHOOSING[other].load(SeqCst) == 1 {
            std::thread::yield_now();
        }
    }
    loop {
        let others = NUMBER[other].load(SeqCst);
        if others == 0 || (number, me) < (others, other) {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(INSIDE.fetch_add(1, SeqCst), 0, "two are inside");
    INSIDE.fetch_sub(1, SeqCst);
    NUMBER[me].store(0, SeqCst);
}

pub fn run(mended: bool) {
    crate::together(mended, [|m| enter(m, 0), |m| enter(m, 1)]);
}
