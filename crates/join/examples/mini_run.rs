//! A runtime for the command line: runs a program with threads, with folders, variables and a time
//! limit.
//!
//! ```sh
//! cargo run -p wasi-threads-p1 --example mini_run -- \
//!     [--dir HOST::GUEST] [--env NAME=VALUE] [--timeout SECONDS] PROGRAM [ARGUMENT...]
//! ```
//!
//! `wasi-threads-run` is the complete one.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use wasi_threads_p1::p1_adapter::{FsPerms, P1CtxBuilder};
use wasi_threads_p1::wasi_threads::{Limits, Outcome, ThreadGroup, prepare};
use wasmtime::{Config, Engine};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mini_run: {error}");
            ExitCode::from(1)
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut ctx = P1CtxBuilder::new();
    let mut limits = Limits::new()
        .threads(1000)
        // Rust programs declare 1 GiB. This host lets them have a quarter of it.
        .shared_memory(256 << 20)
        .clamp_shared_memory(true);
    let mut args = std::env::args().skip(1);
    let program = loop {
        let arg = args.next().ok_or("which program?")?;
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--dir" => {
                let value = value()?;
                let (host, guest) = value.split_once("::").unwrap_or((&value, &value));
                ctx.preopened_dir(host, guest, FsPerms::ReadWrite)?;
            }
            "--env" => {
                let value = value()?;
                let (name, value) = value.split_once('=').ok_or("--env needs NAME=VALUE")?;
                ctx.env(name, value);
            }
            "--timeout" => limits = limits.timeout(Duration::from_secs_f64(value()?.parse()?)),
            _ if arg.starts_with('-') => return Err(format!("unknown option {arg}").into()),
            _ => break arg,
        }
    };
    let mut config = Config::new();
    config.shared_memory(true).epoch_interruption(true);
    let engine = Engine::new(&config)?;
    // Bytes or text.
    let bytes = wat::parse_file(&program)?;
    let module = prepare(&engine, &bytes)?;
    ctx.inherit_stdio().arg(&program);
    for arg in args {
        ctx.arg(arg);
    }
    let ctx = ctx.build()?;
    let group = wasi_threads_p1::program(&engine, &module, &ctx)?
        .limits(limits)
        // If all threads wait for one another, say so and end.
        .detect_deadlock(true)
        .build()?;
    let outcome = group.run("_start")?;
    Ok(tell(&group, outcome))
}

/// What a shell should see.
fn tell<T: Send>(group: &ThreadGroup<T>, outcome: Outcome) -> ExitCode {
    if let Some(backtrace) = group.backtrace_of(&outcome) {
        eprintln!("{backtrace}");
    }
    for left in group.left_behind() {
        eprintln!("mini_run: thread {} did not end", left.thread);
    }
    match outcome.into_exit_status() {
        // A status that no process can end with is a failure.
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            eprintln!("mini_run: {error}");
            ExitCode::from(134)
        }
    }
}
