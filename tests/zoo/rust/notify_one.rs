//! Two workers wait to be ended, and one of them is told.
//! Goetz et al., "Java concurrency in practice", 14.2.4 (notify against notifyAll).

use std::sync::{Condvar, Mutex};

static STOP: Mutex<bool> = Mutex::new(false);
static CHANGED: Condvar = Condvar::new();

fn work(_: bool) {
    let mut stop = crate::lock(&STOP);
    while !*stop {
        stop = CHANGED.wait(stop).unwrap();
    }
}

fn end(mended: bool) {
    *crate::lock(&STOP) = true;
    if mended {
        CHANGED.notify_all();
    } else {
        CHANGED.notify_one();
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [work, work, end]);
}
