//! One node per registered thread, and the table that holds them.
//!
//! A node is the thread's place in a queue and the word it sleeps on. Nodes are never freed before
//! their lot: a waker may still touch the word of a thread that has long moved on. That costs only
//! a spurious wake-up.

use crate::spinning::{Last, Spinning};
use crate::sync::{AtomicU32, Mutex};
use crate::sys::Sleeper;
use std::sync::OnceLock;
// Fields guarded by a bucket's lock are plain data. They are atomics only because this crate has no
// unsafe cells, so the models' scheduler does not see them.
use std::sync::atomic::{
    AtomicBool, AtomicU32 as Guarded32, AtomicU64 as Guarded64, Ordering::Relaxed,
};

/// The end of a list.
pub(crate) const NIL: u32 = u32::MAX;

/// Bits of [`Node::signal`].
pub(crate) mod signal {
    /// A notify took the node off its queue; its owner may go.
    pub(crate) const WOKEN: u32 = 1;
    /// The end of the group took the node off its queue.
    pub(crate) const ENDED: u32 = 2;
    /// The owner is asked to report itself.
    pub(crate) const REPORT: u32 = 4;
    /// The owner sleeps in the kernel, or is about to: a thread that sets another bit wakes it.
    pub(crate) const ASLEEP: u32 = 8;
    /// Either way off the queue.
    pub(crate) const GONE: u32 = WOKEN | ENDED;
}

/// Which flavour of wait a node is queued for; bits of [`Node::flags`].
pub(crate) mod flag {
    /// The node is on the queue of its bucket.
    pub(crate) const QUEUED: u32 = 1;
    /// A 64-bit wait.
    pub(crate) const WIDE: u32 = 2;
    /// The wait has a deadline.
    pub(crate) const TIMED: u32 = 4;
    /// The wait took its thread out of the count of live threads.
    pub(crate) const COUNTED: u32 = 8;
}

/// A thread's place in a queue. On cache lines of its own: its owner sleeps on
/// it while its neighbours are busy.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Node {
    /// The word the owner sleeps on; see [`signal`].
    pub(crate) signal: AtomicU32,
    /// How the owner sleeps.
    pub(crate) sleeper: Sleeper,
    /// Held by the one wait that uses the node. Two waits at once are a mistake of the caller,
    /// which must not reach the queue.
    pub(crate) busy: AtomicBool,

    /// Neighbours in the queue. Guarded by the bucket's lock while queued;
    /// once dequeued, `next` belongs to the waker until it sets a signal.
    pub(crate) next: Guarded32,
    pub(crate) prev: Guarded32,
    /// See [`flag`]; guarded by the bucket's lock.
    pub(crate) flags: Guarded32,
    /// The host address waited on; guarded by the bucket's lock.
    pub(crate) address: Guarded64,
    /// When the wait began, in nanoseconds since the lot was made, or 0 while
    /// the owner has not gone to sleep yet. Written by the owner alone.
    pub(crate) since: Guarded64,
    /// The thread's id, as the group numbers its threads. Written at
    /// registration.
    pub(crate) thread: Guarded32,
    /// What the owner's last waits taught about spinning. Only the owner uses it.
    pub(crate) spinning: Spinning,
    /// What the owner waited for last. Only the owner uses it.
    pub(crate) last: Last,
    /// The tag of the notify that took the node off its queue, 0 for none.
    /// Written by the waker before its signal, read by the owner after.
    pub(crate) tag: Guarded64,
    /// Waits that found another value without taking the lock. Written by the owner alone; kept
    /// when the node changes hands.
    pub(crate) not_equal: Guarded64,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            signal: AtomicU32::new(0),
            sleeper: Sleeper::new(),
            busy: AtomicBool::new(false),
            next: Guarded32::new(NIL),
            prev: Guarded32::new(NIL),
            flags: Guarded32::new(0),
            address: Guarded64::new(0),
            since: Guarded64::new(0),
            thread: Guarded32::new(0),
            spinning: Spinning::default(),
            last: Last::default(),
            tag: Guarded64::new(0),
            not_equal: Guarded64::new(0),
        }
    }
}

impl Node {
    /// Whether `flags` has all of `bits`.
    pub(crate) fn has(&self, bits: u32) -> bool {
        self.flags.load(Relaxed) & bits == bits
    }
}

/// Nodes of the first chunk; each later chunk doubles the table.
const FIRST: u32 = 8;
/// Enough chunks for 2^30 nodes: wasi-threads has at most 2^29 - 1 ids.
const CHUNKS: usize = 28;

/// An append-only table of nodes with a free list. Reading takes no lock.
#[derive(Debug)]
pub(crate) struct Nodes {
    chunks: [OnceLock<Box<[Node]>>; CHUNKS],
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// Indices given back, most recent last.
    returned: Vec<u32>,
    /// Indices below this one have been handed out at some time.
    used: u32,
}

impl Nodes {
    /// An empty table; chunks are allocated as threads register.
    pub(crate) fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            free: Mutex::new(Free::default()),
        }
    }

    /// Takes a free node for `thread`, allocating when none is left.
    ///
    /// # Panics
    ///
    /// With 2^30 nodes in use at once.
    pub(crate) fn take(&self, thread: u32) -> u32 {
        let mut free = self.free.lock();
        let index = free.returned.pop().unwrap_or_else(|| {
            let index = free.used;
            free.used += 1;
            index
        });
        let (chunk, _) = locate(index);
        self.chunks[chunk].get_or_init(|| {
            let len = if chunk == 0 {
                FIRST
            } else {
                FIRST << (chunk - 1)
            };
            (0..len).map(|_| Node::default()).collect()
        });
        self.get(index).thread.store(thread, Relaxed);
        index
    }

    /// Gives a node back. It is on no queue, and its owner is done with it.
    pub(crate) fn give_back(&self, index: u32) {
        self.free.lock().returned.push(index);
    }

    /// Calls `visit` for every node that was ever handed out.
    pub(crate) fn each_used(&self, mut visit: impl FnMut(&Node)) {
        let used = self.free.lock().used;
        (0..used).for_each(|index| visit(self.get(index)));
    }

    /// The node at `index`, which [`Nodes::take`] returned at some time.
    pub(crate) fn get(&self, index: u32) -> &Node {
        let (chunk, offset) = locate(index);
        match self.chunks[chunk].get() {
            Some(nodes) => &nodes[offset],
            None => unreachable!("an index that was never handed out"),
        }
    }
}

/// Chunk and place in the chunk: chunk 0 holds `FIRST` nodes, chunk k > 0
/// holds `FIRST << (k - 1)`.
fn locate(index: u32) -> (usize, usize) {
    let chunk = (index / FIRST).checked_ilog2().map_or(0, |log| log + 1);
    let start = if chunk == 0 { 0 } else { FIRST << (chunk - 1) };
    (chunk as usize, (index - start) as usize)
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Nodes, locate};

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(locate(index), expected, "index {index}");
            let (chunk, offset) = expected;
            let len = if chunk == 0 {
                FIRST
            } else {
                FIRST << (chunk - 1)
            };
            expected = if offset + 1 == len as usize {
                (chunk + 1, 0)
            } else {
                (chunk, offset + 1)
            };
        }
        let (chunk, _) = locate((1 << 30) - 1);
        assert!(chunk < super::CHUNKS);
    }

    #[test]
    fn nodes_are_reused() {
        let nodes = Nodes::new();
        let first = nodes.take(1);
        let second = nodes.take(2);
        assert_ne!(first, second);
        nodes.give_back(first);
        assert_eq!(nodes.take(3), first);
    }
}
