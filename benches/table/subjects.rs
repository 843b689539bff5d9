//! What is compared. All hold values of any type, and count in a `u64` one. The benches' only
//! `unsafe` code is here.

#![allow(unsafe_code)]

use dashmap::DashMap;
use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use table_sync::{Handle, Table};
use wasmtime::component::{Resource, ResourceTable};

/// A table, or something to compare tables with.
pub(crate) trait Subject: Sync {
    type Key: Copy + Send + Sync;
    /// How many threads may use it at once.
    const MAX_THREADS: usize = usize::MAX;
    fn new() -> Self;
    fn push(&self, value: u64) -> Self::Key;
    /// Whether there is such an entry.
    fn find(&self, key: Self::Key) -> bool;
    /// The value, by shared access if there is such a thing.
    fn read(&self, key: Self::Key) -> u64;
    /// Adds one, by exclusive access.
    fn write(&self, key: Self::Key);
    fn push_delete(&self, value: u64);
}

/// Arithmetic, a few nanoseconds of it, that shares nothing.
pub(crate) struct Native;

impl Native {
    fn work(seed: u64) -> u64 {
        (0..8).fold(black_box(seed), |it, _| {
            black_box(it.wrapping_mul(6_364_136_223_846_793_005) ^ it >> 7)
        })
    }
}

impl Subject for Native {
    type Key = u64;
    fn new() -> Self {
        Self
    }
    fn push(&self, value: u64) -> u64 {
        value
    }
    fn find(&self, key: u64) -> bool {
        Self::work(key) != 1
    }
    fn read(&self, key: u64) -> u64 {
        Self::work(key)
    }
    fn write(&self, key: u64) {
        Self::work(key);
    }
    fn push_delete(&self, value: u64) {
        Self::work(value);
    }
}

pub(crate) struct Ours(Table);

impl Subject for Ours {
    type Key = Handle<u64>;
    fn new() -> Self {
        Self(Table::new())
    }
    fn push(&self, value: u64) -> Handle<u64> {
        self.0.push(value).unwrap()
    }
    fn find(&self, key: Handle<u64>) -> bool {
        self.0.find(&key).is_ok()
    }
    fn read(&self, key: Handle<u64>) -> u64 {
        *self.0.get(&key).unwrap()
    }
    fn write(&self, key: Handle<u64>) {
        *self.0.get_mut(&key).unwrap() += 1;
    }
    fn push_delete(&self, value: u64) {
        let key = self.0.push(value).unwrap();
        assert_eq!(self.0.delete(key).unwrap(), value);
    }
}

fn resource(key: u32) -> Resource<u64> {
    Resource::new_own(key)
}

/// wasmtime's table as it is: one thread.
pub(crate) struct Bare(UnsafeCell<ResourceTable>);

// SAFETY: `MAX_THREADS` is 1, and the one thread is joined before another starts.
unsafe impl Sync for Bare {}

impl Bare {
    /// No check: a `&mut` to the table is what a user of it has.
    fn with<R>(&self, f: impl FnOnce(&mut ResourceTable) -> R) -> R {
        // SAFETY: one thread, and no `f` below calls back.
        f(unsafe { &mut *self.0.get() })
    }
}

impl Subject for Bare {
    type Key = u32;
    const MAX_THREADS: usize = 1;
    fn new() -> Self {
        Self(UnsafeCell::default())
    }
    fn push(&self, value: u64) -> u32 {
        self.with(|table| table.push(value).unwrap().rep())
    }
    fn find(&self, key: u32) -> bool {
        self.with(|table| table.get(&resource(key)).is_ok())
    }
    fn read(&self, key: u32) -> u64 {
        self.with(|table| *table.get(&resource(key)).unwrap())
    }
    fn write(&self, key: u32) {
        self.with(|table| *table.get_mut(&resource(key)).unwrap() += 1);
    }
    fn push_delete(&self, value: u64) {
        let key = self.push(value);
        assert_eq!(
            self.with(|table| table.delete(resource(key)).unwrap()),
            value
        );
    }
}

pub(crate) struct Mutexed(Mutex<ResourceTable>);

impl Subject for Mutexed {
    type Key = u32;
    fn new() -> Self {
        Self(Mutex::default())
    }
    fn push(&self, value: u64) -> u32 {
        self.0.lock().unwrap().push(value).unwrap().rep()
    }
    fn find(&self, key: u32) -> bool {
        self.0.lock().unwrap().get(&resource(key)).is_ok()
    }
    fn read(&self, key: u32) -> u64 {
        *self.0.lock().unwrap().get(&resource(key)).unwrap()
    }
    fn write(&self, key: u32) {
        *self.0.lock().unwrap().get_mut(&resource(key)).unwrap() += 1;
    }
    fn push_delete(&self, value: u64) {
        let key = self.0.lock().unwrap().push(value).unwrap();
        assert_eq!(self.0.lock().unwrap().delete(key).unwrap(), value);
    }
}

/// A `ResourceTable` of values that are all `Sync`, which its type does not say.
#[derive(Default)]
struct SyncTable(ResourceTable);

// SAFETY: shared access to the table is shared access to its values, and those are `u64`s here.
unsafe impl Sync for SyncTable {}

pub(crate) struct RwLocked(RwLock<SyncTable>);

impl Subject for RwLocked {
    type Key = u32;
    fn new() -> Self {
        Self(RwLock::default())
    }
    fn push(&self, value: u64) -> u32 {
        self.0.write().unwrap().0.push(value).unwrap().rep()
    }
    fn find(&self, key: u32) -> bool {
        self.0.read().unwrap().0.get(&resource(key)).is_ok()
    }
    fn read(&self, key: u32) -> u64 {
        *self.0.read().unwrap().0.get(&resource(key)).unwrap()
    }
    fn write(&self, key: u32) {
        *self.0.write().unwrap().0.get_mut(&resource(key)).unwrap() += 1;
    }
    fn push_delete(&self, value: u64) {
        let key = self.push(value);
        let gone = self.0.write().unwrap().0.delete(resource(key)).unwrap();
        assert_eq!(gone, value);
    }
}

pub(crate) struct Dash(DashMap<u32, Box<dyn Any + Send + Sync>>, AtomicU64);

impl Subject for Dash {
    type Key = u32;
    fn new() -> Self {
        Self(DashMap::new(), AtomicU64::new(0))
    }
    fn push(&self, value: u64) -> u32 {
        let key = self.1.fetch_add(1, Ordering::Relaxed) as u32;
        self.0.insert(key, Box::new(value));
        key
    }
    fn find(&self, key: u32) -> bool {
        self.0.get(&key).is_some_and(|it| it.is::<u64>())
    }
    fn read(&self, key: u32) -> u64 {
        *self.0.get(&key).unwrap().downcast_ref().unwrap()
    }
    fn write(&self, key: u32) {
        *self.0.get_mut(&key).unwrap().downcast_mut::<u64>().unwrap() += 1;
    }
    fn push_delete(&self, value: u64) {
        let key = self.push(value);
        let (_, gone) = self.0.remove(&key).unwrap();
        assert_eq!(*gone.downcast::<u64>().unwrap(), value);
    }
}

/// Gives shared access only, so the value has a lock for writers beside it.
pub(crate) struct Slab(sharded_slab::Slab<Box<dyn Any + Send + Sync>>);

type Locked = (u64, Mutex<u64>);

impl Subject for Slab {
    type Key = usize;
    fn new() -> Self {
        Self(sharded_slab::Slab::new())
    }
    fn push(&self, value: u64) -> usize {
        let value: Locked = (value, Mutex::new(value));
        self.0.insert(Box::new(value)).unwrap()
    }
    fn find(&self, key: usize) -> bool {
        self.0.get(key).is_some_and(|it| it.is::<Locked>())
    }
    fn read(&self, key: usize) -> u64 {
        self.0.get(key).unwrap().downcast_ref::<Locked>().unwrap().0
    }
    fn write(&self, key: usize) {
        let entry = self.0.get(key).unwrap();
        *entry.downcast_ref::<Locked>().unwrap().1.lock().unwrap() += 1;
    }
    fn push_delete(&self, value: u64) {
        let key = self.push(value);
        let gone = self.0.take(key).unwrap().downcast::<Locked>().unwrap();
        assert_eq!(gone.0, value);
    }
}
