//! Blocking a thread by way of a [`Waker`](std::task::Waker), so that there is one wait queue for
//! threads and tasks.

use super::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

struct Parker {
    thread: thread::Thread,
    // `std`'s, not the shim's: the queue that it is woken from orders what it guards.
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

/// Runs `poll` on this thread until it is ready, parked in between.
pub(crate) fn block_on<R>(poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    block(None, poll).expect("without a deadline there is a result")
}

/// As [`block_on`]; `None` once the deadline has passed.
pub(crate) fn block_on_until<R>(
    deadline: Instant,
    poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Option<R> {
    block(Some(deadline), poll)
}

fn block<R>(
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
        let is_last = deadline.is_some_and(|end| end <= Instant::now());
        if let Poll::Ready(result) = poll(&mut context) {
            return Some(result);
        }
        // Also if each poll asks for the next.
        if is_last {
            return None;
        }
        // The thread's token alone is not enough: a poll that parks inside takes it.
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_poll_that_parks_does_not_swallow_a_wake_up() {
        let (done, waits) = mpsc::channel();
        // On its own thread: the fault would be to sleep for ever.
        let thread = thread::spawn(move || {
            let mut polls = 0;
            block_on(|context| {
                polls += 1;
                if polls == 2 {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                // Takes the token that the waker has left.
                thread::park();
                Poll::Pending
            });
            done.send(polls).unwrap();
        });
        assert_eq!(waits.recv_timeout(Duration::from_secs(20)), Ok(2));
        thread.join().unwrap();
    }
}
