//! Shared against exclusive access, with readers counted and readers published.

use crate::support::{increment, race, with_entry};
use table_sync::{Error, Handle, Table};

/// A get or two sets the bias: later readers publish themselves.
fn bias(table: &Table, handle: &Handle<u32>) {
    drop(table.get(handle).unwrap());
}

fn a_writer_excludes_a_reader(biased: bool) {
    with_entry(3, 0, move |table, handle| {
        if biased {
            bias(table, &handle);
        }
        race(
            table,
            [
                Box::new(move |table| {
                    let guard = table.get(&handle).unwrap();
                    assert_eq!(*guard, *guard);
                }),
                increment(handle),
            ],
        );
        assert_eq!(*table.get(&handle).unwrap(), 1);
    });
}

#[test]
fn a_writer_excludes_a_counted_reader() {
    a_writer_excludes_a_reader(false);
}

#[test]
fn a_writer_excludes_published_readers() {
    a_writer_excludes_a_reader(true);
}

#[test]
fn two_published_readers_and_a_writer() {
    with_entry(1, 0, |table, handle| {
        bias(table, &handle);
        race(
            table,
            [
                Box::new(move |table| assert!(*table.get(&handle).unwrap() <= 1)),
                Box::new(move |table| assert!(*table.get(&handle).unwrap() <= 1)),
                increment(handle),
            ],
        );
        assert_eq!(*table.get(&handle).unwrap(), 1);
    });
}

#[test]
fn two_writers_and_a_published_reader() {
    with_entry(1, 0, |table, handle| {
        bias(table, &handle);
        race(
            table,
            [
                increment(handle),
                increment(handle),
                Box::new(move |table| assert!(*table.get(&handle).unwrap() <= 2)),
            ],
        );
        assert_eq!(*table.get(&handle).unwrap(), 2);
    });
}

/// The bias comes back while a writer that took it away is still on its way out.
#[test]
fn the_bias_comes_and_goes() {
    with_entry(2, 0, |table, handle| {
        race(
            table,
            [
                Box::new(move |table| {
                    for _ in 0..2 {
                        let guard = table.get(&handle).unwrap();
                        assert_eq!(*guard, *guard);
                    }
                }),
                Box::new(move |table| {
                    for _ in 0..2 {
                        *table.get_mut(&handle).unwrap() += 1;
                    }
                }),
            ],
        );
        assert_eq!(*table.get(&handle).unwrap(), 2);
    });
}

/// A thread has one cell here: with two entries held, one reader is counted although both entries
/// are biased.
#[test]
fn a_thread_out_of_cells_is_counted() {
    with_entry(2, 0, |table, a| {
        let b = table.push(0u32).unwrap();
        bias(table, &a);
        bias(table, &b);
        race(
            table,
            [
                Box::new(move |table| {
                    let a = table.get(&a).unwrap();
                    let b = table.get(&b).unwrap();
                    assert!(*a <= 1 && *b <= 1);
                }),
                Box::new(move |table| *table.get_mut(&b).unwrap() += 1),
            ],
        );
    });
}

/// `try_` forms fail only if another thread had access.
#[test]
fn try_forms() {
    with_entry(3, 0, |table, handle| {
        bias(table, &handle);
        race(
            table,
            [
                // Readers do not exclude each other, so only a writer is in the way of either
                // thread. Once the other has given up there is none.
                Box::new(move |table| match table.try_get_mut(&handle) {
                    Ok(mut guard) => *guard += 1,
                    Err(error) => assert_eq!(error, Error::InUse),
                }),
                Box::new(move |table| {
                    if let Err(error) = table.try_get(&handle) {
                        assert_eq!(error, Error::InUse);
                    }
                }),
            ],
        );
        // No other thread is left.
        assert!(table.try_get_mut(&handle).is_ok());
        assert!(table.try_get(&handle).is_ok());
    });
}
