//! Runs a module that was compiled elsewhere, as the example `precompile` does. It needs no
//! compiler:
//!
//! ```sh
//! cargo run -p wasi-threads --no-default-features --example load MODULE.cwasm
//! ```
//!
//! The module imports a shared memory, `wasi.thread-spawn`, and `host.print: (i32) -> ()`, and
//! nothing else.
#![allow(clippy::print_stdout)]
// Compiled code is native code, which is taken on trust.
#![allow(unsafe_code)]

use std::error::Error;

use wasi_threads::{Outcome, Stamped, ThreadGroup};
use wasmtime::{Config, Engine, Linker, Module};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).ok_or("which file?")?;
    let mut config = Config::new();
    config
        .shared_memory(true)
        .epoch_interruption(true)
        .gc_support(false);
    let engine = Engine::new(&config)?;
    let bytes = std::fs::read(file)?;
    let stamped = Stamped::parse(&bytes)?;
    // SAFETY: the file is what `ThreadModule::serialize` wrote, as far as its checksum and the user
    // that named it can tell.
    let compiled = unsafe { Module::deserialize(&engine, stamped.compiled()) }?;
    let module = stamped.into_module(compiled)?;
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("host", "print", |number: i32| println!("{number}"))?;
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(|_| ())
        .build()?;
    match group.run("_start")? {
        Outcome::Returned => Ok(()),
        outcome => Err(format!("{outcome:?}").into()),
    }
}
