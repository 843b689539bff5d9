//! Descriptors of the host's own: a service behind a socket pair, and an output written in Rust.
//!
//! ```sh
//! cargo run -p p1-adapter --example own_kind
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use p1_adapter::{P1CtxBuilder, P1State, StreamAccess, add_to_linker_sync};
use tokio::io::AsyncWrite;
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Asks descriptor 3 a question, prints the answer, and writes two lines to descriptor 4, in three
/// pieces.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "what is the time?\0a")
  (data (i32.const 128) "a first line\0aa sec")
  (data (i32.const 192) "ond line\0a")
  (func $say (param $fd i32) (param $from i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (if (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
      (then unreachable)))
  (func (export "_start")
    (call $say (i32.const 3) (i32.const 64) (i32.const 18))
    ;; Waits for the answer, in the kernel.
    (i32.store (i32.const 0) (i32.const 256))
    (i32.store (i32.const 4) (i32.const 64))
    (if (call $read (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
    (call $say (i32.const 1) (i32.const 256) (i32.load (i32.const 8)))
    (call $say (i32.const 4) (i32.const 128) (i32.const 18))
    (call $say (i32.const 4) (i32.const 192) (i32.const 4))
    (call $say (i32.const 4) (i32.const 196) (i32.const 5))))"#;

/// Answers each line in capitals, until no more can come.
fn serve(socket: UnixStream) -> io::Result<usize> {
    let mut answers = socket.try_clone()?;
    let mut served = 0;
    for line in BufReader::new(socket).lines() {
        // In one write: the guest reads once, and would take a part for the whole.
        let answer = format!("you ask: {}\n", line?.to_uppercase());
        answers.write_all(answer.as_bytes())?;
        served += 1;
    }
    Ok(served)
}

/// An output that keeps the lines it is given.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn bytes(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

#[async_trait]
impl Pollable for Lines {
    /// There is always room.
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.bytes().extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    /// How much may be written at once.
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    /// Preview3's; this crate uses the other.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::default();
    let module = Module::new(&engine, PROGRAM)?;
    let mut linker = Linker::<P1State>::new(&engine);
    add_to_linker_sync(&mut linker, |state| state)?;

    let ctx = P1CtxBuilder::new().inherit_stdio().build()?;
    let (theirs, ours) = UnixStream::pair()?;
    assert_eq!(ctx.push_stream(theirs, StreamAccess::ReadWrite)?, 3);
    let service = std::thread::spawn(move || serve(ours));
    let lines = Lines::default();
    assert_eq!(ctx.push_output(lines.clone())?, 4);

    let mut store = Store::new(&engine, P1State::new(ctx.clone()));
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    start.call(&mut store, ())?;

    // The guest's end of the pair closes with the last clone of its context.
    drop((store, ctx));
    let served = service.join().map_err(|_| "the service panicked")??;
    println!("the service answered {served} question");
    for line in lines.bytes().lines() {
        println!("kept: {}", line?);
    }
    Ok(())
}
