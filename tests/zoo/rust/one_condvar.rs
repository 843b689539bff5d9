//! A bounded buffer with one condition variable for both sides: the one that is woken is of the
//! wrong side. Cargill, "Specific notification for Java thread synchronization", PLoP 1996;
//! Challenge 14 of the C2 wiki's "Extreme programming challenges".

use std::sync::{Condvar, Mutex};

static FULL: Mutex<bool> = Mutex::new(false);
static CHANGED: Condvar = Condvar::new();

fn change(mended: bool, to: bool) {
    let mut full = crate::lock(&FULL);
    while *full == to {
        full = CHANGED.wait(full).unwrap();
    }
    *full = to;
    if mended {
        CHANGED.notify_all();
    } else {
        CHANGED.notify_one();
    }
}

fn take(mended: bool) {
    change(mended, false);
}

fn put_two(mended: bool) {
    change(mended, true);
    change(mended, true);
}

pub fn run(mended: bool) {
    crate::together(mended, [take, take, put_two]);
}
