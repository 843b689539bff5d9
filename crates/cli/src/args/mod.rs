//! The command line as typed.
//!
//! Nothing is decided here: [`crate::run::plan`] makes of it what is to be done,
//! and refuses what cannot be.

pub(crate) mod invoke;
pub(crate) mod legacy;
pub(crate) mod refuse;
pub(crate) mod shell;

use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use wasmtime_cli_flags::CommonOptions;
use wasmtime_cli_flags::opt::WasmtimeOptionValue;

use crate::args::legacy::{LegacyCommon, LegacyOptions};
use crate::report::stats::Format;

/// Runs WASI preview1 programs with threads (wasi-threads) on Wasmtime 48.
///
/// Unofficial: not a project of the Bytecode Alliance.
#[derive(Parser)]
#[command(
    name = "wasi-threads-run",
    version,
    override_usage = "wasi-threads-run [run] [OPTIONS] MODULE [ARGS]...\n       wasi-threads-run <COMMAND>",
    args_conflicts_with_subcommands = true,
    after_help = "Without a subcommand, `run` is meant.\n\n\
        Exit status: that of the program (its `proc_exit`, 0 to 255; 0 when `_start` returns), \
        134 after a trap, 1 when nothing could be run, 2 for a wrong command line.\n\n\
        Examples:\n  \
        wasi-threads-run app.wasm one two          run app.wasm with two arguments\n  \
        wasi-threads-run --dir . app.wasm          ... and the current folder\n  \
        wasi-threads-run -W timeout=10s app.wasm   ... for ten seconds at most"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The command line, as what it may be.
///
/// Two of the options that the library has for everybody are refused by all subcommands, and so are in no list.
pub(crate) fn command() -> clap::Command {
    fn hide(command: clap::Command) -> clap::Command {
        command
            .mut_arg("record_raw", |arg| arg.hide(true))
            .mut_arg("target", |arg| arg.hide(true))
    }
    hide(Cli::command())
        .mut_subcommand("run", hide)
        .mut_subcommand("compile", hide)
        .version(version())
}

/// Reads the command line; what is wrong with it, or asked for by it, ends the process.
pub(crate) fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// This program's version, and Wasmtime's if it may be asked for, as it takes an engine to know it.
fn version() -> &'static str {
    let own = env!("CARGO_PKG_VERSION");
    let asked = std::env::args_os().any(|arg| arg == "--version" || arg == "-V");
    match asked.then(wasmtime_version).flatten() {
        // Once in a process, which then ends.
        Some(theirs) => format!("{own} (Wasmtime {theirs})").leak(),
        None => own,
    }
}

/// The exact version of Wasmtime. There is no constant for it, but it is part of what makes compiled code
/// compatible, and so of a hash: this is a hasher that listens.
fn wasmtime_version() -> Option<String> {
    #[derive(Default)]
    struct Listener(Vec<String>);

    impl Hasher for Listener {
        fn write(&mut self, bytes: &[u8]) {
            self.0
                .extend(std::str::from_utf8(bytes).ok().map(str::to_owned));
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut listener = Listener::default();
    let engine = wasmtime::Engine::default();
    engine.precompile_compatibility_hash().hash(&mut listener);
    let numbers = |text: &String| {
        let mut parts = text.split('.');
        parts.clone().count() == 3 && parts.all(|part| part.parse::<u32>().is_ok())
    };
    listener.0.into_iter().find(numbers)
}

/// What can be asked for by name.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Runs a module (what is meant when no subcommand is given)
    Run(Box<RunArgs>),
    /// Compiles a module to native code, to be run with --allow-precompiled
    ///
    /// The options that concern compilation must be the same for both; those that do not, such as -S and limits, may be
    /// there for both too, and matter when it is run.
    Compile(Box<CompileArgs>),
    /// Says whether a module can run here, and which linker flag is missing if not
    ///
    /// Status 1 if something is missing.
    Inspect {
        /// The module (`.wasm`, `.wat`, or `-` for stdin).
        module: OsString,
    },
    /// Prints a completion script for a shell
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, in roff
    Man,
}

/// Everything `compile` takes.
#[derive(Parser)]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub(crate) common: CommonOptions,

    #[command(flatten)]
    pub(crate) legacy: LegacyCommon,

    /// The file to write (default: the module's name, ending in .cwasm, in the current folder).
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Writes Cranelift's intermediate code to this folder, a file per function.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) emit_clif: Option<PathBuf>,

    /// The module (`.wasm`, `.wat`, or `-` for stdin).
    #[arg(value_name = "MODULE")]
    pub(crate) module: OsString,
}

/// Everything `run` takes.
#[derive(Parser)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) common: CommonOptions,

    #[command(flatten)]
    pub(crate) legacy: LegacyOptions,

    /// Gives the program a folder: HOST, seen by it as GUEST (default: as HOST).
    ///
    /// A third part says whether it may be written: `rw` (the default) or `ro`.
    #[arg(long = "dir", value_name = "HOST[::GUEST[::ro]]", value_parser = parse_dir)]
    pub(crate) dirs: Vec<Dir>,

    /// Sets an environment variable; without a value, passes on this process's.
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = parse_env)]
    pub(crate) vars: Vec<(String, Option<String>)>,

    /// What the program sees as its own name (default: the module's file name).
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

    /// Makes the compiled code known to a profiler: perfmap, jitdump, vtune.
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) profile: Option<String>,

    /// Wasmtime's debugger, which follows one store.
    #[arg(short = 'g', long, value_name = "[ADDR:]PORT", hide = true)]
    pub(crate) gdbstub: Option<String>,

    /// Most threads the program may have at once besides its first.
    ///
    /// At the limit `thread-spawn` waits a little for one to leave, then fails.
    #[arg(long, value_name = "N", value_parser = parse_max_threads)]
    pub(crate) max_threads: Option<u32>,

    /// Host stack of each thread, in bytes.
    #[arg(long, value_name = "BYTES", value_parser = number::<usize>)]
    pub(crate) thread_stack_size: Option<usize>,

    /// Ends the program after this time (10, 10s, 500ms), blocked threads too.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// What happens when all threads wait for one another.
    #[arg(long, value_name = "WHAT", default_value = "report")]
    pub(crate) deadlock: Deadlock,

    /// Says on stderr, after the run, what it did in figures.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "human")]
    pub(crate) stats: Option<Format>,

    /// Writes a timeline of the run to a file, for Perfetto (ui.perfetto.dev) or chrome://tracing.
    ///
    /// One track per thread: WASI calls, waits, who woke whom, who started whom.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

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

/// A value of `--deadlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Deadlock {
    /// Say so, with every thread's backtrace, and end with status 134.
    Report,
    /// Wait on.
    Off,
}

/// The largest thread id of wasi-threads, so also the most threads.
const MAX_THREAD_ID: u32 = (1 << 29) - 1;

/// One `--dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dir {
    pub(crate) host: String,
    pub(crate) guest: String,
    pub(crate) read_only: bool,
}

fn parse_dir(typed: &str) -> Result<Dir, String> {
    let mut parts = typed.split("::");
    let host = parts.next().unwrap_or_default();
    let guest = parts.next().unwrap_or(host);
    let read_only = match parts.next() {
        None | Some("rw") => false,
        Some("ro") => true,
        Some(other) => {
            return Err(format!(
                "the third part says how the folder may be used, `ro` or `rw`, not `{other}`"
            ));
        }
    };
    if parts.next().is_some() {
        return Err("more than three parts: HOST::GUEST::ro is the longest form".into());
    }
    if host.is_empty() || guest.is_empty() {
        return Err("a folder's name is empty".into());
    }
    Ok(Dir {
        host: host.into(),
        guest: guest.into(),
        read_only,
    })
}

fn parse_env(typed: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match typed.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (typed, None),
    };
    if name.is_empty() {
        return Err("the variable's name is empty".into());
    }
    Ok((name.to_owned(), value))
}

fn parse_preload(typed: &str) -> Result<(String, PathBuf), String> {
    match typed.split_once('=') {
        Some((name, path)) if !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("it has a name and a file: NAME=MODULE".into()),
    }
}

/// A value as `-W` and the like take it: numbers with `_` in them or in hexadecimal, too.
pub(crate) fn number<V: WasmtimeOptionValue>(typed: &str) -> Result<V, String> {
    V::parse(Some(typed)).map_err(|error| error.to_string())
}

fn parse_max_threads(typed: &str) -> Result<u32, String> {
    match number(typed)? {
        threads @ 0..=MAX_THREAD_ID => Ok(threads),
        _ => Err(format!("wasi-threads has {MAX_THREAD_ID} thread ids")),
    }
}

pub(crate) fn parse_duration(typed: &str) -> Result<Duration, String> {
    // The same as `-W timeout` takes.
    Duration::parse(Some(typed)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_is_content() {
        command().debug_assert();
    }

    #[test]
    fn numbers() {
        assert_eq!(number("0x100000"), Ok(1usize << 20));
        assert_eq!(number("1_000_000"), Ok(1_000_000usize));
        assert!(number::<usize>("1k").is_err());
        assert_eq!(parse_max_threads("0x10"), Ok(16));
        assert!(parse_max_threads("536870912").is_err());
        assert!(parse_max_threads("x").is_err_and(|why| why.contains("digit")));
    }

    #[test]
    fn dirs() {
        let dir = |host: &str, guest: &str, read_only| {
            Ok(Dir {
                host: host.into(),
                guest: guest.into(),
                read_only,
            })
        };
        assert_eq!(parse_dir("."), dir(".", ".", false));
        assert_eq!(parse_dir("/a/b::/data"), dir("/a/b", "/data", false));
        assert_eq!(parse_dir("a::/::ro"), dir("a", "/", true));
        assert_eq!(parse_dir("a::/::rw"), dir("a", "/", false));
        assert!(parse_dir("a::/::readonly").is_err());
        assert!(parse_dir("a::b::ro::c").is_err());
        assert!(parse_dir("::b").is_err());
        assert!(parse_dir("a::").is_err());
    }

    #[test]
    fn preload() {
        assert_eq!(parse_preload("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_preload("a").is_err());
        assert!(parse_preload("a=").is_err());
    }

    #[test]
    fn env() {
        assert_eq!(parse_env("A=b=c"), Ok(("A".into(), Some("b=c".into()))));
        assert_eq!(parse_env("A="), Ok(("A".into(), Some(String::new()))));
        assert_eq!(parse_env("A"), Ok(("A".into(), None)));
        assert!(parse_env("=b").is_err());
    }
}
