//! The command line as typed.
//!
//! Nothing is decided here: [`crate::run::plan`] turns it into a plan, and refuses what cannot be
//! done.

mod date;
mod environment;
mod help_output;
pub(crate) mod invoke;
pub(crate) mod legacy;
pub(crate) mod listenfd;
pub(crate) mod module_limits;
pub(crate) mod profiling;
pub(crate) mod races_args;
pub(crate) mod refused_options;
pub(crate) mod run_args;
pub(crate) mod schedule_args;
pub(crate) mod shell;
pub(crate) mod values;
mod version;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args as _, CommandFactory, FromArgMatches, Parser};
use wasmtime_cli_flags::CommonOptions;

use crate::args::legacy::LegacyCommon;
use crate::args::module_limits::ModuleLimitArgs;
use crate::args::run_args::RunArgs;
use crate::message::exit::Exit;
use crate::message::{Message, Result, printed};

/// What the help begins with.
const ABOUT: &str = concat!(
    "Runs WASI preview1 programs with threads (wasi-threads) on Wasmtime ",
    env!("CARGO_PKG_VERSION_MAJOR")
);

/// The command line.
#[derive(Parser)]
#[command(
    name = "wasi-threads-run",
    version,
    about = ABOUT,
    long_about = format!("{ABOUT}.\n\nUnofficial: not a project of the Bytecode Alliance."),
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

/// The definition of the command line.
///
/// Two options of the library are hidden, because all subcommands refuse them.
pub(crate) fn command() -> clap::Command {
    fn hide(command: clap::Command) -> clap::Command {
        command
            .mut_arg("record_raw", |arg| arg.hide(true))
            .mut_arg("target", |arg| arg.hide(true))
    }
    hide(Cli::command())
        .mut_subcommand("run", hide)
        .mut_subcommand("compile", hide)
        .version(version::version())
}

/// Reads the command line. Ends the process after help or a version, and after an error of clap.
pub(crate) fn parse() -> Result<Cli> {
    let typed: Vec<_> = std::env::args_os().collect();
    if let [_, word] = &typed[..]
        && version::is_asked_by(word)
    {
        let said = format!("{} {}\n", env!("CARGO_PKG_NAME"), version::version());
        printed(std::io::stdout().write_all(said.as_bytes()))?;
        std::process::exit(Exit::Success.status().into())
    }
    let mut line = environment::with_variables(typed.clone(), std::env::vars_os())?;
    let listenfd = listenfd::take_from(&mut line);
    if environment::LIBRARY_READS_VARIABLES {
        line = typed;
        let _ = listenfd::take_from(&mut line);
    }
    let parsed = help_output::guarded(|| {
        let mut cli = match as_run(&line) {
            Some(cli) => cli,
            None => Cli::from_arg_matches(&command().try_get_matches_from(line)?)?,
        };
        listenfd::note(&mut cli, listenfd);
        Ok::<_, clap::Error>(cli)
    })?;
    match parsed {
        Ok(cli) => Ok(cli),
        // The message of clap does not say which argument it is.
        Err(error) if error.kind() == ErrorKind::InvalidUtf8 => Err(not_utf8()),
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => {
            printed(help.print())?;
            std::process::exit(Exit::Success.status().into())
        }
    }
}

/// Reads the line as one of `run`, which most lines are. `None` if it is not one, or is wrong.
///
/// Each subcommand lists its options anew, and [`command`] has three that do. It also says what is
/// wrong with a line.
fn as_run(line: &[OsString]) -> Option<Cli> {
    let (name, words) = line.split_first()?;
    let first = words.first()?;
    if SUBCOMMANDS.iter().any(|other| first == other) {
        return None;
    }
    let words = if first == "run" { &words[1..] } else { words };
    let only = RunArgs::augment_args(clap::Command::new(env!("CARGO_PKG_NAME")));
    let matches = only.try_get_matches_from([name].into_iter().chain(words));
    Some(Cli {
        command: None,
        run: RunArgs::from_arg_matches(&matches.ok()?).ok()?,
    })
}

/// The subcommands beside `run`, as they are typed.
const SUBCOMMANDS: [&str; 5] = ["compile", "inspect", "completion", "man", "help"];

/// The message about an option whose value is not UTF-8.
fn not_utf8() -> Message {
    let which = std::env::args_os().find(|arg| arg.to_str().is_none());
    let which = which.unwrap_or_default();
    Message::usage(format!("the argument {which:?} is not UTF-8"))
        .why("WASI's strings are UTF-8, and so are names of options")
        .help("for a folder, give a link to it whose name is UTF-8")
}

/// The subcommands.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Runs a module (what is meant when no subcommand is given)
    Run(Box<RunArgs>),
    /// Compiles a module to native code, to be run with --allow-precompiled
    ///
    /// The options that concern compilation must be the same for both; those that do not, such as
    /// -S and limits, may be there for both too, and matter when it is run.
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

/// The options of `compile`.
#[derive(Parser)]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub(crate) common: CommonOptions,

    #[command(flatten)]
    pub(crate) legacy: LegacyCommon,

    #[command(flatten)]
    pub(crate) module_limits: ModuleLimitArgs,

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_is_content() {
        command().debug_assert();
    }

    #[test]
    fn a_run_is_read_as_the_whole_command_reads_it() {
        for line in [
            "x.wasm",
            "run x.wasm",
            "run run",
            "x.wasm compile --help -W help",
            "--dir . --env A=1 x.wasm a b",
            "run -Wtimeout=5 -S tcplisten=[::1]:80 --invoke f x.wasm -- -1",
            "--dir . compile x.wasm",
            "--dir . run x.wasm",
            "-- compile x.wasm",
            "",
            "run",
            "--dir",
            "--no-such-option x.wasm",
            "-W no-such-option x.wasm",
            "--help",
            "-h x.wasm",
            "run --help",
            "--version x.wasm",
            "compile x.wasm",
            "inspect x.wasm",
            "help run",
            "man",
            "completion bash",
        ] {
            let words = std::iter::once("wasi-threads-run").chain(line.split_whitespace());
            let words: Vec<OsString> = words.map(OsString::from).collect();
            let whole = command().try_get_matches_from(&words);
            let whole = whole.and_then(|matches| Cli::from_arg_matches(&matches));
            let whole = match whole {
                Ok(Cli { command: None, run }) => Some(run),
                Ok(Cli {
                    command: Some(Command::Run(run)),
                    ..
                }) => Some(*run),
                Ok(_) | Err(_) => None,
            };
            let seen = |run: RunArgs| (run.module_and_args, run.dirs.len(), run.vars, run.invoke);
            let one = as_run(&words).map(|cli| seen(cli.run));
            assert_eq!(one, whole.map(seen), "{line}");
        }
        let whole = command();
        let names = whole.get_subcommands().map(clap::Command::get_name);
        let others: Vec<_> = names.filter(|name| *name != "run").collect();
        // The library adds `help` itself.
        let mut names = [&others[..], &["help"]].concat();
        names.sort_unstable();
        let mut known = SUBCOMMANDS;
        known.sort_unstable();
        assert_eq!(names, known);
    }
}
