//! The 46 functions as items of a wasmtime [`Linker`].
//!
//! `functions.rs` is the table, `enter.rs` what stands around every call. What the functions do is
//! elsewhere.

mod enter;
mod filestat;
mod functions;
mod odd;
mod preview1;
mod unstable;

use crate::abi::error::Error;
use crate::abi::wasi_snapshot_preview1 as abi;
use crate::call::retry::Retry;
use crate::ctx::observe::Observation;
use crate::ctx::state::P1State;
use enter::enter;
use functions::{functions, waits};
use odd::odd_argument;
use wasmtime::{Caller, Linker, Result};

/// The module from which programs import preview1.
pub const PREVIEW1_MODULE: &str = "wasi_snapshot_preview1";
/// The module from which programs import preview1's predecessor, `wasi_unstable`.
pub const UNSTABLE_MODULE: &str = "wasi_unstable";

/// The function behind a name: preview1's for all, except where `wasi_unstable` has another, and
/// where wiggle's is slow.
macro_rules! behind {
    (unstable fd_seek) => {
        unstable::fd_seek
    };
    (unstable fd_filestat_get) => {
        unstable::fd_filestat_get
    };
    (unstable path_filestat_get) => {
        unstable::path_filestat_get
    };
    (unstable poll_oneoff) => {
        unstable::poll_oneoff
    };
    (preview1 fd_filestat_get) => {
        filestat::fd_filestat_get
    };
    (preview1 path_filestat_get) => {
        filestat::path_filestat_get
    };
    ($version:ident $name:ident) => {
        abi::$name
    };
}

/// Links one function that waits, if at all, on the calling thread.
macro_rules! add {
    ($version:ident $when:ident $linker:ident, $module:ident, $get:ident,
     $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)?) => {
        $linker.func_wrap(
            $module,
            stringify!($name),
            move |mut caller: Caller<'_, T> $(, $arg: $ty)*| -> Result<result!($($ret)?)> {
                let name = Some((stringify!($name), waits!($when)));
                enter(&mut caller, $get, name, None, #[inline(always)] |call, memory| {
                    behind!($version $name)(call, memory $(, $arg)*).or_else(odd_argument)
                })
            },
        )?;
    };
}

/// Links one function that gives its thread back instead of waiting.
macro_rules! add_waiting {
    ($version:ident $linker:ident, $module:ident, $get:ident,
     $name:ident ( $($arg:ident : $ty:ty),* ) -> $ret:ty) => {
        $linker.func_wrap_async(
            $module,
            stringify!($name),
            move |mut caller: Caller<'_, T>, ( $($arg,)* ): ( $($ty,)* )| {
                Box::new(async move {
                    let observer = &$get(caller.data_mut()).ctx.shared.observer;
                    let observation = observer
                        .as_ref()
                        .map(|observer| Observation::start(observer, stringify!($name)));
                    let mut retry = Retry::default();
                    let mut before = $get(caller.data_mut()).ctx.shared.hooks.before(stringify!($name));
                    let result = loop {
                        if let Err(error) = std::mem::replace(&mut before, Ok(())) {
                            break Err(error);
                        }
                        let attempted = enter(&mut caller, $get, None, Some(&mut retry), |call, memory| {
                            behind!($version $name)(call, memory $(, $arg)*).or_else(odd_argument)
                        });
                        let Some(wait) = retry.take_wait() else {
                            break attempted;
                        };
                        let end = $get(caller.data_mut()).ctx.shared.end.clone();
                        match end.or_raised(wait).await {
                            Ok(Ok(woken)) => retry.wake(woken),
                            Ok(Err(Error::Errno(errno))) => break Ok(errno as $ret),
                            Ok(Err(Error::Trap(trap))) => break Err(*trap),
                            Err(interrupted) => break Err(interrupted.into()),
                        }
                    };
                    if let Some(observation) = observation {
                        observation.end(&result);
                    }
                    result
                })
            },
        )?;
    };
}

/// The result of a wasm function that has one or none.
macro_rules! result {
    ($ret:ty) => {
        $ret
    };
    () => {
        ()
    };
}

/// Adds all 46 functions of `wasi_snapshot_preview1` to `linker`.
///
/// `get` finds the [`P1State`] in the data of the store; it runs at every call, so it should do no
/// more than name a field. A call that has to wait blocks the calling thread, in the kernel. The
/// functions may be used in stores with and without async support.
///
/// ```
/// use p1_adapter::{P1CtxBuilder, P1State, add_to_linker_sync};
/// use wasmtime::{Engine, Linker, Module, Store};
///
/// # fn main() -> wasmtime::Result<()> {
/// let engine = Engine::default();
/// let mut linker: Linker<P1State> = Linker::new(&engine);
/// add_to_linker_sync(&mut linker, |state| state)?;
///
/// let module = Module::new(&engine, r#"
///     (module
///         (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
///         (memory (export "memory") 1)
///         (func (export "_start") (drop (call $yield))))
/// "#)?;
/// let mut store = Store::new(&engine, P1State::new(P1CtxBuilder::new().build()?));
/// let instance = linker.instantiate(&mut store, &module)?;
/// instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When one of the names is already defined in the linker (and shadowing is not allowed).
pub fn add_to_linker_sync<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut P1State + Copy + Send + Sync + 'static,
) -> Result<()> {
    macro_rules! link {
        ($( $when:ident $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)? ; )*) => { $(
            add!(preview1 $when linker, PREVIEW1_MODULE, get, $name ( $($arg: $ty),* ) $(-> $ret)?);
        )* };
    }
    functions!(link);
    Ok(())
}

/// Adds the 45 functions of `wasi_unstable`, preview1's predecessor, over the same code; otherwise
/// as [`add_to_linker_sync`]. Programs built before 2020 import it.
///
/// # Errors
///
/// When one of the names is already defined in the linker (and shadowing is not allowed).
pub fn add_unstable_to_linker_sync<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut P1State + Copy + Send + Sync + 'static,
) -> Result<()> {
    macro_rules! link {
        ($( $when:ident $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)? ; )*) => { $(
            link!(@one $when $name ( $($arg: $ty),* ) $(-> $ret)?);
        )* };
        (@one $when:ident sock_accept $($rest:tt)*) => {};
        (@one $when:ident $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)?) => {
            add!(unstable $when linker, UNSTABLE_MODULE, get, $name ( $($arg: $ty),* ) $(-> $ret)?);
        };
    }
    functions!(link);
    Ok(())
}

/// As [`add_to_linker_sync`], for stores that are called asynchronously: a call that has to wait
/// gives its thread back.
///
/// Waiting takes a tokio runtime with its I/O and time drivers enabled: the one the store is called
/// in, or wasmtime-wasi's where there is none. Calls that do not wait have nothing of the kind.
/// Dropping the future of a wasm call while one of its host calls waits gives that wait up.
///
/// Calls on files and paths run on the calling thread: they wait for a disk at most. Opening a FIFO
/// waits for the other side on the calling thread, unless it is opened with `NONBLOCK`.
///
/// Tasks and threads may write one stream. No write comes between the first byte and the last of
/// another. While a poll of several streams waits it takes one descriptor of the process, any other
/// wait a duplicate of the stream's.
///
/// # Errors
///
/// When one of the names is already defined in the linker (and shadowing is not allowed).
pub fn add_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut P1State + Copy + Send + Sync + 'static,
) -> Result<()> {
    macro_rules! link {
        ($( $when:ident $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)? ; )*) => { $(
            link!(@$when $name ( $($arg : $ty),* ) $(-> $ret)?);
        )* };
        (@now $($function:tt)*) => {
            add!(preview1 now linker, PREVIEW1_MODULE, get, $($function)*);
        };
        (@wait $($function:tt)*) => {
            add_waiting!(preview1 linker, PREVIEW1_MODULE, get, $($function)*);
        };
    }
    functions!(link);
    Ok(())
}

/// As [`add_unstable_to_linker_sync`], for stores that are called asynchronously; see
/// [`add_to_linker_async`].
///
/// # Errors
///
/// When one of the names is already defined in the linker (and shadowing is not allowed).
pub fn add_unstable_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut P1State + Copy + Send + Sync + 'static,
) -> Result<()> {
    macro_rules! link {
        ($( $when:ident $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)? ; )*) => { $(
            link!(@$when $name ( $($arg : $ty),* ) $(-> $ret)?);
        )* };
        (@wait sock_accept $($rest:tt)*) => {};
        (@now $($function:tt)*) => {
            add!(unstable now linker, UNSTABLE_MODULE, get, $($function)*);
        };
        (@wait $($function:tt)*) => {
            add_waiting!(unstable linker, UNSTABLE_MODULE, get, $($function)*);
        };
    }
    functions!(link);
    Ok(())
}
