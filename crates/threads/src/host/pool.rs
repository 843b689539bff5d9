//! Host threads of a group: started on demand, parked between guest threads, joined at the end.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::panic::catch_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::host::capacity;
use crate::host::panics::caught;
use crate::host::stacks::Stacks;
use crate::host::start_error::StartError;
use crate::sys::native_thread::{Main, NativeThread};
use crate::sys::stacks::Stack;
use crate::sys::thread_name;

/// How many host threads stay parked, for how long, and how many instances are made ahead.
#[derive(Clone, Debug)]
pub struct Pool {
    pub(crate) idle: usize,
    pub(crate) idle_time: Duration,
    pub(crate) prewarmed: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            idle: 16,
            idle_time: Duration::from_secs(2),
            prewarmed: 8,
        }
    }
}

impl Pool {
    /// Up to 16 parked host threads, each for up to 2 seconds, and up to 8 instances made ahead.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most host threads that wait for the next guest thread. With 0 each guest thread gets a
    /// new one.
    pub fn idle(mut self, threads: usize) -> Self {
        self.idle = threads;
        self
    }

    /// The most instances made ahead of their threads. With 0 each is made when its thread is
    /// spawned.
    ///
    /// Host threads that have just run a guest thread make them, so a group whose guest starts no
    /// thread has none. Instances are made ahead only if no other thread can see their
    /// instantiation: for prepared modules without active data segments on a shared memory, as
    /// wasm-ld makes threaded programs. Each is used once. One is dropped whenever a parked host
    /// thread has idled for too long.
    pub fn prewarmed(mut self, instances: usize) -> Self {
        self.prewarmed = instances;
        self
    }

    /// How long a host thread waits for the next guest thread before it ends.
    pub fn idle_time(mut self, time: Duration) -> Self {
        self.idle_time = time;
        self
    }
}

thread_local! {
    /// The `Hosts` whose host thread the calling thread is, by address, and the thread's key there.
    static INSIDE: Cell<Option<(usize, u64)>> = const { Cell::new(None) };
}

/// How many ended threads are joined at once while others have not ended yet.
const JOINED_AT_ONCE: usize = 64;

/// The host threads of one group.
///
/// A thread's handle is in `live` from its start, under the lock, until the thread's last act,
/// which moves the handle to `dead`. Any thread may join it from there. So a handle is never lost,
/// and a handle in `dead` joins at once. The one lock is never held while guest or foreign code
/// runs.
pub(crate) struct Hosts {
    stack_size: usize,
    pool: Pool,
    state: Mutex<HostsState>,
    /// Parked threads wait here for a job or for the end.
    work: Condvar,
    /// A thread that joins waits here for `dead` to grow.
    left: Condvar,
    /// Runs when a parked thread ends because it was not needed.
    retired: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct HostsState {
    next: u64,
    live: HashMap<u64, NativeThread>,
    dead: Vec<NativeThread>,
    stacks: Stacks,
    /// Guest threads, each to be run on a host thread.
    queue: VecDeque<Main>,
    idle: usize,
    closing: bool,
    /// How many wait for `dead` to grow.
    joining: u32,
    /// Host threads of this group that wait for the others. They do not wait for one another.
    waiting: Vec<u64>,
}

impl Hosts {
    pub(crate) fn new(stack_size: usize, pool: Pool) -> Arc<Self> {
        Arc::new(Self {
            stack_size,
            pool,
            state: Mutex::new(HostsState {
                next: 0,
                live: HashMap::new(),
                dead: Vec::new(),
                stacks: Stacks::new(stack_size),
                queue: VecDeque::new(),
                idle: 0,
                closing: false,
                joining: 0,
                waiting: Vec::new(),
            }),
            work: Condvar::new(),
            left: Condvar::new(),
            retired: OnceLock::new(),
        })
    }

    /// Sets what runs when a parked thread has idled for too long. It runs without the lock. Set
    /// once.
    pub(crate) fn on_retire(&self, hook: impl Fn() + Send + Sync + 'static) {
        let _ = self.retired.set(Box::new(hook));
    }

    /// Runs `job` on a parked host thread, or on a new one.
    ///
    /// A job does not panic, since it catches the panics of its guest thread. If it did, the panic
    /// would be ignored.
    pub(crate) fn dispatch(self: &Arc<Self>, job: Main) -> Result<(), StartError> {
        let mut state = self.lock();
        let dead = std::mem::take(&mut state.dead);
        let result = if state.idle > state.queue.len() {
            state.queue.push_back(job);
            self.work.notify_one();
            Ok(())
        } else {
            self.start(&mut state, job)
        };
        drop(state);
        self.join_all(dead, false);
        // A refused job is dropped here, without the lock: it holds a store with the embedder's
        // data, and a place in the group.
        result.map_err(|(error, _refused)| error)
    }

    /// Starts a host thread that begins with `job`. If the host refuses, the error holds the job.
    /// The thread cannot look at the state before the caller gives the lock back, and by then its
    /// handle is in `live`.
    fn start(
        self: &Arc<Self>,
        state: &mut HostsState,
        job: Main,
    ) -> Result<(), (StartError, Main)> {
        let starting = match capacity::take(self.stack_size) {
            Ok(starting) => starting,
            Err(error) => return Err((error.into(), job)),
        };
        let key = state.next;
        let hosts = Arc::clone(self);
        let main = Box::new(move || {
            // Wasmtime sets itself up now, while capacity is kept for it. If that fails, the
            // guest's first call panics likewise, and that is the group's outcome.
            let _ = catch_unwind(Engine::tls_eager_initialize);
            drop(starting);
            hosts.life(key, job);
        });
        let thread = (state.stacks.start(main)).map_err(|(error, job)| (error.into(), job))?;
        state.next += 1;
        state.live.insert(key, thread);
        Ok(())
    }

    /// What a host thread does from its start to its end.
    fn life(&self, key: u64, first: Main) {
        // A job must not keep this thread's handle from `dead`: the group would wait for ever.
        let run = |job: Main| {
            caught(job);
        };
        INSIDE.set(Some((self.address(), key)));
        run(first);
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                run(job);
                state = self.lock();
                continue;
            }
            if state.closing || state.idle >= self.pool.idle {
                break;
            }
            state = self.park(state);
            if state.queue.is_empty() {
                // It idled for too long, or the pool is closing.
                if !state.closing
                    && let Some(retired) = self.retired.get()
                {
                    drop(state);
                    // This drops data of the embedder's, which may panic.
                    caught(retired);
                    state = self.lock();
                    // A job that came meanwhile does not count on this thread, which may end.
                }
                break;
            }
        }
        if let Some(handle) = state.live.remove(&key) {
            state.dead.push(handle);
        }
        // The joining thread is not woken for each of many. It may itself be the one that is left.
        let tell = state.joining > 0
            && (state.live.len() <= state.waiting.len().max(1)
                || state.dead.len() >= JOINED_AT_ONCE);
        drop(state);
        if tell {
            self.left.notify_all();
        }
    }

    /// Waits for work, for the end, or for the idle time to pass.
    fn park<'a>(&'a self, mut state: MutexGuard<'a, HostsState>) -> MutexGuard<'a, HostsState> {
        let deadline = Instant::now().checked_add(self.pool.idle_time);
        state.idle += 1;
        thread_name::of_host_thread();
        while state.queue.is_empty() && !state.closing {
            state = match deadline {
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let (state, _) = self
                        .work
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner);
                    state
                }
            };
        }
        state.idle -= 1;
        state
    }

    /// Lets every host thread end once it has no job left. Jobs still in the queue are run.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_all();
    }

    /// Notes that the calling thread waits for the others, until the result is dropped. Matters
    /// only on a host thread of the group.
    pub(crate) fn waits_for_others(&self) -> WaitsForOthers<'_> {
        let key = self.own_key();
        if let Some(key) = key {
            self.lock().waiting.push(key);
            self.left.notify_all();
        }
        WaitsForOthers { hosts: self, key }
    }

    /// The key of the calling thread, if it is one of these host threads.
    fn own_key(&self) -> Option<u64> {
        let (hosts, key) = INSIDE.get()?;
        (hosts == self.address()).then_some(key)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Joins the host threads that have ended; true when none is left. If the caller is one of
    /// them, it does not count, because it cannot wait for itself; nor do others that
    /// [wait](Self::waits_for_others) like it. If some are left it waits, up to `wait`, until the
    /// last or a number of them have ended.
    pub(crate) fn join_ended(&self, wait: Duration) -> bool {
        let me = self.own_key();
        let others = |state: &HostsState| match me {
            None => !state.live.is_empty(),
            Some(me) => state
                .live
                .keys()
                .any(|key| *key != me && !state.waiting.contains(key)),
        };
        let mut state = self.lock();
        if state.dead.is_empty() && others(&state) && !wait.is_zero() {
            state.joining += 1;
            state = self
                .left
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.joining -= 1;
        }
        let dead = std::mem::take(&mut state.dead);
        let none_left = !others(&state);
        let closing = state.closing;
        drop(state);
        self.join_all(dead, closing);
        none_left
    }

    /// Joins threads that have done their last act, and takes back their stacks. Blocks only while
    /// the system ends them.
    ///
    /// Unless these are the `last` threads, stacks that are kept for the next threads give back
    /// their memory. Otherwise whole slabs are given back, each when its last thread has been
    /// joined.
    fn join_all(&self, dead: Vec<NativeThread>, last: bool) {
        if dead.is_empty() {
            return;
        }
        let mut joined: Vec<_> = dead.into_iter().filter_map(NativeThread::join).collect();
        if !last {
            joined.iter_mut().for_each(Stack::clear);
        }
        let unused = self.lock().stacks.take_back(joined);
        drop(unused);
    }

    fn lock(&self) -> MutexGuard<'_, HostsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hosts {
    /// Threads that were left behind have ended by now, since they hold a reference to this. The
    /// last of them may be the calling thread.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in state.dead.drain(..) {
            thread.join();
        }
    }
}

/// A thread that waits for the others: see [`Hosts::waits_for_others`].
pub(crate) struct WaitsForOthers<'a> {
    hosts: &'a Hosts,
    key: Option<u64>,
}

impl Drop for WaitsForOthers<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let mut state = self.hosts.lock();
            if let Some(at) = state.waiting.iter().position(|other| *other == key) {
                state.waiting.swap_remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A refused job is dropped without the lock: it may hold data of the embedder's, whose drop
    /// may call the pool.
    #[test]
    fn a_refused_job_is_dropped_without_the_lock() {
        struct Looks(Arc<Hosts>, Arc<AtomicBool>);
        impl Drop for Looks {
            fn drop(&mut self) {
                // With the lock held by this very thread, this would fail.
                self.1
                    .store(self.0.state.try_lock().is_ok(), Ordering::SeqCst);
            }
        }
        // A stack that no system has.
        let hosts = Hosts::new(1 << 60, Pool::new());
        let free = Arc::new(AtomicBool::new(false));
        let looks = Looks(Arc::clone(&hosts), Arc::clone(&free));
        let refused = hosts.dispatch(Box::new(move || drop(looks)));
        assert!(refused.is_err());
        assert!(
            free.load(Ordering::SeqCst),
            "dropped under the lock, or not at all"
        );
        assert!(hosts.join_ended(Duration::ZERO));
    }
}
