//! A job that a pool has accepted, behind the one that ends its worker.
//! Goetz et al., "Java concurrency in practice", 7.2.1 and 7.2.3 (poison pills).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};

enum Job {
    Work,
    Stop,
}

static OPEN: AtomicU32 = AtomicU32::new(1);
static JOBS: Mutex<VecDeque<Job>> = Mutex::new(VecDeque::new());
static CHANGED: Condvar = Condvar::new();
static ACCEPTED: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);

fn submit(mended: bool) {
    let held = mended.then(|| crate::lock(&JOBS));
    if OPEN.load(SeqCst) == 1 {
        ACCEPTED.fetch_add(1, SeqCst);
        held.unwrap_or_else(|| crate::lock(&JOBS)).push_back(Job::Work);
        CHANGED.notify_one();
    }
}

fn shut_down(mended: bool) {
    let held = mended.then(|| crate::lock(&JOBS));
    OPEN.store(0, SeqCst);
    held.unwrap_or_else(|| crate::lock(&JOBS)).push_back(Job::Stop);
    CHANGED.notify_one();
}

fn work(_: bool) {
    let mut jobs = crate::lock(&JOBS);
    loop {
        match jobs.pop_front() {
            Some(Job::Work) => {
                DONE.fetch_add(1, SeqCst);
            }
            Some(Job::Stop) => return,
            None => jobs = CHANGED.wait(jobs).unwrap(),
        }
    }
}

pub fn run(mended: bool) {
    crate::together(mended, [work, submit, shut_down]);
    assert_eq!(DONE.load(SeqCst), ACCEPTED.load(SeqCst), "done, accepted");
}
