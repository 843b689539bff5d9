//! How a context is put together.

use crate::abi::error::BuildError;
use crate::blocking::{EmbedderInput, EmbedderOutput, EndSignal};
use crate::budget::MemoryBudget;
use crate::ctx::Limits;
use crate::ctx::clock_source::ClockSource;
use crate::ctx::hooks::HostHooks;
use crate::ctx::made::MadePreopen;
use crate::ctx::observe::CallObserver;
use crate::ctx::random_source::{LockedRng, Random, RandomSource};
use crate::descriptor::stream::Source;
use crate::sys::fd::OwnedFd;
use rand::Rng;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use wasmtime_wasi::cli::{StdinStream, StdoutStream};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, HostMonotonicClock, HostWallClock, WasiCtxBuilder};

const DEFAULT_MAX_DESCRIPTORS: u32 = 1 << 20;
const DEFAULT_MAX_PATH: u32 = 64 << 10;
/// wasmtime-wasi's `random::DEFAULT_MAX_SIZE`.
const DEFAULT_MAX_RANDOM: u32 = 64 << 20;

/// Builds a [`P1Ctx`](crate::P1Ctx). The methods have the names and the meaning of
/// [`wasmtime_wasi::WasiCtxBuilder`]'s, and take and return `&mut Self` as those do.
///
/// Nothing is inherited unless asked for. A new builder makes a context without arguments,
/// environment or directories. Its standard input is at its end, and its outputs discard what they
/// are given.
///
/// ```
/// use p1_adapter::P1CtxBuilder;
/// use wasmtime_wasi::FsPerms;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ctx = P1CtxBuilder::new()
///     .inherit_stdio()
///     .args(&["prog", "--verbose"])
///     .env("LANG", "C")
///     .preopened_dir(std::env::temp_dir(), "/tmp", FsPerms::ReadOnly)?
///     .build()?;
/// # let _ = ctx;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct P1CtxBuilder {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Opens preopens: wasmtime-wasi has the only code that opens directories for a guest.
    pub(super) wasi: WasiCtxBuilder,
    /// Directories that the embedder has opened; they come first.
    pub(super) opened: WasiFilesystemCtx,
    /// Those that the host makes up; they come last.
    pub(super) made: Vec<MadePreopen>,
    pub(super) stdio: [Stdio; 3],
    pub(super) wall: Option<Arc<dyn HostWallClock + Sync>>,
    pub(super) monotonic: Option<Arc<dyn HostMonotonicClock + Sync>>,
    pub(super) source: Option<Arc<dyn ClockSource>>,
    pub(super) hooks: HostHooks,
    pub(super) random: Random,
    pub(super) end: Option<EndSignal>,
    pub(super) max_descriptors: u32,
    pub(super) limits: Limits,
    pub(super) budget: Option<Arc<dyn MemoryBudget>>,
    pub(super) observer: Option<Arc<dyn CallObserver>>,
    pub(super) observe_waiting: bool,
    pub(super) raise_sigpipe: bool,
}

/// One standard stream.
pub(super) enum Stdio {
    Null,
    Inherit,
    Given(Source),
    Descriptor(OwnedFd),
}

/// Without values of variables, which may be secrets.
impl fmt::Debug for P1CtxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P1CtxBuilder")
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

impl Default for P1CtxBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl P1CtxBuilder {
    /// A builder for a context that has nothing.
    pub fn new() -> Self {
        let mut wasi = WasiCtxBuilder::new();
        // Set before any directory is opened: each directory keeps the setting of that moment.
        wasi.allow_blocking_current_thread(true);
        Self {
            args: Vec::new(),
            env: Vec::new(),
            wasi,
            opened: WasiFilesystemCtx::default(),
            made: Vec::new(),
            stdio: [Stdio::Null, Stdio::Null, Stdio::Null],
            wall: None,
            monotonic: None,
            source: None,
            hooks: HostHooks::default(),
            random: Random::Host,
            end: None,
            max_descriptors: DEFAULT_MAX_DESCRIPTORS,
            limits: Limits {
                path_length: DEFAULT_MAX_PATH,
                random_size: DEFAULT_MAX_RANDOM,
                fuel: None,
            },
            budget: None,
            observer: None,
            observe_waiting: false,
            raise_sigpipe: false,
        }
    }

    /// Adds one argument. The first is by convention the program's name.
    pub fn arg(&mut self, arg: impl AsRef<str>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: &[impl AsRef<str>]) -> &mut Self {
        self.args
            .extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds the host process's arguments.
    ///
    /// # Panics
    ///
    /// If one of them is not valid Unicode, as [`std::env::args`] does.
    pub fn inherit_args(&mut self) -> &mut Self {
        self.args.extend(std::env::args());
        self
    }

    /// Adds one environment variable.
    pub fn env(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> &mut Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Adds environment variables.
    pub fn envs(&mut self, env: &[(impl AsRef<str>, impl AsRef<str>)]) -> &mut Self {
        self.env.extend(
            env.iter()
                .map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned())),
        );
        self
    }

    /// Adds the host process's environment.
    ///
    /// # Panics
    ///
    /// If a name or value is not valid Unicode, as [`std::env::vars`] does.
    pub fn inherit_env(&mut self) -> &mut Self {
        self.env.extend(std::env::vars());
        self
    }

    /// Gives the guest the host's standard input.
    ///
    /// The descriptor's flags are not touched, and no more is read than the guest asks for: what it
    /// leaves unread is there for the next process.
    pub fn inherit_stdin(&mut self) -> &mut Self {
        self.stdio[0] = Stdio::Inherit;
        self
    }

    /// Gives the guest the host's standard output. Writes go to the descriptor at once; nothing is
    /// buffered.
    pub fn inherit_stdout(&mut self) -> &mut Self {
        self.stdio[1] = Stdio::Inherit;
        self
    }

    /// Gives the guest the host's standard error. Writes go to the descriptor at once; nothing is
    /// buffered.
    pub fn inherit_stderr(&mut self) -> &mut Self {
        self.stdio[2] = Stdio::Inherit;
        self
    }

    /// All three of the host's standard streams.
    pub fn inherit_stdio(&mut self) -> &mut Self {
        self.inherit_stdin().inherit_stdout().inherit_stderr()
    }

    /// Gives the guest a standard input of the embedder's, such as wasmtime-wasi's
    /// `MemoryInputPipe`.
    ///
    /// It is read through its preview2 stream, made at the first use. Any number of threads may
    /// read it and wait for it; using it starts wasmtime-wasi's tokio runtime unless the thread is
    /// in one. How far it reads ahead is its own affair.
    pub fn stdin(&mut self, stdin: impl StdinStream + 'static) -> &mut Self {
        self.stdio[0] = Stdio::Given(Source::Input(EmbedderInput::new(stdin)));
        self
    }

    /// Gives the guest a standard output of the embedder's, such as wasmtime-wasi's
    /// `MemoryOutputPipe`. Used as [`stdin`](Self::stdin) is; one guest write is one write to it,
    /// then a flush, which the call waits for unless the guest asked not to wait.
    ///
    /// The end signal ends waits of the stream's `ready`, and is looked at before each piece of 64
    /// KiB. A stream that blocks in `write` instead (`std::io::stdout()` given here does) is not
    /// reached there: use [`inherit_stdout`](Self::inherit_stdout) for the host's own.
    pub fn stdout(&mut self, stdout: impl StdoutStream + 'static) -> &mut Self {
        self.stdio[1] = Stdio::Given(Source::Output(EmbedderOutput::new(stdout)));
        self
    }

    /// Gives the guest a standard error of the embedder's; see [`stdout`](Self::stdout).
    pub fn stderr(&mut self, stderr: impl StdoutStream + 'static) -> &mut Self {
        self.stdio[2] = Stdio::Given(Source::Output(EmbedderOutput::new(stderr)));
        self
    }

    /// Gives the guest this descriptor as its standard input: a file, a pipe, a socket or a
    /// terminal. It is used in the kernel, without wasmtime-wasi's runtime, as
    /// [`inherit_stdin`](Self::inherit_stdin) uses the host's. Its flags are not touched.
    pub fn stdin_fd(&mut self, stdin: impl Into<OwnedFd>) -> &mut Self {
        self.stdio[0] = Stdio::Descriptor(stdin.into());
        self
    }

    /// Gives the guest this descriptor as its standard output; see [`stdin_fd`](Self::stdin_fd).
    /// Nothing is buffered.
    pub fn stdout_fd(&mut self, stdout: impl Into<OwnedFd>) -> &mut Self {
        self.stdio[1] = Stdio::Descriptor(stdout.into());
        self
    }

    /// Gives the guest this descriptor as its standard error; see [`stdin_fd`](Self::stdin_fd).
    /// Nothing is buffered.
    pub fn stderr_fd(&mut self, stderr: impl Into<OwnedFd>) -> &mut Self {
        self.stdio[2] = Stdio::Descriptor(stderr.into());
        self
    }

    /// Gives the guest the directory `host_path` under the name `guest_path`.
    ///
    /// wasmtime-wasi opens it, resolves every path below it and enforces `perms`. Preopened
    /// directories get descriptor numbers from 3 up in the order of these calls.
    ///
    /// # Errors
    ///
    /// [`BuildError::Preopen`] when the directory cannot be opened.
    pub fn preopened_dir(
        &mut self,
        host_path: impl AsRef<Path>,
        guest_path: impl AsRef<str>,
        perms: FsPerms,
    ) -> Result<&mut Self, BuildError> {
        let host_path = host_path.as_ref();
        self.wasi
            .preopened_dir(host_path, guest_path, perms)
            .map_err(|source| BuildError::Preopen {
                path: host_path.to_owned(),
                source,
            })?;
        Ok(self)
    }

    /// Replaces the real-time clock. Waits until a point on this clock are measured once, at their
    /// start.
    pub fn wall_clock(&mut self, clock: impl HostWallClock + Sync + 'static) -> &mut Self {
        self.wall = Some(Arc::new(clock));
        self
    }

    /// Replaces the monotonic clock. Waits until a point on this clock are measured once, at their
    /// start.
    pub fn monotonic_clock(
        &mut self,
        clock: impl HostMonotonicClock + Sync + 'static,
    ) -> &mut Self {
        self.monotonic = Some(Arc::new(clock));
        self
    }

    /// Replaces the source of random numbers.
    pub fn secure_random(&mut self, random: impl RandomSource + 'static) -> &mut Self {
        self.random = Random::Custom(Arc::new(random));
        self
    }

    /// Takes random numbers from a generator of the crate `rand`'s interface, as wasmtime-wasi's
    /// builder does. A lock is held while it is asked, so threads that want random numbers wait for
    /// one another. A [`RandomSource`] of the embedder's own takes no lock.
    pub fn secure_random_rng(&mut self, rng: impl Rng + Send + 'static) -> &mut Self {
        self.secure_random(LockedRng(Mutex::new(rng)))
    }

    /// How many bytes one `random_get` may ask for (default: 64 MiB). More is a trap.
    pub fn max_random_size(&mut self, bytes: u32) -> &mut Self {
        self.limits.random_size = bytes;
        self
    }

    /// How many descriptors may be open at once (default: 1,048,576). Opening more is `mfile`.
    ///
    /// A descriptor closed while a call has it (a poll, a read that waits) counts until that call
    /// returns: the limit is on what is open at the host. What a wait needs for itself does not
    /// count. That is at most one descriptor for a thread, two for a task, and one for the context.
    pub fn max_descriptors(&mut self, count: u32) -> &mut Self {
        self.max_descriptors = count;
        self
    }

    /// How many bytes a path may have (default: 64 KiB; the operating system's limits apply as
    /// well). A longer one is `nametoolong`.
    pub fn max_path_length(&mut self, bytes: u32) -> &mut Self {
        self.limits.path_length = bytes;
        self
    }

    /// How many bytes of strings, lists and structures one call may make the host copy or keep. A
    /// call that wants more is `nomem`. Data buffers of reads and writes do not count: they are not
    /// copied. A buffer of a list costs 8 bytes. A subscription of `poll_oneoff` costs some 370,
    /// the most that it makes the host keep.
    ///
    /// Default: what the store says, [`wasmtime::Store::set_hostcall_fuel`] (128 MiB unless set).
    /// Set here, it holds for every store the context is used in, and the store's is not looked at.
    pub fn hostcall_fuel(&mut self, bytes: usize) -> &mut Self {
        self.limits.fuel = Some(bytes);
        self
    }

    /// Takes what calls make the host keep out of `budget`, which others may use as well. A
    /// subscription of a poll takes some 370 bytes for as long as the poll lasts. What a descriptor
    /// keeps of the listings of its directory, beyond 64 entries, is taken until it is closed. If
    /// not enough is left, a call fails with `nomem`. Only a listing of a directory of the system's
    /// goes on, and its positions are then large numbers. Other calls keep little:
    /// [`hostcall_fuel`](Self::hostcall_fuel) bounds each.
    pub fn memory_budget(&mut self, budget: Arc<dyn MemoryBudget>) -> &mut Self {
        self.budget = Some(budget);
        self
    }

    /// The observer that is told of every call's start and end. Default: none, which costs one test
    /// of a pointer per call.
    pub fn call_observer(&mut self, observer: Arc<dyn CallObserver>) -> &mut Self {
        self.observer = Some(observer);
        self
    }

    /// Tells the observer only of calls that may have to wait: `fd_read`, `fd_write`,
    /// `poll_oneoff`, `sock_accept`, `sock_recv` and `sock_send`. The other calls then cost what
    /// they cost without an observer (default: of all calls).
    pub fn observe_waiting_calls_only(&mut self, only: bool) -> &mut Self {
        self.observe_waiting = only;
        self
    }

    /// Whether a `fd_write` to a pipe (or standard stream) without a reader ends the guest, as
    /// `SIGPIPE` ends a process: the call traps with [`Raised`](crate::Raised). Default: it returns
    /// `pipe` to the guest, as it always does for a socket that goes both ways, and for a call that
    /// gave its thread back to wait.
    ///
    /// The host process must ignore `SIGPIPE`, as those of Rust do, or catch it.
    pub fn raise_sigpipe(&mut self, raise: bool) -> &mut Self {
        self.raise_sigpipe = raise;
        self
    }

    /// The signal that ends this context's blocked calls. Without it the context gets one of its
    /// own ([`P1Ctx::end_signal`](crate::P1Ctx::end_signal)).
    pub fn end_signal(&mut self, end: EndSignal) -> &mut Self {
        self.end = Some(end);
        self
    }

    /// Takes over directories that wasmtime-wasi has opened.
    pub(crate) fn set_preopens(&mut self, opened: WasiFilesystemCtx) {
        self.opened = opened;
    }
}
