//! Streams an embedder gives, shared by many threads.

use crate::ends::ends;
use crate::guest::Guest;
use crate::support::abi::{AGAIN, IO, OK};
use crate::support::{Check, SETTLE, bound, eventually, soon};
use p1_adapter::blocking::{
    BlockingError, Deadline, EmbedderInput, EmbedderOutput, EndSignal, wait_with,
};
use p1_adapter::{Interrupted, P1CtxBuilder};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wasmtime_wasi::cli::{AsyncStdinStream, AsyncStdoutStream};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::runtime::{in_tokio, with_ambient_tokio_runtime};

/// A standard input that has what is written to the other end.
fn input() -> (AsyncStdinStream, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    (
        with_ambient_tokio_runtime(|| AsyncStdinStream::new(ours)),
        theirs,
    )
}

/// A standard output with room for `room` bytes that nobody has read.
fn output(room: usize) -> (AsyncStdoutStream, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(room);
    let stdout = with_ambient_tokio_runtime(|| AsyncStdoutStream::new(room, ours));
    (stdout, theirs)
}

fn read(
    from: &EmbedderInput,
    max: usize,
    now: bool,
    end: &EndSignal,
) -> Result<Vec<u8>, BlockingError> {
    let mut got = Vec::new();
    from.read(max, now, end, |bytes| {
        got.extend(bytes);
        Ok(())
    })?;
    Ok(got)
}

fn write(
    to: &EmbedderOutput,
    bytes: &[u8],
    now: bool,
    end: &EndSignal,
) -> Result<usize, BlockingError> {
    to.write(bytes.len(), now, end, |range| {
        Ok(bytes[range].to_vec().into())
    })
}

fn is_would_block<T>(outcome: &Result<T, BlockingError>) -> bool {
    matches!(outcome, Err(BlockingError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn any_number_of_threads_blocked_on_one_stream_end() {
    soon(|| {
        let (stdin, _keep) = input();
        let stdin = Arc::new(EmbedderInput::new(stdin));
        let reading = stdin.clone();
        ends(
            "read of an embedder's stream",
            50,
            move |end| Ok(read(&reading, 8, false, end)?.len()),
            || (),
        )?;
        ends(
            "poll of an embedder's stream",
            50,
            move |end| wait_with(&mut [], &mut [Some(stdin.ready())], &Deadline::NEVER, end),
            || (),
        )?;
        let (stdout, _keep) = output(16);
        let stdout = EmbedderOutput::new(stdout);
        ends(
            "write to an embedder's stream",
            50,
            move |end| write(&stdout, &[0; 4096], false, end),
            || (),
        )
    })
    .unwrap();
    // The check notices who does not listen.
    let check: Check = soon(|| {
        let (stdin, mut keep) = input();
        let stdin = Arc::new(EmbedderInput::new(stdin));
        let deaf = move |_: &EndSignal| {
            let nobody = EndSignal::new().unwrap();
            Ok(read(&stdin, 1, false, &nobody)?.len())
        };
        ends("deaf read", 1, deaf, move || {
            in_tokio(async { keep.write_all(b"x").await.unwrap() });
        })
    });
    check.unwrap_err();
}

#[test]
fn readers_and_pollers_of_one_stream_all_get_their_share() {
    soon(|| {
        let (stdin, mut peer) = input();
        let stdin = Arc::new(EmbedderInput::new(stdin));
        let end = EndSignal::new().unwrap();
        let pollers: Vec<_> = (0..20)
            .map(|_| {
                let (stdin, end) = (stdin.clone(), end.clone());
                thread::spawn(move || {
                    let mut futures = [Some(stdin.ready())];
                    let ready = wait_with(&mut [], &mut futures, &Deadline::NEVER, &end).unwrap();
                    (ready, futures[0].is_none())
                })
            })
            .collect();
        thread::sleep(SETTLE);
        // Nothing there: a look does not wait behind them.
        let start = Instant::now();
        let look = wait_with(&mut [], &mut [Some(stdin.ready())], &Deadline::NOW, &end);
        assert_eq!(look.unwrap(), 0);
        assert!(is_would_block(&read(&stdin, 8, true, &end)));
        assert!(start.elapsed() < bound());
        in_tokio(async { peer.write_all(b"0123456789abcdef").await.unwrap() });
        for poller in pollers {
            assert_eq!(poller.join().unwrap(), (1, true));
        }
        let readers: Vec<_> = (0..8)
            .map(|_| {
                let (stdin, end) = (stdin.clone(), end.clone());
                thread::spawn(move || read(&stdin, 2, false, &end).unwrap())
            })
            .collect();
        let mut all: Vec<_> = readers
            .into_iter()
            .flat_map(|r| r.join().unwrap())
            .collect();
        all.sort_unstable();
        assert_eq!(all, b"0123456789abcdef");
        drop(peer);
        assert_eq!(read(&stdin, 8, false, &end).unwrap(), b"", "the end");
    });
}

/// A blocked poll of a stream next to a descriptor and a clock, each of which may be the one that ends it.
#[test]
fn a_mixed_wait_returns_for_whichever_comes_first() {
    soon(|| {
        use p1_adapter::blocking::{Direction, Interest};
        use std::os::fd::AsFd;
        let end = EndSignal::new().unwrap();
        let far = Deadline::after_nanos(20_000_000_000);
        for first in 0..3 {
            let (stdin, peer) = input();
            let stdin = Arc::new(EmbedderInput::new(stdin));
            let (pipe_in, pipe_out) = crate::support::pipe();
            let waiter = {
                let end = end.clone();
                let deadline = if first == 2 {
                    Deadline::after_nanos(40_000_000)
                } else {
                    far
                };
                thread::spawn(move || {
                    let mut interests = [Interest::new(pipe_in.as_fd(), Direction::Read)];
                    let mut futures = [Some(stdin.ready())];
                    let count = wait_with(&mut interests, &mut futures, &deadline, &end).unwrap();
                    (count, interests[0].found().ready, futures[0].is_none())
                })
            };
            thread::sleep(SETTLE);
            let mut peer = peer;
            match first {
                0 => in_tokio(async { peer.write_all(b"x").await.unwrap() }),
                1 => drop(rustix::io::write(&pipe_out, b"x").unwrap()),
                _ => {}
            }
            let start = Instant::now();
            let found = waiter.join().unwrap();
            assert!(start.elapsed().as_secs() < 10);
            assert_eq!(
                found,
                [(1, false, true), (1, true, false), (0, false, false)][first]
            );
            drop((peer, pipe_out));
        }
    });
}

#[test]
fn one_write_is_one_write() {
    const RECORD: usize = 50_000;
    soon(|| {
        let (stdout, mut peer) = output(1000);
        let stdout = Arc::new(EmbedderOutput::new(stdout));
        let end = EndSignal::new().unwrap();
        let writers: Vec<_> = (0..8u8)
            .map(|writer| {
                let (stdout, end) = (stdout.clone(), end.clone());
                thread::spawn(move || {
                    let record = vec![b'a' + writer; RECORD];
                    assert_eq!(write(&stdout, &record, false, &end).unwrap(), RECORD);
                })
            })
            .collect();
        let mut got = vec![0; 8 * RECORD];
        in_tokio(async { peer.read_exact(&mut got).await.unwrap() });
        for record in got.chunks(RECORD) {
            assert!(record.iter().all(|byte| *byte == record[0]));
        }
        for writer in writers {
            writer.join().unwrap();
        }
        // Full, then busy.
        let (stdout, _keep) = output(10);
        let stdout = Arc::new(EmbedderOutput::new(stdout));
        assert_eq!(write(&stdout, &[0; 100], true, &end).unwrap(), 10);
        let blocked = {
            let (stdout, end) = (stdout.clone(), end.clone());
            thread::spawn(move || write(&stdout, &[0; 100], false, &end))
        };
        thread::sleep(SETTLE);
        assert!(is_would_block(&write(&stdout, b"x", true, &end)));
        end.raise();
        assert!(matches!(
            blocked.join().unwrap(),
            Err(BlockingError::Interrupted(_))
        ));
    });
}

/// wasmtime-wasi's memory pipes as a guest's standard streams, in its own and in shared memory.
#[test]
fn a_guest_uses_memory_pipes() {
    soon(|| {
        for make in [Guest::new, Guest::shared] {
            let (out, err) = (MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(8));
            let ctx = P1CtxBuilder::new()
                .stdin(MemoryInputPipe::new("the quick brown fox"))
                .stdout(out.clone())
                .stderr(err.clone())
                .build()
                .unwrap();
            let mut guest = make(&ctx);
            assert_eq!(guest.get(0, 4), Ok(b"the ".to_vec()));
            let [list, count] = guest.iovs(&[(0x10000, 2), (0x10010, 0), (0x10020, 100)]);
            let args = [wasmtime::Val::I32(0), list, count, wasmtime::Val::I32(64)];
            assert_eq!(guest.call("fd_read", &args), OK);
            assert_eq!(guest.u32(64), 15);
            assert_eq!(guest.read(0x10000, 2), b"qu");
            assert_eq!(guest.read(0x10020, 13), b"ick brown fox");
            assert_eq!(guest.get(0, 4), Ok(vec![]));
            let long = vec![b'z'; 100_000];
            guest.write(0x10000, &long);
            let [list, count] = guest.iovs(&[(0x10000, 99_999), (0x10000, 1)]);
            let args = [wasmtime::Val::I32(1), list, count, wasmtime::Val::I32(64)];
            assert_eq!(guest.call("fd_write", &args), OK);
            assert_eq!(guest.u32(64), 100_000);
            assert_eq!(&out.contents()[..], &long[..]);
            assert_eq!(guest.put(2, b"12345678"), Ok(8));
            assert_eq!(guest.put(2, b"9"), Err(IO), "closed, as in wasmtime-wasi");
            assert_eq!(&err.contents()[..], b"12345678");
        }
    });
}

#[test]
fn a_guest_blocked_on_an_embedders_stream_ends() {
    soon(|| {
        let (stdin, mut peer) = input();
        let ctx = P1CtxBuilder::new().stdin(stdin).build().unwrap();
        let end = ctx.end_signal().clone();
        let mut guest = Guest::shared(&ctx);
        assert_eq!(
            guest.call(
                "fd_fdstat_set_flags",
                &[wasmtime::Val::I32(0), wasmtime::Val::I32(4)]
            ),
            OK
        );
        assert_eq!(guest.get(0, 8), Err(AGAIN));
        assert_eq!(
            guest.call(
                "fd_fdstat_set_flags",
                &[wasmtime::Val::I32(0), wasmtime::Val::I32(0)]
            ),
            OK
        );
        in_tokio(async { peer.write_all(b"abc").await.unwrap() });
        assert_eq!(guest.get(0, 8), Ok(b"abc".to_vec()));
        let blocked: Vec<_> = (0..10)
            .map(|_| {
                let mut guest = guest.thread();
                thread::spawn(move || {
                    let [list, count] = guest.iovs(&[(0x10000, 8)]);
                    let args = [wasmtime::Val::I32(0), list, count, wasmtime::Val::I32(64)];
                    guest.try_call("fd_read", &args).unwrap_err()
                })
            })
            .collect();
        thread::sleep(SETTLE);
        end.raise();
        for thread in blocked {
            assert!(eventually(|| thread.is_finished()));
            assert!(
                thread
                    .join()
                    .unwrap()
                    .downcast_ref::<Interrupted>()
                    .is_some()
            );
        }
    });
}
