//! Threads that meet in every way of the standard library's, and print what differs from run to run
//! natively: orders, times, the order of a hash map. Writes into the folder it is in.

use std::collections::HashMap;
use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock, mpsc};
use std::time::{Duration, Instant, SystemTime};

const THREADS: u32 = 4;

#[derive(Default)]
struct Met {
    count: Mutex<u32>,
    changed: Condvar,
    map: RwLock<HashMap<String, u32>>,
}

fn meet(id: u32, met: &Met, barrier: &Barrier) {
    barrier.wait();
    std::thread::sleep(Duration::from_millis(u64::from(id % 2) * 10));
    met.map.write().unwrap().insert(format!("key {id}"), id);
    std::fs::write(format!("file{id}"), format!("{id}")).unwrap();
    let mut count = met.count.lock().unwrap();
    *count += 1;
    met.changed.notify_all();
    while *count < THREADS {
        let wait = Duration::from_millis(3);
        count = met.changed.wait_timeout(count, wait).unwrap().0;
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

fn main() {
    let began = Instant::now();
    let met = Arc::new(Met::default());
    let barrier = Arc::new(Barrier::new(THREADS as usize));
    let (send, receive) = mpsc::channel();
    for id in 0..THREADS {
        let (met, barrier, send) = (Arc::clone(&met), Arc::clone(&barrier), send.clone());
        std::thread::spawn(move || {
            meet(id, &met, &barrier);
            send.send((id, began.elapsed())).unwrap();
        });
    }
    drop(send);
    for (id, at) in receive {
        println!("{id} after {at:?}");
    }
    println!("{:?}", met.map.read().unwrap());
    for entry in std::fs::read_dir(".").unwrap() {
        println!("{:?}", entry.unwrap().file_name());
    }
    let changed = std::fs::metadata("file1").unwrap().modified().unwrap();
    println!(
        "{:?} {:?}",
        since_1970(SystemTime::now()),
        since_1970(changed)
    );
}
