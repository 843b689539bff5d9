//! `wasi-threads-run`: runs WASI preview1 programs with threads on Wasmtime.
//!
//! A run is a line of steps: the command line as typed ([`args`]), the module from its bytes to compiled code
//! ([`module`]), the program ([`run`]), and what is said about it and its end ([`report`]). Whatever goes wrong on the
//! way is a [`message`]. What depends on the platform is in [`sys`].

mod args;
mod message;
mod module;
mod report;
mod run;
mod sys;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the compile cache starts a thread: afterwards the kernel takes its time with it.
    p1_adapter::prepare_process();
    let exit = args::parse().and_then(command).unwrap_or_else(|message| {
        message::say(&message);
        message.exit()
    });
    exit.into()
}

fn command(cli: args::Cli) -> message::Result<message::exit::Exit> {
    match cli.command {
        None => run::run(run::plan::Plan::from_args(cli.run)?),
        Some(args::Command::Run(run_args)) => run::run(run::plan::Plan::from_args(*run_args)?),
        Some(args::Command::Compile(compile_args)) => module::compile::compile(*compile_args),
        Some(args::Command::Inspect { module }) => {
            module::inspect::inspect(&module::source::ModuleSource::typed(&module))
        }
        Some(args::Command::Completion { shell }) => args::shell::completion(shell),
        Some(args::Command::Man) => args::shell::man(),
    }
}
