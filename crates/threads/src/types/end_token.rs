//! The token by which host code learns that its group has ended.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::host::panics::caught;

/// Tells host functions that the group they serve has ended.
///
/// A host function that blocks should end when the group does: poll [`is_ended`](Self::is_ended),
/// block in [`wait_timeout`](Self::wait_timeout) instead of sleeping, or race its work against
/// [`ended`](Self::ended). Cheap to clone; all clones are one token. Once ended it stays ended.
#[derive(Clone, Default)]
pub struct EndToken {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    ended: AtomicBool,
    waiters: Mutex<Waiters>,
    condition: Condvar,
}

#[derive(Default)]
struct Waiters {
    next: u64,
    wakers: HashMap<u64, Waker>,
}

impl EndToken {
    /// Whether the group has ended. One atomic load.
    pub fn is_ended(&self) -> bool {
        self.inner.ended.load(Ordering::Acquire)
    }

    /// Blocks the calling thread until the group ends.
    pub fn wait(&self) {
        let mut waiters = self.lock();
        while !self.is_ended() {
            waiters = self
                .inner
                .condition
                .wait(waiters)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Blocks the calling thread until the group ends or `timeout` passes; true when the group
    /// has ended.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            self.wait();
            return true;
        };
        let mut waiters = self.lock();
        loop {
            if self.is_ended() {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            waiters = self
                .inner
                .condition
                .wait_timeout(waiters, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// A future that is ready once the group has ended. It needs no runtime.
    pub fn ended(&self) -> Ended {
        Ended {
            token: self.clone(),
            key: None,
        }
    }

    /// Ends the token; true for the first caller.
    pub(crate) fn raise(&self) -> bool {
        let wakers = self.flag();
        let first = wakers.is_some();
        wakers.into_iter().flatten().for_each(wake);
        first
    }

    /// Ends the token; for the first caller, the wakers that it has to [`wake`].
    pub(crate) fn flag(&self) -> Option<impl Iterator<Item = Waker> + use<>> {
        // Under the lock, so that nobody checks, finds it unset, and sleeps after the wake-up.
        let mut waiters = self.lock();
        if self.inner.ended.swap(true, Ordering::SeqCst) {
            return None;
        }
        self.inner.condition.notify_all();
        Some(std::mem::take(&mut waiters.wakers).into_values())
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.inner
            .waiters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for EndToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndToken")
            .field("ended", &self.is_ended())
            .finish()
    }
}

/// Wakes: foreign code, whose panic must not keep the others, or the end, from happening.
pub(crate) fn wake(waker: Waker) {
    caught(|| waker.wake());
}

/// The future of [`EndToken::ended`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Ended {
    token: EndToken,
    /// Where this future's waker is kept, once it has been polled.
    key: Option<u64>,
}

impl Future for Ended {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // A waker's clone and drop are foreign code, and happen outside the lock.
        let waker = cx.waker().clone();
        let mut waiters = this.token.lock();
        if this.token.is_ended() {
            drop(waiters);
            return Poll::Ready(());
        }
        let key = *this.key.get_or_insert_with(|| {
            waiters.next += 1;
            waiters.next
        });
        let old = waiters.wakers.insert(key, waker);
        drop(waiters);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // Dropped outside the lock: a waker's drop is foreign code.
            let waker = self.token.lock().wakers.remove(&key);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn raise_is_seen_by_every_kind_of_waiter() {
        let token = EndToken::default();
        assert!(!token.wait_timeout(Duration::from_millis(1)));
        let mut pending = pin!(token.ended());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pending.as_mut().poll(&mut cx).is_pending());
        let blocked = std::thread::spawn({
            let token = token.clone();
            move || token.wait()
        });
        assert!(token.raise());
        assert!(!token.raise());
        blocked.join().unwrap();
        assert!(pending.as_mut().poll(&mut cx).is_ready());
        assert!(token.wait_timeout(Duration::MAX));
    }

    #[test]
    fn a_dropped_future_leaves_nothing_behind() {
        let token = EndToken::default();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..100 {
            let mut future = Box::pin(token.ended());
            assert!(future.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(token.lock().wakers.len(), 0);
    }
}
