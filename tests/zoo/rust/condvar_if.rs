//! `if` where `while` is meant: between the wake-up and the lock another has taken the item.
//! Lampson and Redell, "Experience with processes and monitors in Mesa", CACM 1980.

use std::sync::{Condvar, Mutex};

static ITEMS: Mutex<u32> = Mutex::new(0);
static CHANGED: Condvar = Condvar::new();

fn take(mended: bool) {
    let mut items = crate::lock(&ITEMS);
    if *items == 0 {
        items = CHANGED.wait(items).unwrap();
    }
    while mended && *items == 0 {
        items = CHANGED.wait(items).unwrap();
    }
    assert!(*items > 0, "woken, and nothing there");
    *items -= 1;
}

fn put_two(_: bool) {
    for _ in 0..2 {
        *crate::lock(&ITEMS) += 1;
        CHANGED.notify_one();
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [take, take, put_two]);
}
