//! A list of what the end has to wake, which the end empties without waiting for its lock.

use std::collections::BTreeMap;

use crate::sys::shim::{AtomicBool, Mutex, Ordering, fence, mutant};

/// Values by key, until the end takes them all; none can be added afterwards.
///
/// Threads of the guest hold the lock for a moment when they add or remove, and may lose the
/// processor just then. So the end does not wait for it: it raises the flag, and takes what there
/// is if the lock is free. If it is not, the holder looks at the flag after it has released the
/// lock, and takes what there is instead of the end. Both have a fence between their two steps. So
/// either the end finds the lock free, or the holder finds the flag raised.
#[derive(Debug)]
pub(crate) struct Handoff<T> {
    ended: AtomicBool,
    list: Mutex<List<T>>,
}

#[derive(Debug)]
struct List<T> {
    next: u64,
    values: BTreeMap<u64, T>,
}

/// What has to be done with values that were found after the end.
#[derive(Debug)]
#[must_use = "these have to be woken"]
pub(crate) struct Left<T>(Vec<T>);

impl<T> Left<T> {
    fn none() -> Self {
        Self(Vec::new())
    }
}

impl<T> IntoIterator for Left<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T> Default for Handoff<T> {
    fn default() -> Self {
        Self {
            ended: AtomicBool::new(false),
            list: Mutex::new(List {
                next: 0,
                values: BTreeMap::new(),
            }),
        }
    }
}

impl<T> Handoff<T> {
    /// Whether [`end`](Self::end) has been called.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Raises the flag. The first caller gets what there was, unless another thread is about to get
    /// it. Waits for no lock. The first part of the result is true for the first caller.
    pub(crate) fn end(&self) -> (bool, Left<T>) {
        let first = !self.ended.swap(true, Ordering::SeqCst);
        if !first {
            return (false, Left::none());
        }
        fence(Ordering::SeqCst);
        let left = match self.list.try_lock() {
            Some(mut list) => Left(std::mem::take(&mut list.values).into_values().collect()),
            None => Left::none(),
        };
        (true, left)
    }

    /// Adds `value`, or replaces the one under `key`. Returns its key. After the end the value
    /// comes back, with what else is left: the caller treats all of them as the end would have.
    pub(crate) fn put(&self, key: Option<u64>, value: T) -> (u64, Option<T>, Left<T>) {
        let mut list = self.list.lock();
        let key = key.unwrap_or_else(|| {
            list.next += 1;
            list.next
        });
        let before = list.values.insert(key, value);
        drop(list);
        (key, before, self.after())
    }

    /// Takes one out, if it is still there.
    pub(crate) fn take(&self, key: u64) -> (Option<T>, Left<T>) {
        let value = self.list.lock().values.remove(&key);
        (value, self.after())
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.list.lock().values.len()
    }

    /// After the lock was let go: what the end could not take.
    fn after(&self) -> Left<T> {
        fence(Ordering::SeqCst);
        let ended = mutant!(
            self.ended.load(Ordering::SeqCst),
            unless "a holder that does not look back" then false
        );
        if !ended {
            return Left::none();
        }
        Left(
            std::mem::take(&mut self.list.lock().values)
                .into_values()
                .collect(),
        )
    }
}
