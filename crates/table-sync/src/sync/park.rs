//! Blocking a thread by way of a [`Waker`](std::task::Waker), so that there is one wait queue for
//! threads and tasks.

use super::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

struct Parker {
    thread: thread::Thread,
    // `std`'s, not the shim's: what it guards is ordered by the queue it is woken from.
    woken: AtomicBool,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs `poll` on this thread until it is ready, parked in between. With a deadline, `None`
/// once that has passed.
pub(crate) fn block_on<R>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Option<R> {
    let parker = Arc::new(Parker {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(parker.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = poll(&mut context) {
            return Some(result);
        }
        while !parker.woken.swap(false, Ordering::Acquire) {
            match deadline {
                None => thread::park(),
                Some(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    park_timeout(left);
                }
            }
        }
    }
}

#[cfg(not(loom))]
fn park_timeout(left: Duration) {
    thread::park_timeout(left);
}

/// Time does not pass in a model.
#[cfg(loom)]
fn park_timeout(_left: Duration) {
    thread::park();
}
