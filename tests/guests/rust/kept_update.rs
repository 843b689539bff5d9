//! The mended twin of `lost_update.rs`: a mutex keeps the load and the store together.

use std::sync::Mutex;

static COUNT: Mutex<u32> = Mutex::new(0);

fn main() {
    let add = || *COUNT.lock().unwrap() += 1;
    let threads = [std::thread::spawn(add), std::thread::spawn(add)];
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*COUNT.lock().unwrap(), 2, "an update was lost");
    println!("ok");
}
