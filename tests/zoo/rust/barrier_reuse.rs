//! A barrier without generations: a thread that comes again closes it for one that has not left
//! yet. Downey, "The little book of semaphores", 3.6 (reusable barrier).

use std::sync::{Condvar, Mutex};

/// How many have come, and how often all were there.
static CAME: Mutex<(u32, u32)> = Mutex::new((0, 0));
static CHANGED: Condvar = Condvar::new();

fn meet(mended: bool) {
    let mut came = crate::lock(&CAME);
    let generation = came.1;
    came.0 += 1;
    if came.0 == 2 {
        *came = (0, generation + 1);
        CHANGED.notify_all();
        return;
    }
    loop {
        let open = match mended {
            true => came.1 != generation,
            false => came.0 == 0,
        };
        if open {
            return;
        }
        came = CHANGED.wait(came).unwrap();
    }
}

fn twice(mended: bool) {
    meet(mended);
    meet(mended);
}

pub fn run(mended: bool) {
    crate::together(mended, [twice, twice]);
}
