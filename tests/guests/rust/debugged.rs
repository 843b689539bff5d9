//! Two threads in one function, for debuggers.

use std::sync::{Arc, Barrier, Mutex};

#[inline(never)]
fn add(total: &Mutex<u64>, worker: u64) -> u64 {
    let share = worker * 10;
    let mut total = total.lock().unwrap();
    *total += share; // A breakpoint is set here.
    *total
}

fn main() {
    let total = Arc::new(Mutex::new(0));
    // Both are there before one ends: else the second may be given the first one's id.
    let both = Arc::new(Barrier::new(2));
    let workers: Vec<_> = (1..=2)
        .map(|worker| {
            let (total, both) = (Arc::clone(&total), Arc::clone(&both));
            std::thread::spawn(move || {
                both.wait();
                add(&total, worker)
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    println!("total {}", total.lock().unwrap());
}
