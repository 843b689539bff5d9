//! What the rest of the crate takes its primitives from: `std`, or `loom` under `--cfg loom`.

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    hint,
    sync::atomic,
    sync::{Mutex, MutexGuard},
    thread,
};
#[cfg(not(loom))]
pub(crate) use std::{
    hint,
    sync::atomic,
    sync::{Mutex, MutexGuard},
    thread,
};

use std::collections::VecDeque;
use std::task::Waker;

/// `std`'s cell with the accessors of `loom`'s.
#[cfg(not(loom))]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Locks, whether or not a holder panicked: every critical section of this crate leaves its data
/// whole at each point where it can unwind.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// Wakes everybody when it is dropped, the rest also if one of the wakers panics.
pub(crate) struct WakeAll(pub(crate) VecDeque<Waker>);

impl Drop for WakeAll {
    fn drop(&mut self) {
        struct Rest<'w>(&'w mut VecDeque<Waker>);
        impl Rest<'_> {
            fn wake(&mut self) {
                while let Some(waker) = self.0.pop_front() {
                    waker.wake();
                }
            }
        }
        impl Drop for Rest<'_> {
            fn drop(&mut self) {
                self.wake();
            }
        }
        Rest(&mut self.0).wake();
    }
}

/// A pair of barriers that order a store before a later load on both sides of a handshake, the
/// cost shifted to the rare side.
///
/// `light` on one side and `heavy` on the other act like a `SeqCst` fence on each; `light` against
/// `light` orders nothing. On Linux `light` is a compiler fence and `heavy` the `membarrier`
/// system call, which runs a full barrier on every running thread of the process; elsewhere,
/// under loom, under Miri, and where the kernel refuses, both are `SeqCst` fences.
pub(crate) mod asymmetric {
    use super::atomic::{Ordering, fence};

    #[cfg(all(target_os = "linux", not(loom), not(miri)))]
    mod system {
        use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};
        use std::sync::OnceLock;
        use std::sync::atomic::{AtomicBool, Ordering};

        static READY: OnceLock<bool> = OnceLock::new();
        /// What `READY` holds, for one plain load. A stale `false` costs a fence, no more.
        static LIGHT: AtomicBool = AtomicBool::new(false);

        /// Whether the process may use `membarrier`; registers it for that, once.
        pub(super) fn ready() -> bool {
            *READY.get_or_init(|| {
                let has = membarrier_query().contains(
                    MembarrierQuery::PRIVATE_EXPEDITED
                        | MembarrierQuery::REGISTER_PRIVATE_EXPEDITED,
                );
                let ready = has && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
                LIGHT.store(ready, Ordering::Relaxed);
                ready
            })
        }

        #[inline]
        pub(super) fn light_is_free() -> bool {
            LIGHT.load(Ordering::Relaxed)
        }

        pub(super) fn barrier() {
            // After a registration that succeeded the kernel has no reason to refuse; a seccomp
            // filter installed since then has. `Global` needs no registration.
            let done = membarrier(MembarrierCommand::PrivateExpedited)
                .or_else(|_| membarrier(MembarrierCommand::Global));
            assert!(
                done.is_ok(),
                "membarrier(2) was available and is now refused: {done:?}"
            );
        }
    }

    #[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
    mod system {
        pub(super) fn ready() -> bool {
            false
        }
        pub(super) fn light_is_free() -> bool {
            false
        }
        pub(super) fn barrier() {}
    }

    /// Decides, once, which kind of barrier this process uses. Runs when a table is made, so it
    /// happens before every `light` and `heavy` on that table.
    pub(crate) fn init() {
        system::ready();
    }

    /// Whether `light` costs nothing.
    #[inline]
    pub(crate) fn light_is_free() -> bool {
        system::light_is_free()
    }

    /// The frequent side.
    #[inline]
    pub(crate) fn light() {
        if system::light_is_free() {
            std::sync::atomic::compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// The rare side.
    #[cold]
    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
        if system::ready() {
            system::barrier();
            fence(Ordering::SeqCst);
        }
    }
}

/// The free list this thread used last, of whichever table: a guess at one that is free. It decides
/// where to start looking, never what happens.
pub(crate) mod list_hint {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const UNSET: usize = usize::MAX;

    // Nothing in it is dropped, so it is there to the end of the thread.
    #[cfg(not(loom))]
    thread_local! {
        static HINT: Cell<usize> = const { Cell::new(UNSET) };
    }
    // Its own, and a count of its own, for each run of a model: all runs are alike.
    #[cfg(loom)]
    loom::thread_local! {
        static HINT: Cell<usize> = Cell::new(UNSET);
    }
    #[cfg(not(loom))]
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    #[cfg(loom)]
    loom::lazy_static! {
        static ref THREADS: AtomicUsize = AtomicUsize::new(0);
    }

    #[inline]
    pub(crate) fn get() -> usize {
        HINT.with(|hint| match hint.get() {
            UNSET => first(hint),
            hint => hint,
        })
    }

    #[cold]
    fn first(hint: &Cell<usize>) -> usize {
        hint.set(THREADS.fetch_add(1, Ordering::Relaxed) & 0xffff);
        hint.get()
    }

    pub(crate) fn set(to: usize) {
        HINT.with(|hint| hint.set(to));
    }
}

/// Blocking a thread by way of a [`Waker`](std::task::Waker), so that there is one wait queue for
/// threads and tasks.
pub(crate) mod park {
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
}
