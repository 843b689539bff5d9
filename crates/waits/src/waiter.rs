//! A thread's side of the lot: waiting, and being asked to report.

use crate::lot::ParkingLot;
use crate::node::{Node, flag, signal};
use crate::outcome::WaitOutcome;
use crate::parked::Parked;
use crate::sync::{AtomicU32, AtomicU64, Ordering, spin_loop};
use crate::word::{Awaited, Width};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What kind of thread a waiter is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// A thread of the guest. Unless it waits without a timeout it may free others, so no deadlock
    /// is found.
    Guest,
    /// A thread of the embedder. It counts for nothing: if others depend on
    /// what it will do, it holds a [`HostWriter`](crate::HostWriter).
    Host,
}

impl ParkingLot {
    /// Gives a thread its place, under the number the group knows it by.
    ///
    /// For a guest thread, the thread that starts it calls this before it
    /// does so: a thread counts as live from here until [`Waiter::finish`].
    #[must_use]
    pub fn register(self: &Arc<Self>, thread: u32, role: Role) -> Waiter {
        Waiter::new(self.clone(), thread, role)
    }
}

/// A registered thread: its place in the queues, and the word it sleeps on.
///
/// Made by [`ParkingLot::register`]. It may be shared, so that others can ask
/// for a report, but one thread at a time waits with it.
#[derive(Debug)]
pub struct Waiter {
    lot: Arc<ParkingLot>,
    node: u32,
    /// Whether waits without timeout take this thread out of the live count.
    counted: bool,
    finished: AtomicBool,
}

impl Waiter {
    pub(crate) fn new(lot: Arc<ParkingLot>, thread: u32, role: Role) -> Self {
        let counted = role == Role::Guest && lot.liveness.enabled();
        if counted {
            lot.liveness.started();
        }
        let node = lot.nodes.take(thread);
        Self {
            lot,
            node,
            counted,
            finished: AtomicBool::new(false),
        }
    }

    /// The lot it was registered with.
    #[must_use]
    pub fn lot(&self) -> &Arc<ParkingLot> {
        &self.lot
    }

    /// Waits on a 32-bit word: `memory.atomic.wait32`.
    ///
    /// Compares the word with `expected`, by a sequentially consistent load under the bucket's
    /// lock. (The caller turns the guest's byte order into the host's.) If they are equal, sleeps
    /// until it is notified, until `timeout_ns` nanoseconds have passed on the monotonic clock, or
    /// until the lot ends. A negative timeout never passes; with zero the wait times out once the
    /// word is checked.
    ///
    /// `on_report` runs on this thread, without any lock, whenever a report is asked for meanwhile,
    /// and once at the start if one was asked for before. The thread keeps its place in the queue,
    /// a notify that comes during the call is not lost, and the deadline stays. `on_report` must
    /// not write to the group's memory nor notify: the thread does not count as live.
    ///
    /// # Panics
    ///
    /// If the word holds `expected` and the same waiter waits already, on another thread or further
    /// up in the stack. A panic of `on_report` goes through, and the wait is undone; a wake-up that
    /// was on its way is then used up.
    pub fn wait32(
        &self,
        word: &AtomicU32,
        expected: u32,
        timeout_ns: i64,
        on_report: &mut dyn FnMut(),
    ) -> WaitOutcome {
        let (awaited, held) = Awaited::of32(word, expected);
        self.wait_at(awaited, timeout_ns, on_report, held)
    }

    /// Waits on a 64-bit word: `memory.atomic.wait64`. As
    /// [`Waiter::wait32`] otherwise.
    ///
    /// # Panics
    ///
    /// As [`Waiter::wait32`].
    pub fn wait64(
        &self,
        word: &AtomicU64,
        expected: u64,
        timeout_ns: i64,
        on_report: &mut dyn FnMut(),
    ) -> WaitOutcome {
        let (awaited, held) = Awaited::of64(word, expected);
        self.wait_at(awaited, timeout_ns, on_report, held)
    }

    /// The first half of [`Waiter::wait32`]. If the word holds another value it returns the wait's
    /// answer, and takes no lock. `None` if the thread has to wait, or the lot has ended.
    ///
    /// It is for a thread that has something to do before it sleeps. The thread asks this first,
    /// and then waits with [`Waiter::park32`], so that the word is looked at once without the lock.
    /// Counts in [`WaitStatistics::not_equal`](crate::WaitStatistics::not_equal). A thread that
    /// gets the same answer for the same word and value again and again is in a loop around a lock
    /// that another thread is just taking. So this holds it up for a fifth of a microsecond each
    /// time. If the word does not change, the thread polls it and is not held up.
    pub fn differs32(&self, word: &AtomicU32, expected: u32) -> Option<WaitOutcome> {
        let (awaited, held) = Awaited::of32(word, expected);
        self.differs_at(awaited, &held)
    }

    /// As [`Waiter::differs32`], of [`Waiter::wait64`].
    pub fn differs64(&self, word: &AtomicU64, expected: u64) -> Option<WaitOutcome> {
        let (awaited, held) = Awaited::of64(word, expected);
        self.differs_at(awaited, &held)
    }

    /// The second half of [`Waiter::wait32`]: compares the word under the bucket's lock, and waits.
    /// It is a whole wait by itself. Without a [`Waiter::differs32`] before it, a word that holds
    /// another value costs a lock.
    ///
    /// # Panics
    ///
    /// As [`Waiter::wait32`].
    pub fn park32(
        &self,
        word: &AtomicU32,
        expected: u32,
        timeout_ns: i64,
        on_report: &mut dyn FnMut(),
    ) -> WaitOutcome {
        let (awaited, held) = Awaited::of32(word, expected);
        self.park_at(awaited, timeout_ns, on_report, &held)
    }

    /// As [`Waiter::park32`], of [`Waiter::wait64`].
    ///
    /// # Panics
    ///
    /// As [`Waiter::wait32`].
    pub fn park64(
        &self,
        word: &AtomicU64,
        expected: u64,
        timeout_ns: i64,
        on_report: &mut dyn FnMut(),
    ) -> WaitOutcome {
        let (awaited, held) = Awaited::of64(word, expected);
        self.park_at(awaited, timeout_ns, on_report, &held)
    }

    pub(crate) fn wait_at(
        &self,
        awaited: Awaited,
        timeout_ns: i64,
        on_report: &mut dyn FnMut(),
        held: impl Fn() -> u64,
    ) -> WaitOutcome {
        self.differs_at(awaited, &held)
            .unwrap_or_else(|| self.park_at(awaited, timeout_ns, on_report, &held))
    }

    fn differs_at(&self, awaited: Awaited, held: &impl Fn() -> u64) -> Option<WaitOutcome> {
        let value = held();
        // Where the lot has ended, the wait is counted with the others, under the lock.
        if value == awaited.expected || self.lot.is_ended() {
            return None;
        }
        let node = self.lot.nodes.get(self.node);
        let before = node.not_equal.load(Relaxed);
        node.not_equal.store(before + 1, Relaxed);
        if node.last.refused(awaited, value) {
            // This is a lock that another thread is just taking. A return at once would take the
            // cache line away from that thread.
            (0..REFUSED).for_each(|_| spin_loop());
            node.last.holds(held());
        }
        Some(WaitOutcome::NotEqual)
    }

    fn park_at(
        &self,
        awaited: Awaited,
        timeout_ns: i64,
        on_report: &mut dyn FnMut(),
        held: &impl Fn() -> u64,
    ) -> WaitOutcome {
        let node = self.lot.nodes.get(self.node);
        let _busy = Busy::enter(node);
        let quiet = match self.queue_up(node, awaited, timeout_ns, held) {
            Ok(quiet) => quiet,
            Err(outcome) => return outcome,
        };
        let parked = Parked {
            lot: &self.lot,
            index: self.node,
            node,
            address: awaited.address,
        };
        let handover = node.last.queued(awaited);
        if quiet {
            self.lot.liveness.quiet();
        }
        parked.park(timeout_ns, handover, on_report)
    }

    /// Puts the node on the queue of its bucket, and returns whether no thread is live any more. If
    /// there is nothing to wait for, returns what the wait answers.
    fn queue_up(
        &self,
        node: &Node,
        awaited: Awaited,
        timeout_ns: i64,
        held: &impl Fn() -> u64,
    ) -> Result<bool, WaitOutcome> {
        let mut flags = flag::QUEUED;
        if awaited.width == Width::W64 {
            flags |= flag::WIDE;
        }
        if timeout_ns >= 0 {
            flags |= flag::TIMED;
        } else if self.counted {
            flags |= flag::COUNTED;
        }
        let bucket = self.lot.bucket(awaited.address);
        let mut queue = bucket.lock();
        if self.lot.ended_under_lock() {
            queue.counters.ended += 1;
            return Err(WaitOutcome::Ended);
        }
        bucket.expect_waiter();
        if held() != awaited.expected {
            bucket.waiters_gone(1);
            queue.counters.not_equal += 1;
            return Err(WaitOutcome::NotEqual);
        }
        if timeout_ns == 0 {
            bucket.waiters_gone(1);
            queue.counters.timeouts += 1;
            return Err(WaitOutcome::TimedOut);
        }
        queue.counters.queued += 1;
        node.address.store(awaited.address, Relaxed);
        node.flags.store(flags, Relaxed);
        node.since.store(0, Relaxed);
        // Clears what the last wait left behind, and keeps a report that was asked for. No thread
        // signals a node that is on no queue, so no order is needed.
        if node.signal.load(Relaxed) & !signal::REPORT != 0 {
            node.signal.fetch_and(signal::REPORT, Relaxed);
        }
        queue.push(&self.lot.nodes, self.node);
        Ok(flags & flag::COUNTED != 0 && self.lot.liveness.waits())
    }

    /// Asks the thread to report itself. If the thread waits, it wakes, runs its wait's `on_report`
    /// and sleeps on. If not, its next wait runs `on_report` first, unless [`Waiter::take_report`]
    /// took the request before.
    pub fn request_report(&self) {
        let node = self.lot.nodes.get(self.node);
        let before = node.signal.fetch_or(signal::REPORT, Ordering::Release);
        if before & signal::ASLEEP != 0 {
            node.sleeper.wake(&node.signal);
        }
    }

    /// The tag of the notify that woke the thread from its last wait, which
    /// returned [`WaitOutcome::Woken`]; 0 where the notify had none.
    pub fn tag(&self) -> u64 {
        // Ordered by the signal: the waker wrote it before.
        self.lot.nodes.get(self.node).tag.load(Relaxed)
    }

    /// Whether a report was asked for and not made; the caller then makes it. Only the thread
    /// itself calls this, while it does not wait (in an epoch callback, on leaving a host call).
    #[must_use]
    pub fn take_report(&self) -> bool {
        let node = self.lot.nodes.get(self.node);
        node.signal.load(Relaxed) & signal::REPORT != 0
            && node.signal.fetch_and(!signal::REPORT, Ordering::Acquire) & signal::REPORT != 0
    }

    /// The thread runs no guest code any more, and does not wait: it stops
    /// counting as live, which may run the hook of [`ParkingLot::on_quiet`].
    /// Dropping does the same. Further calls do nothing; the waiter must not
    /// wait again.
    pub fn finish(&self) {
        if !self.finished.swap(true, Relaxed) && self.counted {
            self.lot.liveness.finished();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // This comes before the hook may run. It also keeps a request that came too late from the
        // node's next owner.
        let node = self.lot.nodes.get(self.node);
        node.signal.store(0, Relaxed);
        self.lot.nodes.give_back(self.node);
        self.finish();
    }
}

/// How long a wait takes that is refused for the second time in a row, in spins. It is a fifth of a
/// microsecond, about what the system call takes natively.
const REFUSED: u32 = 16;

/// Keeps a node to one wait at a time.
struct Busy<'a>(&'a Node);

impl<'a> Busy<'a> {
    fn enter(node: &'a Node) -> Self {
        let taken = node.busy.swap(true, Ordering::Acquire);
        assert!(!taken, "a waiter waits on one thread at a time");
        Self(node)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}
