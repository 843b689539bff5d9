//! futures 0.1.16, rust-lang/futures-rs#620: one side sends while the other closes, and a panic
//! comes of it.

use futures_01::Future;
use futures_01::sync::oneshot;

pub fn run() {
    let (sender, mut receiver) = oneshot::channel();
    let thread = std::thread::spawn(move || sender.send(7).is_ok());
    receiver.close();
    let received = matches!(receiver.poll(), Ok(futures_01::Async::Ready(7)));
    let sent = thread.join().unwrap();
    assert!(sent || !received, "received what was not sent");
}
