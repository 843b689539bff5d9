//! What an embedder hands over: files, directories, a whole `WasiCtx`.

use crate::guest::*;
use p1_adapter::{BuildError, P1CtxBuilder};
use std::fs;
use wasmtime::Val;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, OpenMode, WasiCtx};

#[test]
fn a_pushed_file_may_do_what_was_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, b"abc").unwrap();
    let open = || {
        fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap()
    };
    let ctx = P1CtxBuilder::new().build().unwrap();
    let both = OpenMode::READ | OpenMode::WRITE;
    let all = ctx.push_file(open(), FsPerms::ReadWrite, both).unwrap() as i32;
    let reader = ctx
        .push_file(open(), FsPerms::ReadWrite, OpenMode::READ)
        .unwrap() as i32;
    let locked = ctx.push_file(open(), FsPerms::ReadOnly, both).unwrap() as i32;
    assert_eq!([all, reader, locked], [3, 4, 5]);
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.put(all, b"xyz"), Ok(3));
    assert_eq!(guest.get(reader, 10).unwrap(), b"xyz");
    assert_eq!(
        guest.put(reader, b"no"),
        Err(BADF),
        "the file could, the guest may not"
    );
    assert_eq!(guest.put(locked, b"no"), Err(PERM));
    assert_eq!(guest.put_at(locked, b"no", 0), Err(PERM));
    let size =
        |guest: &mut Guest, fd| guest.call("fd_filestat_set_size", &[Val::I32(fd), Val::I64(0)]);
    assert_eq!(size(&mut guest, locked), PERM);
    assert_eq!(
        guest.call("fd_allocate", &[Val::I32(locked), Val::I64(0), Val::I64(9)]),
        PERM
    );
    assert_eq!(fs::read(&path).unwrap(), b"xyz");
}

#[test]
fn a_pushed_appending_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, b"1").unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    let ctx = P1CtxBuilder::new().build().unwrap();
    let fd = ctx
        .push_file(file, FsPerms::ReadWrite, OpenMode::WRITE)
        .unwrap() as i32;
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
    assert_eq!(guest.read(OUT + 2, 1), [APPEND as u8]);
    guest.put(fd, b"2").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"12");
}

#[test]
fn a_pushed_directory_is_a_preopen_if_it_has_a_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"abc").unwrap();
    let open = || crate::sys::open_dir(dir.path());
    let ctx = P1CtxBuilder::new().build().unwrap();
    let named = ctx
        .push_dir(open(), Some("/named"), FsPerms::ReadWrite)
        .unwrap() as i32;
    let plain = ctx.push_dir(open(), None, FsPerms::ReadOnly).unwrap() as i32;
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.ask("fd_prestat_get", named), OK);
    assert_eq!(guest.u32(OUT + 4), 6);
    assert_eq!(guest.ask("fd_prestat_get", plain), BADF);
    guest.open_at(named, "new", CREAT, WRITE, 0).unwrap();
    assert_eq!(guest.open_at(plain, "other", CREAT, WRITE, 0), Err(PERM));
    let fd = guest.open_at(plain, "f", 0, READ, 0).unwrap();
    assert_eq!(guest.get(fd, 10).unwrap(), b"abc");
    let file = fs::File::open(dir.path().join("f")).unwrap();
    let error = ctx.push_dir(file, None, FsPerms::ReadOnly).unwrap_err();
    assert!(matches!(error, BuildError::Preopen { .. }), "{error}");
}

#[test]
fn a_finished_wasi_ctx_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"abc").unwrap();
    let output = MemoryOutputPipe::new(4096);
    let wasi = WasiCtx::builder()
        .arg("prog")
        .env("NAME", "value")
        .stdin(MemoryInputPipe::new("typed"))
        .stdout(output.clone())
        .preopened_dir(dir.path(), "/dir", FsPerms::ReadOnly)
        .unwrap()
        .build();
    let ctx = P1CtxBuilder::from(wasi).build().unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        assert_eq!(
            guest.call(
                "args_sizes_get",
                &[Val::I32(OUT as i32), Val::I32(OUT as i32 + 4)]
            ),
            OK
        );
        assert_eq!((guest.u32(OUT), guest.u32(OUT + 4)), (1, 5));
        let fd = guest.open("f", 0, READ, 0).unwrap();
        assert_eq!(guest.get(fd, 10).unwrap(), b"abc");
        assert_eq!(guest.open("g", CREAT, WRITE, 0), Err(PERM));
        assert_eq!(guest.put(1, b"out"), Ok(3));
        assert_eq!(guest.put(2, b"nowhere"), Ok(7));
        for clock in [0, 1] {
            let now = [Val::I32(clock), Val::I64(0), Val::I32(OUT as i32)];
            assert_eq!(guest.call("clock_time_get", &now), OK);
            assert_ne!(guest.u64(OUT), 0);
        }
        guest.write(DATA, &[0; 64]);
        assert_eq!(
            guest.call("random_get", &[Val::I32(DATA as i32), Val::I32(33)]),
            OK
        );
        let bytes = guest.read(DATA, 40);
        assert!(bytes[..33].iter().any(|b| *b != 0) && bytes[33..] == [0; 7]);
    }
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.get(0, 100).unwrap(), b"typed");
    assert_eq!(guest.get(0, 100).unwrap(), b"");
    assert_eq!(output.contents(), "outout");
}

#[test]
fn what_is_said_afterwards_replaces_what_was_taken_over() {
    let wasi = WasiCtx::builder()
        .stdin(MemoryInputPipe::new("typed"))
        .build();
    let mut builder = P1CtxBuilder::from(wasi);
    builder.stdin(MemoryInputPipe::new("better"));
    let mut guest = Guest::new(&builder.build().unwrap());
    assert_eq!(guest.get(0, 100).unwrap(), b"better");
}
