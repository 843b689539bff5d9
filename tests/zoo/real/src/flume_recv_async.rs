//! flume 0.10.14, zesterer/flume#120 and #121: the sender sends and goes between the receiver's
//! look for a message and its look for senders; the message is not received. It needs a second
//! poll, as of a future in a `select!`.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub fn run() {
    let (sender, receiver) = flume::unbounded();
    let thread = std::thread::spawn(move || sender.send(7).unwrap());
    let mut future = receiver.recv_async();
    let mut context = Context::from_waker(Waker::noop());
    let received = loop {
        match Pin::new(&mut future).poll(&mut context) {
            Poll::Ready(received) => break received,
            Poll::Pending => std::thread::yield_now(),
        }
    };
    assert_eq!(received, Ok(7), "sent, and lost");
    thread.join().unwrap();
}
