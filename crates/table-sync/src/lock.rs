//! The lock of an entry: the transitions of the slot's word, and the permits they grant.
//!
//! DESIGN.md has the drawing, the argument for each ordering, and the loom models that go with it.
//!
//! # Lock order
//!
//! From first to last; a thread that holds one takes only later ones, and two of a kind only as
//! stated:
//!
//! 1. entry locks (guards): no order among them is kept here, it is the user's;
//! 2. kinship stripes: ascending ([`crate::children`]);
//! 3. a slot's queue lock: one at a time;
//! 4. the pool of reader records: one;
//! 5. free lists: one, a second only by `try_lock`; all of them ascending.
//!
//! User code (drops, wakers, closures) runs under 1 alone.

use crate::heat::Heat;
use crate::queue::Queue;
use crate::readers::{self, Published};
use crate::slot::Slot;
use crate::state::{
    BIASED, DETACHED, DRAIN, EXCLUSIVE, KIN, PRESENT, QUEUED, READER, State, WRITER_QUEUED,
};
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{MutexGuard, lock};
use crate::table::Core;
use std::any::Any;
use std::marker::PhantomData;
use std::sync::MutexGuard as StdMutexGuard;
use std::task::Waker;

/// Makes a permit stay on its thread, as its place among the visible readers does, without
/// giving up `Sync`.
type NotSend = PhantomData<StdMutexGuard<'static, ()>>;

/// A slot's queue lock, held.
pub(crate) type QueueGuard<'q> = MutexGuard<'q, Option<Box<Queue>>>;

/// An entry as found: where, and which generation.
#[derive(Clone, Copy)]
pub(crate) struct Place<'t> {
    pub(crate) core: &'t Core,
    pub(crate) slot: &'t Slot,
    pub(crate) generation: u32,
}

/// Why a permit was not granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The entry has gone.
    NotPresent,
    /// Somebody holds it; a queued waiter will be woken.
    Busy,
    /// No further reader can be counted.
    Saturated,
}

/// A slot off the free list.
pub(crate) struct Vacant<'t> {
    core: &'t Core,
    slot: &'t Slot,
}

/// Shared access to the value.
pub(crate) struct Shared<'t> {
    core: &'t Core,
    slot: &'t Slot,
    /// How this reader is seen: published, or counted in the word.
    published: Option<Published>,
    _not_send: NotSend,
}

/// Exclusive access to the value.
pub(crate) struct Exclusive<'t> {
    core: &'t Core,
    slot: &'t Slot,
    _not_send: NotSend,
}

impl<'t> Vacant<'t> {
    pub(crate) fn new(core: &'t Core, slot: &'t Slot) -> Self {
        Self { core, slot }
    }

    pub(crate) fn slot(&self) -> &'t Slot {
        self.slot
    }

    /// Makes the filled slot an entry with these flags besides `PRESENT`; returns its generation.
    #[inline]
    pub(crate) fn publish(self, flags: u64) -> u32 {
        let generation = self.generation();
        self.slot.heat.store(0, Relaxed);
        // Release: who sees this generation present sees the value. A plain store will do, as
        // nobody else changes the word of a slot that is not present and not detached.
        self.slot
            .state
            .store(State::new(generation, PRESENT | flags).0, Release);
        std::mem::forget(self);
        generation
    }

    /// The generation the entry will have.
    pub(crate) fn generation(&self) -> u32 {
        // Relaxed: the free list's lock ordered this after the store in `reclaim`. A slot that
        // was never used has generation 0, which is nobody's.
        State(self.slot.state.load(Relaxed)).generation().max(1)
    }
}

impl Drop for Vacant<'_> {
    fn drop(&mut self) {
        let value = crate::cell::unput(self);
        self.core.shards.give_back(self.slot);
        drop(value);
    }
}

impl<'t> Shared<'t> {
    #[inline]
    pub(crate) fn slot(&self) -> &'t Slot {
        self.slot
    }
}

impl Drop for Shared<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.published.take() {
            Some(published) => retract(self.core, self.slot, published),
            None => {
                // Release: what was read happens before whoever acquires the word next.
                let before = State(self.slot.state.fetch_sub(READER, Release));
                let after = State(before.0 - READER);
                if before.has(QUEUED | DETACHED) && !after.has_counted_readers() {
                    settle_and_wake(self.core, self.slot);
                }
            }
        }
    }
}

/// Ends a published reader, or one that saw it had come too late.
#[inline]
fn retract(core: &Core, slot: &Slot, published: Published) {
    published.retract();
    // Ordered after the retraction by its barrier: either this sees `DRAIN` or the scan that
    // follows the setting of `DRAIN` misses the reader. The word may be of a later entry by now;
    // to help that one along does no harm.
    if State(slot.state.load(Relaxed)).has(DRAIN) {
        settle_and_wake(core, slot);
    }
}

impl<'t> Exclusive<'t> {
    fn new(core: &'t Core, slot: &'t Slot) -> Self {
        Self {
            core,
            slot,
            _not_send: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'t Slot {
        self.slot
    }

    /// Makes the entry not present, keeping the permit; `Err` if it was detached meanwhile, or
    /// if it may have kin, which the caller did not ask to ignore.
    #[inline]
    pub(crate) fn remove(&self, kin_checked: bool) -> Result<(), RemoveRefusal> {
        let mut state = State(self.slot.state.load(Relaxed));
        loop {
            if !state.has(PRESENT) {
                return Err(RemoveRefusal::NotPresent);
            }
            if state.has(KIN) && !kin_checked {
                return Err(RemoveRefusal::Kin);
            }
            // Relaxed: this thread has the entry, and publishes nothing by this but the absence.
            match self.slot.state.compare_exchange_weak(
                state.0,
                state.without(PRESENT).0,
                Relaxed,
                Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => state = State(now),
            }
        }
    }

    /// Frees the slot of a removed entry and returns the value. Waiters are woken.
    #[inline]
    pub(crate) fn reclaim(mut self) -> Box<dyn Any + Send> {
        let (core, slot) = (self.core, self.slot);
        let state = State(slot.state.load(Relaxed));
        let waiting = if state.has(QUEUED) {
            // The entry is not present, so nobody joins any more.
            lock(&slot.queue)
                .as_deref_mut()
                .map(Queue::drain)
                .unwrap_or_default()
        } else {
            Vec::new()
        };
        let value = crate::cell::take(&mut self);
        std::mem::forget(self);
        // From here on the slot is no longer this entry's. Release, for readers that come too
        // late and for `Vacant`; a plain store, as above.
        if state.generation() >= core.max_generation {
            // Not present, not on a list, ever again.
            slot.state
                .store(State::new(state.generation(), 0).0, Release);
            core.shards.retire();
        } else {
            slot.state
                .store(State::new(state.generation() + 1, 0).0, Release);
            core.shards.give_back(slot);
        }
        waiting.into_iter().for_each(Waker::wake);
        value.expect("an entry has a value until it is reclaimed")
    }
}

/// See [`Exclusive::remove`].
pub(crate) enum RemoveRefusal {
    NotPresent,
    Kin,
}

impl Drop for Exclusive<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: what was written happens before whoever acquires the word next.
        // To subtract is one instruction on x86, where to clear a bit and see the rest is a loop.
        let before = State(self.slot.state.fetch_sub(EXCLUSIVE, Release));
        if before.has(QUEUED | DETACHED) {
            settle_and_wake(self.core, self.slot);
        }
    }
}

/// What is to be done after a slot's queue lock was released.
#[must_use]
struct Aftermath<'t> {
    core: &'t Core,
    slot: &'t Slot,
    wake: Option<Waker>,
    reclaim: bool,
}

impl Aftermath<'_> {
    fn run(self) {
        if let Some(waker) = self.wake {
            waker.wake();
        }
        if self.reclaim {
            self.core.detached.fetch_sub(1, Relaxed);
            drop(Exclusive::new(self.core, self.slot).reclaim());
        }
    }
}

/// Looks at the entry after somebody left it: the last to leave a detached entry reclaims it,
/// otherwise the first waiter is woken to try again.
#[cold]
fn settle_and_wake(core: &Core, slot: &Slot) {
    let queue = lock(&slot.queue);
    let aftermath = settle(core, slot, &queue);
    drop(queue);
    aftermath.run();
}

/// Under the queue lock: takes `DRAIN` away if no published reader is left.
fn end_drain(slot: &Slot, _queue: &QueueGuard<'_>) {
    // `DRAIN` ends only here, under the queue lock, and keeps `BIASED` away: the result of the
    // scan cannot be overtaken.
    if State(slot.state.load(Acquire)).has(DRAIN) && !readers::any(slot.id) {
        // Release: the scan acquired what the readers did, the next owner acquires it from here.
        slot.state.fetch_and(!DRAIN, AcqRel);
    }
}

/// Under the queue lock: ends `DRAIN` if it can, then decides what follows.
fn settle<'t>(core: &'t Core, slot: &'t Slot, queue: &QueueGuard<'_>) -> Aftermath<'t> {
    end_drain(slot, queue);
    let mut state = State(slot.state.load(Acquire));
    let mut reclaim = false;
    while state.has(DETACHED) && state.is_idle() {
        // Acquire: everything all holders did happens before the drop of the value.
        match slot.state.compare_exchange_weak(
            state.0,
            state.without(DETACHED).with(EXCLUSIVE).0,
            AcqRel,
            Acquire,
        ) {
            Ok(_) => {
                reclaim = true;
                break;
            }
            Err(now) => state = State(now),
        }
    }
    let wake = queue
        .as_deref()
        .and_then(Queue::first)
        .map(|(_, waker)| waker.clone());
    Aftermath {
        core,
        slot,
        wake,
        reclaim,
    }
}

impl<'t> Place<'t> {
    /// Whether the entry is still there.
    #[inline]
    pub(crate) fn is_present(&self) -> bool {
        State(self.slot.state.load(Acquire)).is_present(self.generation)
    }

    /// One attempt at shared access. `polite`: not past a queued writer. `may_publish`: the
    /// caller does not hold the queue lock, which a reader that published too late needs.
    #[inline]
    pub(crate) fn try_shared(
        &self,
        polite: bool,
        may_publish: bool,
    ) -> Result<Shared<'t>, Refusal> {
        let slot = self.slot;
        let mut contended = false;
        // Acquire, here and below: pairs with `Vacant::publish` and with the release of the last
        // writer, through whatever read-modify-writes lie between.
        let mut state = State(slot.state.load(Acquire));
        loop {
            if !state.is_present(self.generation) {
                return Err(Refusal::NotPresent);
            }
            if state.has(BIASED)
                && may_publish
                && let Some(published) = readers::publish(slot.id)
            {
                state = State(slot.state.load(Acquire));
                if state.is_present(self.generation) && state.has(BIASED) {
                    return Ok(self.shared(Some(published)));
                }
                retract(self.core, slot, published);
                continue;
            }
            if state.has(EXCLUSIVE) || polite && state.has(WRITER_QUEUED) {
                return Err(Refusal::Busy);
            }
            if state.is_full_of_readers() {
                return Err(Refusal::Saturated);
            }
            match slot
                .state
                .compare_exchange_weak(state.0, state.0 + READER, Acquire, Acquire)
            {
                Ok(_) => {
                    self.warm(State(state.0 + READER), contended);
                    return Ok(self.shared(None));
                }
                Err(now) => {
                    state = State(now);
                    contended = true;
                }
            }
        }
    }

    #[inline]
    fn shared(&self, published: Option<Published>) -> Shared<'t> {
        Shared {
            core: self.core,
            slot: self.slot,
            published,
            _not_send: PhantomData,
        }
    }

    /// Counts a reader towards the bias, and sets it when there were enough: when what counting
    /// cost them comes to what taking the bias back will cost.
    #[inline]
    fn warm(&self, state: State, contended: bool) {
        let heat = Heat(self.slot.heat.load(Relaxed));
        let heat = heat.warmer(contended);
        self.slot.heat.store(heat.0, Relaxed);
        if heat.is_hot() {
            self.set_bias(state);
        }
    }

    #[cold]
    fn set_bias(&self, state: State) {
        let id_is_unique = self.slot.id >> 32 != 0;
        if id_is_unique && !state.has(BIASED | DRAIN | WRITER_QUEUED) {
            // Relaxed: grants nothing by itself; a release sequence goes through it. If it fails
            // the next reader tries again.
            let _ =
                self.slot
                    .state
                    .compare_exchange(state.0, state.with(BIASED).0, Relaxed, Relaxed);
        }
    }

    /// Exclusive access if the entry is idle, in one step without a look before it. The entry may
    /// be of any type.
    #[inline]
    pub(crate) fn try_exclusive_idle(&self) -> Option<Exclusive<'t>> {
        let idle = State::new(self.generation, PRESENT);
        // Acquire: after everything the holders before did.
        self.slot
            .state
            .compare_exchange(idle.0, idle.with(EXCLUSIVE).0, Acquire, Relaxed)
            .ok()?;
        if Heat(self.slot.heat.load(Relaxed)).is_warm() {
            self.cool(false);
        }
        Some(Exclusive::new(self.core, self.slot))
    }

    /// One attempt at exclusive access. Takes the bias back if need be, which costs a barrier on
    /// every processor but waits for nobody. `queue`: the slot's queue lock, if held.
    #[inline]
    pub(crate) fn try_exclusive(
        &self,
        queue: Option<&QueueGuard<'_>>,
    ) -> Result<Exclusive<'t>, Refusal> {
        let slot = self.slot;
        let mut state = State(slot.state.load(Relaxed));
        let mut scanned = false;
        loop {
            if !state.is_present(self.generation) {
                return Err(Refusal::NotPresent);
            }
            if state.has(BIASED) {
                state = self.revoke(state);
            } else if state.has(DRAIN) {
                if scanned {
                    return Err(Refusal::Busy);
                }
                scanned = true;
                match queue {
                    Some(queue) => end_drain(slot, queue),
                    None => end_drain(slot, &lock(&slot.queue)),
                }
                state = State(slot.state.load(Relaxed));
            } else if state.has(EXCLUSIVE) || state.has_counted_readers() {
                return Err(Refusal::Busy);
            } else {
                // Acquire: after everything the holders before did.
                match slot.state.compare_exchange_weak(
                    state.0,
                    state.with(EXCLUSIVE).0,
                    Acquire,
                    Relaxed,
                ) {
                    Ok(_) => {
                        if Heat(slot.heat.load(Relaxed)).is_warm() {
                            self.cool(false);
                        }
                        return Ok(Exclusive::new(self.core, slot));
                    }
                    Err(now) => state = State(now),
                }
            }
        }
    }

    /// `BIASED` becomes `DRAIN`. Returns the word as it is now.
    #[cold]
    fn revoke(&self, state: State) -> State {
        let drained = state.without(BIASED).with(DRAIN);
        // Relaxed: the barrier in the scan orders it against the readers.
        match self
            .slot
            .state
            .compare_exchange(state.0, drained.0, Relaxed, Relaxed)
        {
            Ok(_) => {
                self.cool(true);
                drained
            }
            Err(now) => State(now),
        }
    }

    fn cool(&self, revoked: bool) {
        let heat = Heat(self.slot.heat.load(Relaxed));
        self.slot.heat.store(heat.cooled(revoked).0, Relaxed);
    }

    /// Takes an idle entry without kin out of the table; `None` if it is anything else.
    #[inline]
    pub(crate) fn remove_idle(&self) -> Option<Exclusive<'t>> {
        let idle = State::new(self.generation, PRESENT);
        // Acquire: after everything the holders before did.
        self.slot
            .state
            .compare_exchange(
                idle.0,
                idle.without(PRESENT).with(EXCLUSIVE).0,
                Acquire,
                Relaxed,
            )
            .ok()
            .map(|_| Exclusive::new(self.core, self.slot))
    }

    /// Removes the entry, held or not. To be [finished](Detached::finish) with no lock held.
    pub(crate) fn detach(&self, kin_checked: bool) -> Result<Detached<'t>, RemoveRefusal> {
        let slot = self.slot;
        let mut state = State(slot.state.load(Relaxed));
        loop {
            if !state.is_present(self.generation) {
                return Err(RemoveRefusal::NotPresent);
            }
            if state.has(KIN) && !kin_checked {
                return Err(RemoveRefusal::Kin);
            }
            let mut after = state.without(PRESENT);
            if after.has(BIASED) {
                after = after.without(BIASED).with(DRAIN);
            }
            let idle = after.is_idle();
            after = after.with(if idle { EXCLUSIVE } else { DETACHED });
            if !idle {
                // Before the entry can be reclaimed, which counts it out again.
                self.core.detached.fetch_add(1, Relaxed);
            }
            // Acquire, for the case that the value is this thread's from here on.
            match slot
                .state
                .compare_exchange_weak(state.0, after.0, Acquire, Relaxed)
            {
                Ok(_) if idle => return Ok(Detached::Mine(Exclusive::new(self.core, slot))),
                Ok(_) => return Ok(Detached::Held(*self, after)),
                Err(now) => {
                    state = State(now);
                    if !idle {
                        self.core.detached.fetch_sub(1, Relaxed);
                    }
                }
            }
        }
    }
}

/// An entry just detached.
#[must_use]
pub(crate) enum Detached<'t> {
    /// Nobody held it.
    Mine(Exclusive<'t>),
    /// It may be held, and its word was this.
    Held(Place<'t>, State),
}

impl Detached<'_> {
    /// Tells whoever waits for the entry, and drops the value if nobody holds it.
    pub(crate) fn finish(self) {
        let (place, state) = match self {
            Self::Mine(permit) => return drop(permit.reclaim()),
            Self::Held(place, state) => (place, state),
        };
        if state.has(QUEUED) {
            let mut queue = lock(&place.slot.queue);
            // By now the slot may have been reclaimed, even reused. Then these are the waiters
            // of a later entry; woken and without a place in the queue they join again.
            place.clear_queue_flags();
            let waiting = queue.as_deref_mut().map(Queue::drain).unwrap_or_default();
            drop(queue);
            waiting.into_iter().for_each(Waker::wake);
        }
        if state.has(DRAIN) {
            settle_and_wake(place.core, place.slot);
        }
    }
}
