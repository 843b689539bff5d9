//! Missed wake-up: the condition is looked at outside of the lock, and comes true before the wait.
//! Birrell, "An introduction to programming with threads", SRC report 35, 1989.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};

static READY: AtomicU32 = AtomicU32::new(0);
static LOCK: Mutex<()> = Mutex::new(());
static CHANGED: Condvar = Condvar::new();

fn wait(mended: bool) {
    while READY.load(SeqCst) == 0 {
        let held = crate::lock(&LOCK);
        if mended && READY.load(SeqCst) != 0 {
            break;
        }
        drop(CHANGED.wait(held).unwrap());
    }
}

fn notify(mended: bool) {
    READY.store(1, SeqCst);
    if mended {
        drop(crate::lock(&LOCK));
    }
    CHANGED.notify_all();
}

pub fn run(mended: bool) {
    crate::together(mended, [wait, notify]);
}
