//! Runs a single-threaded preview1 module with `wasmtime_wasi::p1` of release 48
//! through the synchronous linker.
//!
//! ```text
//! p1-48 [--block] [--dir HOST[::GUEST]]... MODULE [ARGUMENT]...
//! ```
//!
//! By default file calls run where wasmtime-wasi puts them, on a thread of
//! tokio's blocking pool; `--block` asks for the calling thread
//! (`WasiCtxBuilder::allow_blocking_current_thread`).

use std::process::exit;

use wasmtime::error::Context;
use wasmtime::{Config, Engine, Linker, Module, Result, Store, bail};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

fn main() -> Result<()> {
    let mut typed = std::env::args().skip(1).peekable();
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio();
    // Set first: a preopened folder takes the setting as it is when it is added.
    if typed.next_if(|word| word == "--block").is_some() {
        wasi.allow_blocking_current_thread(true);
    }
    while typed.next_if(|word| word == "--dir").is_some() {
        let dir = typed.next().context("--dir needs a folder")?;
        let (host, guest) = dir.split_once("::").unwrap_or((&dir, &dir));
        wasi.preopened_dir(host, guest, FsPerms::ReadWrite)?;
    }
    let args: Vec<String> = typed.collect();
    let Some(path) = args.first() else {
        bail!("usage: p1-48 [--block] [--dir HOST[::GUEST]]... MODULE [ARGUMENT]...");
    };
    wasi.args(&args);

    // PROFILE=perfmap names compiled code to `perf`.
    let mut config = Config::new();
    if std::env::var_os("PROFILE").is_some_and(|strategy| strategy == "perfmap") {
        config.profiler(wasmtime::ProfilingStrategy::PerfMap);
    }
    let engine = Engine::new(&config)?;
    let module = Module::from_file(&engine, path)?;
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(&engine, wasi.build_p1());
    let start = linker
        .instantiate(&mut store, &module)?
        .get_typed_func::<(), ()>(&mut store, "_start")?;
    match start.call(&mut store, ()) {
        Ok(()) => exit(0),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(status) => exit(status.0),
            None => bail!("{error:?}"),
        },
    }
}
