//! Async host functions, driven on the host thread of the guest thread that calls them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use crate::types::end_token::EndToken;

/// Wakes one host thread.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Drives `future` on the calling host thread. `None` when `token` was raised first: the future is
/// dropped, which unwinds the wasm in it.
pub(crate) fn block_on<F: Future>(token: &EndToken, future: F) -> Option<F::Output> {
    let unpark = Arc::new(Unpark {
        thread: std::thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut ended = pin!(token.ended());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        // The future only yielded, as it does often for threads with fuel.
        if unpark.woken.swap(false, Ordering::Acquire) {
            if token.is_ended() {
                return None;
            }
            continue;
        }
        if ended.as_mut().poll(&mut cx).is_ready() {
            return None;
        }
        // The flag, not the park, says whether there was a wake-up: code that ran in the poll may
        // have used up the thread's own token.
        while !unpark.woken.swap(false, Ordering::Acquire) {
            std::thread::park();
        }
    }
}
