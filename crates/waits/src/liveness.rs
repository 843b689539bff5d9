//! Counting the threads that can still change something.
//!
//! The thread that starts to wait takes itself off the count; the thread that wakes it puts it
//! back. Both do so under the bucket's lock and before either goes on. `DESIGN.md` argues why zero
//! is then final.

use crate::sync::{AtomicU64, Ordering};
use std::fmt;
use std::sync::OnceLock;

/// One started thread in the packed count.
const THREAD: u64 = 1 << 32;
/// One live thread or host writer in the packed count.
const LIVE: u64 = 1;

type Hook = Box<dyn Fn() + Send + Sync>;

/// High half: started threads. Low half: threads that do not wait for good, plus held host writers.
/// They are one word so that both are read at one instant.
pub(crate) struct Liveness {
    enabled: bool,
    count: AtomicU64,
    on_quiet: OnceLock<Hook>,
}

impl fmt::Debug for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Liveness")
            .field("enabled", &self.enabled)
            .field("hook", &self.on_quiet.get().is_some())
            .finish_non_exhaustive()
    }
}

impl Liveness {
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            count: AtomicU64::new(0),
            on_quiet: OnceLock::new(),
        }
    }

    pub(crate) fn enabled(&self) -> bool {
        self.enabled
    }

    /// Sets the hook; `false` when there is one already.
    pub(crate) fn set_hook(&self, hook: Hook) -> bool {
        self.on_quiet.set(hook).is_ok()
    }

    /// A thread is about to start. It counts as live from here on.
    pub(crate) fn started(&self) {
        self.count.fetch_add(THREAD + LIVE, Ordering::AcqRel);
    }

    /// A live thread is gone. Called without any lock.
    pub(crate) fn finished(&self) {
        let before = self.count.fetch_sub(THREAD + LIVE, Ordering::AcqRel);
        debug_assert!(before >= THREAD && before % THREAD >= LIVE);
        // No threads at all is no deadlock.
        if before % THREAD == LIVE && before >= 2 * THREAD {
            self.quiet();
        }
    }

    /// A host writer is taken.
    pub(crate) fn writer_taken(&self) {
        self.count.fetch_add(LIVE, Ordering::AcqRel);
    }

    /// A host writer is given back. Called without any lock.
    pub(crate) fn writer_given_back(&self) {
        let before = self.count.fetch_sub(LIVE, Ordering::AcqRel);
        debug_assert!(before % THREAD >= LIVE);
        if before % THREAD == LIVE && before >= THREAD {
            self.quiet();
        }
    }

    /// The calling thread is on a queue, for good unless woken. Called under the bucket's lock.
    /// `true` when no thread is live any more: the caller then runs [`Liveness::quiet`] once it
    /// holds no lock.
    pub(crate) fn waits(&self) -> bool {
        let before = self.count.fetch_sub(LIVE, Ordering::AcqRel);
        debug_assert!(before % THREAD >= LIVE);
        before % THREAD == LIVE
    }

    /// These many waiters are off their queue. Called by the waker, under the
    /// bucket's lock.
    pub(crate) fn wakes(&self, waiters: u32) {
        if waiters > 0 {
            self.count
                .fetch_add(LIVE * u64::from(waiters), Ordering::AcqRel);
        }
    }

    /// Runs the hook.
    pub(crate) fn quiet(&self) {
        if let Some(hook) = self.on_quiet.get() {
            hook();
        }
    }

    /// How many threads have started and not finished, when none of them is
    /// live and no host writer is held; `None` otherwise.
    pub(crate) fn all_waiting(&self) -> Option<usize> {
        // Acquire: sees the queues as the threads left them. Each thread joined this word's release
        // sequence after it had queued up.
        let count = self.count.load(Ordering::Acquire);
        (self.enabled && count.is_multiple_of(THREAD) && count > 0)
            .then_some((count / THREAD) as usize)
    }
}
