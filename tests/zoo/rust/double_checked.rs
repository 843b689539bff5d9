//! Double-checked locking whose flag is up before its data are there. Bacon et al., "The
//! 'double-checked locking is broken' declaration", 2000; Schmidt and Harrison, PLoP 1996.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static READY: AtomicU32 = AtomicU32::new(0);
static DATA: AtomicU32 = AtomicU32::new(0);
static LOCK: Mutex<()> = Mutex::new(());

fn get(mended: bool) {
    if READY.load(SeqCst) == 0 {
        let _held = crate::lock(&LOCK);
        if READY.load(SeqCst) == 0 {
            if !mended {
                READY.store(1, SeqCst);
            }
            DATA.store(7, SeqCst);
            READY.store(1, SeqCst);
        }
    }
    assert_eq!(DATA.load(SeqCst), 7, "ready, but not there");
}

pub fn run(mended: bool) {
    crate::together(mended, [get, get]);
}
