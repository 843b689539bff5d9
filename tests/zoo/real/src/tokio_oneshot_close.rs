//! tokio up to 1.13.0, RUSTSEC-2021-0124, tokio-rs/tokio#4225: both sides take the value out when
//! one closes while the other sends, and the sender panics if it comes second. What parts the two
//! steps of the sender are plain accesses.

use std::sync::atomic::{AtomicBool, Ordering};

pub fn run() {
    static SENDS: AtomicBool = AtomicBool::new(false);
    let (sender, mut receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        SENDS.store(true, Ordering::SeqCst);
        sender.send(7).is_ok()
    });
    // To start a thread takes hundreds of accesses: only then are the two side by side.
    while !SENDS.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    receiver.close();
    let _ = receiver.try_recv();
    thread.join().unwrap();
}
