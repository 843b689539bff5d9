//! Runs a wasi-threads module on Wasmtime 46 as `wasmtime run -S threads` did:
//! one `wasi-common` context shared by all threads, and a new store and a new
//! operating-system thread for each `thread-spawn`.
//!
//! ```text
//! peer46 [--dir HOST[::GUEST]]... MODULE [ARGUMENT]...
//! ```
//!
//! What the command had beyond that (compile cache, limits, profiling) is left
//! out. The benches read the time a guest takes from the guest itself, so that
//! compiling is in no figure.

use std::process::exit;
use std::sync::Arc;

use wasi_common::sync::{Dir, WasiCtxBuilder, ambient_authority};
use wasi_common::{I32Exit, WasiCtx};
use wasmtime::error::Context;
use wasmtime::{Config, Engine, Linker, Module, Result, Store, bail};
use wasmtime_wasi_threads::WasiThreadsCtx;

/// What each thread's store holds; a spawn clones it. Both are shared.
#[derive(Clone)]
struct Host {
    wasi: WasiCtx,
    threads: Option<Arc<WasiThreadsCtx<Host>>>,
}

fn main() -> Result<()> {
    let mut typed = std::env::args().skip(1).peekable();
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio();
    while typed.next_if(|word| word == "--dir").is_some() {
        let dir = typed.next().context("--dir needs a folder")?;
        let (host, guest) = dir.split_once("::").unwrap_or((&dir, &dir));
        let opened = Dir::open_ambient_dir(host, ambient_authority())
            .with_context(|| format!("cannot open the folder {host}"))?;
        wasi.preopened_dir(opened, guest)?;
    }
    let args: Vec<String> = typed.collect();
    let Some(path) = args.first() else {
        bail!("usage: peer46 [--dir HOST[::GUEST]]... MODULE [ARGUMENT]...");
    };
    wasi.args(&args)?;

    let mut config = Config::new();
    config.wasm_threads(true).shared_memory(true);
    let engine = Engine::new(&config)?;
    let module = Module::from_file(&engine, path)?;

    let mut linker = Linker::new(&engine);
    wasi_common::sync::add_to_linker(&mut linker, |host: &mut Host| &mut host.wasi)?;
    let mut store = Store::new(
        &engine,
        Host {
            wasi: wasi.build(),
            threads: None,
        },
    );
    // A module with a memory of its own runs too, without threads.
    if module.imports().any(|import| import.module() == "wasi") {
        wasmtime_wasi_threads::add_to_linker(&mut linker, &store, &module, |host| {
            host.threads.as_ref().expect("set before the guest runs")
        })?;
        let threads = WasiThreadsCtx::new(module.clone(), Arc::new(linker.clone()), false)?;
        store.data_mut().threads = Some(Arc::new(threads));
    }

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
