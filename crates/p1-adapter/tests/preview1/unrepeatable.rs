//! Streams of which only the bytes count, and what depends on the host in any case.

use crate::asynchronous::Task;
use crate::guest::*;
use crate::poll::{On, poll};
use crate::sys::{connected, listen};
use p1_adapter::{NotRepeatable, P1Ctx, P1CtxBuilder, StreamAccess, Unrepeatable};
use std::io::{PipeReader, Write as _};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use wasmtime::Val;
use wasmtime_wasi::FsPerms;

/// A pipe that is written piece by piece.
fn dripping(pieces: &'static [&'static str]) -> PipeReader {
    let (reader, mut writer) = std::io::pipe().unwrap();
    thread::spawn(move || {
        for piece in pieces {
            thread::sleep(Duration::from_millis(3));
            writer.write_all(piece.as_bytes()).unwrap();
        }
    });
    reader
}

fn whole() -> P1Ctx {
    P1CtxBuilder::new().whole_reads(true).build().unwrap()
}

#[test]
fn a_whole_read_waits_for_all_or_the_end() {
    let ctx = whole();
    let mut guest = Guest::new(&ctx);
    for flags in [0, NONBLOCK] {
        let reader = dripping(&["a", "bc", "d", "efg"]);
        let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap() as i32;
        let args = [Val::I32(fd), Val::I32(flags)];
        assert_eq!(guest.call("fd_fdstat_set_flags", &args), OK);
        let events = poll(&mut guest, &[On::Read(fd as u32)]).unwrap();
        assert_eq!((events[0].nbytes, events[0].flags), (1, 0));
        assert_eq!(guest.get(fd, 5).unwrap(), b"abcde");
        assert_eq!(guest.get(fd, 0).unwrap(), b"");
        assert_eq!(guest.get(fd, 5).unwrap(), b"fg");
        let events = poll(&mut guest, &[On::Read(fd as u32)]).unwrap();
        assert_eq!((events[0].nbytes, events[0].flags), (1, 0), "no hangup");
        assert_eq!(guest.get(fd, 5).unwrap(), b"");
        guest.close(fd);
    }
}

#[test]
fn a_whole_read_of_a_task_waits_for_all() {
    let ctx = whole();
    let reader = dripping(&["a", "bc", "d", "efg"]);
    let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut task = Task::new(&ctx).await;
        assert_eq!(task.get(fd, 5).await, b"abcde");
        assert_eq!(task.get(fd, 5).await, b"fg");
    });
}

/// A write that the guest did not want to wait for is done all the same.
#[test]
fn a_write_is_whole_too() {
    let ctx = whole();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let fd = ctx.push_stream(writer, StreamAccess::Write).unwrap() as i32;
    let mut guest = Guest::sized(&ctx, 16);
    let args = [Val::I32(fd), Val::I32(NONBLOCK)];
    assert_eq!(guest.call("fd_fdstat_set_flags", &args), OK);
    let reading = thread::spawn(move || {
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut all).unwrap();
        all.len()
    });
    // More than a pipe has room for.
    assert_eq!(guest.put(fd, &[7; 300_000]), Ok(300_000));
    assert_eq!(poll(&mut guest, &[On::Write(fd as u32)]).unwrap().len(), 1);
    guest.close(fd);
    assert_eq!(reading.join().unwrap(), 300_000);
}

/// Whatever the test's own are.
#[test]
fn standard_streams_are_plain() {
    let mut builder = P1CtxBuilder::new();
    let ctx = builder.whole_reads(true).inherit_stdio().build().unwrap();
    let mut guest = Guest::new(&ctx);
    for fd in 0..3 {
        assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
        assert_eq!(guest.read(OUT, 1), [0], "of no type");
        let rights = guest.u64(OUT + 8) as i64;
        assert_eq!(rights & READ != 0, fd == 0);
        assert_eq!(rights & WRITE != 0, fd != 0);
        guest.write(OUT, &[0xAA; 64]);
        assert_eq!(guest.ask("fd_filestat_get", fd), OK);
        let told = guest.read(OUT, 64);
        assert_eq!((&told[..17], &told[24..]), (&[0; 17][..], &[0; 40][..]));
        assert_eq!(guest.seek(fd, 0, 1), Err(SPIPE));
    }
}

type Met = Arc<Mutex<Vec<&'static str>>>;

/// A context that notes what it is asked, and lets nothing pass but what is in `allowed`.
fn asking(builder: &mut P1CtxBuilder, allowed: &'static [&'static str]) -> (P1Ctx, Met) {
    let met = Met::default();
    let notes = Arc::clone(&met);
    builder.unrepeatable(move |what| {
        notes.lock().unwrap().push(what.name());
        allowed.contains(&what.name())
    });
    (builder.build().unwrap(), met)
}

fn take(met: &Met) -> Vec<&'static str> {
    std::mem::take(&mut met.lock().unwrap())
}

/// What stopped a call.
fn stopped(guest: &mut Guest, name: &str, args: &[Val]) -> Unrepeatable {
    let error = guest.try_call(name, args).unwrap_err();
    match error.downcast_ref() {
        Some(NotRepeatable(what)) => *what,
        None => panic!("{name}: {error:?}"),
    }
}

fn transfer(guest: &mut Guest, fd: u32) -> [Val; 4] {
    let [list, count] = guest.iovs(&[(DATA, 4)]);
    [Val::I32(fd as i32), list, count, Val::I32(OUT as i32)]
}

#[test]
fn sockets_are_met_by_each_call() {
    let dir = tempfile::tempdir().unwrap();
    for (name, allowed) in [("one", &[][..]), ("other", &["socket"])] {
        let (ctx, met) = asking(&mut P1CtxBuilder::new(), allowed);
        let (here, mut there) = connected();
        let fd = ctx.push_stream(here, StreamAccess::ReadWrite).unwrap();
        let (listener, _) = listen(dir.path(), name);
        let listener = ctx.push_listener(listener).unwrap();
        there.write_all(b"1234").unwrap();
        let mut guest = Guest::new(&ctx);
        if allowed.is_empty() {
            for name in ["fd_read", "fd_write"] {
                let args = transfer(&mut guest, fd);
                assert_eq!(stopped(&mut guest, name, &args), Unrepeatable::Socket);
            }
            let args = [listener as i32, 0, OUT as i32].map(Val::I32);
            let what = stopped(&mut guest, "sock_accept", &args);
            assert_eq!(what, Unrepeatable::Socket);
            let args = crate::poll::subscribe(&mut guest, &[On::Read(listener)]);
            let what = stopped(&mut guest, "poll_oneoff", &args);
            assert_eq!(what, Unrepeatable::Socket);
            assert_eq!(take(&met), ["socket"; 4]);
        } else {
            assert_eq!(guest.get(fd as i32, 4).unwrap(), b"1234");
            assert_eq!(guest.put(fd as i32, b"x"), Ok(1));
            assert_eq!(take(&met), ["socket"; 2]);
        }
    }
}

/// The other side is never opened: an open that began would not come back.
#[test]
#[cfg(unix)]
fn a_fifo_is_met_before_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    use rustix::fs::{CWD, Mode, mkfifoat};
    mkfifoat(CWD, dir.path().join("f"), Mode::RWXU).unwrap();
    crate::sys::symlink("f", dir.path().join("link"));
    let mut builder = P1CtxBuilder::new();
    builder
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap();
    let (ctx, met) = asking(&mut builder, &[]);
    let mut guest = Guest::new(&ctx);
    for (path, rights) in [("f", READ), ("f", WRITE), ("link", READ | WRITE)] {
        let args = guest.open_args(DIR, path, 0, rights, 0);
        let what = stopped(&mut guest, "path_open", &args);
        assert_eq!(what, Unrepeatable::Fifo);
    }
    assert_eq!(take(&met), ["fifo"; 3]);
    let fd = guest.create("file");
    assert_eq!(fd, 4, "no number was kept");
    assert_eq!(guest.open("none", 0, READ, 0), Err(NOENT));
    assert_eq!(take(&met), [""; 0]);
}

#[test]
#[cfg(target_os = "linux")]
fn devices_that_are_the_same_everywhere_are_none() {
    let mut builder = P1CtxBuilder::new();
    builder
        .preopened_dir("/dev", "/", FsPerms::ReadWrite)
        .unwrap();
    let (ctx, met) = asking(&mut builder, &["ENOSPC"]);
    let mut guest = Guest::new(&ctx);
    let zero = guest.open("zero", 0, READ, 0).unwrap();
    assert_eq!(guest.get(zero, 2).unwrap(), [0, 0]);
    assert_eq!(take(&met), [""; 0]);
    let full = guest.open("full", 0, WRITE, 0).unwrap();
    assert_eq!(guest.put(full, b"x"), Err(51));
    assert_eq!(take(&met), ["ENOSPC"]);
    let args = guest.open_args(DIR, "urandom", 0, READ, 0);
    let what = stopped(&mut guest, "path_open", &args);
    assert_eq!((what, take(&met)), (Unrepeatable::Device, vec!["device"]));
}

#[test]
fn errors_of_the_hosts_are_met_and_the_guests_own_are_not() {
    for raise in [false, true] {
        let mut builder = P1CtxBuilder::new();
        builder.raise_sigpipe(raise);
        let (ctx, met) = asking(&mut builder, &[]);
        let (reader, writer) = std::io::pipe().unwrap();
        let fd = ctx.push_stream(writer, StreamAccess::Write).unwrap();
        drop(reader);
        let mut guest = Guest::new(&ctx);
        let args = transfer(&mut guest, fd);
        let what = stopped(&mut guest, "fd_write", &args);
        assert_eq!(what, Unrepeatable::Error("EPIPE"));
        assert_eq!(take(&met), ["EPIPE"]);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut builder = P1CtxBuilder::new();
    builder
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .max_descriptors(5)
        .hostcall_fuel(100);
    let (ctx, met) = asking(&mut builder, &[]);
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.create("a"), 4);
    assert_eq!(guest.open("b", CREAT, READ, 0), Err(MFILE));
    assert_eq!(guest.open(&"b".repeat(200), CREAT, READ, 0), Err(NOMEM));
    assert_eq!(guest.at("path_unlink_file", DIR, "none"), NOENT);
    assert_eq!(take(&met), [""; 0]);
}

/// What a task waits for is no error.
#[test]
fn a_wait_of_a_task_is_not_met() {
    let (ctx, met) = asking(&mut P1CtxBuilder::new(), &[]);
    let reader = dripping(&["x"]);
    let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let got = runtime.block_on(async { Task::new(&ctx).await.get(fd, 5).await });
    assert_eq!((got, take(&met)), (b"x".to_vec(), vec![]));
}
