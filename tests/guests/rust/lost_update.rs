//! Two threads that add one with a load and a store: now and then one addition is lost, and the
//! program panics.

use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

fn main() {
    let add = || {
        let before = COUNT.load(Ordering::SeqCst);
        COUNT.store(before + 1, Ordering::SeqCst);
    };
    let threads = [std::thread::spawn(add), std::thread::spawn(add)];
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(COUNT.load(Ordering::SeqCst), 2, "an update was lost");
    println!("ok");
}
