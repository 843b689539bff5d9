//! What an embedder chooses: descriptors as standard streams, numbers, streams and variables that
//! change later, a generator.

use crate::guest::*;
use p1_adapter::{
    BuildError, FsPerms, OpenMode, P1CtxBuilder, Rights, Rng, StreamAccess, exit_code,
};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use wasmtime::Val;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

#[test]
fn descriptors_are_standard_streams() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (mut read_out, out) = std::io::pipe().unwrap();
    let (input, mut write_in) = std::io::pipe().unwrap();
    let ctx = P1CtxBuilder::new()
        .stdin_fd(input)
        .stdout_fd(out)
        .stderr_fd(File::create(&log).unwrap())
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    write_in.write_all(b"in").unwrap();
    drop(write_in);
    assert_eq!(guest.get(0, 10).unwrap(), b"in");
    assert_eq!(guest.get(0, 10).unwrap(), b"");
    assert_eq!(guest.put(1, b"out"), Ok(3));
    assert_eq!(guest.put(2, b"err"), Ok(3));
    assert!(guest.put(0, b"x").is_err() && guest.get(1, 1).is_err());
    assert_eq!(fs::read(&log).unwrap(), b"err");
    // With the context the last writer of the pipe goes.
    drop((guest, ctx));
    let mut said = Vec::new();
    read_out.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"out");
}

#[test]
fn a_directory_is_no_standard_stream_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = P1CtxBuilder::new()
        .stdin_fd(crate::sys::open_dir(dir.path()))
        .build();
    // As where the host's own is one: a stream that reads nothing.
    let mut guest = Guest::new(&ctx.unwrap());
    assert!(guest.get(0, 1).is_err());
    assert!(guest.open_at(0, "file", 0, READ, 0).is_err());
}

#[test]
fn numbers_are_chosen() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    let folder = || crate::sys::open_dir(dir.path());
    let file = || File::open(dir.path().join("file")).unwrap();
    let ctx = P1CtxBuilder::new().max_descriptors(50).build().unwrap();
    ctx.insert_dir(7, folder(), Some("/"), FsPerms::ReadOnly)
        .unwrap();
    ctx.insert_file(10, file(), FsPerms::ReadOnly, OpenMode::READ)
        .unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    ctx.insert_stream(0, reader, StreamAccess::Read).unwrap();
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.get(10, 4).unwrap(), b"text");
    writer.write_all(b"piped").unwrap();
    assert_eq!(guest.get(0, 5).unwrap(), b"piped");
    // The lowest free ones are given out, and the chosen ones are not.
    let opened: Vec<i32> = (0..8)
        .map(|_| guest.open_at(7, "file", 0, READ, 0).unwrap())
        .collect();
    assert_eq!(opened, [3, 4, 5, 6, 8, 9, 11, 12]);
    // What is there is exchanged; rights are limited as for what is pushed.
    let no_seek = ctx.limited_to(Rights::FD_READ, Rights::empty());
    no_seek
        .insert_file(10, file(), FsPerms::ReadOnly, OpenMode::READ)
        .unwrap();
    assert_eq!(guest.get(10, 9).unwrap(), b"text");
    let tell = [Val::I32(10), Val::I32(OUT as i32)];
    assert_eq!(guest.call("fd_tell", &tell), NOTCAPABLE);
    let refused = ctx.insert_file(50, file(), FsPerms::ReadOnly, OpenMode::READ);
    assert!(matches!(
        refused,
        Err(BuildError::TooManyDescriptors { limit: 50 })
    ));
    let refused = ctx.insert_file(11, folder(), FsPerms::ReadOnly, OpenMode::READ);
    assert!(matches!(refused, Err(BuildError::Os { .. })));
    assert_eq!(guest.get(11, 4).unwrap(), b"text");
}

#[test]
fn output_is_exchanged_while_the_guest_has_it() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let mut guest = Guest::new(&ctx);
    let (first, second) = (MemoryOutputPipe::new(100), MemoryOutputPipe::new(100));
    assert_eq!(guest.put(1, b"nowhere"), Ok(7));
    ctx.set_stdout(first.clone()).unwrap();
    ctx.set_stderr(first.clone()).unwrap();
    assert_eq!(guest.put(1, b"one"), Ok(3));
    assert_eq!(guest.put(2, b"two"), Ok(3));
    ctx.set_stdout(second.clone()).unwrap();
    assert_eq!(guest.put(1, b"three"), Ok(5));
    assert_eq!(&first.contents()[..], b"onetwo");
    assert_eq!(&second.contents()[..], b"three");
    ctx.set_stdin(wasmtime_wasi::p2::pipe::MemoryInputPipe::new("read"))
        .unwrap();
    assert_eq!(guest.get(0, 10).unwrap(), b"read");
}

/// Counts its bytes.
struct Counter(u8);

impl rand::TryRng for Counter {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)
            .map(|()| u32::from_le_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)
            .map(|()| u64::from_le_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

#[test]
fn any_generator_gives_random_numbers() {
    fn is_rng(_: &impl Rng) {}
    is_rng(&Counter(0));
    let ctx = P1CtxBuilder::new()
        .secure_random_rng(Counter(4))
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    let ask = [Val::I32(DATA as i32), Val::I32(3)];
    assert_eq!(guest.call("random_get", &ask), OK);
    assert_eq!(guest.read(DATA, 3), [5, 6, 7]);
    assert_eq!(guest.call("random_get", &ask), OK);
    assert_eq!(guest.read(DATA, 3), [8, 9, 10]);
}

#[test]
fn an_exit_is_told_from_other_traps() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let mut guest = Guest::new(&ctx);
    let error = guest.try_call("proc_exit", &[Val::I32(-5)]).unwrap_err();
    assert_eq!(exit_code(&error), Some(-5));
    assert_eq!(exit_code(&wasmtime::Error::msg("another")), None);
}
