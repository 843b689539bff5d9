//! Removal, both ways, against lookups, holders and reuse of the slot.

use crate::support::{Body, DropCounted, model, pause, race, with_entry};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use table_sync::{AnyHandle, Error, Table};

#[test]
fn get_races_with_delete() {
    with_entry(3, 7, |table, handle| {
        race(
            table,
            [
                Box::new(move |table| match table.get(&handle) {
                    Ok(guard) => assert_eq!(*guard, 7),
                    Err(error) => assert_eq!(error, Error::NotPresent),
                }),
                Box::new(move |table| assert_eq!(table.delete(handle), Ok(7))),
            ],
        );
        assert_eq!(table.get(&handle).err(), Some(Error::NotPresent));
        assert!(table.is_empty());
    });
}

#[test]
fn a_stale_handle_never_finds_a_later_entry() {
    with_entry(3, 1, |table, old| {
        race(
            table,
            [
                Box::new(move |table| match table.get(&old) {
                    Ok(guard) => assert_eq!(*guard, 1),
                    Err(error) => assert_eq!(error, Error::NotPresent),
                }),
                Box::new(move |table| {
                    assert_eq!(table.delete(old), Ok(1));
                    let new = table.push(2u32).unwrap();
                    assert_eq!(new.index(), old.index());
                    assert_ne!(new, old);
                    assert_eq!(*table.get(&new).unwrap(), 2);
                }),
            ],
        );
    });
}

/// The same with a published reader that comes too late, and a slot whose later entry is of
/// another type and biased as well.
#[test]
fn a_late_reader_does_not_disturb_a_later_entry() {
    with_entry(2, 1, |table, old| {
        drop(table.get(&old).unwrap());
        race(
            table,
            [
                Box::new(move |table| match table.get(&old) {
                    Ok(guard) => assert_eq!(*guard, 1),
                    Err(error) => assert_eq!(error, Error::NotPresent),
                }),
                Box::new(move |table| {
                    assert_eq!(table.delete(old), Ok(1));
                    let new = table.push("two").unwrap();
                    drop(table.get(&new).unwrap());
                    *table.get_mut(&new).unwrap() = "three";
                    assert_eq!(table.delete(new), Ok("three"));
                }),
            ],
        );
    });
}

#[test]
fn one_of_two_deletes_gets_the_value() {
    with_entry(3, 7, |table, handle| {
        let got = Arc::new(AtomicUsize::new(0));
        let bodies = [(); 2].map(|()| -> Body {
            let got = got.clone();
            Box::new(move |table| match table.delete(handle) {
                Ok(7) => drop(got.fetch_add(1, SeqCst)),
                other => assert_eq!(other, Err(Error::NotPresent)),
            })
        });
        race(table, bodies);
        assert_eq!(got.load(SeqCst), 1);
    });
}

/// `delete` returns when no guard is left.
#[test]
fn take_waits_for_readers() {
    for biased in [false, true] {
        with_entry(1, 7, move |table, handle| {
            if biased {
                drop(table.get(&handle).unwrap());
            }
            let inside = Arc::new(AtomicUsize::new(0));
            let read = || -> Body {
                let inside = inside.clone();
                Box::new(move |table| {
                    if let Ok(guard) = table.get(&handle) {
                        inside.fetch_add(1, SeqCst);
                        assert_eq!(*guard, 7);
                        inside.fetch_sub(1, SeqCst);
                    }
                })
            };
            let (a, b) = (read(), read());
            let delete: Body = Box::new(move |table| {
                assert_eq!(table.delete(handle), Ok(7));
                assert_eq!(inside.load(SeqCst), 0);
            });
            race(table, [a, b, delete]);
        });
    }
}

/// A detached value is dropped once, by the last to leave, while no thread is inside.
#[test]
fn detach_leaves_the_value_to_its_holders() {
    for biased in [false, true] {
        model(2, move || {
            let table = Arc::new(Table::new());
            let drops = Arc::new(AtomicUsize::new(0));
            let handle = table.push(DropCounted(drops.clone())).unwrap();
            if biased {
                drop(table.get(&handle).unwrap());
            }
            let read = || -> Body {
                Box::new(move |table| {
                    if let Ok(guard) = table.get(&handle) {
                        assert_eq!(guard.0.load(SeqCst), 0);
                    }
                })
            };
            let detach: Body = Box::new(move |table| {
                table.detach(handle).unwrap();
                assert!(table.get(&handle).is_err());
            });
            race(&table, [read(), read(), detach]);
            assert_eq!(drops.load(SeqCst), 1);
            assert_eq!(table.len(), 0);
        });
    }
}

#[test]
fn detach_under_a_writer() {
    model(3, || {
        let table = Arc::new(Table::new());
        let drops = Arc::new(AtomicUsize::new(0));
        let handle = table.push(DropCounted(drops.clone())).unwrap();
        race(
            &table,
            [
                Box::new(move |table| {
                    if let Ok(guard) = table.get_mut(&handle) {
                        assert_eq!(guard.0.load(SeqCst), 0);
                    }
                }),
                Box::new(move |table| table.detach(handle).unwrap()),
            ],
        );
        assert_eq!(drops.load(SeqCst), 1);
        // The slot is free again.
        let again = table.push(0u32).unwrap();
        assert_eq!(again.index(), handle.index());
    });
}

#[test]
fn detach_against_delete() {
    model(3, || {
        let table = Arc::new(Table::new());
        let drops = Arc::new(AtomicUsize::new(0));
        let handle = table.push(DropCounted(drops.clone())).unwrap();
        drop(table.get(&handle).unwrap());
        let removed = Arc::new(AtomicUsize::new(0));
        let (a, b) = (removed.clone(), removed.clone());
        race(
            &table,
            [
                Box::new(move |table| {
                    if table.detach(handle).is_ok() {
                        a.fetch_add(1, SeqCst);
                    }
                }),
                Box::new(move |table| {
                    if let Ok(value) = table.delete(handle) {
                        assert_eq!(value.0.load(SeqCst), 0);
                        b.fetch_add(1, SeqCst);
                    }
                }),
            ],
        );
        assert_eq!(removed.load(SeqCst), 1);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// A slot with no generation left is not used again, however many threads look.
#[test]
fn a_worn_out_slot_retires() {
    model(2, || {
        let table = Arc::new(Table::with_max_generation(0, 2));
        let first = table.push(1u32).unwrap();
        table.delete(first).unwrap();
        let last = table.push(2u32).unwrap();
        assert_eq!((last.index(), last.generation()), (first.index(), 2));
        race(
            &table,
            [
                Box::new(move |table| match table.get(&last) {
                    Ok(guard) => assert_eq!(*guard, 2),
                    Err(error) => assert_eq!(error, Error::NotPresent),
                }),
                Box::new(move |table| {
                    assert_eq!(table.delete(last), Ok(2));
                    let next = table.push(3u32).unwrap();
                    assert_ne!(next.index(), last.index());
                    assert!(table.get(&last).is_err());
                }),
            ],
        );
    });
}

/// Pushes that race for free lists get slots of their own.
#[test]
fn pushes_do_not_meet() {
    with_entry(2, 0, |table, freed| {
        race(
            table,
            [
                Box::new(move |table| {
                    let handle = table.push(1u32).unwrap();
                    assert_eq!(*table.get(&handle).unwrap(), 1);
                }),
                Box::new(move |table| {
                    table.delete(freed).unwrap();
                    let handle = table.push(2u32).unwrap();
                    assert_eq!(*table.get(&handle).unwrap(), 2);
                }),
            ],
        );
        assert_eq!(table.len(), 2);
        assert_eq!(table.handles().count(), 2);
    });
}

/// A thread that sees an entry sees its value, however it came by the handle.
#[test]
fn a_push_is_seen_whole() {
    model(3, || {
        let table = Arc::new(Table::new());
        race(
            &table,
            [
                // The first slot's first generation. By a form that does not look at the type,
                // which has an ordering of its own.
                Box::new(
                    |table| match table.get_any_mut(AnyHandle::from_raw(1 << 32).unwrap()) {
                        Ok(value) => assert_eq!(value.downcast_ref(), Some(&7u32)),
                        Err(error) => assert_eq!(error, Error::NotPresent),
                    },
                ),
                Box::new(|table| {
                    table.push(7u32).unwrap();
                }),
            ],
        );
    });
}

/// A free slot on a list that another thread is just using is found.
#[test]
fn a_busy_list_is_not_taken_for_empty() {
    model(2, || {
        let table = Arc::new(Table::new());
        table.set_max_capacity(2);
        let a = table.push(0u32).unwrap();
        let b = table.push(1u32).unwrap();
        table.delete(a).unwrap();
        race(
            &table,
            [
                Box::new(|table| assert!(table.push(2u32).is_ok())),
                Box::new(move |table| assert_eq!(table.delete(b), Ok(1))),
            ],
        );
    });
}

/// At the limit: full is answered only if it is true.
#[test]
fn full_is_true() {
    model(2, || {
        let table = Arc::new(Table::new());
        table.set_max_capacity(2);
        let a = table.push(0u32).unwrap();
        race(
            &table,
            [
                Box::new(move |table| {
                    table.delete(a).unwrap();
                    table.push(1u32).unwrap();
                }),
                Box::new(move |table| assert!(table.push(2u32).is_ok())),
            ],
        );
        assert_eq!(table.push(3u32), Err(Error::Full));
    });
}

/// A writer ends the drain of an entry that was detached meanwhile. Then the writer must end the
/// entry, because the last reader has seen no drain and does not.
#[test]
fn a_writer_ends_the_drain_of_a_detached_entry() {
    model(3, || {
        let table = Arc::new(Table::new());
        let drops = Arc::new(AtomicUsize::new(0));
        let handle = table.push(DropCounted(drops.clone())).unwrap();
        drop(table.get(&handle).unwrap());
        let held = table.get(&handle).unwrap();
        let writer = {
            let table = table.clone();
            thread::spawn(move || drop(table.try_get_mut(&handle)))
        };
        let remover = {
            let table = table.clone();
            thread::spawn(move || table.detach(handle).unwrap())
        };
        remover.join().unwrap();
        assert_eq!(held.0.load(SeqCst), 0);
        drop(held);
        writer.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        assert_eq!(table.push(0u8).unwrap().index(), handle.index());
    });
}

/// Whether it was used.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// A writer with a handle of the slot's earlier entry may end the drain of the later one. Then it
/// must wake the later entry's writer, because the reader relied on the drain to do so.
#[test]
fn a_stale_writer_ends_the_drain_of_a_later_entry() {
    with_entry(2, 1, |table, old| {
        drop(table.get(&old).unwrap());
        let held = table.get(&old).unwrap();
        let stale = {
            let table = table.clone();
            thread::spawn(move || drop(table.try_get_mut(&old)))
        };
        pause();
        drop(held);
        if table.try_delete(old).is_err() {
            // The stale one is not stale: not what this is about.
            stale.join().unwrap();
            return;
        }
        let new = table.push(2u32).unwrap();
        drop(table.get(&new).unwrap());
        let held = table.get(&new).unwrap();
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let mut writer = pin!(table.get_mut_async(&new));
        assert!(writer.as_mut().poll(&mut context).is_pending());
        drop(held);
        stale.join().unwrap();
        assert!(woken.0.load(Relaxed));
        match writer.as_mut().poll(&mut context) {
            Poll::Ready(guard) => *guard.unwrap() += 1,
            Poll::Pending => panic!("nobody is there"),
        }
        assert_eq!(table.delete(new), Ok(3));
    });
}
