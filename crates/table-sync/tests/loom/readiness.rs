//! Readiness: no wake-up is lost between the future that is dropped and the one that is made.

use crate::support::model;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use table_sync::{Closed, Pollable, Waitable};

/// Permits that come one by one. Only the waker registered last is used, once, and a dropped wait
/// is deregistered. A wait that is not registered when the permit comes must look for itself.
#[derive(Default)]
struct Permits {
    count: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Permits {
    fn add(&self) {
        self.count.fetch_add(1, SeqCst);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Source {
    permits: Arc<Permits>,
    /// Whether a completed wait uses the permit up.
    takes: bool,
}

struct Deregister(Arc<Permits>);

impl Drop for Deregister {
    fn drop(&mut self) {
        drop(self.0.waker.lock().unwrap().take());
    }
}

impl Pollable for Source {
    async fn ready(&mut self) {
        let permits = self.permits.clone();
        let takes = self.takes;
        let _deregister = Deregister(permits.clone());
        poll_fn(move |context: &mut Context<'_>| {
            *permits.waker.lock().unwrap() = Some(context.waker().clone());
            let count = permits.count.load(SeqCst);
            if count == 0 {
                return Poll::Pending;
            }
            if takes {
                // One wait at a time takes, so there is still one to take.
                permits.count.fetch_sub(1, SeqCst);
            }
            Poll::Ready(())
        })
        .await;
    }
}

fn source(takes: bool) -> (Arc<Permits>, Waitable<Source>) {
    let permits = Arc::new(Permits::default());
    let source = Source {
        permits: permits.clone(),
        takes,
    };
    (permits, Waitable::new(source))
}

/// One event, at any time: before, while or after an access drops the future and a new one is
/// made.
#[test]
fn one_event_between_drop_and_making() {
    model(2, || {
        let (permits, waitable) = source(true);
        let wait = waitable.ready();
        let waiter = thread::spawn(move || assert_eq!(wait.block(), Ok(())));
        let event = thread::spawn(move || permits.add());
        drop(waitable.lock());
        waiter.join().unwrap();
        event.join().unwrap();
    });
}

/// A waiter that registered first, was called or will be, and gives up.
#[test]
fn a_dropped_waiter_calls_the_next() {
    model(2, || {
        let (permits, waitable) = source(false);
        let mut quitter = Box::pin(waitable.ready());
        let polled = quitter
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let wait = waitable.ready();
        let waiter = thread::spawn(move || assert_eq!(wait.block(), Ok(())));
        let event = thread::spawn(move || permits.add());
        drop(quitter);
        waiter.join().unwrap();
        event.join().unwrap();
    });
}

/// Two waiters, a condition that stays: both see it.
#[test]
fn two_waiters_see_one_lasting_condition() {
    model(2, || {
        let (permits, waitable) = source(false);
        let threads = [(); 2].map(|()| {
            let wait = waitable.ready();
            thread::spawn(move || assert_eq!(wait.block(), Ok(())))
        });
        permits.add();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Two waiters, two events that are used up: each gets one.
#[test]
fn two_waiters_two_events() {
    model(2, || {
        let (permits, waitable) = source(true);
        let threads = [(); 2].map(|()| {
            let wait = waitable.ready();
            thread::spawn(move || assert_eq!(wait.block(), Ok(())))
        });
        permits.add();
        permits.add();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Closing ends a wait, whatever that was doing.
#[test]
fn close_races_with_a_waiter() {
    for take in [false, true] {
        model(2, move || {
            let (permits, waitable) = source(false);
            let wait = waitable.ready();
            let waiter = thread::spawn(move || assert_eq!(wait.block(), Err(Closed)));
            if take {
                let value = waitable.into_inner();
                assert_eq!(value.permits.count.load(SeqCst), 0);
            } else {
                drop(waitable);
            }
            waiter.join().unwrap();
            assert!(permits.waker.lock().unwrap().is_none());
        });
    }
}

/// Two threads in turn have access while a third waits.
#[test]
fn accessors_and_a_waiter() {
    model(2, || {
        let (permits, waitable) = source(true);
        let waitable = Arc::new(waitable);
        let wait = waitable.ready();
        let other = {
            let waitable = waitable.clone();
            thread::spawn(move || {
                // Writes through the value what the waiter waits for.
                let access = waitable.lock();
                access.permits.count.fetch_add(1, SeqCst);
            })
        };
        let quitter = {
            let waitable = waitable.clone();
            thread::spawn(move || {
                let mut access = pin!(waitable.lock_async());
                drop(
                    access
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop())),
                );
            })
        };
        // The condition came with an access alone: no waker was used for it.
        assert_eq!(wait.block(), Ok(()));
        other.join().unwrap();
        quitter.join().unwrap();
        drop(permits);
    });
}
