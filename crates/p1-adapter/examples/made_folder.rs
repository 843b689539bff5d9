//! Folders that the host makes up: one whose files are computed as they are read, and one in memory
//! that the guest writes to.
//!
//! ```sh
//! cargo run -p p1-adapter --example made_folder
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use p1_adapter::made::{
    MadeEntry, MadeFile, MadeFolder, MadeKind, MadeMetadata, MadeNode, MemoryFolder,
};
use p1_adapter::{FsPerms, P1CtxBuilder, P1State, add_to_linker_sync, exit_code};
use wasmtime::{Engine, Linker, Module, Store};

/// Copies `/squares/12` to `/out/copy`, and exits with the errno of opening `../out/copy` below
/// `/squares`.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 32) "12")
  (data (i32.const 64) "copy")
  (data (i32.const 96) "../out/copy")
  (func (export "_start")
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 2) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))
      (then unreachable))
    (i32.store (i32.const 0) (i32.const 256))
    (i32.store (i32.const 4) (i32.const 64))
    (if (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 4))
      (then unreachable))
    ;; Made anew, to be written (rights 64).
    (if (call $open (i32.const 4) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 1)
          (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8))
      (then unreachable))
    (if (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12))
      (then unreachable))
    (call $exit
      (call $open (i32.const 3) (i32.const 0) (i32.const 96) (i32.const 11) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))))"#;

/// A folder with the files `0` to `99`: in each is the square of its name.
struct Squares;

struct Square(u64);

impl Square {
    fn text(&self) -> String {
        format!("{} squared is {}\n", self.0, self.0 * self.0)
    }
}

impl MadeFolder for Squares {
    /// `name` is one name: paths are the adapter's business.
    fn find(&self, name: &str) -> io::Result<MadeNode> {
        match name.parse() {
            Ok(number @ 0..100) => Ok(MadeNode::File(Arc::new(Square(number)))),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn list(&self) -> io::Result<Vec<MadeEntry>> {
        let entry = |n: u64| MadeEntry::new(n.to_string(), MadeKind::File, n + 2);
        Ok((0..100).map(entry).collect())
    }

    fn metadata(&self) -> io::Result<MadeMetadata> {
        Ok(MadeMetadata::new(1))
    }
}

impl MadeFile for Square {
    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        let text = self.text();
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        let count = rest.len().min(to.len());
        to[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn metadata(&self) -> io::Result<MadeMetadata> {
        let mut metadata = MadeMetadata::new(self.0 + 2);
        metadata.size = self.text().len() as u64;
        Ok(metadata)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::default();
    let module = Module::new(&engine, PROGRAM)?;
    let mut linker = Linker::<P1State>::new(&engine);
    add_to_linker_sync(&mut linker, |state| state)?;

    // At most a megabyte, names included.
    let out = MemoryFolder::new(1 << 20);
    let ctx = P1CtxBuilder::new()
        .inherit_stdio()
        .made_folder(Squares, "/squares", FsPerms::ReadOnly)
        .made_folder(out.clone(), "/out", FsPerms::ReadWrite)
        .build()?;
    let mut store = Store::new(&engine, P1State::new(ctx));
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let Err(error) = start.call(&mut store, ()) else {
        return Err("the program should have exited".into());
    };
    let status = exit_code(&error).ok_or(error)?;
    println!("out of a folder: errno {status}");
    for name in out.names() {
        print!("{name}: {}", String::from_utf8(out.read(&name)?)?);
    }
    Ok(())
}
