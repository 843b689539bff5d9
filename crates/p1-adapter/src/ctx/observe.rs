//! Telling an embedder about calls: for tracing, counting, finding out where a guest is stuck.

use super::Shared;
use super::builder::P1CtxBuilder;
use crate::abi::types::Errno;
use std::sync::Arc;

/// Is told when a WASI call of a context starts and when it ends. Set with
/// [`P1CtxBuilder::call_observer`](crate::P1CtxBuilder::call_observer).
///
/// Both methods run on the thread that makes the call, and their cost is part of the call's. They
/// must not wait for the guest. Any number of threads may be in them at once. In stores of
/// [`add_to_linker_async`](crate::add_to_linker_async) the two may run on different threads, so a
/// token and not thread-local data connects them. There a wait is part of one call, however often
/// it gives its thread back.
///
/// A context without an observer pays one test of a pointer for it.
///
/// ```
/// use p1_adapter::{CallObserver, CallOutcome, P1CtxBuilder};
/// use std::sync::Arc;
/// use std::time::Instant;
///
/// /// Prints what a call did and how long it took.
/// struct Trace(Instant);
///
/// impl CallObserver for Trace {
///     fn started(&self, _function: &'static str) -> u64 {
///         self.0.elapsed().as_nanos() as u64
///     }
///
///     fn ended(&self, function: &'static str, started: u64, outcome: CallOutcome<'_>) {
///         let took = self.0.elapsed().as_nanos() as u64 - started;
///         match outcome {
///             CallOutcome::Returned(errno) => eprintln!("{function} = {errno} ({took} ns)"),
///             CallOutcome::Trapped(error) => eprintln!("{function}: {error:#} ({took} ns)"),
///             _ => eprintln!("{function}: given up ({took} ns)"),
///         }
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ctx = P1CtxBuilder::new().call_observer(Arc::new(Trace(Instant::now()))).build()?;
/// # let _ = ctx;
/// # Ok(())
/// # }
/// ```
pub trait CallObserver: Send + Sync {
    /// A call of `function` (its name in the witx file, such as `fd_write`) starts. This runs
    /// before the end signal is looked at and before anything else happens. The result is handed to
    /// [`ended`](Self::ended): a time, the number of a record, or anything else.
    fn started(&self, function: &'static str) -> u64;

    /// The call for which [`started`](Self::started) gave `token` ends. This runs once for every
    /// call that `started` was told of, unless a host function panics.
    fn ended(&self, function: &'static str, token: u64, outcome: CallOutcome<'_>);
}

/// How a call ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallOutcome<'a> {
    /// The guest goes on with this errno (0: success), by its number in preview1's `errno` type.
    Returned(u16),
    /// The guest is stopped with this error: `proc_exit`'s `I32Exit`,
    /// [`Interrupted`](crate::Interrupted), a pointer out of bounds.
    Trapped(&'a wasmtime::Error),
    /// The embedder dropped the future of the wasm call while this call waited (async linkers
    /// only).
    Abandoned,
}

/// What a row of the linker returns to the guest.
pub(crate) trait Returned: Sized {
    fn errno(&self) -> u16;
    /// What the row returns for `errno`; nothing if it returns no errno.
    fn returned(errno: Errno) -> Option<Self>;
}

impl Returned for i32 {
    fn errno(&self) -> u16 {
        // The generated code returns members of the `errno` type, which has 16 bits.
        *self as u16
    }

    fn returned(errno: Errno) -> Option<Self> {
        Some(errno as Self)
    }
}

/// `proc_exit`, which does not return.
impl Returned for () {
    fn errno(&self) -> u16 {
        0
    }

    fn returned(_: Errno) -> Option<Self> {
        None
    }
}

fn outcome<R: Returned>(result: &wasmtime::Result<R>) -> CallOutcome<'_> {
    match result {
        Ok(returned) => CallOutcome::Returned(returned.errno()),
        Err(error) => CallOutcome::Trapped(error),
    }
}

/// Whether an observer or a hook is told of a call.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Attended {
    Never,
    /// Of a call that may have to wait.
    IfItWaits,
    Always,
}

impl Attended {
    pub(super) fn by(builder: &P1CtxBuilder) -> Self {
        match &builder.observer {
            _ if builder.hooks.before_call.is_some() => Self::Always,
            None => Self::Never,
            Some(_) if builder.observe_waiting => Self::IfItWaits,
            Some(_) => Self::Always,
        }
    }

    /// Of one that may have to wait, or of one that never does.
    #[inline(always)]
    pub(crate) fn of(self, waits: bool) -> bool {
        self as u8 + u8::from(waits) >= Self::Always as u8
    }
}

/// The start of a call that cannot be dropped half-way; the token for `end`, if an observer is
/// told.
///
/// # Errors
///
/// The error of the hook before calls, which has ended the call.
#[cold]
#[inline(never)]
pub(crate) fn start(
    shared: &Shared,
    function: &'static str,
    waits: bool,
) -> wasmtime::Result<Option<u64>> {
    let told = shared.observer.as_ref();
    let told = told.filter(|_| waits || !shared.observe_waiting);
    let token = told.map(|observer| observer.started(function));
    if let Err(error) = shared.hooks.before(function) {
        if let (Some(observer), Some(token)) = (told, token) {
            observer.ended(function, token, CallOutcome::Trapped(&error));
        }
        return Err(error);
    }
    Ok(token)
}

#[cold]
#[inline(never)]
pub(crate) fn end<R: Returned>(
    shared: &Shared,
    function: &'static str,
    token: u64,
    result: &wasmtime::Result<R>,
) {
    if let Some(observer) = &shared.observer {
        observer.ended(function, token, outcome(result));
    }
}

/// A call that may be dropped half-way, as futures are.
pub(crate) struct Observation {
    observer: Arc<dyn CallObserver>,
    function: &'static str,
    token: u64,
    ended: bool,
}

impl Observation {
    pub(crate) fn start(observer: &Arc<dyn CallObserver>, function: &'static str) -> Self {
        Self {
            observer: Arc::clone(observer),
            function,
            token: observer.started(function),
            ended: false,
        }
    }

    pub(crate) fn end<R: Returned>(mut self, result: &wasmtime::Result<R>) {
        self.ended = true;
        self.observer
            .ended(self.function, self.token, outcome(result));
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.ended {
            self.observer
                .ended(self.function, self.token, CallOutcome::Abandoned);
        }
    }
}
