//! The parking lot by itself, without WebAssembly: a mutex of one word, whose waiters can be listed
//! and ended, and whose deadlock is seen.
//!
//! ```sh
//! cargo run -p memory-waits --example lot
//! ```
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use memory_waits::{ParkingLot, Role, WaitOutcome, Waiter};

/// A lock in a word: 0 is free, 1 taken, 2 taken and wanted (Drepper, "Futexes Are Tricky").
#[derive(Default)]
struct WordLock(AtomicU32);

/// The lot was ended while the thread waited.
#[derive(Debug)]
struct LotEnded;

impl WordLock {
    fn lock(&self, thread: &Waiter) -> Result<(), LotEnded> {
        let free = self
            .0
            .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
        if free.is_ok() {
            return Ok(());
        }
        while self.0.swap(2, Ordering::SeqCst) != 0 {
            // Sleeps only if the word still says 2; without a timeout.
            if thread.wait32(&self.0, 2, -1, &mut || ()) == WaitOutcome::Ended {
                return Err(LotEnded);
            }
        }
        Ok(())
    }

    fn unlock(&self, lot: &ParkingLot) {
        if self.0.swap(0, Ordering::SeqCst) == 2 {
            lot.notify(&self.0, 1);
        }
    }
}

fn main() {
    let lot = ParkingLot::new(4, true);
    let (first, second) = (WordLock::default(), WordLock::default());
    let count = AtomicU32::new(0);

    std::thread::scope(|scope| {
        for number in 1..=4 {
            let thread = lot.register(number, Role::Guest);
            let (lot, first, count) = (&lot, &first, &count);
            scope.spawn(move || {
                for _ in 0..1000 {
                    first.lock(&thread).expect("nobody ends the lot yet");
                    // What the lock protects: not one step.
                    let was = count.load(Ordering::Relaxed);
                    count.store(was + 1, Ordering::Relaxed);
                    first.unlock(lot);
                }
            });
        }
    });
    println!("counted to {} under the lock", count.into_inner());

    // Two threads take two locks in opposite orders. The last one to wait completes the deadlock,
    // and the lot finds it: every thread waits, none with a timeout.
    let seen = Arc::downgrade(&lot);
    lot.on_quiet(move || {
        if let Some(lot) = seen.upgrade()
            && let Some(stuck) = lot.stuck()
        {
            let mut threads: Vec<_> = stuck.iter().map(|waiting| waiting.thread).collect();
            threads.sort_unstable();
            println!("stuck: threads {threads:?}");
            println!("woken for their end: {}", lot.end());
        }
    });
    let both = std::sync::Barrier::new(2);
    let threads = [lot.register(1, Role::Guest), lot.register(2, Role::Guest)];
    let ended = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (thread, locks) in threads
            .into_iter()
            .zip([(&first, &second), (&second, &first)])
        {
            let both = &both;
            running.push(scope.spawn(move || {
                locks.0.lock(&thread)?;
                both.wait();
                locks.1.lock(&thread)
            }));
        }
        let ended = |thread: std::thread::ScopedJoinHandle<'_, Result<(), LotEnded>>| {
            thread.join().expect("it does not panic").is_err()
        };
        running
            .into_iter()
            .map(ended)
            .filter(|ended| *ended)
            .count()
    });
    println!("both threads have returned, {ended} of them from a wait that was ended");
}
