//! tokio up to 1.13.0, RUSTSEC-2021-0124, tokio-rs/tokio#4225: both sides take the value out when one closes while the other
//! sends. What parts them are plain accesses.

pub fn run() {
    let (sender, mut receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || sender.send(7).is_ok());
    receiver.close();
    let _ = receiver.try_recv();
    thread.join().unwrap();
}
