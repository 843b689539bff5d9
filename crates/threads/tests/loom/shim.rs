//! `src/sys/shim.rs` over loom's types.

pub(crate) use loom::sync::MutexGuard;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use std::time::Instant;

/// A step of the protocol, or a mutant of it, where the process was started to show that loom finds
/// it.
macro_rules! mutant {
    ($step:expr, unless $name:literal then $mutant:expr) => {
        if crate::is_mutant($name) {
            $mutant
        } else {
            $step
        }
    };
}
pub(crate) use mutant;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("loom does not poison")
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// Loom has no clock: a deadline passes at once.
#[derive(Debug)]
pub(crate) struct Sleepers {
    gate: loom::sync::Mutex<()>,
    changed: loom::sync::Condvar,
}

impl Default for Sleepers {
    fn default() -> Self {
        Self {
            gate: loom::sync::Mutex::new(()),
            changed: loom::sync::Condvar::new(),
        }
    }
}

impl Sleepers {
    pub(crate) fn sleep(&self, word: &AtomicU32, seen: u32, deadline: Option<Instant>) {
        // As the kernel does it: the look and the sleep are one step against a wake.
        let guard = self.gate.lock().expect("loom does not poison");
        if deadline.is_none() && word.load(Ordering::SeqCst) == seen {
            drop(self.changed.wait(guard).expect("loom does not poison"));
        }
    }

    pub(crate) fn wake_one(&self, _: &AtomicU32) {
        drop(self.gate.lock().expect("loom does not poison"));
        self.changed.notify_one();
    }

    pub(crate) fn wake_all(&self, _: &AtomicU32) {
        drop(self.gate.lock().expect("loom does not poison"));
        self.changed.notify_all();
    }
}
