//! A group whose exports the embedder calls, any number of times.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use wasmtime::{Error, ExternType, Instance, StoreContextMut, Val, WasmParams, WasmResults};

use crate::group::thread_group::ThreadGroup;
use crate::host::panics::caught;
use crate::life::handle::GroupHandle;
use crate::life::{Life, Native};
use crate::module::extern_type::describe;
use crate::sys::thread_name;
use crate::thread::current;
use crate::thread::entry_point::EntryPoint;
use crate::thread::guest_thread::Guest;
use crate::types::error::{CallError, RunError};
use crate::types::outcome::Outcome;
use crate::types::thread_id::ThreadId;

/// One main instance whose exports may be called from any number of host threads, one call at a
/// time, while threads the guest has started run on.
///
/// Calls of one reactor wait for one another: an instance has one shadow stack, so two calls in it
/// at once would overwrite each other's locals. A guest that wants to work in parallel starts
/// threads. Each call runs on a host thread of the group, whose stack the group chose; the caller
/// blocks. So a host function that runs inside a call must not wait for another call of the same
/// reactor. If it makes one itself, that fails with [`CallError::Nested`]; if it waits for one of
/// another thread, it waits until the timeout.
///
/// A trap, a panic, an exit in a call or in any thread ends the group, and every later call fails.
/// A call that returns does not end it. Dropping the reactor does, and blocks until its threads are
/// gone.
pub struct Reactor<T: Send + 'static> {
    /// `None` once the group has been finished.
    main: Arc<Mutex<Option<Guest<T>>>>,
    group: ThreadGroup<T>,
}

impl<T: Send + 'static> ThreadGroup<T> {
    /// Instantiates the module once, runs its start function and, where it is exported,
    /// `_initialize`.
    ///
    /// [`Limits::timeout`](crate::Limits::timeout) then bounds each call by itself, and this one. A
    /// reactor has no bound on its life. For one deadline over initialisation and a call, see
    /// [`invoke`](Self::invoke).
    ///
    /// # Errors
    ///
    /// [`CallError::Run`] when the group has run already, cannot be instantiated, or exports an
    /// `_initialize` that is not a function without parameters and results; otherwise as for
    /// [`Reactor::call`].
    pub fn into_reactor(self) -> Result<Reactor<T>, CallError> {
        if self.core.life.native().is_some_and(Native::freezes) {
            return Err(RunError::OnlyToExit.into());
        }
        if self.core.life.turns().is_some() {
            return Err(RunError::Scheduled.into());
        }
        self.check_initialize()?;
        let store = self.take_main().ok_or(RunError::AlreadyRan)?;
        let guest = Guest::with_store(
            Arc::clone(&self.core.program),
            self.core.life.enter_main(),
            store,
            EntryPoint::Reactor,
        );
        guest.set_idle(true);
        let reactor = Reactor {
            main: Arc::new(Mutex::new(Some(guest))),
            group: self,
        };
        reactor.on_host_thread(Guest::begin_reactor)?;
        Ok(reactor)
    }
}

/// Why the value of a global is neither read nor set.
const REFERENCE: &str = "it holds a reference, which belongs to one store";

fn global_error(name: &str, error: Error) -> CallError {
    let name = name.to_owned();
    CallError::Global { name, error }
}

/// A wrong export is the same error of each kind of call.
fn wrong_export(error: RunError) -> CallError {
    match error {
        RunError::NoExport(name) => CallError::NoExport(name),
        RunError::ExportType { name, found } => CallError::ExportType { name, found },
        other => CallError::Run(other),
    }
}

impl<T: Send + 'static> Reactor<T> {
    /// Calls the export `name`.
    ///
    /// # Errors
    ///
    /// [`CallError::NoExport`] and [`CallError::ExportType`] when there is no such export of this
    /// type; the group goes on. [`CallError::Ended`] when the group has ended, before or during the
    /// call; if the call is in a host function that ignores the [`EndToken`](crate::EndToken), only
    /// after the [grace period](crate::GroupBuilder::grace). [`CallError::Nested`] beneath another
    /// call. [`CallError::Run`] when no host thread could be started.
    pub fn call<P, R>(&self, name: &str, params: P) -> Result<R, CallError>
    where
        P: WasmParams + Send + Sync + 'static,
        R: WasmResults + Send + Sync + 'static,
    {
        let name = name.to_owned();
        self.on_host_thread(move |guest| guest.call_export(&name, params))
    }

    /// Calls the export `name` with values whose types are not known when this is compiled.
    ///
    /// # Errors
    ///
    /// [`CallError::Run`] when the values do not fit the export ([`RunError::Parameters`]) or it
    /// takes or returns references, and the group goes on; otherwise as for [`call`](Self::call).
    pub fn invoke(&self, name: &str, params: &[Val]) -> Result<Vec<Val>, CallError> {
        let checked = self.group.check_values(name, params);
        checked.map_err(wrong_export)?;
        let (name, params) = (name.to_owned(), params.to_vec());
        self.on_host_thread(move |guest| guest.invoke_export(&name, &params))
    }

    /// Runs `f` on the main instance's store, on a host thread of the group, between two calls: for
    /// the embedder's data, and for exports that are not functions. `f` must not call into wasm.
    /// Other calls wait while it runs.
    ///
    /// # Errors
    ///
    /// [`CallError::Ended`] when the group has ended, also by a panic of `f`; [`CallError::Nested`]
    /// and [`CallError::Run`] as for [`call`](Self::call).
    pub fn with<R: Send + 'static>(
        &self,
        f: impl FnOnce(StoreContextMut<'_, T>, &Instance) -> R + Send + 'static,
    ) -> Result<R, CallError> {
        self.on_host_thread(move |guest| guest.with_main(f))
    }

    /// The value of the exported global `name`, as the main instance has it: wasi-threads gives
    /// each thread its own.
    ///
    /// # Errors
    ///
    /// [`CallError::NoExport`] and [`CallError::ExportType`] when there is no such global,
    /// [`CallError::Global`] when it has a reference, which does not outlive its store; otherwise
    /// as for [`with`](Self::with).
    pub fn global(&self, name: &str) -> Result<Val, CallError> {
        let global = self.guest_global(name)?;
        self.with(move |mut store, instance| {
            let global = instance.get_global(&mut store, &global);
            let value = global.map(|global| global.get(&mut store));
            value.filter(|value| !value.ty(&store).is_ok_and(|ty| ty.is_ref()))
        })?
        .ok_or_else(|| global_error(name, Error::msg(REFERENCE)))
    }

    /// Sets the exported global `name` of the main instance.
    ///
    /// # Errors
    ///
    /// [`CallError::NoExport`] and [`CallError::ExportType`] when there is no such global,
    /// [`CallError::Global`] when it cannot be changed, or `value` is of another type or a
    /// reference; otherwise as for [`with`](Self::with).
    pub fn set_global(&self, name: &str, value: Val) -> Result<(), CallError> {
        let global = self.guest_global(name)?;
        self.with(
            move |mut store, instance| match instance.get_global(&mut store, &global) {
                Some(_) if value.ty(&store).is_ok_and(|ty| ty.is_ref()) => {
                    Err(Error::msg(REFERENCE))
                }
                Some(global) => global.set(&mut store, value),
                None => Err(Error::msg("no such global")),
            },
        )?
        .map_err(|error| global_error(name, error))
    }

    /// `name`, if that is a global of the guest's own.
    fn guest_global(&self, name: &str) -> Result<String, CallError> {
        match self.group.guest_export(name) {
            None => Err(CallError::NoExport(name.to_owned())),
            Some(ExternType::Global(_)) => Ok(name.to_owned()),
            Some(other) => Err(CallError::ExportType {
                name: name.to_owned(),
                found: describe(&other),
            }),
        }
    }

    /// The group.
    pub fn group(&self) -> &ThreadGroup<T> {
        &self.group
    }

    /// A handle that can end the group from any thread.
    pub fn handle(&self) -> GroupHandle {
        self.group.handle()
    }

    /// Ends the group as [`Outcome::Cancelled`], unless it has ended, waits for its threads (or
    /// leaves them behind: [`ThreadGroup::left_behind`] names them afterwards), and says how it
    /// ended. Every later call fails.
    ///
    /// The main instance is gone then; the shared memory can still be read.
    pub fn finish(&self) -> Outcome {
        self.handle().cancel();
        self.group.finish();
        // A call that was left behind holds the lock, and needs the instance.
        let main = match self.main.try_lock() {
            Ok(mut main) => main.take(),
            Err(TryLockError::Poisoned(main)) => main.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        // The embedder's data is dropped here, by code that may panic.
        caught(|| drop(main));
        // The group has ended above, or before.
        self.handle().outcome().unwrap_or(Outcome::Cancelled)
    }

    /// Runs `work` on the main instance, on a host thread of the group, and waits for it.
    fn on_host_thread<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Guest<T>) -> Result<R, CallError> + Send + 'static,
    ) -> Result<R, CallError> {
        let core = &self.group.core;
        let life = &core.life;
        let ended = || CallError::Ended(life.outcome().unwrap_or(Outcome::Cancelled));
        if current::get()
            .is_some_and(|thread| thread.id() == ThreadId::MAIN && thread.is_of(life.lot()))
        {
            return Err(CallError::Nested);
        }
        let (answer, answered) = Answer::new(life);
        let main = Arc::clone(&self.main);
        // The guest's spawns find the core while the call lasts.
        let held = Arc::clone(core);
        let deadline = core
            .limits
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        core.hosts
            .dispatch(Box::new(move || {
                thread_name::of_guest_thread(ThreadId::MAIN.get());
                let result = {
                    let mut main = main.lock().unwrap_or_else(PoisonError::into_inner);
                    match &mut *main {
                        Some(guest) => {
                            guest.set_idle(false);
                            let result = catch_unwind(AssertUnwindSafe(|| work(guest)));
                            guest.set_idle(true);
                            result.unwrap_or_else(|payload| {
                                Err(CallError::Ended(guest.panicked(payload)))
                            })
                        }
                        // The caller sees how the group ended.
                        None => return,
                    }
                };
                // The reactor may be gone with its caller.
                drop(main);
                drop(held);
                answer.give(result);
            }))
            .map_err(|error| RunError::HostThread(error.into()))?;
        // Meanwhile the caller is the supervisor, like the caller of `run`.
        if life.wait_ended_unless(deadline, || answered.is_there()) == Some(false) {
            life.end(Outcome::TimedOut);
            life.wait_ended_unless(None, || answered.is_there());
        }
        self.group
            .supervise(|patience| life.wait_done(patience, || answered.is_there()));
        answered.take().unwrap_or_else(|| Err(ended()))
    }
}

impl<T: Send + 'static> fmt::Debug for Reactor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// The result of a call, on the side that makes it. Dropped without one, it says that none comes.
struct Answer<R> {
    life: Arc<Life>,
    reply: Arc<Mutex<Reply<R>>>,
}

/// The result of a call, on the caller's side.
struct Answered<R>(Arc<Mutex<Reply<R>>>);

enum Reply<R> {
    Awaited,
    There(R),
    /// Nothing comes.
    Never,
}

impl<R> Answer<R> {
    fn new(life: &Arc<Life>) -> (Self, Answered<R>) {
        let reply = Arc::new(Mutex::new(Reply::Awaited));
        let answer = Answer {
            life: Arc::clone(life),
            reply: Arc::clone(&reply),
        };
        (answer, Answered(reply))
    }

    fn give(self, result: R) {
        *lock(&self.reply) = Reply::There(result);
    }
}

impl<R> Drop for Answer<R> {
    fn drop(&mut self) {
        let mut reply = lock(&self.reply);
        if matches!(*reply, Reply::Awaited) {
            *reply = Reply::Never;
        }
        drop(reply);
        self.life.tell();
    }
}

impl<R> Answered<R> {
    fn is_there(&self) -> bool {
        !matches!(*lock(&self.0), Reply::Awaited)
    }

    fn take(&self) -> Option<R> {
        match std::mem::replace(&mut *lock(&self.0), Reply::Never) {
            Reply::There(result) => Some(result),
            Reply::Awaited | Reply::Never => None,
        }
    }
}

fn lock<R>(reply: &Mutex<Reply<R>>) -> MutexGuard<'_, Reply<R>> {
    reply.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + 'static> Drop for Reactor<T> {
    /// Before the main instance is dropped: without it, threads that wait for a call would look
    /// like a deadlock.
    fn drop(&mut self) {
        self.finish();
    }
}
