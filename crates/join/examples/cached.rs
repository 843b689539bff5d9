//! Modules that are compiled once: a folder of compiled modules, which are mapped from their files.
//! The key is made of all that decides how a module is compiled.
//!
//! ```sh
//! cargo run -p wasi-threads-p1 --example cached [FOLDER]
//! ```
#![allow(clippy::print_stdout)]
// Compiled code is native code, and is trusted.
#![allow(unsafe_code)]

use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use wasi_threads_p1::p1_adapter::P1CtxBuilder;
use wasi_threads_p1::wasi_threads::rewrite::RewriteOptions;
use wasi_threads_p1::wasi_threads::{ThreadModule, preparation_compatibility_hash, prepare};
use wasmtime::{Config, Engine};

const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "env" "memory" (memory 1 1 shared))
  (export "memory" (memory 0))
  (func (export "_start") (call $exit (i32.const 7))))"#;

/// The module of `bytes`, and whether it came from `folder`.
fn module(
    engine: &Engine,
    folder: &Path,
    bytes: &[u8],
) -> Result<(ThreadModule, bool), Box<dyn Error>> {
    // The engine's settings, Wasmtime's version, and how modules are prepared. Collisions of this
    // key can be searched for, so each user has a folder of its own; a folder that users share
    // needs a cryptographic hash.
    let mut key = DefaultHasher::new();
    bytes.hash(&mut key);
    preparation_compatibility_hash(engine, &RewriteOptions::default()).hash(&mut key);
    let file = folder.join(format!("{:016x}.cwasm", key.finish()));
    if file.exists() {
        // SAFETY: only this function writes into the folder. It writes what `serialize` gave,
        // replaces files and never changes them. Whatever else can write there can run code in this
        // process.
        match unsafe { ThreadModule::deserialize_file(engine, &file) } {
            Ok(module) => return Ok((module, true)),
            // Cut short, say: made anew.
            Err(error) => println!("{error}"),
        }
    }
    let module = prepare(engine, bytes)?;
    // Under another name first, so that no other process finds half of it.
    let new = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, module.serialize()?)?;
    std::fs::rename(new, &file)?;
    Ok((module, false))
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir().join(format!("cached-{}", std::process::id())),
    };
    std::fs::create_dir_all(&folder)?;
    let bytes = wat::parse_str(PROGRAM)?;
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
    for _ in 0..2 {
        let (module, found) = module(&engine, &folder, &bytes)?;
        let ctx = P1CtxBuilder::new().build()?;
        let group = wasi_threads_p1::program(&engine, &module, &ctx)?.build()?;
        let status = group.run("_start")?.into_exit_status()?;
        let from = if found { "the folder" } else { "the compiler" };
        println!("from {from}: status {status}");
    }
    if std::env::args_os().len() < 2 {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}
