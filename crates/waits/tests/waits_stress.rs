//! The parking lot under many threads, with exact accounts.
#![allow(missing_docs)]

#[path = "../../../tests/support/emulated.rs"]
mod emulated;

use emulated::{left_out, less};
use memory_waits::{ParkingLot, Role, WaitOutcome, WaitStatistics};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A small generator, seeded: a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// How long a bounded run goes on, in milliseconds; `WAITS_STRESS_MS` in the
/// environment sets it.
fn run_time() -> Duration {
    let ms = std::env::var("WAITS_STRESS_MS").ok();
    Duration::from_millis(ms.and_then(|ms| ms.parse().ok()).unwrap_or(700))
}

/// Threads wait, notify, ask for reports at random, on few words of both
/// widths, with all kinds of timeouts; then the lot ends. Every wake-up that
/// was counted arrived, and every wait is accounted for.
#[test]
fn every_wakeup_is_accounted_for() {
    const THREADS: u32 = 12;
    let lot = ParkingLot::new(4, true);
    let words: Arc<[AtomicU64; 5]> = Arc::default();
    let waiters: Arc<Vec<_>> = Arc::new(
        (0..THREADS)
            .map(|id| lot.register(id, Role::Guest))
            .collect(),
    );
    let notified = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let (asked, made) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..THREADS)
        .map(|id| {
            let (lot, words, waiters) = (lot.clone(), words.clone(), waiters.clone());
            let (notified, done) = (notified.clone(), done.clone());
            let (asked, made) = (asked.clone(), made.clone());
            thread::spawn(move || {
                let mut random = Random(0x9e37_79b9 + u64::from(id));
                let mut outcomes = [0u64; 4];
                while !done.load(Ordering::Relaxed) {
                    let word = &words[random.below(5) as usize];
                    match random.below(8) {
                        0..=2 => {
                            let count = [1, 2, 3, u32::MAX][random.below(4) as usize];
                            let address = std::ptr::from_ref(word).addr();
                            let woken = lot.notify_address(address, count);
                            assert!(woken <= count);
                            notified.fetch_add(u64::from(woken), Ordering::Relaxed);
                        }
                        3 if random.below(4) == 0 => {
                            waiters[random.below(u64::from(THREADS)) as usize].request_report();
                            asked.fetch_add(1, Ordering::Relaxed);
                        }
                        4 => {
                            word.fetch_add(1, Ordering::SeqCst);
                        }
                        _ => {
                            // Thread 0 never waits for good, so one thread is left that notifies.
                            let timeout = match random.below(6) {
                                0 => 0,
                                1 => 1,
                                2 => 2_000,
                                3 => 200_000,
                                _ if id == 0 => 10_000,
                                4 => i64::MAX,
                                _ => -1,
                            };
                            let value = word.load(Ordering::SeqCst);
                            let mut on_report = || {
                                made.fetch_add(1, Ordering::Relaxed);
                            };
                            let waiter = &waiters[id as usize];
                            let outcome = waiter.wait64(word, value, timeout, &mut on_report);
                            outcomes[outcome as usize] += 1;
                        }
                    }
                }
                outcomes
            })
        })
        .collect();
    thread::sleep(run_time());
    done.store(true, Ordering::Relaxed);
    lot.end();
    let mut sum = [0; 4];
    for thread in threads {
        let outcomes = thread.join().unwrap();
        sum.iter_mut().zip(outcomes).for_each(|(sum, n)| *sum += n);
    }
    let [woken, not_equal, timed_out, ended] = sum;
    assert_eq!(
        woken,
        notified.load(Ordering::Relaxed),
        "a wake-up went astray"
    );
    let WaitStatistics {
        wakes,
        not_equal: n,
        timeouts,
        ended: e,
        ..
    } = lot.statistics();
    assert_eq!(
        (wakes, n, timeouts, e),
        (woken, not_equal, timed_out, ended)
    );
    assert!(lot.waiters().is_empty());
    assert!(woken > 100 && timed_out > 100, "{sum:?}");
    assert!(made.load(Ordering::Relaxed) <= asked.load(Ordering::Relaxed));
}

/// Waits of programs that always go on soon: a ring that hands a token round, beside threads that
/// contend for a mutex. Each thread but one waits without timeout most of the time, and the hook
/// must not find a deadlock.
#[test]
fn a_correct_program_is_never_called_stuck() {
    const RING: u32 = 4;
    let wanted: u64 = std::env::var("WAITS_STRESS_WAITS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(less(60_000, 3_000));
    let lot = ParkingLot::new(8, true);
    let stuck = Arc::new(AtomicU32::new(0));
    let weak = Arc::downgrade(&lot);
    assert!(lot.on_quiet({
        let stuck = stuck.clone();
        move || {
            let lot = weak.upgrade().expect("threads hold it");
            if lot.stuck().is_some() {
                stuck.fetch_add(1, Ordering::SeqCst);
            }
        }
    }));
    let turn = Arc::new(AtomicU32::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let waiters: Vec<_> = (0..RING).map(|id| lot.register(id, Role::Guest)).collect();
    let threads: Vec<_> = waiters
        .into_iter()
        .zip(0..)
        .map(|(waiter, id)| {
            let (turn, done) = (turn.clone(), done.clone());
            thread::spawn(move || {
                let mut next = id;
                loop {
                    loop {
                        let now = turn.load(Ordering::SeqCst);
                        if now == next {
                            break;
                        }
                        if now == u32::MAX {
                            return;
                        }
                        waiter.wait32(&turn, now, -1, &mut || ());
                    }
                    let stop = done.load(Ordering::Relaxed);
                    turn.store(if stop { u32::MAX } else { next + 1 }, Ordering::SeqCst);
                    waiter.lot().notify(&turn, u32::MAX);
                    if stop {
                        return;
                    }
                    next += RING;
                }
            })
        })
        .collect();
    let start = Instant::now();
    let limit = Duration::from_secs(30 + wanted / 100_000);
    while lot.statistics().queued < wanted {
        assert!(start.elapsed() < limit, "{:?}", lot.statistics());
        assert!(lot.stuck().is_none());
        thread::sleep(Duration::from_millis(1));
    }
    done.store(true, Ordering::Relaxed);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(stuck.load(Ordering::SeqCst), 0);
}

/// Resident memory in bytes.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Eight million addresses, each really waited on and notified.
#[cfg(target_os = "linux")]
#[test]
fn addresses_leave_nothing_behind() {
    if left_out("5 MiB for each thread of the tests beside this one count as its memory") {
        return;
    }
    let lot = ParkingLot::new(4, true);
    let words: Vec<AtomicU32> = (0..8_000_000).map(|_| AtomicU32::new(0)).collect();
    let waiter = lot.register(1, Role::Guest);
    let wait = |word| {
        lot.notify(word, 1);
        let outcome = waiter.wait32(word, 0, 1, &mut || ());
        assert_eq!(outcome, WaitOutcome::TimedOut);
    };
    words[..1000].iter().for_each(wait);
    let before = resident();
    words[1000..].iter().for_each(wait);
    let grown = resident().saturating_sub(before);
    assert_eq!(lot.statistics().queued, 8_000_000);
    // The other tests of this binary run beside this one.
    assert!(grown < 16 << 20, "{} KiB more", grown >> 10);
}

/// A step of a script with four threads and three words.
#[derive(Clone, Debug)]
enum Step {
    Wait(usize, usize),
    Notify(usize, u32),
    Report(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4usize, 0..3usize).prop_map(|(thread, word)| Step::Wait(thread, word)),
        2 => (0..3usize, 0..4u32).prop_map(|(word, count)| Step::Notify(word, count)),
        1 => (0..4usize).prop_map(Step::Report),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// One step after the other, compared with a list of queues. Exactly the threads that should
    /// wake do, in order. A report goes to a thread that waits, and leaves the queues as they are.
    #[test]
    fn scripts_do_what_a_list_of_queues_does(steps in steps()) {
        let lot = ParkingLot::new(4, false);
        let words: Arc<[AtomicU32; 3]> = Arc::default();
        let waiters: Vec<_> = (0..4).map(|id| Arc::new(lot.register(id, Role::Guest))).collect();
        let (events, heard) = mpsc::channel::<(usize, Option<WaitOutcome>)>();
        let orders: Vec<mpsc::Sender<usize>> = (0..4)
            .map(|id| {
                let (order, orders) = mpsc::channel();
                let (waiter, words) = (waiters[id].clone(), words.clone());
                let events = events.clone();
                thread::spawn(move || {
                    for word in orders {
                        let mut on_report = || events.send((id, None)).unwrap();
                        let outcome = waiter.wait32(&words[word], 0, -1, &mut on_report);
                        events.send((id, Some(outcome))).unwrap();
                    }
                });
                order
            })
            .collect();
        let hear = || heard.recv_timeout(Duration::from_secs(10)).expect("an event");
        let mut queues: [VecDeque<usize>; 3] = Default::default();
        for step in steps {
            match step {
                Step::Wait(thread, word) => {
                    if queues.iter().any(|queue| queue.contains(&thread)) {
                        continue;
                    }
                    queues[word].push_back(thread);
                    let queued = lot.statistics().queued;
                    orders[thread].send(word).unwrap();
                    while lot.statistics().queued == queued {
                        thread::yield_now();
                    }
                }
                Step::Notify(word, count) => {
                    let woken = lot.notify(&words[word], count);
                    let expected = (count as usize).min(queues[word].len());
                    prop_assert_eq!(woken as usize, expected);
                    let mut first: Vec<_> = queues[word].drain(..expected).collect();
                    let mut seen: Vec<_> = (0..expected).map(|_| hear()).collect();
                    first.sort_unstable();
                    seen.sort_unstable_by_key(|(thread, _)| *thread);
                    let first: Vec<_> =
                        first.into_iter().map(|t| (t, Some(WaitOutcome::Woken))).collect();
                    prop_assert_eq!(seen, first);
                }
                Step::Report(thread) => {
                    let waits = queues.iter().any(|queue| queue.contains(&thread));
                    waiters[thread].request_report();
                    if waits {
                        prop_assert_eq!(hear(), (thread, None));
                    } else {
                        prop_assert!(waiters[thread].take_report());
                    }
                }
            }
            let waiting = lot.waiters();
            prop_assert_eq!(waiting.len(), queues.iter().map(VecDeque::len).sum::<usize>());
        }
        lot.end();
        for _ in 0..queues.iter().map(VecDeque::len).sum() {
            let (_, outcome) = hear();
            prop_assert_eq!(outcome, Some(WaitOutcome::Ended));
        }
        prop_assert!(heard.try_recv().is_err(), "nobody else spoke");
    }
}
