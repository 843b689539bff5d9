//! `wasi-threads-run`: runs WASI preview1 programs with threads on Wasmtime.
//!
//! A run is a line of steps, one module each: the command line as typed
//! ([`args`], [`legacy`]), what it means and what of it cannot be done
//! ([`config`], [`refuse`]), the module's bytes ([`load`], [`precompiled`],
//! [`raw`]), its shape ([`shape`]), its compilation ([`cache`], [`progress`]), the program
//! ([`run`], [`context`], [`link`], [`listen`], [`invoke`], [`signals`],
//! [`calls`]), what is said about its end ([`report`], [`watch`],
//! [`stats`], [`trace`], [`coredump`]) and the status ([`exit`]). Whatever goes
//! wrong on the way is a [`message`]. The other subcommands are [`compile`],
//! [`inspect`] and what is in [`shell`].

mod args;
mod cache;
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
mod precompiled;
mod progress;
mod raw;
mod refuse;
mod report;
mod run;
mod shape;
mod shell;
mod signals;
mod stats;
mod trace;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the compile cache starts a thread: afterwards the kernel takes its time with it.
    p1_adapter::prepare_process();
    let exit = parse().and_then(command).unwrap_or_else(|message| {
        message::say(&message);
        message.exit()
    });
    exit.into()
}

/// Reads the command line, which ends the process where that asks for help.
///
/// The lists of `-O help`, `-W help` and the like are printed by the library that has them, with a macro that panics
/// where stdout cannot be written.
fn parse() -> message::Result<args::Cli> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let parsed = std::panic::catch_unwind(args::parse);
    std::panic::set_hook(hook);
    parsed.or_else(|panic| match panic.downcast_ref::<String>() {
        Some(said) if let Some(why) = said.strip_prefix("failed printing to stdout: ") => {
            match why.contains("Broken pipe") {
                // As when this program prints: who has gone has seen enough.
                true => std::process::exit(exit::Exit::Success.status().into()),
                false => Err(message::Message::failure("stdout cannot be written").why(why)),
            }
        }
        _ => std::panic::resume_unwind(panic),
    })
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
