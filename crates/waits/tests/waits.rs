//! The parking lot, one promise at a time.
#![allow(missing_docs)]

#[path = "../../../tests/support/emulated.rs"]
mod emulated;

use emulated::{less, slower};
use memory_waits::{ParkingLot, Role, WaitOutcome, Waiter, Width};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const FOREVER: i64 = -1;
const MS: i64 = 1_000_000;

/// Polls until `done`, for at most ten seconds (in an emulator 20 times as long).
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < slower(Duration::from_secs(10)),
            "waited for: {what}"
        );
        thread::sleep(Duration::from_micros(200));
    }
}

fn none() {}

/// Starts a thread that waits on `word`, and returns once it is queued.
fn park(
    lot: &Arc<ParkingLot>,
    id: u32,
    word: &Arc<AtomicU32>,
    timeout: i64,
) -> thread::JoinHandle<WaitOutcome> {
    let waiter = lot.register(id, Role::Guest);
    let before = lot.waiters().len();
    let word = word.clone();
    let expected = word.load(Ordering::SeqCst);
    let handle = thread::spawn(move || waiter.wait32(&word, expected, timeout, &mut none));
    until("a queued thread", || lot.waiters().len() > before);
    handle
}

#[test]
fn answers_have_the_proposals_codes() {
    let codes = [
        WaitOutcome::Woken,
        WaitOutcome::NotEqual,
        WaitOutcome::TimedOut,
        WaitOutcome::Ended,
    ]
    .map(WaitOutcome::code);
    assert_eq!(codes, [Some(0), Some(1), Some(2), None]);
}

#[test]
fn the_value_is_checked_before_the_timeout() {
    let lot = ParkingLot::new(1, false);
    let waiter = lot.register(0, Role::Guest);
    let (narrow, wide) = (AtomicU32::new(5), AtomicU64::new(5 << 32));
    for timeout in [FOREVER, 0, 1, i64::MAX, i64::MIN] {
        let outcome = waiter.wait32(&narrow, 4, timeout, &mut none);
        assert_eq!(outcome, WaitOutcome::NotEqual, "timeout {timeout}");
        // The high half counts.
        let outcome = waiter.wait64(&wide, 5, timeout, &mut none);
        assert_eq!(outcome, WaitOutcome::NotEqual, "timeout {timeout}");
    }
    assert_eq!(
        waiter.wait32(&narrow, 5, 0, &mut none),
        WaitOutcome::TimedOut
    );
    let outcome = waiter.wait64(&wide, 5 << 32, 0, &mut none);
    assert_eq!(outcome, WaitOutcome::TimedOut);
    assert_eq!(
        lot.statistics().queued,
        0,
        "no wait of these had to queue up"
    );
}

#[test]
fn a_timeout_is_kept_and_not_cut_short() {
    let lot = ParkingLot::new(1, false);
    let waiter = lot.register(0, Role::Guest);
    let word = AtomicU32::new(0);
    for ns in [1, 999, 100_000, 20 * MS] {
        let start = Instant::now();
        assert_eq!(
            waiter.wait32(&word, 0, ns, &mut none),
            WaitOutcome::TimedOut
        );
        assert!(start.elapsed() >= Duration::from_nanos(ns as u64));
    }
    assert_eq!(lot.statistics().timeouts, 4);
    assert!(lot.waiters().is_empty());
}

#[test]
fn the_longest_timeout_does_not_overflow() {
    for timeout in [i64::MAX, i64::MAX - 1, 1 << 62] {
        let lot = ParkingLot::new(1, false);
        let word = Arc::new(AtomicU32::new(0));
        let thread = park(&lot, 1, &word, timeout);
        thread::sleep(Duration::from_millis(5));
        assert!(lot.waiters()[0].timed);
        assert_eq!(lot.notify(&word, 1), 1);
        assert_eq!(thread.join().unwrap(), WaitOutcome::Woken);
    }
}

#[test]
fn notify_wakes_as_many_as_asked_for_and_the_oldest_first() {
    let lot = ParkingLot::new(8, false);
    let (word, other) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let bystander = park(&lot, 99, &other, FOREVER);
    let mut threads: Vec<_> = (0..6).map(|id| park(&lot, id, &word, FOREVER)).collect();
    assert_eq!(lot.notify(&word, 0), 0);
    for (count, woken) in [(1, 1), (2, 2), (u32::MAX, 3), (1, 0)] {
        assert_eq!(lot.notify(&word, count), woken);
        for thread in threads.drain(..woken as usize) {
            assert_eq!(thread.join().unwrap(), WaitOutcome::Woken);
        }
        let left = lot.waiters();
        assert_eq!(left.len(), threads.len() + 1, "nobody else woke");
    }
    assert_eq!(lot.notify(&other, 1), 1);
    bystander.join().unwrap();
    let stats = lot.statistics();
    assert_eq!((stats.queued, stats.wakes, stats.notifies), (7, 7, 6));
}

#[test]
fn waits_of_both_widths_share_an_address() {
    let lot = ParkingLot::new(2, false);
    let wide = Arc::new(AtomicU64::new(7));
    let waiter = lot.register(3, Role::Guest);
    let thread = thread::spawn({
        let wide = wide.clone();
        move || waiter.wait64(&wide, 7, FOREVER, &mut none)
    });
    until("a queued thread", || !lot.waiters().is_empty());
    let waiting = lot.waiters()[0];
    assert_eq!((waiting.thread, waiting.width), (3, Width::W64));
    assert_eq!(waiting.address, std::ptr::from_ref(&*wide).addr());
    assert_eq!(lot.notify_address(waiting.address, 5), 1);
    assert_eq!(thread.join().unwrap(), WaitOutcome::Woken);
}

#[test]
fn the_list_says_who_where_and_since_when() {
    let lot = ParkingLot::new(2, false);
    let (first, second) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let begin = Instant::now();
    let threads = [
        park(&lot, 11, &first, FOREVER),
        park(&lot, 12, &second, 3600 * 1000 * MS),
    ];
    thread::sleep(Duration::from_millis(30));
    let mut list = lot.waiters();
    list.sort_by_key(|waiting| waiting.thread);
    let seen: Vec<_> = list
        .iter()
        .map(|w| (w.thread, w.address, w.width, w.timed))
        .collect();
    let at = |word: &Arc<AtomicU32>| std::ptr::from_ref(&**word).addr();
    assert_eq!(
        seen,
        [
            (11, at(&first), Width::W32, false),
            (12, at(&second), Width::W32, true)
        ]
    );
    for waiting in list {
        assert!(waiting.since >= begin && waiting.since.elapsed() >= Duration::from_millis(20));
    }
    lot.end();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), WaitOutcome::Ended);
    }
}

/// Three times; beside other tests and other processes, some rounds take longer.
#[test]
fn the_end_reaches_a_thousand_threads_in_less_than_a_tenth_of_a_second() {
    let (count, limit) = (less(1000, 100), slower(Duration::from_millis(100)));
    let mut all = Vec::new();
    let quick = |all: &[Duration]| all.iter().filter(|t| **t < limit).count();
    while quick(&all) < 3 {
        assert!(all.len() < 60, "{all:?}");
        let lot = ParkingLot::new(count as usize, true);
        let words: Arc<Vec<AtomicU32>> = Arc::new((0..50).map(|_| AtomicU32::new(0)).collect());
        let (sender, ended) = mpsc::channel();
        let threads: Vec<_> = (0..count)
            .map(|id| {
                let waiter = lot.register(id, Role::Guest);
                let (words, sender) = (words.clone(), sender.clone());
                thread::Builder::new()
                    .stack_size(128 << 10)
                    .spawn(move || {
                        let timeout = if id % 2 == 0 {
                            FOREVER
                        } else {
                            3600 * 1000 * MS
                        };
                        let outcome =
                            waiter.wait32(&words[id as usize % 50], 0, timeout, &mut none);
                        sender.send((outcome, Instant::now())).unwrap();
                    })
                    .expect("all threads")
            })
            .collect();
        until("all queued", || lot.statistics().queued == count.into());
        let start = Instant::now();
        assert_eq!(lot.end(), count);
        let times: Vec<_> = (0..count)
            .map(|_| {
                let (outcome, at) = ended.recv().unwrap();
                assert_eq!(outcome, WaitOutcome::Ended);
                at - start
            })
            .collect();
        all.push(*times.iter().max().unwrap());
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let late = lot.register(1, Role::Guest);
        assert!(lot.is_ended());
        assert_eq!(
            late.wait32(&words[0], 0, FOREVER, &mut none),
            WaitOutcome::Ended
        );
        assert_eq!(late.wait32(&words[0], 1, 0, &mut none), WaitOutcome::Ended);
        assert_eq!(lot.end(), 0);
    }
}

#[test]
fn a_report_keeps_place_deadline_and_wakeup() {
    let lot = ParkingLot::new(2, false);
    let word = Arc::new(AtomicU32::new(0));
    let first = Arc::new(lot.register(1, Role::Guest));
    let (sender, reports) = mpsc::channel();
    let thread = thread::spawn({
        let (first, word) = (first.clone(), word.clone());
        move || {
            let me = thread::current().id();
            let mut on_report = || sender.send(thread::current().id() == me).unwrap();
            first.wait32(&word, 0, FOREVER, &mut on_report)
        }
    });
    until("a queued thread", || lot.waiters().len() == 1);
    let second = park(&lot, 2, &word, FOREVER);
    for _ in 0..100 {
        first.request_report();
        let own_thread = reports.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(own_thread);
        assert_eq!(lot.waiters().len(), 2, "still queued");
    }
    assert_eq!(lot.notify(&word, 1), 1);
    assert_eq!(
        thread.join().unwrap(),
        WaitOutcome::Woken,
        "the first was still first"
    );
    assert_eq!(lot.notify(&word, 1), 1);
    assert_eq!(second.join().unwrap(), WaitOutcome::Woken);
    assert!(!first.take_report());
    first.request_report();
    assert!(first.take_report() && !first.take_report());
    // Asked for before the wait: made by the wait. And the deadline holds.
    first.request_report();
    let mut made = 0;
    let start = Instant::now();
    let outcome = first.wait32(&word, 0, 30 * MS, &mut || made += 1);
    assert_eq!((outcome, made), (WaitOutcome::TimedOut, 1));
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[test]
fn a_wakeup_during_a_report_is_not_lost() {
    let lot = ParkingLot::new(2, false);
    let word = AtomicU32::new(0);
    let waiter = lot.register(1, Role::Host);
    waiter.request_report();
    let mut woken = 0;
    let outcome = waiter.wait32(&word, 0, FOREVER, &mut || woken = lot.notify(&word, 1));
    assert_eq!((outcome, woken), (WaitOutcome::Woken, 1));
}

#[test]
fn a_panic_in_a_report_undoes_the_wait() {
    let lot = ParkingLot::new(2, true);
    let word = AtomicU32::new(0);
    let waiter = lot.register(1, Role::Guest);
    for notified in [false, true] {
        waiter.request_report();
        let wait = || {
            waiter.wait32(&word, 0, FOREVER, &mut || {
                if notified {
                    assert_eq!(lot.notify(&word, 1), 1);
                }
                panic!("on purpose");
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(wait)).is_err());
        assert!(lot.waiters().is_empty());
        assert_eq!(lot.stuck(), None, "counted as live again");
    }
    assert_eq!(waiter.wait32(&word, 0, 1, &mut none), WaitOutcome::TimedOut);
}

#[test]
fn a_waiter_waits_once_at_a_time() {
    let lot = ParkingLot::new(2, false);
    let word = AtomicU32::new(0);
    let waiter = lot.register(1, Role::Guest);
    waiter.request_report();
    let again = || {
        waiter.wait32(&word, 0, FOREVER, &mut || {
            waiter.wait32(&word, 0, 0, &mut none);
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(again)).is_err());
    assert_eq!(waiter.wait32(&word, 0, 0, &mut none), WaitOutcome::TimedOut);
}

/// What a group does with a lot: ends it when it finds it stuck.
fn ends_when_stuck(lot: &Arc<ParkingLot>) -> mpsc::Receiver<Vec<(u32, usize)>> {
    let (sender, found) = mpsc::channel();
    let weak = Arc::downgrade(lot);
    assert!(lot.on_quiet(move || {
        let lot = weak.upgrade().expect("the lot outlives its threads");
        if let Some(waiting) = lot.stuck() {
            let list = waiting.iter().map(|w| (w.thread, w.address)).collect();
            sender.send(list).unwrap();
            lot.end();
        }
    }));
    assert!(!lot.on_quiet(|| ()), "there is one hook");
    found
}

fn lock(waiter: &Waiter, mutex: &AtomicU32) -> bool {
    if mutex
        .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst)
        .is_ok()
    {
        return true;
    }
    while mutex.swap(2, Ordering::SeqCst) != 0 {
        if waiter.wait32(mutex, 2, FOREVER, &mut none) == WaitOutcome::Ended {
            return false;
        }
    }
    true
}

#[test]
fn two_mutexes_in_opposite_order_are_found() {
    let lot = ParkingLot::new(2, true);
    let found = ends_when_stuck(&lot);
    let mutexes = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let both = Arc::new(std::sync::Barrier::new(2));
    let waiters = [lot.register(1, Role::Guest), lot.register(2, Role::Guest)];
    let threads: Vec<_> = waiters
        .into_iter()
        .enumerate()
        .map(|(i, waiter)| {
            let (mutexes, both) = (mutexes.clone(), both.clone());
            thread::spawn(move || {
                assert!(lock(&waiter, &mutexes[i]));
                both.wait();
                lock(&waiter, &mutexes[1 - i])
            })
        })
        .collect();
    let mut list = found.recv_timeout(Duration::from_secs(10)).unwrap();
    list.sort_unstable();
    let at = |i: usize| std::ptr::from_ref(&mutexes[i]).addr();
    assert_eq!(list, [(1, at(1)), (2, at(0))]);
    for thread in threads {
        assert!(!thread.join().unwrap(), "no lock was given, the wait ended");
    }
    assert_eq!(lot.stuck(), None, "an ended lot is not stuck");
}

#[test]
fn what_may_still_change_is_not_stuck() {
    let lot = ParkingLot::new(4, true);
    let found = ends_when_stuck(&lot);
    let word = Arc::new(AtomicU32::new(0));
    let timed = lot.register(2, Role::Guest);
    let parked = park(&lot, 1, &word, FOREVER);
    // A registered thread that has not started, or runs, or is in host code.
    assert_eq!(lot.stuck(), None);
    let mut looks = 0;
    timed.request_report();
    let outcome = timed.wait32(&word, 0, 20 * MS, &mut || {
        looks += 1;
        assert_eq!(lot.stuck(), None);
    });
    assert_eq!((outcome, looks), (WaitOutcome::TimedOut, 1));
    // A writer outside, taken while there still is a live thread.
    let writer = lot.host_writer();
    timed.finish();
    timed.finish();
    assert_eq!(lot.stuck(), None);
    // A waiting embedder changes nothing.
    let host = lot.register(7, Role::Host);
    assert_eq!(host.wait32(&word, 0, MS, &mut none), WaitOutcome::TimedOut);
    assert!(found.try_recv().is_err());
    drop(writer);
    let at = std::ptr::from_ref(&*word).addr();
    assert_eq!(
        found.recv_timeout(Duration::from_secs(10)).unwrap(),
        [(1, at)]
    );
    assert_eq!(parked.join().unwrap(), WaitOutcome::Ended);
}

/// A wait is its two halves, one after the other.
#[test]
fn the_halves_of_a_wait_answer_as_the_whole() {
    let lot = ParkingLot::new(1, false);
    let waiter = lot.register(0, Role::Guest);
    let (narrow, wide) = (AtomicU32::new(5), AtomicU64::new(5 << 32));
    assert_eq!(waiter.differs32(&narrow, 5), None);
    assert_eq!(waiter.differs64(&wide, 5 << 32), None);
    assert_eq!(waiter.differs32(&narrow, 6), Some(WaitOutcome::NotEqual));
    assert_eq!(waiter.differs64(&wide, 5), Some(WaitOutcome::NotEqual));
    let parked = waiter.park32(&narrow, 6, FOREVER, &mut none);
    assert_eq!(parked, WaitOutcome::NotEqual);
    let parked = waiter.park64(&wide, 5, FOREVER, &mut none);
    assert_eq!(parked, WaitOutcome::NotEqual);
    let parked = waiter.park64(&wide, 5 << 32, MS, &mut none);
    assert_eq!(parked, WaitOutcome::TimedOut);
    let statistics = lot.statistics();
    assert_eq!((statistics.not_equal, statistics.timeouts), (4, 1));
    // The other half tells the loop of waits to end.
    lot.end();
    assert_eq!(waiter.differs32(&narrow, 6), None);
    let parked = waiter.park32(&narrow, 6, FOREVER, &mut none);
    assert_eq!(parked, WaitOutcome::Ended);
}

#[test]
fn without_detection_nothing_is_stuck() {
    let lot = ParkingLot::new(2, false);
    let word = Arc::new(AtomicU32::new(0));
    assert!(lot.on_quiet(|| panic!("not asked for")));
    let thread = park(&lot, 1, &word, FOREVER);
    assert_eq!(lot.stuck(), None);
    lot.end();
    thread.join().unwrap();
}

/// A waiter looks out for a moment where that pays, and gives up where it does not: a thread that
/// always waits long sleeps through nearly all of its waits.
#[test]
#[cfg(target_os = "linux")]
fn long_waits_take_no_processor_time() {
    let lot = ParkingLot::new(2, false);
    let waiter = lot.register(1, Role::Guest);
    let word = AtomicU32::new(0);
    const WAITS: u32 = 300;
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let time = || -> Duration {
                let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
                Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
            };
            let before = time();
            for turn in 0..WAITS {
                while word.load(Ordering::SeqCst) == turn {
                    waiter.wait32(&word, turn, FOREVER, &mut none);
                }
            }
            time() - before
        });
        for _ in 0..WAITS {
            thread::sleep(Duration::from_millis(2));
            word.fetch_add(1, Ordering::SeqCst);
            lot.notify(&word, 1);
        }
        let busy = busy.join().unwrap();
        // 600 ms of waiting; each wake-up is some microseconds of work.
        assert!(busy < Duration::from_millis(60), "{busy:?}");
    });
}

/// A notify that takes no lock is counted like any other, and so is a wait that is refused without
/// it.
#[test]
fn what_takes_no_lock_is_counted() {
    let lot = ParkingLot::new(1, false);
    let word = AtomicU32::new(0);
    for round in 0..3 {
        // The node is used again by each.
        let waiter = lot.register(round, Role::Guest);
        for _ in 0..5 {
            let outcome = waiter.wait32(&word, 1, FOREVER, &mut none);
            assert_eq!(outcome, WaitOutcome::NotEqual);
            assert_eq!(lot.notify(&word, 1), 0);
        }
    }
    let statistics = lot.statistics();
    assert_eq!((statistics.not_equal, statistics.notifies), (15, 15));
    assert_eq!((statistics.queued, statistics.wakes), (0, 0));
}

#[test]
fn auto_traits() {
    fn check<T: Send + Sync + 'static>() {}
    check::<ParkingLot>();
    check::<Waiter>();
    check::<memory_waits::HostWriter>();
    check::<memory_waits::Waiting>();
}
