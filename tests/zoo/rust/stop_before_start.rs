//! A thread that clears its stop flag as it begins forgets a stop that came before.
//! Lea, "Concurrent programming in Java", 2nd edition, 3.1.2 (cancellation).

use std::sync::{Condvar, Mutex};

static STOP: Mutex<bool> = Mutex::new(false);
static CHANGED: Condvar = Condvar::new();

fn run_until_stopped(mended: bool) {
    let mut stop = crate::lock(&STOP);
    if !mended {
        *stop = false;
    }
    while !*stop {
        stop = CHANGED.wait(stop).unwrap();
    }
}

fn stop(_: bool) {
    *crate::lock(&STOP) = true;
    CHANGED.notify_all();
}

pub fn run(mended: bool) {
    crate::together(mended, [run_until_stopped, stop]);
}
