//! A thread that is queued: how it sleeps, and what gets it out of its queue.

use crate::lot::ParkingLot;
use crate::node::{Node, flag, signal};
use crate::outcome::WaitOutcome;
use crate::sync::{Ordering, spin_loop, yield_now};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A node on a queue. Dropping it takes the node off again.
pub(crate) struct Parked<'a> {
    pub(crate) lot: &'a ParkingLot,
    /// Of the node, in the lot's table.
    pub(crate) index: u32,
    pub(crate) node: &'a Node,
    pub(crate) address: u64,
}

impl Parked<'_> {
    pub(crate) fn park(
        self,
        timeout_ns: i64,
        handover: bool,
        on_report: &mut dyn FnMut(),
    ) -> WaitOutcome {
        let mut deadline = match u64::try_from(timeout_ns) {
            Err(_) => None,
            // A deadline the clock cannot express is never reached.
            Ok(nanos) => Instant::now().checked_add(Duration::from_nanos(nanos)),
        };
        if !(handover && self.spin()) {
            self.node.since.store(self.lot.clock(), Relaxed);
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
        let lot = self.lot;
        let bucket = lot.bucket(self.address);
        let mut queue = bucket.lock();
        let left = queue.remove(&lot.nodes, self.index);
        if left {
            bucket.waiters_gone(1);
            queue.counters.timeouts += u64::from(timed_out);
            lot.liveness.wakes(u32::from(self.node.has(flag::COUNTED)));
        }
        left
    }

    /// Looks for a signal for a moment before the thread sleeps, if that has paid lately. If the
    /// waker runs on another processor right now, both sides save their system call. If it does
    /// not, the look is wasted.
    fn spin(&self) -> bool {
        if !self.lot.spin || !self.node.spinning.wanted() {
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

/// How long a waiter looks out before it sleeps. It is about twice the time it takes to wake a
/// thread that sleeps in the kernel. So the first attempt outlasts a partner that still sleeps.
const SPIN_FOR: Duration = Duration::from_micros(20);

/// Looks between two looks at the clock: about a microsecond.
const LOOKS: u32 = 32;

impl Drop for Parked<'_> {
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
