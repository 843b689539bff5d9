//! A waker that is left after the look at what it waits for: what came in between wakes no task.
//! futures-rs, the documentation of `AtomicWaker` ("register before checking").

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::Thread;

static READY: AtomicU32 = AtomicU32::new(0);
static WAKER: Mutex<Option<Thread>> = Mutex::new(None);

fn block_on(mended: bool) {
    while READY.load(SeqCst) == 0 {
        *crate::lock(&WAKER) = Some(std::thread::current());
        if mended && READY.load(SeqCst) == 1 {
            return;
        }
        std::thread::park();
    }
}

fn wake(_: bool) {
    READY.store(1, SeqCst);
    if let Some(waker) = crate::lock(&WAKER).take() {
        waker.unpark();
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [block_on, wake]);
}
