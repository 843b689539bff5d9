//! What the documentation promises, one test a promise; about waiting in `waiting.rs`.

#![cfg(not(loom))]
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::time::Duration;
use support::{Noted, bias};
use table_sync::{AnyHandle, Error, Handle, Table};

#[test]
fn raw_handles_go_there_and_back() {
    let table = Table::new();
    let handle = table.push(5).unwrap();
    assert_eq!(Handle::from_raw(handle.to_raw()), Some(handle));
    assert_eq!(AnyHandle::from_raw(handle.to_raw()), Some(handle.any()));
    assert_eq!(Handle::<u8>::from_raw(0), None);
    assert_eq!(Handle::<u8>::from_raw(u64::from(u32::MAX)), None);
    for raw in [1 << 32 | 77, u64::MAX, handle.to_raw() + (1 << 32)] {
        let nobody = Handle::<i32>::from_raw(raw).unwrap();
        assert_eq!(table.get(&nobody).err(), Some(Error::NotPresent));
        assert_eq!(table.delete(nobody).err(), Some(Error::NotPresent));
    }
    assert_eq!(
        table.handle_of_rep(handle.any().to_rep().unwrap()),
        Some(handle.any())
    );
}

#[test]
fn a_failed_call_changes_nothing() {
    let table = Table::new();
    let parent = table.push(1u32).unwrap();
    let child = table.push_child(2u32, &parent).unwrap();
    let wrong = parent.any().typed::<String>();
    assert_eq!(table.get(&wrong).err(), Some(Error::WrongType));
    assert_eq!(table.get_mut(&wrong).err(), Some(Error::WrongType));
    assert_eq!(table.find(&wrong).err(), Some(Error::WrongType));
    // Children come first, as in `ResourceTable`.
    assert_eq!(table.delete(wrong).err(), Some(Error::HasChildren));
    assert_eq!(table.detach(parent), Err(Error::HasChildren));
    let wrong = child.any().typed::<String>();
    assert_eq!(table.delete(wrong).err(), Some(Error::WrongType));
    assert_eq!(table.detach(wrong), Err(Error::WrongType));
    assert_eq!(table.add_child(child, child), Err(Error::HasParent));
    assert_eq!(table.remove_child(parent, child), Err(Error::NotChild));
    let held = table.get(&child).unwrap();
    assert_eq!(table.try_delete(child), Err(Error::InUse));
    assert_eq!(table.try_get_mut(&child).err(), Some(Error::InUse));
    drop(held);
    assert_eq!(table.children(&parent), Ok(vec![child.any()]));
    assert_eq!(table.delete(child), Ok(2));
    assert_eq!(table.delete(parent), Ok(1));
    assert!(table.is_empty());
}

#[test]
fn try_forms_say_in_use() {
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    for published in [false, true] {
        if published {
            bias(&table, &handle);
        }
        let reader = table.get(&handle).unwrap();
        assert_eq!(*table.try_get(&handle).unwrap(), 1);
        assert_eq!(table.try_get_mut(&handle).err(), Some(Error::InUse));
        assert_eq!(table.try_delete(handle), Err(Error::InUse));
        drop(reader);
        let writer = table.try_get_mut(&handle).unwrap();
        assert_eq!(table.try_get(&handle).err(), Some(Error::InUse));
        assert_eq!(table.try_get_mut(&handle).err(), Some(Error::InUse));
        drop(writer);
    }
    assert_eq!(table.try_delete(handle), Ok(1));
}

#[test]
fn detach_waits_for_nobody_and_drops_with_the_last_holder() {
    for published in [false, true] {
        for exclusive in [false, true] {
            let log = Arc::default();
            let table = Table::new();
            table.set_max_capacity(1);
            let handle = table.push(Noted("value", Arc::clone(&log))).unwrap();
            // A value with a mutex inside is `Sync`.
            if published {
                bias(&table, &handle);
            }
            let readers = (!exclusive).then(|| [(); 2].map(|()| table.get(&handle).unwrap()));
            let writer = exclusive.then(|| table.get_mut(&handle).unwrap());
            table.detach(handle).unwrap();
            assert_eq!(table.detach(handle), Err(Error::NotPresent));
            assert_eq!(table.get(&handle).err(), Some(Error::NotPresent));
            assert_eq!((table.len(), table.handles().count()), (0, 0));
            // The slot is not free before the value is dropped.
            assert_eq!(table.push(0u8), Err(Error::Full));
            assert!(log.lock().unwrap().is_empty());
            if let Some([first, last]) = readers {
                drop(first);
                assert!(log.lock().unwrap().is_empty());
                assert_eq!(last.0, "value");
                drop(last);
            }
            drop(writer);
            assert_eq!(*log.lock().unwrap(), ["value"]);
            let again = table.push(0u8).unwrap();
            assert_eq!(again.index(), handle.index());
            assert_ne!(again.generation(), handle.generation());
        }
    }
}

#[test]
fn delete_waits_for_holders() {
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    let (inside, left) = (mpsc::channel(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let guard = table.get(&handle).unwrap();
            inside.0.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(30));
            left.store(1, SeqCst);
            drop(guard);
        });
        inside.1.recv().unwrap();
        assert_eq!(table.delete(handle), Ok(1));
        assert_eq!(left.load(SeqCst), 1);
    });
}

#[test]
fn a_table_drops_children_before_parents() {
    let log = Arc::default();
    let noted = |name| Noted(name, Arc::clone(&log));
    let table = Table::new();
    let root = table.push(noted("root")).unwrap();
    table.push(noted("other")).unwrap();
    let middle = table.push_child(noted("middle"), &root).unwrap();
    table.push_child(noted("leaf"), &middle).unwrap();
    table.push_child(noted("second"), &root).unwrap();
    drop(table);
    let order = ["leaf", "middle", "second", "root", "other"];
    assert_eq!(*log.lock().unwrap(), order);
}

#[test]
fn a_table_with_a_circle_drops_everything() {
    let log = Arc::default();
    let table = Table::new();
    let a = table.push(Noted("a", Arc::clone(&log))).unwrap();
    let b = table.push_child(Noted("b", Arc::clone(&log)), &a).unwrap();
    table.add_child(a, b).unwrap();
    let alone = table.push(Noted("alone", Arc::clone(&log))).unwrap();
    table.add_child(alone, alone).unwrap();
    assert_eq!(table.detach(alone), Err(Error::HasChildren));
    drop(table);
    assert_eq!(*log.lock().unwrap(), ["b", "a", "alone"]);
}

#[test]
fn a_panic_does_not_poison() {
    let table = Table::new();
    let handle = table.push(1u32).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = table.get_mut(&handle).unwrap();
        *guard = 2;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    // The value as the panic left it.
    assert_eq!(*table.get(&handle).unwrap(), 2);

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let bomb = table.push(Bomb).unwrap();
    let held = table.get(&bomb).unwrap();
    table.detach(bomb).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(held)));
    assert!(panicked.is_err());
    assert_eq!(table.len(), 1);
    assert_eq!(table.push(3u32).unwrap().index(), bomb.index());
}

/// Uses the table while it is dropped by it.
struct Reentrant(Arc<Table>, Option<Handle<u32>>);

impl Drop for Reentrant {
    fn drop(&mut self) {
        let handle = self.0.push(9u32).unwrap();
        assert_eq!(self.0.delete(handle), Ok(9));
        if let Some(other) = self.1 {
            *self.0.get_mut(&other).unwrap() += 1;
        }
    }
}

#[test]
fn the_table_may_be_used_inside_a_guard_and_a_drop() {
    let table = Arc::new(Table::new());
    let other = table.push(0u32).unwrap();
    let parent = table.push(0u8).unwrap();
    let value = Reentrant(table.clone(), Some(other));
    let handle = table.push_child(Mutex::new(value), &parent).unwrap();
    let guard = table.get(&handle).unwrap();
    // Other entries, pushes, and shared access to the same entry.
    let new = table.push_child(1u32, &handle).unwrap();
    assert_eq!(*table.get(&new).unwrap(), 1);
    drop(table.get(&handle).unwrap());
    assert_eq!(table.detach(handle), Err(Error::HasChildren));
    table.delete(new).unwrap();
    // Removal of the very entry.
    table.detach(handle).unwrap();
    table.delete(parent).unwrap();
    drop(guard);
    assert_eq!(*table.get(&other).unwrap(), 1);
    assert_eq!(table.len(), 1);
}

#[test]
fn a_worn_out_slot_is_never_used_again() {
    let table = Table::with_max_generation(0, 3);
    table.set_max_capacity(1);
    let mut issued = Vec::new();
    for round in 0..7 {
        // A retired slot does not count against the limit.
        let handle = table.push(round).unwrap();
        assert!(!issued.contains(&handle.to_raw()));
        assert!(handle.generation() <= 3);
        assert_eq!(handle.index(), round / 3);
        for old in &issued {
            let old = Handle::<u32>::from_raw(*old).unwrap();
            assert_eq!(table.get(&old).err(), Some(Error::NotPresent));
        }
        issued.push(handle.to_raw());
        assert_eq!(table.push(0u8), Err(Error::Full));
        assert_eq!(table.delete(handle), Ok(round));
    }
}

#[test]
fn slots_are_found_again_whoever_freed_them() {
    let table = Table::new();
    table.set_max_capacity(100);
    for _ in 0..20 {
        let handles: Vec<_> = (0..100u32).map(|it| table.push(it).unwrap()).collect();
        assert_eq!(table.push(0), Err(Error::Full));
        assert_eq!(table.len(), 100);
        // Several threads free them, on lists of their own.
        std::thread::scope(|scope| {
            for part in handles.chunks(20) {
                let table = &table;
                scope.spawn(move || {
                    for handle in part {
                        table.delete(*handle).unwrap();
                    }
                });
            }
        });
        assert!(table.is_empty());
    }
}

#[test]
fn many_guards_on_one_thread() {
    let table = Table::new();
    let handles: Vec<_> = (0..40u32).map(|it| table.push(it).unwrap()).collect();
    for handle in &handles {
        bias(&table, handle);
    }
    // More than a thread has cells: the rest is counted.
    let guards: Vec<_> = handles.iter().map(|it| table.get(it).unwrap()).collect();
    for (guard, handle) in guards.iter().zip(&handles) {
        assert_eq!(**guard, handle.index());
        assert_eq!(table.try_get_mut(handle).err(), Some(Error::InUse));
    }
    drop(guards);
    for handle in handles {
        assert_eq!(table.try_delete(handle), Ok(handle.index()));
    }
}

#[test]
fn iterators_lock_one_entry_at_a_time() {
    let table = Table::new();
    let parent = table.push(0u32).unwrap();
    let a = table.push_child(1u32, &parent).unwrap();
    let b = table.push_child("b", &parent).unwrap();
    let mut seen = 0;
    for mut child in table.iter_children(&parent).unwrap() {
        if let Some(number) = child.downcast_mut::<u32>() {
            *number += 1;
            seen += 1;
        } else {
            assert_eq!(child.downcast_ref::<&str>(), Some(&"b"));
            seen += 10;
        }
    }
    assert_eq!(seen, 11);
    table.delete(b).unwrap();
    let map = BTreeMap::from([(a.any(), "a"), (b.any(), "b")]);
    for (entry, name) in table.iter_entries(map) {
        match name {
            "a" => assert_eq!(entry.unwrap().downcast_ref::<u32>(), Some(&2)),
            _ => assert_eq!(entry.err(), Some(Error::NotPresent)),
        }
    }
    assert_eq!(table.handles().collect::<Vec<_>>(), [parent.any(), a.any()]);
    assert_eq!(
        format!("{table:?}"),
        format!("Table [0@1, {}@1]", a.index())
    );
}

#[test]
fn guards_left_to_thread_local_destructors() {
    struct Last(std::cell::RefCell<Option<table_sync::SharedGuard<'static, u32>>>);
    thread_local!(static LAST: Last = const { Last(std::cell::RefCell::new(None)) });
    static TABLE: LazyLock<Table> = LazyLock::new(Table::new);
    let table: &'static Table = &TABLE;
    let handle = table.push(5u32).unwrap();
    bias(table, &handle);
    for _ in 0..2 {
        std::thread::spawn(move || {
            LAST.with(|last| *last.0.borrow_mut() = Some(table.get(&handle).unwrap()));
        })
        .join()
        .unwrap();
        assert!(table.try_get_mut(&handle).is_ok());
        bias(table, &handle);
    }
    table.delete(handle).unwrap();
}

#[test]
fn a_leaked_guard_keeps_its_entry_in_use() {
    for published in [false, true] {
        let table = Table::new();
        let handle = table.push(1u32).unwrap();
        if published {
            bias(&table, &handle);
        }
        std::mem::forget(table.get(&handle).unwrap());
        assert_eq!(table.try_delete(handle), Err(Error::InUse));
        assert_eq!(*table.get(&handle).unwrap(), 1);
        // Another table's entries are not concerned, nor others of this one.
        let other = table.push(2u32).unwrap();
        assert_eq!(table.try_delete(other), Ok(2));
    }
}

#[test]
fn a_value_that_panics_when_dropped_reaches_who_dropped_it() {
    struct Bomb(Option<Noted>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            drop(self.0.take());
            panic!("on purpose");
        }
    }
    let log = Arc::<Mutex<Vec<&'static str>>>::default();
    let table = Table::new();
    let idle = table.push(Bomb(None)).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| table.detach(idle))).is_err());
    assert!(table.is_empty());
    // The table's own end: the rest in order of indices.
    table.push(Bomb(Some(Noted("first", log.clone())))).unwrap();
    for name in ["second", "third"] {
        table.push(Noted(name, log.clone())).unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(table))).is_err());
    assert_eq!(*log.lock().unwrap(), ["first", "second", "third"]);
}

#[test]
fn what_does_not_get_in_is_dropped() {
    let log = Arc::<Mutex<Vec<&'static str>>>::default();
    let table = Table::new();
    let parent = table.push(0u32).unwrap();
    table.set_max_capacity(1);
    assert_eq!(
        table.push(Noted("full", log.clone())).err(),
        Some(Error::Full)
    );
    table.set_max_capacity(2);
    table.delete(parent).unwrap();
    assert_eq!(
        table
            .push_child(Noted("orphan", log.clone()), &parent)
            .err(),
        Some(Error::NotPresent)
    );
    assert_eq!(*log.lock().unwrap(), ["full", "orphan"]);
    assert!(table.is_empty());
}
