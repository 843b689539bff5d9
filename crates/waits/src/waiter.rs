//! A thread's side of the lot: waiting, and being asked to report.

use crate::lot::{ParkingLot, Width, address_of};
use crate::node::{Node, flag, signal};
use crate::sync::{AtomicU32, AtomicU64, Ordering, spin_loop, yield_now};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How a wait went.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WaitOutcome {
    /// A notify woke the thread: 0 to the guest.
    Woken,
    /// The word held another value: 1 to the guest.
    NotEqual,
    /// The timeout passed: 2 to the guest.
    TimedOut,
    /// The group has ended: the guest gets no answer, its thread is to unwind.
    Ended,
}

impl WaitOutcome {
    /// What `memory.atomic.wait32` and `wait64` return, by the threads
    /// proposal; `None` for [`WaitOutcome::Ended`].
    #[must_use]
    pub fn code(self) -> Option<u32> {
        match self {
            Self::Woken => Some(0),
            Self::NotEqual => Some(1),
            Self::TimedOut => Some(2),
            Self::Ended => None,
        }
    }
}

/// Who waits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// A thread of the guest: while it does not wait without timeout, it may
    /// free others, so no deadlock is found.
    Guest,
    /// A thread of the embedder. It counts for nothing: if others depend on
    /// what it will do, it holds a [`HostWriter`](crate::HostWriter).
    Host,
}

/// What a thread waits for: a word, and the value it is to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The host address of the word.
    pub(crate) address: u64,
    /// How wide it is.
    pub(crate) width: Width,
    /// What it holds.
    pub(crate) expected: u64,
}

impl Place {
    fn of<T>(word: &T, width: Width, expected: u64) -> Self {
        Self {
            address: address_of(word),
            width,
            expected,
        }
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
    /// If the word holds `expected` (a sequentially consistent load under the
    /// bucket's lock; the caller turns the guest's byte order into the host's),
    /// sleeps until notified, until `timeout_ns` nanoseconds have passed on the
    /// monotonic clock (a negative number: never; zero: the word is checked,
    /// and the wait times out), or until the lot ends.
    ///
    /// Whenever a report is asked for meanwhile, and once at the start if one
    /// was asked for before, `on_report` runs on this thread without any lock.
    /// The thread keeps its place in the queue, a notify that comes during the
    /// call is not lost, and the deadline stays. `on_report` must not write
    /// to the group's memory nor notify: the thread does not count as live.
    ///
    /// # Panics
    ///
    /// If the word holds `expected` and the same waiter waits already, on another thread or further up in
    /// the stack. A panic of `on_report` goes through, and the wait is undone;
    /// a wake-up that was on its way is then used up.
    pub fn wait32(
        &self,
        word: &AtomicU32,
        expected: u32,
        timeout_ns: i64,
        on_report: &mut dyn FnMut(),
    ) -> WaitOutcome {
        let place = Place::of(word, Width::W32, expected.into());
        self.wait_at(place, timeout_ns, on_report, || {
            word.load(Ordering::SeqCst) == expected
        })
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
        let place = Place::of(word, Width::W64, expected);
        self.wait_at(place, timeout_ns, on_report, || {
            word.load(Ordering::SeqCst) == expected
        })
    }

    /// What [`Waiter::wait32`] answers where the word holds another value; `None` if it has to look closer.
    pub fn differs32(&self, word: &AtomicU32, expected: u32) -> Option<WaitOutcome> {
        let place = Place::of(word, Width::W32, expected.into());
        self.at_once(place, || word.load(Ordering::SeqCst) == expected)
    }

    /// As [`Waiter::differs32`], for [`Waiter::wait64`].
    pub fn differs64(&self, word: &AtomicU64, expected: u64) -> Option<WaitOutcome> {
        let place = Place::of(word, Width::W64, expected);
        self.at_once(place, || word.load(Ordering::SeqCst) == expected)
    }

    /// What a wait answers that does not have to take the lock: the word holds another value.
    fn at_once(&self, place: Place, equal: impl Fn() -> bool) -> Option<WaitOutcome> {
        if equal() {
            return None;
        }
        if self.lot.is_ended() {
            // Counted with the others, under the lock.
            return None;
        }
        let node = self.lot.nodes.get(self.node);
        let before = node.not_equal.load(Relaxed);
        node.not_equal.store(before + 1, Relaxed);
        if !node.last.swap_if_new(place) {
            // A lock, and somebody is just taking it: to be back at once would take its cache line away.
            (0..REFUSED).for_each(|_| spin_loop());
        }
        Some(WaitOutcome::NotEqual)
    }

    pub(crate) fn wait_at(
        &self,
        place: Place,
        timeout_ns: i64,
        on_report: &mut dyn FnMut(),
        equal: impl Fn() -> bool,
    ) -> WaitOutcome {
        if let Some(outcome) = self.at_once(place, &equal) {
            return outcome;
        }
        let node = self.lot.nodes.get(self.node);
        let _busy = Busy::enter(node);
        let address = place.address;
        let mut flags = flag::QUEUED;
        if place.width == Width::W64 {
            flags |= flag::WIDE;
        }
        if timeout_ns >= 0 {
            flags |= flag::TIMED;
        } else if self.counted {
            flags |= flag::COUNTED;
        }
        let quiet = {
            let bucket = self.lot.bucket(address);
            let mut queue = bucket.lock();
            if self.lot.ended_under_lock() {
                queue.counters.ended += 1;
                return WaitOutcome::Ended;
            }
            bucket.expect_waiter();
            if !equal() {
                bucket.waiters_gone(1);
                queue.counters.not_equal += 1;
                return WaitOutcome::NotEqual;
            }
            if timeout_ns == 0 {
                bucket.waiters_gone(1);
                queue.counters.timeouts += 1;
                return WaitOutcome::TimedOut;
            }
            queue.counters.queued += 1;
            node.address.store(address, Relaxed);
            node.flags.store(flags, Relaxed);
            node.since.store(0, Relaxed);
            // What the last wait left behind goes, a report asked for stays.
            // Nobody signals a node that is on no queue, so no order is needed.
            if node.signal.load(Relaxed) & !signal::REPORT != 0 {
                node.signal.fetch_and(signal::REPORT, Relaxed);
            }
            queue.push(&self.lot.nodes, self.node);
            flags & flag::COUNTED != 0 && self.lot.liveness.waits()
        };
        let queued = Queued {
            waiter: self,
            node,
            address,
        };
        let handover = node.last.swap_if_new(place);
        self.lot.busiest.count(address);
        if quiet {
            self.lot.liveness.quiet();
        }
        queued.park(timeout_ns, handover, on_report)
    }

    /// Asks the thread to report itself. If it waits, it wakes, runs its
    /// wait's `on_report` and sleeps on; if not, its next wait does so first,
    /// unless [`Waiter::take_report`] took the request before.
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

    /// Whether a report was asked for and not made; the caller makes it. For
    /// the thread itself, where it does not wait (in an epoch callback, on
    /// leaving a host call).
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
        // Before the hook may run, and so that a request which came too late
        // does not reach the node's next owner.
        let node = self.lot.nodes.get(self.node);
        node.signal.store(0, Relaxed);
        self.lot.nodes.give_back(self.node);
        self.finish();
    }
}

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

/// A node on a queue. Dropping it takes the node off again.
struct Queued<'a> {
    waiter: &'a Waiter,
    node: &'a Node,
    address: u64,
}

impl Queued<'_> {
    fn park(self, timeout_ns: i64, handover: bool, on_report: &mut dyn FnMut()) -> WaitOutcome {
        let mut deadline = match u64::try_from(timeout_ns) {
            Err(_) => None,
            // A deadline the clock cannot express is never reached.
            Ok(nanos) => Instant::now().checked_add(Duration::from_nanos(nanos)),
        };
        if !(handover && self.spin()) {
            self.node.since.store(self.waiter.lot.clock(), Relaxed);
        }
        loop {
            // Acquire: what the waker did before is seen from here on.
            let seen = self.node.signal.load(Ordering::Acquire);
            if seen & signal::GONE != 0 {
                std::mem::forget(self);
                return if seen & signal::WOKEN != 0 {
                    WaitOutcome::Woken
                } else {
                    WaitOutcome::Ended
                };
            }
            if seen & signal::REPORT != 0 {
                let awake = !(signal::REPORT | signal::ASLEEP);
                self.node.signal.fetch_and(awake, Ordering::Acquire);
                on_report();
                continue;
            }
            let asleep = seen | signal::ASLEEP;
            if seen != asleep
                && self
                    .node
                    .signal
                    .compare_exchange(seen, asleep, Relaxed, Relaxed)
                    .is_err()
            {
                continue;
            }
            let in_time = self.node.sleeper.sleep(&self.node.signal, asleep, deadline);
            if !in_time {
                if self.leave(true) {
                    std::mem::forget(self);
                    return WaitOutcome::TimedOut;
                }
                // A waker has counted this thread: its signal is on the way.
                deadline = None;
            }
        }
    }

    /// Takes the node off its queue, unless a waker has done so.
    fn leave(&self, timed_out: bool) -> bool {
        let lot = &self.waiter.lot;
        let bucket = lot.bucket(self.address);
        let mut queue = bucket.lock();
        let left = queue.remove(&lot.nodes, self.waiter.node);
        if left {
            bucket.waiters_gone(1);
            queue.counters.timeouts += u64::from(timed_out);
            lot.liveness.wakes(u32::from(self.node.has(flag::COUNTED)));
        }
        left
    }

    /// Looks out for a signal for a moment before the thread sleeps, if that
    /// has paid lately: where the waker runs on another processor right now, it
    /// saves both sides their system call; where it does not, it is a waste.
    fn spin(&self) -> bool {
        if !self.waiter.lot.spin || !self.node.spinning.wanted() {
            return false;
        }
        let begin = Instant::now();
        let signalled = || self.node.signal.load(Relaxed) != 0;
        let paid = loop {
            if (0..LOOKS).any(|_| {
                spin_loop();
                signalled()
            }) {
                break true;
            }
            if begin.elapsed() > SPIN_FOR {
                break signalled();
            }
        };
        self.node.spinning.tried(paid);
        paid
    }
}

/// How long a waiter looks out before it sleeps: about twice what it takes to
/// wake a thread that sleeps in the kernel, so that the first attempt outlasts
/// a partner which still sleeps.
const SPIN_FOR: Duration = Duration::from_micros(20);

/// How long a wait takes that is refused for the second time in a row, in
/// spins: a fifth of a microsecond, about what the system call takes natively.
const REFUSED: u32 = 16;

/// Looks between two looks at the clock: about a microsecond.
const LOOKS: u32 = 32;

impl Drop for Queued<'_> {
    /// Only when a callback panicked.
    fn drop(&mut self) {
        if self.leave(false) {
            return;
        }
        while self.node.signal.load(Ordering::Acquire) & signal::GONE == 0 {
            yield_now();
        }
    }
}
