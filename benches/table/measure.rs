//! Running something on several threads for a while.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|number| *number > 0)
        .unwrap_or(default)
}

/// Operations between two looks at the clock's flag.
const BATCH: u64 = 500;

/// Lets `threads` threads do what `work` gives each, for the time that is set. Returns the
/// operations per nanosecond of all together.
pub(crate) fn throughput<W: FnMut(u64)>(threads: usize, work: impl Fn(usize) -> W + Sync) -> f64 {
    let time = Duration::from_millis(setting("TABLE_MILLIS", 20));
    let (stop, start) = (AtomicBool::new(false), Barrier::new(threads + 1));
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let (stop, start, work) = (&stop, &start, &work);
                scope.spawn(move || {
                    let mut batch = work(thread);
                    batch(2 * BATCH);
                    start.wait();
                    let began = Instant::now();
                    let mut done = 0;
                    while !stop.load(Ordering::Relaxed) {
                        batch(BATCH);
                        done += BATCH;
                    }
                    done as f64 / began.elapsed().as_nanos() as f64
                })
            })
            .collect();
        start.wait();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let rates = running.into_iter().map(|thread| thread.join());
        rates.map(|rate| rate.expect("no worker panics")).sum()
    })
}
