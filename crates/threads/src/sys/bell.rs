//! A bell: threads sleep on it until something has changed, and the thread that changes it rings
//! without a lock.

use std::time::Instant;

use crate::sys::shim::{AtomicU32, Ordering, Sleepers, fence, mutant};

/// Threads that wait for a change.
///
/// A waiter [listens](Bell::listen) first, then looks at what it waits for, then waits. The thread
/// that makes the change rings after that. So either the look sees the change, or the ring comes
/// after the listening and the wait returns. Ringing takes no lock, so it waits for no waiter.
/// Without a waiter it makes no system call.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// How often it was rung; wraps around.
    rings: AtomicU32,
    waiting: AtomicU32,
    sleepers: Sleepers,
}

/// What was heard when the waiter began to listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard(u32);

impl Bell {
    /// Begins to listen, before the look at what is waited for.
    pub(crate) fn listen(&self) -> Heard {
        // Acquire: what was rung for is seen by the look that follows.
        Heard(self.rings.load(Ordering::Acquire))
    }

    /// Sleeps until it is rung after [`listen`](Self::listen), or until `deadline`. May return
    /// early for no reason.
    pub(crate) fn wait(&self, heard: Heard, deadline: Option<Instant>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Between the two steps of either side there is a fence: the ringer sees the count, or this
        // sees its ring.
        fence(Ordering::SeqCst);
        if self.rings.load(Ordering::Acquire) == heard.0 {
            self.sleepers.sleep(&self.rings, heard.0, deadline);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Wakes all waiters.
    pub(crate) fn ring(&self) {
        if self.rung() {
            self.sleepers.wake_all(&self.rings);
        }
    }

    /// Wakes one waiter. It is for a change that only one can use. If the woken one does not use
    /// it, it passes the ring on.
    pub(crate) fn ring_for_one(&self) {
        if self.rung() {
            self.sleepers.wake_one(&self.rings);
        }
    }

    /// Whether any thread waits, after one more ring.
    fn rung(&self) -> bool {
        mutant!(
            {
                self.rings.fetch_add(1, Ordering::AcqRel);
                fence(Ordering::SeqCst);
                self.waiting.load(Ordering::Relaxed) > 0
            },
            unless "a ring that looks first" then {
                let waiting = self.waiting.load(Ordering::Relaxed) > 0;
                self.rings.fetch_add(1, Ordering::AcqRel);
                waiting
            }
        )
    }
}
