//! What a lot has done: totals, and on request the busiest addresses.

use crate::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Totals of a lot since it was made.
///
/// Read bucket by bucket while threads go on, so that the fields of a busy lot
/// may be some calls apart. At rest, `queued` is `wakes + timeouts + ended`
/// plus the threads that wait, less waits of zero nanoseconds, which count as
/// timeouts without being queued.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WaitStatistics {
    /// Waits that found the expected value and had to wait.
    pub queued: u64,
    /// Waits that found another value.
    pub not_equal: u64,
    /// Calls to notify.
    pub notifies: u64,
    /// Waiters woken by them.
    pub wakes: u64,
    /// Waits that ran out of time, waits of zero nanoseconds included.
    pub timeouts: u64,
    /// Waiters woken because the group ended, and waits refused because it had.
    pub ended: u64,
}

/// An address and how often threads have waited on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BusyAddress {
    /// The host address of the word.
    pub address: usize,
    /// Waits counted: never less than there were.
    pub waits: u64,
    /// By how much `waits` may be too high: what the entry inherited from the
    /// address it took the place of.
    pub excess: u64,
}

/// The busiest addresses in bounded space, by the space-saving algorithm
/// (Metwally, Agrawal, El Abbadi 2005): a new address takes the place of the
/// least busy one and inherits its count as possible error. Any address with
/// more than `waits / capacity` of all waits is in the list.
#[derive(Debug, Default)]
pub(crate) struct Busiest {
    on: AtomicBool,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    capacity: usize,
    entries: Vec<BusyAddress>,
}

impl Busiest {
    /// Starts over with room for `capacity` addresses; 0 stops.
    pub(crate) fn track(&self, capacity: usize) {
        let mut list = self.list.lock();
        list.capacity = capacity;
        list.entries = Vec::with_capacity(capacity);
        self.on.store(capacity > 0, Relaxed);
    }

    /// Counts a wait, when asked for.
    pub(crate) fn count(&self, address: u64) {
        if self.on.load(Relaxed) {
            self.list.lock().count(address as usize);
        }
    }

    /// The list, busiest first.
    pub(crate) fn list(&self) -> Vec<BusyAddress> {
        let mut entries = self.list.lock().entries.clone();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.waits));
        entries
    }
}

impl List {
    fn count(&mut self, address: usize) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.address == address) {
            entry.waits += 1;
        } else if self.entries.len() < self.capacity {
            self.entries.push(BusyAddress {
                address,
                waits: 1,
                excess: 0,
            });
        } else if let Some(least) = self.entries.iter_mut().min_by_key(|e| e.waits) {
            *least = BusyAddress {
                address,
                waits: least.waits + 1,
                excess: least.waits,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Busiest;

    #[test]
    fn the_busy_ones_stay_and_the_space_is_bounded() {
        let busiest = Busiest::default();
        busiest.count(1);
        assert!(busiest.list().is_empty(), "not asked for yet");
        busiest.track(8);
        for i in 0..10_000u64 {
            busiest.count(7);
            busiest.count(9);
            busiest.count(1000 + i);
        }
        let list = busiest.list();
        assert_eq!(list.len(), 8);
        for busy in [7, 9] {
            let entry = list[..2].iter().find(|e| e.address == busy);
            let entry = entry.expect("one of the two busiest");
            assert!(entry.waits >= 10_000 && entry.waits - entry.excess <= 10_000);
        }
        busiest.track(0);
        busiest.count(7);
        assert!(busiest.list().is_empty());
    }
}
