//! The lot: buckets, notify, end, and the lists of waiters.

use crate::liveness::Liveness;
use crate::node::{Node, Nodes, flag, signal};
use crate::queue::{Bucket, Chain, Take};
use crate::stats::WaitStatistics;
use crate::sync::{AtomicBool, AtomicU32, Ordering, spin_allowed};
use crate::word::{Width, address_of};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Where the threads of one group wait, whichever of its memories they wait on.
///
/// See the [crate documentation](crate) for what it guarantees. All methods may be called from any
/// thread. None blocks for longer than other threads hold a bucket's lock. Only the waits of
/// [`Waiter`](crate::Waiter) sleep.
#[derive(Debug)]
pub struct ParkingLot {
    buckets: Box<[Bucket]>,
    pub(crate) nodes: Nodes,
    pub(crate) liveness: Liveness,
    /// Set before `end` takes the first bucket's lock, read under that lock.
    ended: AtomicBool,
    pub(crate) spin: bool,
    made: Instant,
}

/// A thread that waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Waiting {
    /// The number its [`Waiter`](crate::Waiter) was registered with.
    pub thread: u32,
    /// The host address of the word.
    pub address: usize,
    /// The width of the word.
    pub width: Width,
    /// When it went to sleep: at most some microseconds after it began to wait.
    pub since: Instant,
    /// Whether the wait has a timeout.
    pub timed: bool,
}

impl ParkingLot {
    /// A lot for about `threads` threads.
    ///
    /// The number of buckets follows it, between 16 and 1024 (128 bytes each);
    /// more threads than that only share buckets. With `detect_deadlock`, each
    /// wait without timeout also keeps the count that [`ParkingLot::stuck`]
    /// needs: one atomic operation as it starts to wait and one as it is woken.
    #[must_use]
    pub fn new(threads: usize, detect_deadlock: bool) -> Arc<Self> {
        Self::with_buckets(threads.clamp(16, 1024).next_power_of_two(), detect_deadlock)
    }

    pub(crate) fn with_buckets(buckets: usize, detect_deadlock: bool) -> Arc<Self> {
        debug_assert!(buckets.is_power_of_two());
        Arc::new(Self {
            buckets: (0..buckets).map(|_| Bucket::new()).collect(),
            nodes: Nodes::new(),
            liveness: Liveness::new(detect_deadlock),
            ended: AtomicBool::new(false),
            spin: spin_allowed(),
            made: Instant::now(),
        })
    }

    /// Wakes at most `count` of the threads that wait on `word`, those that
    /// have waited longest first, and returns how many.
    ///
    /// `memory.atomic.notify`, for waits of either width. A thread that is
    /// counted here returns [`WaitOutcome::Woken`](crate::WaitOutcome::Woken),
    /// whatever its timeout does meanwhile.
    pub fn notify(&self, word: &AtomicU32, count: u32) -> u32 {
        self.notify_at(address_of(word), count)
    }

    /// As [`ParkingLot::notify`], for the word at this host address, as [`Waiting::address`] has
    /// it. Returns 0 for an address without waiters.
    pub fn notify_address(&self, address: usize, count: u32) -> u32 {
        self.notify_at(address as u64, count)
    }

    pub(crate) fn notify_at(&self, address: u64, count: u32) -> u32 {
        let chain = self.take(address, count);
        let woken = chain.len;
        chain.wake(&self.nodes, signal::WOKEN);
        woken
    }

    /// As [`ParkingLot::notify`], for observers. Each woken thread finds `tag` with
    /// [`Waiter::tag`](crate::Waiter::tag). The notifying thread calls `each` with the number of
    /// each woken thread before that thread can go on.
    pub fn notify_tagged(
        &self,
        word: &AtomicU32,
        count: u32,
        tag: u64,
        each: impl FnMut(u32),
    ) -> u32 {
        let chain = self.take(address_of(word), count);
        let woken = chain.len;
        chain.wake_tagged(&self.nodes, signal::WOKEN, tag, each);
        woken
    }

    /// Takes up to `count` of those that wait at `address` off their queue, and
    /// counts them.
    fn take(&self, address: u64, count: u32) -> Chain {
        let bucket = self.bucket(address);
        if !bucket.notified() {
            return Chain::default();
        }
        let mut queue = bucket.lock();
        let chain = queue.take(&self.nodes, Take::At(address, count));
        queue.counters.wakes += u64::from(chain.len);
        bucket.waiters_gone(chain.len);
        self.liveness.wakes(chain.counted);
        chain
    }

    /// Whether a notify of this address would take no lock.
    #[allow(dead_code, reason = "for the models")]
    pub(crate) fn nobody_expected(&self, address: u64) -> bool {
        self.bucket(address).nobody_expected()
    }

    /// Ends every wait, now and later, with
    /// [`WaitOutcome::Ended`](crate::WaitOutcome::Ended). Cannot be undone.
    /// Returns how many threads it woke.
    pub fn end(&self) -> u32 {
        self.ended.store(true, Ordering::SeqCst);
        let mut woken = 0;
        for bucket in &self.buckets {
            let chain = {
                let mut queue = bucket.lock();
                let chain = queue.take(&self.nodes, Take::All);
                queue.counters.ended += u64::from(chain.len);
                bucket.waiters_gone(chain.len);
                self.liveness.wakes(chain.counted);
                chain
            };
            woken += chain.len;
            chain.wake(&self.nodes, signal::ENDED);
        }
        woken
    }

    /// Whether [`ParkingLot::end`] has been called.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// The waiters, bucket by bucket, oldest first in each.
    ///
    /// This is a snapshot of each bucket, not of all at one instant. A thread that moves from one
    /// address to another meanwhile may be missing. No thread is there twice.
    #[must_use]
    pub fn waiters(&self) -> Vec<Waiting> {
        self.list(0)
    }

    fn list(&self, bits: u32) -> Vec<Waiting> {
        let now = Instant::now();
        let mut found: Vec<(u32, Waiting)> = Vec::new();
        for bucket in &self.buckets {
            bucket.lock().each(&self.nodes, |index, node| {
                if node.has(bits) {
                    found.push((index, self.describe(node, now)));
                }
            });
        }
        // The later sighting of a thread is the newer one.
        let mut seen = std::collections::HashSet::new();
        found.reverse();
        found.retain(|(index, _)| seen.insert(*index));
        found.reverse();
        found.into_iter().map(|(_, waiting)| waiting).collect()
    }

    fn describe(&self, node: &Node, now: Instant) -> Waiting {
        let since = match node.since.load(Relaxed) {
            0 => now,
            nanos => self
                .made
                .checked_add(Duration::from_nanos(nanos))
                .unwrap_or(now),
        };
        Waiting {
            thread: node.thread.load(Relaxed),
            address: node.address.load(Relaxed) as usize,
            width: if node.has(flag::WIDE) {
                Width::W64
            } else {
                Width::W32
            },
            since,
            timed: node.has(flag::TIMED),
        }
    }

    /// Every started thread, when each of them waits without a timeout and no
    /// host writer is held; `None` otherwise, when the lot has ended, and for
    /// a lot made without `detect_deadlock`.
    ///
    /// `Some` is final as far as the guest goes: only something outside the group can still change
    /// it, by starting a thread or by notifying. The caller has to exclude or notice a start. It
    /// excludes one with a lock that starting takes too, held until the group has ended. It notices
    /// one with a word that starting changes, compared before the caller acts on the list. A host
    /// that may notify holds a [`HostWriter`](crate::HostWriter) from before the threads wait until
    /// it has notified. This method blocks only on the buckets' locks.
    #[must_use]
    pub fn stuck(&self) -> Option<Vec<Waiting>> {
        if self.is_ended() {
            return None;
        }
        let threads = self.liveness.all_waiting()?;
        let list = self.list(flag::COUNTED);
        let unmoved = list.len() == threads && self.liveness.all_waiting() == Some(threads);
        (unmoved && !self.is_ended()).then_some(list)
    }

    /// Sets the hook that runs whenever no thread is live any more and no host writer is held. The
    /// hook is the place to call [`ParkingLot::stuck`]. Returns `false`, and changes nothing, when
    /// it was set before.
    ///
    /// The hook runs on the thread that caused it, with no lock of the lot held: one that has
    /// queued up and is about to sleep, one that has finished, or one that dropped a
    /// [`HostWriter`](crate::HostWriter).
    pub fn on_quiet(&self, hook: impl Fn() + Send + Sync + 'static) -> bool {
        self.liveness.set_hook(Box::new(hook))
    }

    /// The lot's totals. Takes each bucket's lock in turn.
    #[must_use]
    pub fn statistics(&self) -> WaitStatistics {
        let mut sum = WaitStatistics::default();
        for bucket in &self.buckets {
            let counters = bucket.lock().counters;
            sum.queued += counters.queued;
            sum.not_equal += counters.not_equal;
            sum.notifies += bucket.notifies();
            sum.wakes += counters.wakes;
            sum.timeouts += counters.timeouts;
            sum.ended += counters.ended;
        }
        self.nodes
            .each_used(|node| sum.not_equal += node.not_equal.load(Relaxed));
        sum
    }

    pub(crate) fn bucket(&self, address: u64) -> &Bucket {
        // Fibonacci hashing: the high bits of the product depend on all of the
        // address. Words are 4 bytes apart.
        let hash = (address >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.buckets[(hash >> 32) as usize & (self.buckets.len() - 1)]
    }

    /// Whether the lot has ended, for a caller that holds a bucket's lock. Either `end` has not
    /// drained that bucket yet, or this sees the flag.
    pub(crate) fn ended_under_lock(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Nanoseconds since the lot was made, at least 1.
    pub(crate) fn clock(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_nanos()).map_or(u64::MAX, |nanos| nanos.max(1))
    }
}
