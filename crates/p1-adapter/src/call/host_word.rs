//! The word that says whether a thread is in a host call.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

use crate::lock::lock;

/// A word on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicUsize);

/// Words that no thread has.
static FREE: Mutex<Vec<&'static Line>> = Mutex::new(Vec::new());

thread_local! {
    /// The calling thread's word, once it was asked for.
    static WORD: Cell<Option<&'static AtomicUsize>> = const { Cell::new(None) };
    /// Gives it back with the thread.
    static OWNED: Owned = Owned::take();
}

struct Owned(&'static Line);

impl Owned {
    fn take() -> Self {
        let free = lock(&FREE).pop();
        Owned(free.unwrap_or_else(|| Box::leak(Box::new(Line(AtomicUsize::new(0))))))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        WORD.set(None);
        self.0.0.store(0, Ordering::Relaxed);
        lock(&FREE).push(self.0);
    }
}

/// The calling thread's word. It is 0 while the thread is in none of this crate's functions for
/// guests, and otherwise the address of something on its stack where the call began.
///
/// Other threads may read it at any time: a word stays where it is for ever, and another thread
/// gets it after its own has ended. A call stores it before it looks at its context's end signal
/// ([`EndSignal`](crate::EndSignal)), with no fence in between. A thread may raise the signal, have
/// every processor pass a barrier (membarrier(2)), and then read the word. If it reads 0, the
/// word's thread gets into no call any more.
///
/// Once a thread has asked for its word, each of its calls makes two more stores. Only that first
/// time takes a lock.
pub fn host_word() -> &'static AtomicUsize {
    WORD.get().unwrap_or_else(|| {
        let word = OWNED.with(|owned| &owned.0.0);
        WORD.set(Some(word));
        word
    })
}

/// The calling thread is in a host call until the result is dropped.
#[inline(always)]
pub(crate) fn enter() -> Inside {
    let word = WORD.get();
    if let Some(word) = word {
        let here = 0_u8;
        word.store(
            std::hint::black_box(&raw const here).addr() & !1,
            Ordering::Relaxed,
        );
        // The processor may do the next load first, and the barrier deals with that; the compiler
        // may not.
        compiler_fence(Ordering::SeqCst);
    }
    Inside(word)
}

/// See [`enter`].
pub(crate) struct Inside(Option<&'static AtomicUsize>);

impl Drop for Inside {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(word) = self.0 {
            word.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_set_inside_and_is_another_threads_later() {
        let word = std::thread::spawn(|| {
            assert!(WORD.get().is_none());
            drop(enter());
            let word = host_word();
            assert!(std::ptr::eq(word, host_word()));
            assert_eq!(word.load(Ordering::Relaxed), 0);
            let inside = enter();
            assert_ne!(word.load(Ordering::Relaxed), 0);
            drop(inside);
            assert_eq!(word.load(Ordering::Relaxed), 0);
            let left = enter();
            std::mem::forget(left);
            word
        });
        // A thread that has gone left the word set. No thread is in a call.
        assert_eq!(word.join().unwrap().load(Ordering::Relaxed), 0);
    }
}
