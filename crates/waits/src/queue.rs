//! The queue of one bucket: waiters of all addresses that hash to it, oldest
//! first.
//!
//! Links live in the nodes. The functions here reach them through `&mut Queue`, which only the
//! bucket's lock gives. A node is on one queue at a time.

use crate::node::{NIL, Node, Nodes, flag, signal};
use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::sys::fence_after_update;
use std::sync::atomic::Ordering::Relaxed;

/// One bucket on cache lines of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Bucket {
    /// Waiters that are queued, or about to compare their word. Changed with the lock held; read
    /// without it by [`Bucket::notified`].
    waiters: AtomicU32,
    /// Calls to notify.
    notifies: AtomicU64,
    queue: Mutex<Queue>,
}

impl Bucket {
    /// An empty bucket.
    pub(crate) fn new() -> Self {
        Self {
            waiters: AtomicU32::new(0),
            notifies: AtomicU64::new(0),
            queue: Mutex::new(Queue::new()),
        }
    }

    /// Takes the bucket's lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// A waiter is about to compare its word, with the lock held.
    ///
    /// Pairs with [`Bucket::notified`]: a notify that misses this waiter has stored to the word
    /// before the waiter reads it.
    pub(crate) fn expect_waiter(&self) {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        fence_after_update();
    }

    /// This many waiters are off the queue, or were not queued after all. With the lock held.
    pub(crate) fn waiters_gone(&self, count: u32) {
        if count > 0 {
            self.waiters.fetch_sub(count, Relaxed);
        }
    }

    /// Counts a notify, and says whether it has to look for waiters. Takes no lock.
    pub(crate) fn notified(&self) -> bool {
        self.notifies.fetch_add(1, Ordering::SeqCst);
        fence_after_update();
        self.waiters.load(Ordering::SeqCst) != 0
    }

    /// Whether no waiter is queued or expected.
    #[allow(dead_code, reason = "for the models")]
    pub(crate) fn nobody_expected(&self) -> bool {
        self.waiters.load(Relaxed) == 0
    }

    /// How often notify was called.
    pub(crate) fn notifies(&self) -> u64 {
        self.notifies.load(Relaxed)
    }
}

/// Counters of one bucket; summed over all of them for the lot's totals.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) queued: u64,
    pub(crate) not_equal: u64,
    pub(crate) wakes: u64,
    pub(crate) timeouts: u64,
    pub(crate) ended: u64,
}

/// The waiters of one bucket.
#[derive(Debug)]
pub(crate) struct Queue {
    head: u32,
    tail: u32,
    pub(crate) counters: Counters,
}

/// Which waiters to take off a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Take {
    /// At most this many of those waiting at this address.
    At(u64, u32),
    /// All of them.
    All,
}

impl Queue {
    fn new() -> Self {
        Self {
            head: NIL,
            tail: NIL,
            counters: Counters::default(),
        }
    }

    /// Appends a node whose address and flags are set.
    pub(crate) fn push(&mut self, nodes: &Nodes, index: u32) {
        let node = nodes.get(index);
        debug_assert!(node.has(flag::QUEUED), "the caller sets the flag");
        node.next.store(NIL, Relaxed);
        node.prev.store(self.tail, Relaxed);
        if self.tail == NIL {
            self.head = index;
        } else {
            nodes.get(self.tail).next.store(index, Relaxed);
        }
        self.tail = index;
    }

    /// Takes one node out, wherever it stands. `false` when it is not queued
    /// any more.
    pub(crate) fn remove(&mut self, nodes: &Nodes, index: u32) -> bool {
        let node = nodes.get(index);
        if !node.has(flag::QUEUED) {
            return false;
        }
        self.unlink(nodes, node);
        true
    }

    fn unlink(&mut self, nodes: &Nodes, node: &Node) {
        let (prev, next) = (node.prev.load(Relaxed), node.next.load(Relaxed));
        if prev == NIL {
            self.head = next;
        } else {
            nodes.get(prev).next.store(next, Relaxed);
        }
        if next == NIL {
            self.tail = prev;
        } else {
            nodes.get(next).prev.store(prev, Relaxed);
        }
        node.flags
            .store(node.flags.load(Relaxed) & !flag::QUEUED, Relaxed);
    }

    /// Takes waiters off, oldest first, and strings them up for
    /// [`Chain::wake`].
    pub(crate) fn take(&mut self, nodes: &Nodes, what: Take) -> Chain {
        let mut chain = Chain::default();
        let mut last = NIL;
        let mut at = self.head;
        while at != NIL {
            let node = nodes.get(at);
            let next = node.next.load(Relaxed);
            let matches = match what {
                Take::All => true,
                Take::At(_, most) if chain.len == most => break,
                Take::At(address, _) => node.address.load(Relaxed) == address,
            };
            if matches {
                self.unlink(nodes, node);
                node.next.store(NIL, Relaxed);
                if last == NIL {
                    chain.head = at;
                } else {
                    nodes.get(last).next.store(at, Relaxed);
                }
                last = at;
                chain.len += 1;
                chain.counted += u32::from(node.has(flag::COUNTED));
            }
            at = next;
        }
        chain
    }

    /// Calls `visit` for each waiter, oldest first.
    pub(crate) fn each(&self, nodes: &Nodes, mut visit: impl FnMut(u32, &Node)) {
        let mut at = self.head;
        while at != NIL {
            let node = nodes.get(at);
            visit(at, node);
            at = node.next.load(Relaxed);
        }
    }
}

/// Waiters that are off their queue and still have to be woken. They cannot
/// use their nodes again before that, so the links stay the waker's.
#[derive(Debug)]
#[must_use = "a waiter that was dequeued waits until it is signalled"]
pub(crate) struct Chain {
    head: u32,
    /// How many there are.
    pub(crate) len: u32,
    /// How many of them are to be counted as live again.
    pub(crate) counted: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            head: NIL,
            len: 0,
            counted: 0,
        }
    }
}

impl Chain {
    /// Signals and wakes each waiter. Called without any lock.
    pub(crate) fn wake(self, nodes: &Nodes, bit: u32) {
        self.wake_tagged(nodes, bit, 0, |_| ());
    }

    /// As [`Chain::wake`]; leaves each waiter `tag`, and calls `each` with its
    /// thread's number.
    pub(crate) fn wake_tagged(self, nodes: &Nodes, bit: u32, tag: u64, mut each: impl FnMut(u32)) {
        let mut at = self.head;
        while at != NIL {
            let node = nodes.get(at);
            // Before the signal: after it, the owner may queue up again.
            at = node.next.load(Relaxed);
            node.tag.store(tag, Relaxed);
            each(node.thread.load(Relaxed));
            // Release: what the waker did before is seen by the woken.
            let before = node.signal.fetch_or(bit, Ordering::Release);
            if before & signal::ASLEEP != 0 {
                node.sleeper.wake(&node.signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Nodes, Take, flag};
    use std::sync::atomic::Ordering::Relaxed;

    fn queue(nodes: &Nodes, bucket: &Bucket, addresses: &[u64]) -> Vec<u32> {
        let mut queue = bucket.lock();
        addresses
            .iter()
            .map(|address| {
                let index = nodes.take(0);
                let node = nodes.get(index);
                node.address.store(*address, Relaxed);
                node.flags.store(flag::QUEUED, Relaxed);
                queue.push(nodes, index);
                index
            })
            .collect()
    }

    fn order(nodes: &Nodes, bucket: &Bucket) -> Vec<u32> {
        let mut seen = Vec::new();
        bucket.lock().each(nodes, |index, _| seen.push(index));
        seen
    }

    #[test]
    fn oldest_of_the_address_first() {
        let (nodes, bucket) = (Nodes::new(), Bucket::new());
        let all = queue(&nodes, &bucket, &[1, 2, 1, 2, 1]);
        let chain = bucket.lock().take(&nodes, Take::At(1, 2));
        assert_eq!((chain.head, chain.len), (all[0], 2));
        assert_eq!(nodes.get(all[0]).next.load(Relaxed), all[2]);
        assert_eq!(order(&nodes, &bucket), [all[1], all[3], all[4]]);
        let chain = bucket.lock().take(&nodes, Take::At(2, u32::MAX));
        assert_eq!(chain.len, 2);
        assert_eq!(order(&nodes, &bucket), [all[4]]);
        assert_eq!(bucket.lock().take(&nodes, Take::All).len, 1);
        assert!(order(&nodes, &bucket).is_empty());
        assert_eq!(bucket.lock().take(&nodes, Take::All).len, 0);
    }

    #[test]
    fn removal_at_every_place() {
        for gone in 0..4 {
            let (nodes, bucket) = (Nodes::new(), Bucket::new());
            let mut all = queue(&nodes, &bucket, &[1; 4]);
            let index = all.remove(gone);
            assert!(bucket.lock().remove(&nodes, index));
            assert!(!bucket.lock().remove(&nodes, index));
            assert_eq!(order(&nodes, &bucket), all);
            assert_eq!(bucket.lock().take(&nodes, Take::At(1, u32::MAX)).len, 3);
        }
    }
}
