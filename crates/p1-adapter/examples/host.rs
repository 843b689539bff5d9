//! A small host: runs one preview1 module in the folders it is given.
//!
//! ```text
//! cargo run -p p1-adapter --example host -- \
//!     [--trace] [--dir HOST[::GUEST]]... MODULE [ARGUMENT]...
//! ```
//!
//! `--trace` prints every WASI call, its result and how long it took to standard error.

use p1_adapter::{
    CallObserver, CallOutcome, P1Ctx, P1CtxBuilder, P1State, Raised, add_to_linker_sync,
    add_unstable_to_linker_sync,
};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::error::Context as _;
use wasmtime::{Engine, Linker, Module, Result, Store};
use wasmtime_wasi::{FsPerms, I32Exit};

/// Prints calls.
struct Trace(Instant);

impl Trace {
    fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

impl CallObserver for Trace {
    fn started(&self, _function: &'static str) -> u64 {
        self.now()
    }

    fn ended(&self, function: &'static str, started: u64, outcome: CallOutcome<'_>) {
        let took = self.now() - started;
        let mut err = std::io::stderr().lock();
        // A trace that cannot be printed must not end the guest.
        let _ = match outcome {
            CallOutcome::Returned(errno) => writeln!(err, "{function} = {errno} ({took} ns)"),
            CallOutcome::Trapped(error) => writeln!(err, "{function}: {error} ({took} ns)"),
            _ => writeln!(err, "{function}: given up ({took} ns)"),
        };
    }
}

fn main() -> Result<ExitCode> {
    let mut words = std::env::args().skip(1).peekable();
    let mut builder = P1CtxBuilder::new();
    builder.inherit_stdio();
    if words.next_if(|word| word == "--trace").is_some() {
        builder.call_observer(Arc::new(Trace(Instant::now())));
    }
    while words.next_if(|word| word == "--dir").is_some() {
        let dir = words.next().context("--dir needs a folder")?;
        let (host, guest) = dir.split_once("::").unwrap_or((&dir, &dir));
        builder.preopened_dir(host, guest, FsPerms::ReadWrite)?;
    }
    let args: Vec<String> = words.collect();
    let path = args
        .first()
        .context("usage: host [--trace] [--dir HOST[::GUEST]]... MODULE [ARGUMENT]...")?;
    builder.args(&args);
    run(path, builder.build()?)
}

fn run(path: &str, ctx: P1Ctx) -> Result<ExitCode> {
    let engine = Engine::default();
    let module = Module::from_file(&engine, path)?;
    let mut linker: Linker<P1State> = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |state| state)?;
    add_unstable_to_linker_sync(&mut linker, |state| state)?;
    let mut store = Store::new(&engine, P1State::new(ctx));
    let start = linker
        .instantiate(&mut store, &module)?
        .get_typed_func::<(), ()>(&mut store, "_start")?;
    let Err(error) = start.call(&mut store, ()) else {
        return Ok(ExitCode::SUCCESS);
    };
    // What an exit status and a signal mean is the host's to say: this one does as a shell would.
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Ok(ExitCode::from(exit.0 as u8));
    }
    if let Some(raised) = error.downcast_ref::<Raised>() {
        return Ok(ExitCode::from(128 + raised.number));
    }
    Err(error)
}
