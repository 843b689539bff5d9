//! The host call that a thread notes by number, in a word that any thread may read at any time.

use std::cell::Cell;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A word on a cache line of its own: threads write theirs at each call.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU16);

/// Words that no thread has. They are never freed, so a thread reaches its word without a reference
/// count.
static FREE: Mutex<Vec<&'static Line>> = Mutex::new(Vec::new());

thread_local! {
    /// The word of the guest thread that the host thread runs.
    static CURRENT: Cell<Option<&'static AtomicU16>> = const { Cell::new(None) };
}

/// One thread's word. Its drop gives the word back.
#[derive(Debug)]
pub(crate) struct NotedCall(&'static Line);

impl NotedCall {
    /// A word that says 0: no call.
    pub(crate) fn new() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(free.unwrap_or_else(|| Box::leak(Box::new(Line(AtomicU16::new(0))))))
    }

    /// The number of the call that was noted last.
    pub(crate) fn get(&self) -> u16 {
        self.0.0.load(Relaxed)
    }

    /// The word, for signal handlers: another thread may have it once this is dropped.
    pub(crate) fn word(&self) -> &'static AtomicU16 {
        &self.0.0
    }

    /// Makes it the calling host thread's word. The result puts the previous one back.
    pub(crate) fn enter(&self) -> Before {
        Before(CURRENT.replace(Some(&self.0.0)))
    }
}

impl Drop for NotedCall {
    fn drop(&mut self) {
        self.0.0.store(0, Relaxed);
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(self.0);
    }
}

/// Puts the word back that the host thread had before.
#[must_use = "the word is the host thread's until this is dropped"]
pub(crate) struct Before(Option<&'static AtomicU16>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Notes a call's number for the guest thread that the calling host thread runs. Returns what was
/// noted before, or 0 if there is no such thread.
#[inline]
pub(crate) fn note(number: u16) -> u16 {
    CURRENT.get().map_or(0, |word| {
        // Only the thread itself writes the word, so a load and a store will do.
        let before = word.load(Relaxed);
        word.store(number, Relaxed);
        before
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_noted_for_the_innermost_thread() {
        assert_eq!(note(7), 0);
        let (outer, inner) = (NotedCall::new(), NotedCall::new());
        let outside = outer.enter();
        assert_eq!(note(1), 0);
        {
            let _inside = inner.enter();
            assert_eq!(note(2), 0);
            assert_eq!((outer.get(), inner.get()), (1, 2));
        }
        assert_eq!(note(3), 1);
        drop(outside);
        assert_eq!(note(4), 0);
        assert_eq!((outer.get(), inner.get()), (3, 2));
        drop(inner);
        // A word that was given back says nothing of the thread that had it.
        assert_eq!(NotedCall::new().get(), 0);
    }
}
