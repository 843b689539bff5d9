//! `wasi-threads-run`: runs WASI preview1 programs with threads on Wasmtime.
//!
//! A run has four steps: reading the command line ([`args`]), compiling the module ([`module`]),
//! running the program ([`mod@run`]), and reporting on it and its end ([`report`]). Errors are
//! [`message`]s, and files that the options ask for are [`output`]s. What depends on the platform
//! is in [`sys`].

mod args;
mod message;
mod module;
mod output;
mod report;
mod run;
mod sys;

use std::process::ExitCode;

use crate::args::{Cli, Command, shell};
use crate::message::Result;
use crate::message::exit::Exit;
use crate::module::compile::compile;
use crate::module::inspect::inspect;
use crate::module::source::ModuleSource;
use crate::run::run;
use crate::sys::signals;

fn main() -> ExitCode {
    // Before the compile cache starts a thread: with several threads the kernel takes longer for
    // it.
    p1_adapter::prepare_process();
    signals::outlive_size_limits();
    let exit = args::parse().and_then(command).unwrap_or_else(|message| {
        message::say(&message);
        message.exit()
    });
    exit.into()
}

fn command(cli: Cli) -> Result<Exit> {
    match cli.command {
        None => run(cli.run),
        Some(Command::Run(run_args)) => run(*run_args),
        Some(Command::Compile(compile_args)) => compile(*compile_args),
        Some(Command::Inspect { module }) => inspect(&ModuleSource::typed(&module)),
        Some(Command::Completion { shell }) => shell::completion(shell),
        Some(Command::Man) => shell::man(),
    }
}
