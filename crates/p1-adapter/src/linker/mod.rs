//! The 46 functions as items of a wasmtime [`Linker`].
//!
//! A table and what stands around every call: finding the memory, making the [`Call`], looking at the end signal. What
//! the functions do is elsewhere.

mod preview1;
mod unstable;

use crate::abi::error::Error;
use crate::abi::wasi_snapshot_preview1 as abi;
use crate::call::Call;
use crate::call::dispatch::Resume;
use crate::ctx::observe::{self, Observation, Returned};
use crate::ctx::{MemoryOf, P1State};
use wasmtime::{AsContextMut as _, Caller, Extern, Linker, Result};
use wiggle::GuestMemory;

/// The function behind a name: preview1's for all, except where `wasi_unstable` has another.
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
    ($version:ident $name:ident) => {
        abi::$name
    };
}

/// Hands every function to the macro `$each`: whether it may have to wait, its name, its parameters and its result.
macro_rules! functions {
    ($each:ident) => {
        $each! {
                now args_get(argv: i32, buf: i32) -> i32;
                now args_sizes_get(count: i32, size: i32) -> i32;
                now environ_get(environ: i32, buf: i32) -> i32;
                now environ_sizes_get(count: i32, size: i32) -> i32;
                now clock_res_get(id: i32, out: i32) -> i32;
                now clock_time_get(id: i32, precision: i64, out: i32) -> i32;
                now fd_advise(fd: i32, offset: i64, len: i64, advice: i32) -> i32;
                now fd_allocate(fd: i32, offset: i64, len: i64) -> i32;
                now fd_close(fd: i32) -> i32;
                now fd_datasync(fd: i32) -> i32;
                now fd_fdstat_get(fd: i32, out: i32) -> i32;
                now fd_fdstat_set_flags(fd: i32, flags: i32) -> i32;
                now fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64) -> i32;
                now fd_filestat_get(fd: i32, out: i32) -> i32;
                now fd_filestat_set_size(fd: i32, size: i64) -> i32;
                now fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32) -> i32;
                now fd_pread(fd: i32, iovs: i32, count: i32, offset: i64, out: i32) -> i32;
                now fd_prestat_get(fd: i32, out: i32) -> i32;
                now fd_prestat_dir_name(fd: i32, path: i32, len: i32) -> i32;
                now fd_pwrite(fd: i32, iovs: i32, count: i32, offset: i64, out: i32) -> i32;
                wait fd_read(fd: i32, iovs: i32, count: i32, out: i32) -> i32;
                now fd_readdir(fd: i32, buf: i32, len: i32, cookie: i64, out: i32) -> i32;
                now fd_renumber(from: i32, to: i32) -> i32;
                now fd_seek(fd: i32, offset: i64, whence: i32, out: i32) -> i32;
                now fd_sync(fd: i32) -> i32;
                now fd_tell(fd: i32, out: i32) -> i32;
                wait fd_write(fd: i32, iovs: i32, count: i32, out: i32) -> i32;
                now path_create_directory(fd: i32, path: i32, len: i32) -> i32;
                now path_filestat_get(fd: i32, flags: i32, path: i32, len: i32, out: i32) -> i32;
                now path_filestat_set_times(fd: i32, lookup: i32, path: i32, len: i32, atim: i64, mtim: i64, flags: i32) -> i32;
                now path_link(old_fd: i32, flags: i32, old: i32, old_len: i32, new_fd: i32, new: i32, new_len: i32) -> i32;
                now path_open(fd: i32, lookup: i32, path: i32, len: i32, oflags: i32, base: i64, inheriting: i64, flags: i32, out: i32) -> i32;
                now path_readlink(fd: i32, path: i32, len: i32, buf: i32, buf_len: i32, out: i32) -> i32;
                now path_remove_directory(fd: i32, path: i32, len: i32) -> i32;
                now path_rename(old_fd: i32, old: i32, old_len: i32, new_fd: i32, new: i32, new_len: i32) -> i32;
                now path_symlink(old: i32, old_len: i32, fd: i32, new: i32, new_len: i32) -> i32;
                now path_unlink_file(fd: i32, path: i32, len: i32) -> i32;
                wait poll_oneoff(subscriptions: i32, events: i32, count: i32, out: i32) -> i32;
                now proc_exit(code: i32);
                now proc_raise(signal: i32) -> i32;
                now sched_yield() -> i32;
                now random_get(buf: i32, len: i32) -> i32;
                wait sock_accept(fd: i32, flags: i32, out: i32) -> i32;
                wait sock_recv(fd: i32, iovs: i32, count: i32, flags: i32, size: i32, out_flags: i32) -> i32;
                wait sock_send(fd: i32, iovs: i32, count: i32, flags: i32, out: i32) -> i32;
                now sock_shutdown(fd: i32, how: i32) -> i32;
        }
    };
}

/// Whether a function may have to wait.
macro_rules! waits {
    (now) => {
        false
    };
    (wait) => {
        true
    };
}

/// Links one function whose wait, if any, is the calling thread's.
macro_rules! add {
    ($version:ident $when:ident $linker:ident, $module:literal, $get:ident,
     $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)?) => {
        $linker.func_wrap(
            $module,
            stringify!($name),
            move |mut caller: Caller<'_, T> $(, $arg: $ty)*| -> Result<result!($($ret)?)> {
                let name = Some((stringify!($name), waits!($when)));
                enter(&mut caller, $get, name, None, #[inline(always)] |call, memory| {
                    behind!($version $name)(call, memory $(, $arg)*)
                })
            },
        )?;
    };
}

/// Links one function that gives its thread back instead of waiting.
macro_rules! add_waiting {
    ($version:ident $linker:ident, $module:literal, $get:ident,
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
                    let mut resume = Resume::default();
                    let result = loop {
                        let attempted = enter(&mut caller, $get, None, Some(&mut resume), |call, memory| {
                            behind!($version $name)(call, memory $(, $arg)*)
                        });
                        let Some(wait) = resume.take_wait() else {
                            break attempted;
                        };
                        let end = $get(caller.data_mut()).ctx.shared.end.clone();
                        match end.or_raised(wait).await {
                            Ok(Ok(woken)) => resume.wake(woken),
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
/// `get` finds the [`P1State`] in the data of the store; it runs at every call, so it should do no more than name a
/// field. A call that has to wait blocks the calling thread, in the kernel. The functions may be used in stores with
/// and without async support.
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
            add!(preview1 $when linker, "wasi_snapshot_preview1", get, $name ( $($arg: $ty),* ) $(-> $ret)?);
        )* };
    }
    functions!(link);
    Ok(())
}

/// Adds the 45 functions of `wasi_unstable`, preview1's predecessor, over the same code; otherwise as
/// [`add_to_linker_sync`]. Programs built before 2020 import it.
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
            add!(unstable $when linker, "wasi_unstable", get, $name ( $($arg: $ty),* ) $(-> $ret)?);
        };
    }
    functions!(link);
    Ok(())
}

/// As [`add_to_linker_sync`], for stores that are called asynchronously: a call that has to wait gives its thread back.
///
/// Waiting takes a tokio runtime with its I/O and time drivers enabled: the one the store is called in, or wasmtime-wasi's
/// where there is none. Calls that do not wait have nothing of the kind. Dropping the future of a wasm call while one of
/// its host calls waits gives that wait up.
///
/// Files are read and written on the calling thread, as are paths: they wait for a disk at most. Opening a FIFO waits for
/// the other side on the calling thread, unless it is opened with `NONBLOCK`.
///
/// Tasks and threads may write one stream: none comes between the first byte and the last of another's write. While a poll
/// of several streams waits it takes one descriptor of the process, any other wait a duplicate of the stream's.
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
            add!(preview1 now linker, "wasi_snapshot_preview1", get, $($function)*);
        };
        (@wait $($function:tt)*) => {
            add_waiting!(preview1 linker, "wasi_snapshot_preview1", get, $($function)*);
        };
    }
    functions!(link);
    Ok(())
}

/// As [`add_unstable_to_linker_sync`], for stores that are called asynchronously; see [`add_to_linker_async`].
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
            add!(unstable now linker, "wasi_unstable", get, $($function)*);
        };
        (@wait $($function:tt)*) => {
            add_waiting!(unstable linker, "wasi_unstable", get, $($function)*);
        };
    }
    functions!(link);
    Ok(())
}

/// Runs `function` for the calling instance. With a `name` the context's observer is told of it; beside the name, whether
/// it may have to wait.
#[inline(always)]
fn enter<T: 'static, R: Returned>(
    caller: &mut Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut P1State,
    name: Option<(&'static str, bool)>,
    resume: Option<&mut Resume>,
    function: impl FnOnce(&mut Call<'_>, &mut GuestMemory<'_>) -> Result<R>,
) -> Result<R> {
    let fuel = caller.as_context_mut().hostcall_fuel();
    let state = get(caller.data_mut());
    match &state.memory {
        MemoryOf::Shared(memory) => {
            let mut memory = GuestMemory::Shared(memory.data());
            run(
                &mut memory,
                &state.ctx,
                &mut state.scratch,
                fuel,
                name,
                resume,
                function,
            )
        }
        MemoryOf::Own(memory) => {
            let memory = *memory;
            let (bytes, data) = memory.data_and_store_mut(caller);
            let P1State { ctx, scratch, .. } = get(data);
            run(
                &mut GuestMemory::Unshared(bytes),
                ctx,
                scratch,
                fuel,
                name,
                resume,
                function,
            )
        }
        MemoryOf::First | MemoryOf::Every => match find(caller, &get)? {
            MemoryOf::Shared(memory) => {
                let P1State { ctx, scratch, .. } = get(caller.data_mut());
                run(
                    &mut GuestMemory::Shared(memory.data()),
                    ctx,
                    scratch,
                    fuel,
                    name,
                    resume,
                    function,
                )
            }
            MemoryOf::Own(memory) => {
                let (bytes, data) = memory.data_and_store_mut(caller);
                let P1State { ctx, scratch, .. } = get(data);
                run(
                    &mut GuestMemory::Unshared(bytes),
                    ctx,
                    scratch,
                    fuel,
                    name,
                    resume,
                    function,
                )
            }
            MemoryOf::First | MemoryOf::Every => unreachable!("`find` finds a memory or fails"),
        },
    }
}

/// Looks the calling instance's memory up, and keeps it if it is the store's only one.
#[cold]
fn find<T: 'static>(
    caller: &mut Caller<'_, T>,
    get: &impl Fn(&mut T) -> &mut P1State,
) -> Result<MemoryOf> {
    let found = match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => MemoryOf::Own(memory),
        Some(Extern::SharedMemory(memory)) => MemoryOf::Shared(memory),
        _ => {
            return Err(wasmtime::Error::msg(
                "missing required memory export `memory`",
            ));
        }
    };
    let state = get(caller.data_mut());
    if let MemoryOf::First = state.memory {
        state.memory = found.clone();
    }
    Ok(found)
}

#[inline(always)]
fn run<R: Returned>(
    memory: &mut GuestMemory<'_>,
    ctx: &crate::ctx::P1Ctx,
    scratch: &mut crate::path::operations::Scratch,
    fuel: usize,
    name: Option<(&'static str, bool)>,
    resume: Option<&mut Resume>,
    function: impl FnOnce(&mut Call<'_>, &mut GuestMemory<'_>) -> Result<R>,
) -> Result<R> {
    let shared = &*ctx.shared;
    let observed = match (&shared.observer, name) {
        (Some(observer), Some((name, waits))) if waits || !shared.observe_waiting => {
            Some((observer, name))
        }
        _ => None,
    };
    let token = match observed {
        Some((observer, name)) => observe::start(observer, name),
        None => 0,
    };
    let result = shared.end.check().map_err(Into::into).and_then(
        #[inline(always)]
        |()| {
            let mut call = Call {
                shared,
                scratch,
                fuel: shared.limits.fuel.unwrap_or(fuel),
                resume,
            };
            function(&mut call, memory)
        },
    );
    if let Some((observer, name)) = observed {
        observe::end(observer, name, token, &result);
    }
    result
}
