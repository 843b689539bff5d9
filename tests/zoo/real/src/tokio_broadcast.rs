//! tokio 0.2.10, tokio-rs/tokio#2135: the notification of a broadcast channel is lost when the
//! receiver begins to wait as the sender looks for waiters.

pub fn run() {
    let (sender, mut receiver) = tokio_02::sync::broadcast::channel(4);
    let thread = std::thread::spawn(move || {
        sender.send(7).unwrap();
        sender
    });
    assert_eq!(crate::block_on(receiver.recv()), Ok(7));
    drop(thread.join().unwrap());
}
