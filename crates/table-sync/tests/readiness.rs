//! Waiting for values that let only one wait at a time.

#![cfg(not(loom))]
#![allow(missing_docs)]

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use table_sync::{Closed, Error, Pollable, Ready, Table, Waitable};

/// A condition that others make true. Knows one waker, and forgets it when the wait is dropped.
#[derive(Default)]
struct Condition {
    permits: AtomicUsize,
    waker: Mutex<Option<Waker>>,
    /// Futures made by `ready`, and polls of them.
    made: AtomicUsize,
    polls: AtomicUsize,
    /// Registrations that were used: more than one an event would be a second event.
    fired: AtomicUsize,
}

impl Condition {
    fn set(&self, permits: usize) {
        self.permits.store(permits, SeqCst);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            self.fired.fetch_add(1, SeqCst);
            waker.wake();
        }
    }
}

struct Source {
    condition: Arc<Condition>,
    /// Whether a completed wait uses a permit up.
    takes: bool,
    panics: bool,
}

struct Deregister(Arc<Condition>);

impl Drop for Deregister {
    fn drop(&mut self) {
        drop(self.0.waker.lock().unwrap().take());
    }
}

impl Pollable for Source {
    async fn ready(&mut self) {
        let condition = self.condition.clone();
        condition.made.fetch_add(1, SeqCst);
        let _deregister = Deregister(condition.clone());
        poll_fn(|context: &mut Context<'_>| {
            assert!(!std::mem::take(&mut self.panics), "on purpose");
            condition.polls.fetch_add(1, SeqCst);
            *condition.waker.lock().unwrap() = Some(context.waker().clone());
            if condition.permits.load(SeqCst) == 0 {
                return Poll::Pending;
            }
            if self.takes {
                condition.permits.fetch_sub(1, SeqCst);
            }
            Poll::Ready(())
        })
        .await;
    }
}

fn source(takes: bool) -> (Arc<Condition>, Waitable<Source>) {
    let condition = Arc::<Condition>::default();
    let source = Source {
        condition: condition.clone(),
        takes,
        panics: false,
    };
    (condition, Waitable::new(source))
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A wait and how often it was woken.
struct Wait(Pin<Box<Ready<Source>>>, Arc<Count>);

impl Wait {
    fn new(waitable: &Waitable<Source>) -> Self {
        Self(Box::pin(waitable.ready()), Arc::default())
    }
    fn poll(&mut self) -> Poll<Result<(), Closed>> {
        let waker = Waker::from(self.1.clone());
        self.0.as_mut().poll(&mut Context::from_waker(&waker))
    }
    fn woken(&self) -> usize {
        self.1.0.load(SeqCst)
    }
}

/// The event fires exactly once, between the drop of the future and the making of the next.
#[test]
fn an_event_that_nobody_is_registered_for_is_seen() {
    let (condition, waitable) = source(true);
    let mut wait = Wait::new(&waitable);
    assert!(wait.poll().is_pending());
    let access = waitable.try_lock().unwrap();
    assert!(
        condition.waker.lock().unwrap().is_none(),
        "the future was dropped"
    );
    condition.set(1);
    assert_eq!(condition.fired.load(SeqCst), 0);
    assert_eq!(wait.woken(), 0);
    drop(access);
    // Woken to make a new future and poll it before sleeping again.
    assert_eq!(wait.woken(), 1);
    assert_eq!(wait.poll(), Poll::Ready(Ok(())));
}

#[test]
fn waiters_do_not_keep_anybody_out() {
    let table = Table::new();
    let (condition, waitable) = source(false);
    let handle = table.push(waitable).unwrap();
    let wait = table.get(&handle).unwrap().ready();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || wait.block());
        while condition.polls.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        // Readers, writers, and a closer; nothing holds the entry.
        assert!(!table.get(&handle).unwrap().lock().panics);
        table.get(&handle).unwrap().lock().takes = true;
        assert!(table.try_get_mut(&handle).is_ok());
        let value = table.delete(handle).unwrap().into_inner();
        assert!(value.takes);
        assert_eq!(waiter.join().unwrap(), Err(Closed));
    });
    assert_eq!(table.get(&handle).err(), Some(Error::NotPresent));
}

#[test]
fn an_event_wakes_no_more_than_it_satisfies_and_one() {
    let (condition, waitable) = source(true);
    let mut waits: Vec<_> = (0..1000).map(|_| Wait::new(&waitable)).collect();
    for wait in &mut waits {
        assert!(wait.poll().is_pending());
    }
    // One future for all of them.
    assert_eq!(condition.polls.load(SeqCst), 1);
    condition.set(3);
    let mut done = 0;
    // Polls each task that was woken, as an executor does, until none is.
    let mut seen = vec![0; waits.len()];
    loop {
        let woken = (0..waits.len()).find(|at| waits[*at].woken() > seen[*at]);
        let Some(at) = woken else { break };
        seen[at] = waits[at].woken();
        done += usize::from(waits[at].poll().is_ready());
    }
    assert_eq!(done, 3);
    assert_eq!(seen.iter().sum::<usize>(), 4);
    assert_eq!(condition.polls.load(SeqCst), 1 + 4);
}

#[test]
fn a_dropped_waiter_calls_the_next() {
    let (condition, waitable) = source(true);
    let [mut first, mut second, mut third] = [(); 3].map(|()| Wait::new(&waitable));
    for wait in [&mut first, &mut second, &mut third] {
        assert!(wait.poll().is_pending());
    }
    condition.set(1);
    assert_eq!([first.woken(), second.woken(), third.woken()], [1, 0, 0]);
    drop(first);
    assert_eq!([second.woken(), third.woken()], [1, 0]);
    // One that was not called calls no other.
    drop(third);
    assert_eq!(second.poll(), Poll::Ready(Ok(())));
}

/// The future is shared: a waiter that gives up leaves it to the others.
#[test]
fn a_dropped_waiter_leaves_the_future_to_the_others() {
    let (condition, waitable) = source(true);
    let mut stays = Wait::new(&waitable);
    assert!(stays.poll().is_pending());
    for _ in 0..5 {
        let mut quitter = Wait::new(&waitable);
        assert!(quitter.poll().is_pending());
        drop(quitter);
        // As an executor does if it was woken.
        if stays.woken() > 0 {
            assert!(stays.poll().is_pending());
        }
    }
    assert_eq!(condition.made.load(SeqCst), 1);
    assert_eq!(stays.woken(), 0);
    condition.set(1);
    assert_eq!(stays.woken(), 1);
    assert_eq!(stays.poll(), Poll::Ready(Ok(())));
    assert_eq!(condition.made.load(SeqCst), 1);
}

#[test]
fn the_future_goes_with_the_last_waiter() {
    let (condition, waitable) = source(false);
    let mut wait = Wait::new(&waitable);
    assert!(wait.poll().is_pending());
    assert!(condition.waker.lock().unwrap().is_some());
    drop(wait);
    assert!(condition.waker.lock().unwrap().is_none());
    assert!(waitable.try_lock().is_some());
}

#[test]
fn a_wait_outlives_its_value_and_is_told() {
    let (_condition, waitable) = source(false);
    let mut wait = Wait::new(&waitable);
    let mut late = Wait::new(&waitable);
    assert!(wait.poll().is_pending());
    drop(waitable);
    assert_eq!(wait.woken(), 1);
    assert_eq!(wait.poll(), Poll::Ready(Err(Closed)));
    assert_eq!(late.poll(), Poll::Ready(Err(Closed)));
}

#[test]
fn access_waits_for_access() {
    let (_condition, waitable) = source(false);
    let access = waitable.lock();
    assert!(waitable.try_lock().is_none());
    let count = Arc::<Count>::default();
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    {
        let mut next = pin!(waitable.lock_async());
        assert!(next.as_mut().poll(&mut context).is_pending());
        let mut quitter = Box::pin(waitable.lock_async());
        assert!(quitter.as_mut().poll(&mut context).is_pending());
        drop(quitter);
        drop(access);
        assert_eq!(count.0.load(SeqCst), 1);
        assert!(next.as_mut().poll(&mut context).is_ready());
    }
    assert!(waitable.try_lock().is_some());
}

#[test]
fn deadlines() {
    let (condition, waitable) = source(false);
    let soon = || Instant::now() + Duration::from_millis(20);
    assert_eq!(waitable.ready().block_until(soon()), None);
    condition.set(1);
    // Asked at least once.
    let past = Instant::now();
    assert_eq!(waitable.ready().block_until(past), Some(Ok(())));
}

/// A value that asks to be polled again each time, so that no sleep ends at the deadline.
#[test]
fn a_deadline_ends_polls_that_follow_each_other() {
    struct Restless(Instant);
    impl Pollable for Restless {
        async fn ready(&mut self) {
            poll_fn(|context: &mut Context<'_>| {
                context.waker().wake_by_ref();
                match Instant::now() < self.0 {
                    true => Poll::Pending,
                    false => Poll::Ready(()),
                }
            })
            .await;
        }
    }
    let late = Instant::now() + Duration::from_secs(20);
    let soon = Instant::now() + Duration::from_millis(20);
    let waitable = Waitable::new(Restless(late));
    assert_eq!(waitable.ready().block_until(soon), None);
}

/// A poll by another thread that is going on at the deadline is waited for.
#[test]
fn a_deadline_waits_for_a_poll_that_is_going_on() {
    struct Slow(mpsc::Sender<()>);
    impl Pollable for Slow {
        async fn ready(&mut self) {
            let _ = self.0.send(());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let (started, polling) = mpsc::channel();
    let waitable = Waitable::new(Slow(started));
    let first = waitable.ready();
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(first.block(), Ok(())));
        polling.recv().unwrap();
        let past = Instant::now();
        assert_eq!(waitable.ready().block_until(past), Some(Ok(())));
    });
    // While there is access, the value is not there to be asked.
    let access = waitable.lock();
    assert_eq!(waitable.ready().block_until(Instant::now()), None);
    drop(access);
}

/// Where another's poll ended between a look at the value and one at the flag of a poll that is
/// going on, a value that was ready all the time was once not.
#[test]
fn a_poll_that_ends_at_the_deadline_has_been_waited_for() {
    struct Always;
    impl Pollable for Always {
        async fn ready(&mut self) {
            std::thread::yield_now();
        }
    }
    let waitable = Waitable::new(Always);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..20_000 {
                    let ready = waitable.ready().block_until(Instant::now());
                    assert_eq!(ready, Some(Ok(())), "round {round}");
                }
            });
        }
    });
}

/// Two threads that follow each other closely in having access, and a condition that is true.
#[test]
fn accessors_do_not_starve_a_waiter() {
    let (condition, waitable) = source(false);
    condition.set(1);
    let over = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while over.load(SeqCst) == 0 {
                    let access = waitable.lock();
                    std::thread::sleep(Duration::from_micros(100));
                    drop(access);
                }
            });
        }
        std::thread::sleep(Duration::from_millis(10));
        for _ in 0..5 {
            let soon = Instant::now() + Duration::from_secs(20);
            assert_eq!(waitable.ready().block_until(soon), Some(Ok(())));
        }
        over.store(1, SeqCst);
    });
}

#[test]
fn a_panic_while_polling_leaves_the_value_usable() {
    let (condition, waitable) = source(false);
    let mut other = Wait::new(&waitable);
    waitable.lock().panics = true;
    let mut wait = Wait::new(&waitable);
    assert!(catch_unwind(AssertUnwindSafe(|| wait.poll())).is_err());
    drop(wait);
    assert!(other.poll().is_pending());
    condition.set(1);
    assert_eq!(other.poll(), Poll::Ready(Ok(())));
    assert!(!waitable.into_inner().panics);
}

/// The last reference to a task may be a waker, and dropping that drops the task. Here the task
/// holds a wait for the same value.
#[test]
fn an_accessors_waker_is_dropped_unlocked() {
    struct Task {
        _wait: Mutex<Wait>,
    }
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let (done, waits) = mpsc::channel();
    // On its own thread, because the fault would be a deadlock.
    let thread = std::thread::spawn(move || {
        let (_condition, waitable) = source(false);
        let mut wait = Wait::new(&waitable);
        assert!(wait.poll().is_pending());
        let waker = Waker::from(Arc::new(Task {
            _wait: Mutex::new(wait),
        }));
        let access = waitable.lock();
        {
            let mut next = pin!(waitable.lock_async());
            let polled = next.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            drop((access, waker));
            let mut context = Context::from_waker(Waker::noop());
            assert!(next.as_mut().poll(&mut context).is_ready());
        }
        assert!(waitable.try_lock().is_some());
        done.send(()).unwrap();
    });
    waits
        .recv_timeout(Duration::from_secs(20))
        .expect("a waker was dropped under a lock");
    thread.join().unwrap();
}

#[test]
fn waits_end_though_the_values_drop_panics() {
    struct Bomb;
    impl Pollable for Bomb {
        async fn ready(&mut self) {
            std::future::pending().await
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    for armed in [false, true] {
        let waitable = Waitable::new(Bomb);
        let count = Arc::<Count>::default();
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        let mut wait = pin!(waitable.ready());
        assert!(wait.as_mut().poll(&mut context).is_pending());
        if !armed {
            // Drops the future: the value is on its own.
            drop(waitable.lock());
        }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(waitable))).is_err());
        // Once since it last looked: by the end of the access, or by the close.
        assert_eq!(count.0.load(SeqCst), 1);
        assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(Err(Closed)));
    }
}

/// Threads that wait, use up and access at random; every permit finds a waiter.
#[test]
fn every_event_finds_a_waiter() {
    let (condition, waitable) = source(true);
    let rounds = if cfg!(miri) { 4 } else { 300 };
    let threads = 3;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let waitable = &waitable;
            scope.spawn(move || {
                for round in 0..rounds {
                    if round % 3 == 0 {
                        // Gives up, perhaps called.
                        let soon = Instant::now() + Duration::from_micros(50);
                        let wait = waitable.ready().block_until(soon);
                        if wait.is_some() {
                            continue;
                        }
                    }
                    assert_eq!(waitable.ready().block(), Ok(()));
                }
            });
        }
        // As many events as rounds, each once the last has been used up, so that one wake-up lost
        // would be missed for good.
        for _ in 0..rounds * threads {
            while condition.permits.load(SeqCst) != 0 {
                drop(waitable.try_lock());
                std::thread::yield_now();
            }
            condition.set(1);
        }
    });
}
