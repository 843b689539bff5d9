//! Which waiter gets an entry, in what order, and what becomes of those that give up.

#![cfg(not(loom))]
#![allow(missing_docs)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use support::{Count, bias, poll};
use table_sync::{Error, Table};

#[test]
fn async_forms_pend_wake_and_leave() {
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    let writer = table.get_mut(&handle).unwrap();
    let counts: [Arc<Count>; 3] = Default::default();
    let mut read = pin!(table.get_async(&handle));
    let mut write = Box::pin(table.get_mut_async(&handle));
    let mut delete = pin!(table.delete_async(handle));
    assert!(poll(read.as_mut(), &counts[0]).is_pending());
    assert!(poll(write.as_mut(), &counts[1]).is_pending());
    assert!(poll(delete.as_mut(), &counts[2]).is_pending());
    drop(writer);
    // In order of arrival, one at a time.
    assert_eq!(counts.each_ref().map(|it| it.0.load(SeqCst)), [1, 0, 0]);
    let Poll::Ready(Ok(guard)) = poll(read.as_mut(), &counts[0]) else {
        panic!("nobody else was there");
    };
    assert!(poll(write.as_mut(), &counts[1]).is_pending());
    drop(guard);
    assert!(counts[1].0.load(SeqCst) >= 1);
    // Gives up, having been woken: the next one is.
    drop(write);
    assert_eq!(counts[2].0.load(SeqCst), 1);
    assert!(matches!(
        poll(delete.as_mut(), &counts[2]),
        Poll::Ready(Ok(1))
    ));
    assert_eq!(table.get(&handle).err(), Some(Error::NotPresent));
}

#[test]
fn waiters_learn_that_the_entry_is_gone() {
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    let held = table.get_mut(&handle).unwrap();
    let count = Arc::<Count>::default();
    let mut read = pin!(table.get_async(&handle));
    assert!(poll(read.as_mut(), &count).is_pending());
    table.detach(handle).unwrap();
    assert_eq!(count.0.load(SeqCst), 1);
    let Poll::Ready(result) = poll(read.as_mut(), &count) else {
        panic!("still waiting for a detached entry");
    };
    assert_eq!(result.err(), Some(Error::NotPresent));
    drop(held);
}

/// A thread that leaves looks whether the first waiter can go in, and lets it sleep if not.
#[test]
fn a_writer_is_woken_by_the_last_of_its_readers() {
    for published in [false, true] {
        let table = Table::new();
        let handle = table.push(1u32).unwrap();
        if published {
            bias(&table, &handle);
        }
        let readers = [(); 3].map(|()| table.get(&handle).unwrap());
        let count = Arc::<Count>::default();
        let mut write = pin!(table.get_mut_async(&handle));
        assert!(poll(write.as_mut(), &count).is_pending());
        for (at, reader) in readers.into_iter().enumerate() {
            assert_eq!(count.0.load(SeqCst), 0, "with {at} of 3 gone");
            drop(reader);
        }
        assert_eq!(count.0.load(SeqCst), 1);
        assert!(poll(write.as_mut(), &count).is_ready());
    }
}

/// A writer that tries again and again does not keep readers from leaving, and a try that failed
/// has taken nothing.
#[test]
fn a_try_on_an_entry_that_is_drained_says_in_use() {
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    bias(&table, &handle);
    let reader = table.get(&handle).unwrap();
    for _ in 0..1_000 {
        assert_eq!(table.try_get_mut(&handle).err(), Some(Error::InUse));
        assert_eq!(table.try_delete(handle), Err(Error::InUse));
    }
    drop(reader);
    *table.try_get_mut(&handle).unwrap() += 1;
    // A bias that comes back is taken back again.
    bias(&table, &handle);
    assert_eq!(table.try_delete(handle), Ok(2));
}

/// A waker is user code. If one panics, the others still wake and the value is still dropped.
#[test]
fn a_waker_that_panics_is_the_only_one_to_suffer() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    let held = table.get_mut(&handle).unwrap();
    let bomb = Waker::from(Arc::new(Bomb));
    let count = Arc::<Count>::default();
    let mut first = pin!(table.get_async(&handle));
    let mut second = pin!(table.get_async(&handle));
    let pending = first.as_mut().poll(&mut Context::from_waker(&bomb));
    assert!(pending.is_pending());
    assert!(poll(second.as_mut(), &count).is_pending());
    let detached = catch_unwind(AssertUnwindSafe(|| table.detach(handle)));
    assert!(detached.is_err());
    assert_eq!(count.0.load(SeqCst), 1);
    assert!(matches!(
        poll(second.as_mut(), &count),
        Poll::Ready(Err(Error::NotPresent))
    ));
    drop(held);
    assert_eq!(table.push(2u32).unwrap().index(), handle.index());
}

#[test]
fn try_get_passes_a_queued_writer_and_get_does_not() {
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    let held = table.get(&handle).unwrap();
    let count = Arc::<Count>::default();
    let mut write = pin!(table.get_mut_async(&handle));
    assert!(poll(write.as_mut(), &count).is_pending());
    assert_eq!(*table.try_get(&handle).unwrap(), 1);
    let mut read = pin!(table.get_async(&handle));
    assert!(poll(read.as_mut(), &count).is_pending());
    drop(held);
}

#[test]
fn a_delete_that_is_given_up_leaves_the_entry() {
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    let held = table.get(&handle).unwrap();
    let count = Arc::<Count>::default();
    let mut delete = Box::pin(table.delete_async(handle));
    assert!(poll(delete.as_mut(), &count).is_pending());
    drop(delete);
    drop(held);
    assert_eq!(table.delete(handle), Ok(1));
}

#[test]
fn a_child_that_comes_while_a_delete_waits_keeps_the_parent() {
    let table = Table::new();
    let parent = table.push(1u32).unwrap();
    let held = table.get(&parent).unwrap();
    let count = Arc::<Count>::default();
    let mut delete = pin!(table.delete_async(parent));
    assert!(poll(delete.as_mut(), &count).is_pending());
    table.push_child(2u32, &parent).unwrap();
    drop(held);
    assert!(matches!(
        poll(delete.as_mut(), &count),
        Poll::Ready(Err(Error::HasChildren))
    ));
    assert_eq!(*table.get(&parent).unwrap(), 1);
}
