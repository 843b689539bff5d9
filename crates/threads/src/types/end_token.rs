//! The token by which host code learns that its group has ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::host::panics::caught;
use crate::sys::bell::Bell;
use crate::sys::handoff::{Handoff, Left};

/// Tells host functions that the group they serve has ended.
///
/// A host function that blocks should end when the group does: poll [`is_ended`](Self::is_ended),
/// block in [`wait_timeout`](Self::wait_timeout) instead of sleeping, or race its work against
/// [`ended`](Self::ended). Cheap to clone; all clones are one token. Once ended it stays ended.
#[derive(Clone, Default)]
pub struct EndToken {
    signal: Arc<Signal>,
}

#[derive(Default)]
struct Signal {
    /// The flag, and the wakers of futures that wait for it.
    wakers: Handoff<Waker>,
    /// Rung after the flag, for threads that wait for it.
    ended: Bell,
}

/// Wakers that the thread that ended the token has to [`wake`].
pub(crate) type Wakers = Left<Waker>;

impl EndToken {
    /// Whether the group has ended. One atomic load.
    pub fn is_ended(&self) -> bool {
        self.signal.wakers.is_ended()
    }

    /// Blocks the calling thread until the group ends.
    pub fn wait(&self) {
        loop {
            let heard = self.signal.ended.listen();
            if self.is_ended() {
                return;
            }
            self.signal.ended.wait(heard, None);
        }
    }

    /// Blocks the calling thread until the group ends or `timeout` passes; true when the group
    /// has ended.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            self.wait();
            return true;
        };
        loop {
            let heard = self.signal.ended.listen();
            if self.is_ended() {
                return true;
            }
            if deadline <= Instant::now() {
                return false;
            }
            self.signal.ended.wait(heard, Some(deadline));
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
        let (first, wakers) = self.signal.wakers.end();
        self.ring();
        wakers.into_iter().for_each(wake);
        first
    }

    /// Sets the flag, which every look at the token sees from here on. Threads that wait for the
    /// token still need [`ring`](Self::ring), and tasks the wakers that are returned. Takes no lock
    /// that is held.
    pub(crate) fn flag(&self) -> Wakers {
        self.signal.wakers.end().1
    }

    /// Wakes the threads that wait for the token.
    pub(crate) fn ring(&self) {
        self.signal.ended.ring();
    }
}

impl std::fmt::Debug for EndToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndToken")
            .field("ended", &self.is_ended())
            .finish()
    }
}

/// Wakes a task. That is foreign code: its panic must not stop the other wake-ups, or the end.
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
        if this.token.is_ended() {
            return Poll::Ready(());
        }
        // A waker's clone and drop are foreign code, and happen outside the lock.
        let waker = cx.waker().clone();
        let (key, old, left) = this.token.signal.wakers.put(this.key, waker);
        this.key = Some(key);
        drop(old);
        left.into_iter().for_each(wake);
        match this.token.is_ended() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // Dropped outside the lock: a waker's drop is foreign code.
            let (waker, left) = self.token.signal.wakers.take(key);
            drop(waker);
            left.into_iter().for_each(wake);
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
        assert_eq!(token.signal.wakers.len(), 0);
    }
}
