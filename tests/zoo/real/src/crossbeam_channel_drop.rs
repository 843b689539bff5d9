//! crossbeam-channel 0.5.12 to 0.5.14, RUSTSEC-2025-0024, crossbeam-rs/crossbeam#1187: the last
//! receiver goes while one sender puts the first block up and another has sent already; the block
//! is given back twice.

pub fn run() {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let threads = [1, 2].map(|number| {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send(number).is_ok())
    });
    drop(sender);
    drop(receiver);
    for thread in threads {
        thread.join().unwrap();
    }
}
