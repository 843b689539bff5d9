//! The wait queue: no waiter is forgotten when another gives up.

use crate::support::{increment, race, with_entry};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use table_sync::Error;

/// Polls once with a waker that does nothing.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn three_writers() {
    with_entry(2, 0, |table, handle| {
        race(table, [(); 3].map(|()| increment(handle)));
        assert_eq!(*table.get(&handle).unwrap(), 3);
    });
}

/// A waiter that gives up, having perhaps been woken, does not keep the next one waiting.
#[test]
fn a_dropped_waiter_calls_the_next() {
    with_entry(2, 0, |table, handle| {
        race(
            table,
            [
                Box::new(move |table| {
                    let mut wait = pin!(table.get_mut_async(&handle));
                    drop(poll_once(wait.as_mut()));
                }),
                increment(handle),
                increment(handle),
            ],
        );
        assert_eq!(*table.get(&handle).unwrap(), 2);
    });
}

/// A reader that waits only because a writer does goes in when that writer gives up.
#[test]
fn a_writer_that_gives_up_lets_readers_pass() {
    with_entry(2, 0, |table, handle| {
        let first = table.get(&handle).unwrap();
        race(
            table,
            [
                Box::new(move |table| {
                    let mut wait = pin!(table.get_mut_async(&handle));
                    assert!(poll_once(wait.as_mut()).is_pending());
                }),
                // Joins the queue behind the writer or finds it gone; `first` stays.
                Box::new(move |table| assert_eq!(*table.get(&handle).unwrap(), 0)),
            ],
        );
        drop(first);
    });
}

/// Waiters of an entry that goes are told.
#[test]
fn waiters_learn_of_the_removal() {
    for detach in [false, true] {
        with_entry(2, 0, move |table, handle| {
            race(
                table,
                [
                    Box::new(move |table| {
                        if let Err(error) = table.get_mut(&handle) {
                            assert_eq!(error, Error::NotPresent);
                        }
                    }),
                    Box::new(move |table| {
                        if let Err(error) = table.get(&handle) {
                            assert_eq!(error, Error::NotPresent);
                        }
                    }),
                    Box::new(move |table| {
                        if detach {
                            table.detach(handle).unwrap();
                        } else {
                            table.delete(handle).unwrap();
                        }
                    }),
                ],
            );
            assert!(table.is_empty());
        });
    }
}

/// A waiter for an entry that goes may find the slot taken by the next.
#[test]
fn a_waiter_does_not_get_the_next_entry() {
    with_entry(2, 1, |table, old| {
        race(
            table,
            [
                Box::new(move |table| match table.get_mut(&old) {
                    Ok(mut guard) => *guard = 1,
                    Err(error) => assert_eq!(error, Error::NotPresent),
                }),
                Box::new(move |table| {
                    table.detach(old).unwrap();
                    let new = table.push(2u32).unwrap();
                    *table.get_mut(&new).unwrap() += 1;
                    assert_eq!(table.delete(new), Ok(3));
                }),
            ],
        );
    });
}
