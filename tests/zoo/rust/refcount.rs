//! A count that is taken after the pointer was read: the object may be gone in between.
//! Valois, PODC 1995; Michael and Scott's correction of its counts, TR 599, Rochester 1995.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static CURRENT: AtomicU32 = AtomicU32::new(0);
static COUNTS: [AtomicU32; 2] = [const { AtomicU32::new(1) }; 2];
static FREED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static LOCK: Mutex<()> = Mutex::new(());

fn release(at: u32) {
    if COUNTS[at as usize].fetch_sub(1, SeqCst) == 1 {
        FREED[at as usize].store(1, SeqCst);
    }
}

fn use_it(mended: bool) {
    let held = mended.then(|| crate::lock(&LOCK));
    let at = CURRENT.load(SeqCst);
    COUNTS[at as usize].fetch_add(1, SeqCst);
    drop(held);
    assert_eq!(FREED[at as usize].load(SeqCst), 0, "used after its end");
    release(at);
}

fn replace(mended: bool) {
    let held = mended.then(|| crate::lock(&LOCK));
    let old = CURRENT.swap(1, SeqCst);
    drop(held);
    release(old);
}

pub fn run(mended: bool) {
    crate::together(mended, [use_it, replace]);
}
