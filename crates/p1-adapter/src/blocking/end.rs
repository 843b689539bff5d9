//! The signal that ends every blocked call of a group of threads.

use super::deadline::Deadline;
use super::rounds::Rounds;
use crate::lock::lock;
use crate::sys::errno::Errno;
use crate::sys::fd::BorrowedFd;
use crate::sys::wake_fd::WakeFd;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;

/// The call was cut short because its [`EndSignal`] was raised.
///
/// Host functions return it as a trap, so an embedder finds it with
/// `error.downcast_ref::<Interrupted>()` on what the guest's entry function returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: the thread group has ended")]
pub struct Interrupted;

/// Why a call that may block gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum BlockingError {
    /// The [`EndSignal`] was raised before or during the call.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The operating system refused; `WouldBlock` where the caller asked not to wait.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A hook of the embedder's ended the wait.
    #[error("a hook of the embedder's ended the wait: {0}")]
    Hook(wasmtime::Error),
    /// An embedder's stream asked for a trap.
    #[error("a stream given by the embedder failed: {0}")]
    Stream(wasmtime::Error),
}

impl From<Errno> for BlockingError {
    fn from(errno: Errno) -> Self {
        BlockingError::Io(errno.into())
    }
}

/// A switch, thrown once, that ends every blocked call made under it.
///
/// Clones share one switch. [`raise`](Self::raise) may be called from any thread, any number of
/// times; from then on every wait under the signal returns [`Interrupted`], those under way as well
/// as those to come. There is no way back.
///
/// # Cost
///
/// Asking [`is_raised`](Self::is_raised) is one atomic load. The signal has one descriptor, however
/// many threads are blocked. It is an event descriptor, made with the signal, so that a program
/// which uses up the host's descriptors can still wait. If the system refuses that, it is a pipe.
/// If the pipe is refused as well, the first wait asks once more. Without a descriptor a wait is a
/// sleep that the signal ends, or looks at the signal 50 times a second if it waits for
/// descriptors.
///
/// # Not for
///
/// Signal handlers: raising wakes others. A handler wakes a thread that raises.
#[derive(Clone)]
pub struct EndSignal {
    shared: Arc<EndState>,
    /// Of a context that has clocks of the embedder's.
    rounds: Option<Arc<Rounds>>,
}

impl Default for EndSignal {
    fn default() -> EndSignal {
        let shared = EndState::default();
        if let Ok(event) = WakeFd::new() {
            // It is not shared yet.
            let _ = shared.event.set(event);
        }
        EndSignal {
            shared: Arc::new(shared),
            rounds: None,
        }
    }
}

#[derive(Default)]
struct EndState {
    raised: AtomicBool,
    /// Set before the signal is shared, or with `hooks` locked. A thread that wants to wait on it
    /// looks at `raised` afterwards. A raiser sets `raised` and looks here afterwards. Both have a
    /// fence in between. So the raiser fills the event, or no thread waits on it.
    event: OnceLock<WakeFd>,
    hooks: Mutex<Hooks>,
    notify: Notify,
}

#[derive(Default)]
struct Hooks {
    next: u64,
    waiting: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
}

impl EndSignal {
    /// A signal that has not been raised. Makes its descriptor; a host that has none left is no
    /// failure.
    pub fn new() -> EndSignal {
        EndSignal::default()
    }

    /// The same signal; waits under it are made in rounds.
    pub(crate) fn in_rounds(mut self, rounds: Rounds) -> EndSignal {
        self.rounds = Some(Arc::new(rounds));
        self
    }

    pub(super) fn rounds(&self) -> Option<&Rounds> {
        self.rounds.as_deref()
    }

    /// Ends every blocked call under this signal, and every later one. The flag is stored first.
    /// It waits for no lock that a call holds. A call that registers or leaves at this moment may
    /// keep it from waking some threads; that call then wakes them itself.
    pub fn raise(&self) {
        if self.shared.raised.swap(true, Ordering::SeqCst) {
            return;
        }
        fence(Ordering::SeqCst);
        if let Some(event) = self.shared.event.get() {
            event.set();
        }
        self.shared.notify.notify_waiters();
        let hooks = match self.shared.hooks.try_lock() {
            Ok(mut hooks) => std::mem::take(&mut hooks.waiting),
            Err(TryLockError::Poisoned(hooks)) => std::mem::take(&mut hooks.into_inner().waiting),
            // Its holder looks at the flag when it has let go.
            Err(TryLockError::WouldBlock) => BTreeMap::new(),
        };
        for hook in hooks.into_values() {
            hook();
        }
    }

    /// To be called after the lock of the hooks was released, in any case: runs the hooks that the
    /// raiser could not reach.
    fn after_hooks(&self) {
        fence(Ordering::SeqCst);
        if self.is_raised() {
            let hooks = std::mem::take(&mut self.hooks().waiting);
            for hook in hooks.into_values() {
                hook();
            }
        }
    }

    /// Whether the signal has been raised: one atomic load.
    #[inline]
    pub fn is_raised(&self) -> bool {
        self.shared.raised.load(Ordering::Acquire)
    }

    /// `Err(Interrupted)` once raised, for `?` at the head of a call.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] if the signal has been raised.
    #[inline]
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_raised() {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }

    /// Completes once the signal has been raised. Cancel-safe; any number may wait.
    pub async fn raised(&self) {
        // Made before the check: a `notify_waiters` after this point reaches it.
        let notified = self.shared.notify.notified();
        if !self.is_raised() {
            notified.await;
        }
    }

    /// Runs `future` until it completes or the signal is raised, whichever is first.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] if the signal was raised first; the future is dropped.
    pub async fn or_raised<F: Future>(&self, future: F) -> Result<F::Output, Interrupted> {
        let mut raised = pin!(self.raised());
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if raised.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Interrupted));
            }
            future.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// The descriptor that is readable, for good, once the signal has been raised. `None` if the
    /// host had none when the signal was made and has none now.
    pub(super) fn descriptor(&self) -> Result<Option<BorrowedFd<'_>>, Interrupted> {
        if self.shared.event.get().is_none() {
            let made = self.make_descriptor();
            self.after_hooks();
            made?;
        }
        self.check()?;
        Ok(self.shared.event.get().map(WakeFd::descriptor))
    }

    fn make_descriptor(&self) -> Result<(), Interrupted> {
        let _hooks = self.hooks();
        self.check()?;
        if self.shared.event.get().is_none()
            && let Ok(made) = WakeFd::new()
        {
            // The lock is held, so no other thread can have set it.
            let _ = self.shared.event.set(made);
        }
        Ok(())
    }

    /// Sleeps until `deadline` has passed, without a descriptor. A clock that is set meanwhile is
    /// noticed when the time that was left at the start has passed.
    pub(super) fn sleep(&self, deadline: &Deadline) -> Result<(), Interrupted> {
        let thread = std::thread::current();
        let _hook = self.on_raise(move || thread.unpark())?;
        // The hook runs after the flag is stored. Any other wake-up of this thread is spurious.
        while !self.is_raised() {
            match deadline.left() {
                None => std::thread::park(),
                Some(Duration::ZERO) => break,
                Some(left) => std::thread::park_timeout(left),
            }
        }
        self.check()
    }

    /// Runs `hook` when the signal is raised, on the raising thread, unless the returned guard is
    /// dropped first. It is for waits that no descriptor ends (opening a FIFO). The signal counts
    /// as raised when the hook runs. If the signal is raised at this moment, the hook runs on this
    /// thread.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] if the signal was raised before: `hook` will not run.
    pub(crate) fn on_raise(
        &self,
        hook: impl FnOnce() + Send + 'static,
    ) -> Result<Hook, Interrupted> {
        let registered = self.register(Box::new(hook));
        // Also if this call came too late: the raiser may have found the lock held by it.
        self.after_hooks();
        Ok(Hook {
            signal: self.clone(),
            id: registered?,
        })
    }

    fn register(&self, hook: Box<dyn FnOnce() + Send>) -> Result<u64, Interrupted> {
        let mut hooks = self.hooks();
        self.check()?;
        let id = hooks.next;
        hooks.next += 1;
        hooks.waiting.insert(id, hook);
        Ok(id)
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        lock(&self.shared.hooks)
    }
}

impl fmt::Debug for EndSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndSignal")
            .field("raised", &self.is_raised())
            .finish_non_exhaustive()
    }
}

/// A registration with [`EndSignal::on_raise`], ended by dropping it.
pub(crate) struct Hook {
    signal: EndSignal,
    id: u64,
}

impl Drop for Hook {
    fn drop(&mut self) {
        let removed = self.signal.hooks().waiting.remove(&self.id);
        // What the hook holds goes away without the lock.
        drop(removed);
        self.signal.after_hooks();
    }
}

#[cfg(test)]
impl EndSignal {
    /// A signal of a host that had no descriptor left.
    pub(super) fn without_descriptor() -> EndSignal {
        EndSignal {
            shared: Arc::default(),
            rounds: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    /// Hooks of others run also if the raiser finds their lock held by a call that comes too late
    /// for one of its own.
    #[test]
    fn who_comes_too_late_runs_the_hooks_of_others() {
        const ROUNDS: usize = 20_000;
        let late: [fn(&EndSignal); 2] = [
            |signal| drop(signal.on_raise(|| ())),
            |signal| assert!(signal.descriptor().is_ok() || signal.is_raised()),
        ];
        for comes in late {
            let signals: Vec<_> = (0..ROUNDS)
                .map(|_| EndSignal::without_descriptor())
                .collect();
            let (run, begin) = (AtomicUsize::new(0), Barrier::new(2));
            let run = Arc::new(run);
            thread::scope(|scope| {
                scope.spawn(|| {
                    for signal in &signals {
                        begin.wait();
                        comes(signal);
                        begin.wait();
                    }
                });
                for (round, signal) in signals.iter().enumerate() {
                    let counted = Arc::clone(&run);
                    let hook = signal.on_raise(move || {
                        counted.fetch_add(1, Ordering::SeqCst);
                    });
                    begin.wait();
                    for _ in 0..round % 40 {
                        std::hint::spin_loop();
                    }
                    signal.raise();
                    begin.wait();
                    drop(hook);
                }
            });
            assert_eq!(run.load(Ordering::SeqCst), ROUNDS);
        }
    }
}
