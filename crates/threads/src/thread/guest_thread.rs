//! One guest thread, from its reservation to its end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use wasmtime::{AsContextMut, Error};

use crate::host::panics::caught;
use crate::life::held_place::HeldPlace;
use crate::schedule::TurnTaker;
use crate::sys::thread_name;
use crate::thread::current;
use crate::thread::entry_point::{EntryPoint, Stopped};
use crate::thread::linked::Instances;
use crate::thread::program::Program;
use crate::thread::thread_store::ThreadStore;
use crate::types::fuel;
use crate::types::outcome::Outcome;
use crate::types::thread_id::ThreadId;

/// A guest thread that holds its place in the group and has its store.
///
/// The thread that starts it makes it, and a host thread of the group runs it.
pub(crate) struct Guest<T: 'static> {
    pub(super) program: Arc<Program<T>>,
    /// The thread's share of the group's fuel.
    pub(super) fuel: Option<fuel::Member>,
    pub(super) store: ThreadStore<T>,
    pub(super) instances: Option<Instances>,
    pub(super) entry: EntryPoint,
    /// Its part in the group's schedule.
    pub(super) member: Option<TurnTaker>,
    /// Dropped last: the thread keeps its id until the store's data are gone.
    pub(super) place: HeldPlace,
}

impl<T: Send + 'static> Guest<T> {
    /// A thread with a store of its own.
    pub(crate) fn new(
        program: Arc<Program<T>>,
        place: HeldPlace,
        entry: EntryPoint,
    ) -> Result<Self, Error> {
        let store = program.stores.make(place.id())?;
        Ok(Self::with_store(program, place, store, entry))
    }

    /// A thread with a store made before.
    pub(crate) fn with_store(
        program: Arc<Program<T>>,
        place: HeldPlace,
        store: ThreadStore<T>,
        entry: EntryPoint,
    ) -> Self {
        Self {
            fuel: program.stores.join_fuel(),
            program,
            place,
            store,
            instances: None,
            entry,
            member: None,
        }
    }

    /// A thread whose store and instance were made ahead.
    pub(crate) fn with_instances(
        program: Arc<Program<T>>,
        place: HeldPlace,
        store: ThreadStore<T>,
        instances: Instances,
        entry: EntryPoint,
    ) -> Self {
        let mut guest = Self::with_store(program, place, store, entry);
        guest.instances = Some(instances);
        guest
    }

    /// The thread's id.
    pub(crate) fn id(&self) -> ThreadId {
        self.place.id()
    }

    /// Whether no host thread works for it: see
    /// [`ThreadRecord::is_idle`](crate::watch::record::ThreadRecord::is_idle).
    pub(crate) fn set_idle(&self, idle: bool) {
        self.place.record().set_idle(idle);
    }

    /// Makes the instances. Prepared modules run no guest code here.
    pub(crate) fn instantiate(&mut self) -> Result<(), Error> {
        self.instances = Some(self.program.instantiate(&mut self.store)?);
        Ok(())
    }

    /// Gives the thread its part in the group's schedule.
    pub(crate) fn set_member(&mut self, member: TurnTaker) {
        self.member = Some(member);
    }

    /// Runs the thread to its end on the calling host thread. Never panics.
    ///
    /// Under a schedule it has the turn when it begins, and when the last of it is dropped.
    pub(crate) fn run(mut self) {
        match self.member.take() {
            None => self.run_now(),
            Some(member) => member.live(|| self.run_now()),
        }
    }

    fn run_now(mut self) {
        let program = Arc::clone(&self.program);
        if !program.life.start() {
            // The group has ended, so the thread runs nothing, and no observer is told of it.
            program.life.rest();
            caught(|| drop(self));
            return;
        }
        self.place.start();
        let id = self.place.id();
        thread_name::of_guest_thread(id.get());
        let Some(around) = &program.around else {
            return self.live();
        };
        let mut guest = Some(self);
        let result = catch_unwind(AssertUnwindSafe(|| {
            around(id, &mut || {
                if let Some(guest) = guest.take() {
                    guest.live();
                }
            });
        }));
        if let Err(payload) = result {
            program.life.end(Outcome::of_panic(id, payload));
        }
        if guest.is_some() {
            program.life.end(Outcome::Cancelled);
        }
        // A thread that did not run is dropped here, with code of the embedder that may panic.
        caught(|| drop(guest));
    }

    /// The thread's life in the group. Never panics.
    fn live(mut self) {
        let id = self.place.id();
        let life = Arc::clone(&self.program.life);
        let result = catch_unwind(AssertUnwindSafe(|| {
            if let Some(watch) = life.watch() {
                watch.observer().thread_began(id);
            }
            self.inside(Self::enter)
        }));
        // The cause of this thread's end comes before others are told: the first cause wins.
        let returned = matches!(result, Ok(Ok(())));
        let or_panicked = |result: Result<(), Box<dyn Any + Send>>| {
            if let Err(payload) = result {
                life.end(Outcome::of_panic(id, payload));
            }
        };
        or_panicked(result.and_then(|result| {
            // This asks the embedder what an error means, and may panic.
            catch_unwind(AssertUnwindSafe(|| self.conclude(result)))
        }));
        if let Some(watch) = life.watch() {
            or_panicked(catch_unwind(AssertUnwindSafe(|| {
                watch.observer().thread_ended(id);
            })));
        }
        if let Some(observer) = life.accesses() {
            or_panicked(catch_unwind(AssertUnwindSafe(|| observer.ended(id))));
        }
        if life.token().is_ended() {
            life.rest();
        }
        if returned && matches!(self.entry, EntryPoint::Thread { .. }) {
            // Before the store is dropped: the guest may have seen the thread joined already.
            self.place.leave();
            self.fuel = None;
        }
        // The embedder's data is dropped here, with code that may panic as well.
        or_panicked(catch_unwind(AssertUnwindSafe(|| drop(self))));
    }

    /// Tells the group of the thread's end, and ends the group if that follows from it.
    fn conclude(&mut self, result: Result<(), Stopped>) {
        let life = &self.program.life;
        match (result, &self.entry) {
            (Ok(()), EntryPoint::Main { .. } | EntryPoint::Invoke(_) | EntryPoint::Start) => {
                life.end(Outcome::Returned);
            }
            // A thread's return ends only the thread; and a reactor has no entry that returns.
            (Ok(()), EntryPoint::Thread { .. } | EntryPoint::Reactor)
            | (Err(Stopped::Ended), _) => {}
            (Err(Stopped::NotMade(error)), _) => life.fail(error),
            (Err(Stopped::Guest(error)), _) => self.failed(error),
        }
    }

    /// Runs `f` as this guest thread on the calling host thread.
    pub(super) fn inside<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let record = Arc::clone(self.place.record());
        let program = Arc::clone(&self.program);
        let caps = program.stores.caps();
        let native = program.life.native();
        let _seen = native.map(|native| native.enter(&record));
        current::enter(&record, program.life.watch(), || caps.apply(|| f(self)))
    }

    /// Guest code, or a host function it called, failed: ends the group. If this is what ended it,
    /// shows the store to the hook for traps.
    pub(super) fn failed(&mut self, error: Error) {
        let id = self.place.id();
        let program = Arc::clone(&self.program);
        let outcome = Outcome::of_error(id, error, program.exit_code);
        program.life.end_then(outcome.clone(), || {
            if let Some(hook) = &program.on_trap
                && let Outcome::Trapped { error, .. } = &outcome
            {
                caught(|| hook(id, error, self.store.as_context_mut()));
            }
        });
    }

    /// Host code panicked in a reactor's call: ends the group, and says how it ended.
    pub(crate) fn panicked(&self, payload: Box<dyn Any + Send>) -> Outcome {
        let life = &self.program.life;
        let outcome = Outcome::of_panic(self.place.id(), payload);
        life.end(outcome.clone());
        life.outcome().unwrap_or(outcome)
    }
}
