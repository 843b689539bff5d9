//! A semaphore that notifies only when its count leaves zero: the second of two posts wakes no
//! thread. Downey, "The little book of semaphores", 2; Hoare, "Monitors", CACM 1974, on which
//! signal wakes which.

use std::sync::{Condvar, Mutex};

static COUNT: Mutex<u32> = Mutex::new(0);
static CHANGED: Condvar = Condvar::new();

fn wait(_: bool) {
    let mut count = crate::lock(&COUNT);
    while *count == 0 {
        count = CHANGED.wait(count).unwrap();
    }
    *count -= 1;
}

fn post_twice(mended: bool) {
    for _ in 0..2 {
        let mut count = crate::lock(&COUNT);
        *count += 1;
        if mended || *count == 1 {
            CHANGED.notify_one();
        }
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [wait, wait, post_twice]);
}
