//! crossbeam-deque 0.8.0, RUSTSEC-2021-0093, crossbeam-rs/crossbeam#726: a thief goes on with the
//! buffer that the owner has replaced meanwhile; tasks are run twice, others never.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crossbeam_deque::Worker;

const TASKS: usize = 160;
static TAKEN: [AtomicU32; TASKS] = [const { AtomicU32::new(0) }; TASKS];

fn take(task: usize) {
    let before = TAKEN[task].swap(1, SeqCst);
    assert_eq!(before, 0, "task {task} was taken twice");
}

pub fn run() {
    let owner = Worker::new_lifo();
    // As many as the first buffer has room for.
    for task in 0..64 {
        owner.push(task);
    }
    let stealer = owner.stealer();
    let thief = std::thread::spawn(move || {
        let own = Worker::new_lifo();
        let _ = stealer.steal_batch(&own);
        while let Some(task) = own.pop() {
            take(task);
        }
    });
    // The buffer grows; then others are where the first ones were.
    owner.push(64);
    for _ in 0..60 {
        owner.pop().into_iter().for_each(take);
    }
    for task in 65..125 {
        owner.push(task);
    }
    thief.join().unwrap();
    while let Some(task) = owner.pop() {
        take(task);
    }
}
