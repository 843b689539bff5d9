//! A lock is held across the wait for another's condition, and the thread that would make it true
//! needs that lock. Lister, "The problem of nested monitor calls", Operating Systems Review 1977.

use std::sync::{Condvar, Mutex};

static OUTER: Mutex<()> = Mutex::new(());
static ITEMS: Mutex<u32> = Mutex::new(0);
static CHANGED: Condvar = Condvar::new();

fn take(mended: bool) {
    let outer = crate::lock(&OUTER);
    if mended {
        drop(outer);
    }
    let mut items = crate::lock(&ITEMS);
    while *items == 0 {
        items = CHANGED.wait(items).unwrap();
    }
    *items -= 1;
}

fn put(_: bool) {
    let _outer = crate::lock(&OUTER);
    *crate::lock(&ITEMS) += 1;
    CHANGED.notify_one();
}

pub fn run(mended: bool) {
    crate::together(mended, [take, put]);
}
