//! Waiting, by any number of threads and tasks at once, for a value that lets only one wait.
//!
//! The difficulty: `ready(&mut self)` borrows the value for as long as it is pending, and to drop
//! the pending future is to be forgotten by whatever would have woken it. So neither can every
//! waiter have such a future of its own, nor can the one future there is stay in the way of those
//! who want to read, write or close.
//!
//! What is done about it (DESIGN.md has the drawing):
//!
//! - While anybody waits there is one future, made and polled by one of the waiters, with a waker
//!   of this file's ([`Fan`]). The others sleep.
//! - When that waker is used, one waiter is woken: it has the *turn*. It polls the future. If that
//!   is pending (again), all go on sleeping. If it is ready, this waiter is done and the turn goes
//!   to the next, who makes a future of its own and polls it: still ready, and it is done as
//!   well; not ready any more, and it sleeps with the rest behind it. So each waiter sees a
//!   `ready` that returned for it alone, and an event that satisfies one wakes one more, no more.
//! - Access drops the future, which gives the value back ([`Lease`]). When it ends, a waiter gets
//!   the turn: it makes a new future and polls it before anybody sleeps on it, so that an event
//!   that nobody was registered for is seen.
//! - A waiter that is dropped passes on the turn if it had it.
//!
//! No lock is held while a future is made, polled or dropped, while a waker is used, or while
//! anybody sleeps. This file uses nothing of the table, and no `unsafe` code: the future owns the
//! value, by a [`Lease`] whose drop puts it back.

use crate::sync::{Mutex, lock, park};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::MutexGuard as StdMutexGuard;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

/// Something that can be waited for, with the signature of `wasmtime-wasi-io`'s trait of the same
/// name, so that to forward to that is one line.
///
/// Readiness is to be a condition of the value, not an event that only a registered future sees:
/// `ready` may be dropped while pending and called again, and must then complete if the condition
/// held meanwhile and nobody has used it up.
pub trait Pollable: Send + 'static {
    /// Completes when the value is ready for whatever it is waited for.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;
}

/// The value was closed ([`Waitable`] dropped or [taken apart](Waitable::into_inner)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value waited for was closed")]
pub struct Closed;

/// A [`Pollable`] value that any number of threads and tasks can wait for and use.
///
/// Dropping it drops the value and ends all waits with [`Closed`].
///
/// ```
/// use table_sync::{Error, Pollable, Table, Waitable};
///
/// struct Always;
/// impl Pollable for Always {
///     async fn ready(&mut self) {}
/// }
///
/// let table = Table::new();
/// let handle = table.push(Waitable::new(Always))?;
/// // The future holds neither the entry nor the table.
/// let wait = table.get(&handle)?.ready();
/// assert_eq!(wait.block(), Ok(()));
/// // Somebody waiting would not be in the way of this.
/// let value: Always = table.delete(handle)?.into_inner();
/// # Ok::<(), Error>(())
/// ```
pub struct Waitable<V: Pollable> {
    inner: Arc<Inner<V>>,
}

type PendingFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Inner<V> {
    core: Mutex<Core<V>>,
    /// Where a [`Lease`] puts the value. Locked for that alone, and never together with `core`.
    home: Mutex<Option<Box<V>>>,
}

/// Where the value is.
enum Stage<V> {
    /// Here; nobody waits for it, or the turn is somebody's.
    Idle(Box<V>),
    /// In a future that was pending when it was last polled.
    Armed(PendingFuture, Waker),
    /// With one thread, which accesses it, or makes, polls or drops a future.
    Out,
}

struct Core<V> {
    stage: Stage<V>,
    /// The waker of the current future was used since it was last polled.
    fired: bool,
    /// The number of the current future, to tell its waker from those of earlier ones.
    future: u64,
    closed: bool,
    /// Waits for readiness.
    waiters: Line,
    /// The waiter that was woken to poll, and has not done so yet.
    turn: Option<u64>,
    /// Waits for access. They come before waiters.
    accessors: Line,
    /// The accessor that was woken to try, and has not done so yet.
    called: Option<u64>,
}

/// Sleepers in order of arrival.
#[derive(Default)]
struct Line {
    next: u64,
    line: VecDeque<(u64, Waker)>,
}

impl Line {
    /// Puts a sleeper last, or gives one that is in line a new waker. Returns a waker to drop.
    fn enter(&mut self, ticket: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let at = ticket.and_then(|ticket| self.position(ticket));
        if let Some((_, old)) = at.and_then(|at| self.line.get_mut(at)) {
            return Some(std::mem::replace(old, waker));
        }
        *ticket = Some(self.next);
        self.line.push_back((self.next, waker));
        self.next += 1;
        None
    }

    fn position(&self, ticket: u64) -> Option<usize> {
        self.line.binary_search_by_key(&ticket, |it| it.0).ok()
    }

    fn leave(&mut self, ticket: u64) -> Option<Waker> {
        let at = self.position(ticket)?;
        self.line.remove(at).map(|(_, waker)| waker)
    }
}

impl<V> Core<V> {
    /// To be called after every change: wakes whoever can go on now, if that is anybody who has
    /// not been woken for it already. The caller wakes the returned waker unlocked.
    fn next(&mut self) -> Option<Waker> {
        let poll_is_due = match self.stage {
            Stage::Out => return None,
            Stage::Idle(_) => true,
            Stage::Armed(..) => self.fired,
        };
        if let Some((ticket, waker)) = self.accessors.line.front() {
            // It will be back, or leave: then this is called again.
            return self
                .called
                .replace(*ticket)
                .is_none()
                .then(|| waker.clone());
        }
        if !poll_is_due || self.turn.is_some() {
            return None;
        }
        let (ticket, waker) = self.waiters.line.front()?;
        self.turn = Some(*ticket);
        Some(waker.clone())
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The value while it is in a future. Gives it back, however that ends.
struct Lease<V> {
    value: Option<Box<V>>,
    inner: Arc<Inner<V>>,
}

impl<V> Drop for Lease<V> {
    fn drop(&mut self) {
        *lock(&self.inner.home) = self.value.take();
    }
}

/// The waker that the future is polled with.
struct Fan<V> {
    /// Weak: the value may keep the waker, and is inside.
    inner: Weak<Inner<V>>,
    future: u64,
}

impl<V: Send> Wake for Fan<V> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(inner) = self.inner.upgrade() else {
            return;
        };
        let mut core = lock(&inner.core);
        if core.future != self.future {
            return;
        }
        core.fired = true;
        let next = core.next();
        drop(core);
        wake(next);
    }
}

/// A claim on [`Stage::Out`]. Dropped, it puts the value that is home back in its place.
struct Out<'i, V>(&'i Inner<V>);

impl<V> Out<'_, V> {
    fn value(&self) -> Box<V> {
        lock(&self.0.home).take().expect("a lease has ended")
    }
}

impl<V> Drop for Out<'_, V> {
    fn drop(&mut self) {
        let value = lock(&self.0.home).take();
        let mut core = lock(&self.0.core);
        let mut closed = None;
        match value {
            Some(value) if !core.closed => core.stage = Stage::Idle(value),
            value => closed = value,
        }
        let next = core.next();
        drop(core);
        drop(closed);
        wake(next);
    }
}

impl<V: Pollable> Inner<V> {
    /// Puts the value into a future, not polled yet.
    fn arm(self: &Arc<Self>, value: Box<V>) -> PendingFuture {
        // Made out here: a future that is dropped before it was polled must give back, too.
        let mut lease = Lease {
            value: Some(value),
            inner: self.clone(),
        };
        Box::pin(async move {
            if let Some(value) = &mut lease.value {
                value.ready().await;
            }
        })
    }

    /// Takes the value for access, if it can be had.
    fn take(&self) -> Option<Box<V>> {
        let mut core = lock(&self.core);
        match std::mem::replace(&mut core.stage, Stage::Out) {
            Stage::Out => None,
            Stage::Idle(value) => Some(value),
            Stage::Armed(future, waker) => {
                core.fired = false;
                drop(core);
                // Puts the value in its place should the drop panic.
                let out = Out(self);
                drop((future, waker));
                let value = out.value();
                std::mem::forget(out);
                Some(value)
            }
        }
    }

    /// Ends access.
    fn give_back(&self, value: Box<V>) {
        *lock(&self.home) = Some(value);
        drop(Out(self));
    }

    /// Drops the future if nobody is left that waits for it.
    fn disarm_if_alone(&self) {
        let mut core = lock(&self.core);
        if !core.waiters.line.is_empty() || !matches!(core.stage, Stage::Armed(..)) {
            return;
        }
        let armed = std::mem::replace(&mut core.stage, Stage::Out);
        core.fired = false;
        drop(core);
        let out = Out(self);
        drop(armed);
        drop(out);
    }
}

impl<V: Pollable> Waitable<V> {
    /// Makes a value waitable.
    pub fn new(value: V) -> Self {
        Self {
            inner: Arc::new(Inner {
                core: Mutex::new(Core {
                    stage: Stage::Idle(Box::new(value)),
                    fired: false,
                    future: 0,
                    closed: false,
                    waiters: Line::default(),
                    turn: None,
                    accessors: Line::default(),
                    called: None,
                }),
                home: Mutex::new(None),
            }),
        }
    }

    /// A wait for the value to be ready. It starts when it is first polled, holds nothing of the
    /// value while it sleeps, and may outlive this: then it ends with [`Closed`].
    pub fn ready(&self) -> Ready<V> {
        Ready {
            inner: self.inner.clone(),
            ticket: None,
        }
    }

    /// Access to the value. Waits for others' access and for a poll that is going on, not for
    /// those that wait for readiness: their future is dropped, and made anew after the access.
    ///
    /// Blocks the thread. Not for a thread that has access: it waits for itself.
    pub fn lock(&self) -> Access<'_, V> {
        let mut request = Request::new(self);
        park::block_on(None, |context| request.poll(context.waker()))
            .expect("without a deadline there is a result")
    }

    /// As [`lock`](Self::lock), without waiting. `None` while another thread has access or is
    /// polling.
    pub fn try_lock(&self) -> Option<Access<'_, V>> {
        self.inner.take().map(|value| Access::new(self, value))
    }

    /// As [`lock`](Self::lock), without blocking the thread.
    pub fn lock_async(&self) -> impl Future<Output = Access<'_, V>> + Send + Unpin + use<'_, V> {
        let mut request = Request::new(self);
        poll_fn(move |context| request.poll(context.waker()))
    }

    /// Takes the value out and ends all waits with [`Closed`]. Blocks while a poll is going on.
    pub fn into_inner(self) -> V {
        let mut access = self.lock();
        let value = access.value.take().expect("access has the value");
        drop(access);
        // Dropping `self` closes it.
        *value
    }
}

impl<V: Pollable> Drop for Waitable<V> {
    fn drop(&mut self) {
        let mut core = lock(&self.inner.core);
        core.closed = true;
        let stage = std::mem::replace(&mut core.stage, Stage::Out);
        let waiters = std::mem::take(&mut core.waiters.line);
        core.turn = None;
        drop(core);
        // The future gives the value home; a thread that is polling finds it closed and drops
        // what it has.
        drop(stage);
        drop(Out(&self.inner));
        waiters.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl<V: Pollable> fmt::Debug for Waitable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiters = lock(&self.inner.core).waiters.line.len();
        f.debug_struct("Waitable")
            .field("waiters", &waiters)
            .finish_non_exhaustive()
    }
}

/// A wait, from [`Waitable::ready`]. Owns what it needs, so it can go anywhere; dropped, it leaves
/// the line, and if it was its turn the next one gets it.
#[must_use = "a wait does nothing unless polled or blocked on"]
pub struct Ready<V: Pollable> {
    inner: Arc<Inner<V>>,
    ticket: Option<u64>,
}

impl<V: Pollable> Ready<V> {
    /// Blocks the thread until the value is ready.
    ///
    /// # Errors
    ///
    /// [`Closed`].
    pub fn block(mut self) -> Result<(), Closed> {
        park::block_on(None, |context| Pin::new(&mut self).poll(context))
            .expect("without a deadline there is a result")
    }

    /// Blocks the thread until the value is ready, or until `deadline`: then `None`. The value is
    /// asked at least once, whatever the deadline.
    pub fn block_until(mut self, deadline: Instant) -> Option<Result<(), Closed>> {
        park::block_on(Some(deadline), |context| Pin::new(&mut self).poll(context))
    }

    /// Takes this waiter out of the line; returns its waker to drop and one to wake.
    fn leave(&mut self, core: &mut Core<V>) -> (Option<Waker>, Option<Waker>) {
        let Some(ticket) = self.ticket.take() else {
            return (None, None);
        };
        if core.turn == Some(ticket) {
            core.turn = None;
        }
        (core.waiters.leave(ticket), core.next())
    }
}

impl<V: Pollable> Future for Ready<V> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let inner = this.inner.clone();
        let waker = context.waker().clone();
        let mut core = lock(&inner.core);
        if core.closed {
            this.ticket = None;
            return Poll::Ready(Err(Closed));
        }
        let old = core.waiters.enter(&mut this.ticket, waker);
        if core.turn == this.ticket {
            core.turn = None;
        }
        let asleep = match &core.stage {
            // Whoever has it calls `next` afterwards.
            Stage::Out => true,
            Stage::Armed(..) => !core.fired,
            Stage::Idle(_) => false,
        };
        if asleep {
            drop(core);
            drop(old);
            return Poll::Pending;
        }
        // From here to the next lock the value is this thread's, and events set `fired`.
        core.fired = false;
        let stage = std::mem::replace(&mut core.stage, Stage::Out);
        if let Stage::Idle(_) = stage {
            core.future += 1;
        }
        let number = core.future;
        drop(core);
        drop(old);
        let out = Out(&inner);
        let (mut future, fan) = match stage {
            Stage::Armed(future, fan) => (future, fan),
            Stage::Idle(value) => {
                let fan = Fan {
                    inner: Arc::downgrade(&inner),
                    future: number,
                };
                (inner.arm(value), Waker::from(Arc::new(fan)))
            }
            Stage::Out => unreachable!("looked at above"),
        };
        // Should this panic, `future` gives the value home and `out` puts it in its place.
        let poll = future.as_mut().poll(&mut Context::from_waker(&fan));
        if poll.is_ready() {
            drop(future);
            let (old, next) = this.leave(&mut lock(&inner.core));
            drop(old);
            // The turn goes on from here: the value is back and somebody may be next.
            drop(out);
            wake(next);
            return Poll::Ready(Ok(()));
        }
        let mut core = lock(&inner.core);
        if core.closed {
            drop(core);
            this.ticket = None;
            drop(future);
            return Poll::Ready(Err(Closed));
        }
        std::mem::forget(out);
        core.stage = Stage::Armed(future, fan);
        // An accessor may have come, or an event.
        let next = core.next();
        drop(core);
        wake(next);
        Poll::Pending
    }
}

impl<V: Pollable> Drop for Ready<V> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let inner = self.inner.clone();
        let (old, next) = self.leave(&mut lock(&inner.core));
        drop(old);
        wake(next);
        inner.disarm_if_alone();
    }
}

impl<V: Pollable> fmt::Debug for Ready<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

/// A request for access, pending or not yet made.
struct Request<'w, V: Pollable> {
    waitable: &'w Waitable<V>,
    ticket: Option<u64>,
}

impl<'w, V: Pollable> Request<'w, V> {
    fn new(waitable: &'w Waitable<V>) -> Self {
        Self {
            waitable,
            ticket: None,
        }
    }

    fn poll(&mut self, waker: &Waker) -> Poll<Access<'w, V>> {
        let inner = &self.waitable.inner;
        loop {
            if let Some(value) = inner.take() {
                drop(self.leave(&mut lock(&inner.core)));
                return Poll::Ready(Access::new(self.waitable, value));
            }
            let waker = waker.clone();
            let mut core = lock(&inner.core);
            let old = core.accessors.enter(&mut self.ticket, waker);
            if core.called == self.ticket {
                core.called = None;
            }
            // Unless it has come back since, whoever has the value calls `next` afterwards.
            let out = matches!(core.stage, Stage::Out);
            drop(core);
            drop(old);
            if out {
                return Poll::Pending;
            }
        }
    }

    /// Takes this accessor out of the line; returns its waker to drop.
    fn leave(&mut self, core: &mut Core<V>) -> Option<Waker> {
        let ticket = self.ticket.take()?;
        if core.called == Some(ticket) {
            core.called = None;
        }
        core.accessors.leave(ticket)
    }
}

impl<V: Pollable> Drop for Request<'_, V> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let mut core = lock(&self.waitable.inner.core);
        let old = self.leave(&mut core);
        let next = core.next();
        drop(core);
        drop(old);
        wake(next);
    }
}

/// Access to a [`Waitable`]'s value. It stays on its thread; when it is dropped, whoever waits for
/// access or else for readiness goes on.
#[must_use = "the access ends when the guard is dropped"]
pub struct Access<'w, V: Pollable> {
    waitable: &'w Waitable<V>,
    value: Option<Box<V>>,
    _not_send: PhantomData<StdMutexGuard<'static, ()>>,
}

impl<'w, V: Pollable> Access<'w, V> {
    fn new(waitable: &'w Waitable<V>, value: Box<V>) -> Self {
        Self {
            waitable,
            value: Some(value),
            _not_send: PhantomData,
        }
    }
}

impl<V: Pollable> Deref for Access<'_, V> {
    type Target = V;

    fn deref(&self) -> &V {
        self.value.as_deref().expect("access has the value")
    }
}

impl<V: Pollable> DerefMut for Access<'_, V> {
    fn deref_mut(&mut self) -> &mut V {
        self.value.as_deref_mut().expect("access has the value")
    }
}

impl<V: Pollable> Drop for Access<'_, V> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.waitable.inner.give_back(value);
        }
    }
}

impl<V: Pollable + fmt::Debug> fmt::Debug for Access<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
