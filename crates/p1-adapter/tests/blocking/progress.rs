//! Calls that make progress and still have to look at the end signal, and at the flag that says "do
//! not wait".

use crate::guest::{DATA, Guest, NONBLOCK, OK, OUT};
use crate::support::{Check, IMPATIENCE, PATIENCE, SETTLE, eventually, pipe, rounds, soon, within};
use bytes::Bytes;
#[cfg(target_os = "linux")]
use p1_adapter::StreamAccess;
use p1_adapter::fd::AsFd;
use p1_adapter::test_hooks::{BlockingError, EndSignal, Manner, Stream};
use p1_adapter::{Interrupted, P1CtxBuilder};
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite;
use wasmtime::Val::I32;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{AsyncStdoutStream, IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// Transfers of one byte for as long as they are made; the signal is raised in the tenth.
#[test]
fn a_write_that_never_has_to_wait_ends_between_two_pieces() {
    soon(|| {
        let (_, write) = pipe();
        let stream = Stream::owned(write).unwrap();
        let end = EndSignal::new();
        let mut pieces = 0;
        let outcome = stream.write(1000, false, &end, |_, _, _| {
            pieces += 1;
            if pieces == 10 {
                end.raise();
            }
            Ok(1)
        });
        assert!(matches!(outcome, Err(BlockingError::Interrupted(_))));
        assert_eq!(pieces, 10);
    });
}

/// An output that always has room, and takes its time.
#[derive(Clone)]
struct Patient;

#[async_trait]
impl Pollable for Patient {
    async fn ready(&mut self) {}
}

impl OutputStream for Patient {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        thread::sleep(Duration::from_millis(2));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl IsTerminal for Patient {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Patient {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[test]
fn a_long_write_to_an_embedders_stream_that_always_has_room_ends() {
    soon(|| {
        let ctx = P1CtxBuilder::new().stdout(Patient).build().unwrap();
        let mut guest = Guest::new(&ctx);
        // 250 MB, 4,000 pieces: 8 seconds.
        for i in 0..1000 {
            guest.write(DATA + i * 8, &0u32.to_le_bytes());
            guest.write(DATA + i * 8 + 4, &(4u32 << 16).to_le_bytes());
        }
        let args = [1, DATA as i32, 1000, OUT as i32].map(I32);
        let writing = thread::spawn(move || guest.try_call("fd_write", &args));
        thread::sleep(SETTLE);
        let raised = Instant::now();
        ctx.end_signal().raise();
        let error = writing.join().unwrap().unwrap_err();
        assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
        assert!(raised.elapsed() < Duration::from_secs(2));
    });
}

/// A stream that is polled first, because it refuses every other way of asking.
fn polled_first() -> (Stream, impl Sized) {
    let (fd, keep) = crate::sys::polled_first();
    (Stream::inherited(fd.as_fd()).unwrap(), keep)
}

fn refuse(manner: Manner) -> io::Result<()> {
    match manner {
        Manner::NoWait => Err(crate::sys::not_supported()),
        _ => Ok(()),
    }
}

/// As it happens when another process takes what a poll has seen.
#[test]
fn a_read_that_does_not_wait_does_not_wait_for_one_that_is_stuck() {
    fn check(nonblocking: bool, patience: Duration) -> Check {
        let (stream, _keep) = polled_first();
        let stream = Arc::new(stream);
        let end = EndSignal::new();
        let (stuck, is_stuck) = mpsc::channel();
        let (free, freed) = mpsc::channel::<()>();
        let first = {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || {
                stream.read(false, &end, |_, manner| {
                    refuse(manner)?;
                    stuck.send(()).unwrap();
                    freed.recv().unwrap();
                    Ok(1)
                })
            })
        };
        is_stuck.recv().unwrap();
        let second = thread::spawn(move || {
            stream.read(nonblocking, &end, |_, manner| {
                refuse(manner)?;
                Ok(2)
            })
        });
        let in_time = within(patience, || second.is_finished());
        free.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), 1);
        match (in_time, second.join().unwrap()) {
            (true, Err(BlockingError::Io(e))) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            (_, other) => Err(format!("in time: {in_time}, {other:?}")),
        }
    }
    soon(|| (0..rounds(10)).try_for_each(|_| check(true, PATIENCE))).unwrap();
    // As if the flag were not looked at.
    soon(|| check(false, IMPATIENCE)).unwrap_err();
}

#[test]
fn an_empty_write_waits_for_nobody() {
    soon(|| {
        let (ours, _theirs) = tokio::io::duplex(8);
        let stdout = with_ambient_tokio_runtime(|| AsyncStdoutStream::new(8, ours));
        let ctx = P1CtxBuilder::new().stdout(stdout).build().unwrap();
        let mut guest = Guest::new(&ctx);
        assert_eq!(
            guest.call("fd_fdstat_set_flags", &[I32(1), I32(NONBLOCK)]),
            OK
        );
        // More than is ever read.
        while guest.put(1, b"12345678").is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(guest.call("fd_fdstat_set_flags", &[I32(1), I32(0)]), OK);
        let writing = thread::spawn(move || guest.put(1, b""));
        assert!(eventually(|| writing.is_finished()), "it waits");
        assert_eq!(writing.join().unwrap(), Ok(0));
    });
}

/// An event counter of 1 takes another 1, so it polls writable. A write that would overflow it
/// waits. (Only Linux has event counters.)
#[test]
#[cfg(target_os = "linux")]
fn a_write_that_waits_although_poll_says_ready_ends_on_a_stream_of_our_own() {
    soon(|| {
        let ctx = P1CtxBuilder::new().build().unwrap();
        use rustix::event::{EventfdFlags, eventfd};
        // The kernel counts in the machine's own order of bytes.
        let event = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
        let fd = ctx.push_own_stream(event, StreamAccess::ReadWrite).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        assert_eq!(guest.get(fd, 8), Ok(1u64.to_ne_bytes().to_vec()));
        assert_eq!(guest.put(fd, &1u64.to_ne_bytes()), Ok(8));
        let writing = thread::spawn(move || {
            let [list, count] = guest.iovs(&[(DATA, 8)]);
            guest.write(DATA, &(u64::MAX - 1).to_ne_bytes());
            guest.try_call("fd_write", &[I32(fd), list, count, I32(OUT as i32)])
        });
        thread::sleep(SETTLE);
        assert!(!writing.is_finished());
        ctx.end_signal().raise();
        let error = writing.join().unwrap().unwrap_err();
        assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
    });
}

/// A read at the end of the kernel's log waits, whatever its major number says. (Linux's devices.)
#[test]
#[cfg(target_os = "linux")]
fn the_kernels_log_is_no_memory() {
    use p1_adapter::test_hooks::StreamKind;
    for name in ["null", "zero", "full", "random", "urandom"] {
        let device = std::fs::File::open(format!("/dev/{name}")).unwrap();
        assert_eq!(StreamKind::of(&device).unwrap(), StreamKind::Memory);
    }
    match std::fs::File::open("/dev/kmsg") {
        Ok(log) => assert_eq!(StreamKind::of(&log).unwrap(), StreamKind::Other),
        Err(error) => eprintln!("cannot open it here: {error}"),
    }
}
