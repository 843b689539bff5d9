//! A channel is closed between the sender's look and its sending: what was sent is never received.
//! Tu et al., "Understanding real-world concurrency bugs in Go", ASPLOS 2019.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static ITEMS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static CLOSED: AtomicU32 = AtomicU32::new(0);
static SENT: AtomicU32 = AtomicU32::new(0);
static RECEIVED: AtomicU32 = AtomicU32::new(0);

fn send(mended: bool) {
    let held = mended.then(|| crate::lock(&ITEMS));
    if CLOSED.load(SeqCst) == 1 {
        return;
    }
    held.unwrap_or_else(|| crate::lock(&ITEMS)).push(1);
    SENT.store(1, SeqCst);
}

fn close(_: bool) {
    CLOSED.store(1, SeqCst);
    let items = std::mem::take(&mut *crate::lock(&ITEMS));
    RECEIVED.store(items.len() as u32, SeqCst);
}

pub fn run(mended: bool) {
    crate::together(mended, [send, close]);
    assert_eq!(SENT.load(SeqCst), RECEIVED.load(SeqCst), "sent, received");
}
