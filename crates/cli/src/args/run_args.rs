//! The options of `run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use wasmtime_cli_flags::CommonOptions;

use crate::args::legacy::LegacyOptions;
use crate::args::module_limits::ModuleLimitArgs;
use crate::args::schedule_args::ScheduleArgs;
use crate::args::values::{
    DirOption, OnDeadlock, StatsFormat, number, parse_dir, parse_duration, parse_env,
    parse_max_threads, parse_preload,
};

/// The options and arguments of `run`.
#[derive(Parser)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) common: CommonOptions,

    #[command(flatten)]
    pub(crate) legacy: LegacyOptions,

    /// `-S listenfd`, which [`listenfd`](crate::args::listenfd) takes out of the line.
    #[arg(skip)]
    pub(crate) listenfd: Option<bool>,

    /// Gives the program a folder: HOST, seen by it as GUEST (default: as HOST).
    ///
    /// A third part says whether it may be written: `rw` (the default) or `ro`.
    #[arg(long = "dir", value_name = "HOST[::GUEST[::ro]]", value_parser = parse_dir)]
    pub(crate) dirs: Vec<DirOption>,

    /// Sets an environment variable; without a value, passes on this process's.
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = parse_env)]
    pub(crate) vars: Vec<(String, Option<String>)>,

    /// The name that the program sees as its own (default: the module's file name).
    #[arg(long, value_name = "NAME")]
    pub(crate) argv0: Option<String>,

    /// Calls this exported function instead of `_start`.
    ///
    /// Its parameters, integers (also 0x...) and floats, are taken from the arguments after the
    /// module; its results are printed, a line each.
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) invoke: Option<String>,

    /// Puts a library under a name, for the module (and libraries after it) to import from.
    ///
    /// Every thread has its own instance of it.
    #[arg(long, value_name = "NAME=MODULE", value_parser = parse_preload)]
    pub(crate) preload: Vec<(String, PathBuf)>,

    /// Allows a precompiled module (`.cwasm`). It is native code: trust its
    /// origin as you would trust a program's.
    #[arg(long)]
    pub(crate) allow_precompiled: bool,

    /// Says where the time goes: `guest[,FILE[,INTERVAL]]`, `flamegraph[,FILE[,INTERVAL]]`, or for
    /// profilers of the system: perfmap, jitdump, vtune.
    ///
    /// `guest` samples all threads and writes a profile for the Firefox Profiler
    /// (profiler.firefox.com), `flamegraph` a picture of it (SVG). FILE is `guest-profile.json` or
    /// `guest-flamegraph.svg` if none is given; INTERVAL is the processor time between two
    /// samples of a thread (1ms).
    #[arg(long, value_name = "WHAT")]
    pub(crate) profile: Option<String>,

    /// Wasmtime's debugger, which follows one store.
    #[arg(short = 'g', long, value_name = "[ADDR:]PORT", hide = true)]
    pub(crate) gdbstub: Option<String>,

    #[command(flatten)]
    pub(crate) module_limits: ModuleLimitArgs,

    /// The most threads the program may have at once besides its first.
    ///
    /// At the limit `thread-spawn` waits a little for one to leave, then fails.
    #[arg(long, value_name = "N", value_parser = parse_max_threads)]
    pub(crate) max_threads: Option<u32>,

    /// The most memory that the program may make the host keep, in bytes.
    ///
    /// Memories, garbage-collected heaps and tables count with their sizes, host stacks as
    /// reserved, and lists of polls. A shared memory may grow to what is left when the program
    /// starts.
    #[arg(long, value_name = "BYTES", value_parser = number::<u64>)]
    pub(crate) max_total_memory: Option<u64>,

    /// Host stack of each thread, in bytes.
    #[arg(long, value_name = "BYTES", value_parser = number::<usize>)]
    pub(crate) thread_stack_size: Option<usize>,

    /// Ends the run after this time (10, 10s, 500ms), even if threads are blocked, or the module is
    /// still being compiled.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// What happens when all threads wait for one another.
    #[arg(long, value_name = "WHAT", default_value = "report")]
    pub(crate) deadlock: OnDeadlock,

    /// Prints figures about the run on stderr, after its end.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "human")]
    pub(crate) stats: Option<StatsFormat>,

    /// Writes a timeline of the run to a file, for Perfetto (ui.perfetto.dev) or chrome://tracing.
    ///
    /// One track per thread: WASI calls, waits, which thread woke or started which. The program
    /// starts only if the file can be written; with a FIFO, when that has a reader.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,

    /// How long threads may take to leave once the program has ended.
    ///
    /// Running and waiting threads leave at once; one inside a system call that
    /// nothing interrupts (a dead network disk) may not. After this
    /// time the process ends without it.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "1s")]
    pub(crate) shutdown_grace: Duration,

    /// The module (`.wasm`, `.wat`, or `-` for stdin) and its arguments.
    #[arg(value_name = "MODULE", trailing_var_arg = true, required = true)]
    pub(crate) module_and_args: Vec<OsString>,
}
