//! `p1-adapter` by itself, in place of `wasmtime_wasi::p1`: one thread, one store. What changes is
//! marked.
//!
//! ```sh
//! cargo run -p p1-adapter --example instead_of_p1
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;

use p1_adapter::{FsPerms, P1CtxBuilder, P1State, exit_code};
use wasmtime::{Engine, Linker, Module, Store};

/// Opens `greeting` below its first folder, copies 64 bytes of it at most to standard output, and
/// exits with their count.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 32) "greeting")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 64))
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 8) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))
      (then unreachable))
    (if (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 4))
      (then unreachable))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
    (call $exit (i32.load (i32.const 4)))))"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("instead-of-p1-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("greeting"), "hello from a file\n")?;

    let engine = Engine::default();
    let module = Module::new(&engine, PROGRAM)?;
    // Was: `Linker<WasiP1Ctx>`, `wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |ctx| ctx)`.
    let mut linker = Linker::<P1State>::new(&engine);
    p1_adapter::add_to_linker_sync(&mut linker, |state| state)?;
    // Was: `WasiCtxBuilder::new()`, the same methods, `build_p1()`.
    let ctx = P1CtxBuilder::new()
        .inherit_stdio()
        .arg("program")
        .preopened_dir(&folder, "/", FsPerms::ReadOnly)?
        .build()?;
    // Was: `Store::new(&engine, ctx)`. Any number of stores may have clones of one context.
    let mut store = Store::new(&engine, P1State::new(ctx.clone()));
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let called = start.call(&mut store, ());
    std::fs::remove_dir_all(&folder)?;
    match called {
        Ok(()) => println!("it returned"),
        Err(error) => match exit_code(&error) {
            Some(code) => println!("it exited with {code}"),
            None => return Err(error.into()),
        },
    }
    Ok(())
}
