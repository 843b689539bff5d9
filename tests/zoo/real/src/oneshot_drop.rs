//! oneshot 0.1.8, faern/oneshot#60: a receiver that was polled goes while the sender is about to
//! wake it; `unreachable!()` is reached.

use std::pin::Pin;
use std::task::{Context, Waker};

pub fn run() {
    let (sender, mut receiver) = oneshot::channel();
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut receiver).poll(&mut context).is_pending());
    let thread = std::thread::spawn(move || sender.send(7).is_ok());
    drop(receiver);
    thread.join().unwrap();
}
