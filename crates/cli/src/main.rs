//! `wasi-threads-run`: runs WASI preview1 programs with threads on Wasmtime.
//!
//! A run is a line of steps, one module each: the command line as typed
//! ([`args`], [`legacy`]), what it means and what of it cannot be done
//! ([`config`], [`refuse`]), the module's bytes ([`load`], [`precompiled`]), its
//! shape ([`shape`]), its compilation ([`progress`]), the program ([`run`],
//! [`context`], [`link`], [`listen`], [`invoke`], [`signals`], [`pipe`],
//! [`calls`], [`system`]), what is said about its end ([`report`], [`watch`],
//! [`stats`], [`trace`], [`coredump`]) and the status ([`exit`]). Whatever goes
//! wrong on the way is a [`message`]. The other subcommands are [`compile`],
//! [`inspect`] and what is in [`shell`].

mod args;
mod calls;
mod compile;
mod config;
mod context;
mod coredump;
mod exit;
mod inspect;
mod invoke;
mod legacy;
mod link;
mod listen;
mod load;
mod message;
mod pipe;
mod precompiled;
mod progress;
mod refuse;
mod report;
mod run;
mod shape;
mod shell;
mod signals;
mod stats;
mod system;
mod trace;
mod watch;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before the compile cache starts a thread: afterwards the kernel takes its time with it.
    p1_adapter::prepare_process();
    // `-W help | head`: what is printed while options are read is printed by a library, which would panic.
    #[cfg(unix)]
    sigpipe::reset();
    let cli = args::Cli::parse();
    let done = pipe::note().and_then(|()| command(cli));
    let exit = done.unwrap_or_else(|message| {
        message::say(&message);
        message.exit()
    });
    exit.into()
}

fn command(cli: args::Cli) -> message::Result<exit::Exit> {
    match cli.command {
        None => run::run(config::Plan::from_args(cli.run)?),
        Some(args::Command::Run(run_args)) => run::run(config::Plan::from_args(*run_args)?),
        Some(args::Command::Compile(compile_args)) => compile::compile(*compile_args),
        Some(args::Command::Inspect { module }) => inspect::inspect(&load::Source::typed(&module)),
        Some(args::Command::Completion { shell }) => shell::completion(shell),
        Some(args::Command::Man) => shell::man(),
    }
}
