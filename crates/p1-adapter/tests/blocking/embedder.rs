//! Streams an embedder gives, shared by many threads.

use crate::ends::ends;
use crate::guest::{AGAIN, Guest, IO, OK};
use crate::support::{
    CROWDS, Check, IMPATIENCE, PATIENCE, all_blocked, blocked, bound, rounds, soon, within,
};
use p1_adapter::test_hooks::{
    BlockingError, Deadline, EmbedderInput, EmbedderOutput, EndSignal, wait_with,
};
use p1_adapter::{Interrupted, P1CtxBuilder};
use std::io;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};
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

/// A standard output with room for `room` bytes that were not read.
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

/// Reads, polls and writes of `threads` threads on one stream each end.
fn all_end(threads: usize, limit: Duration) -> Check {
    let (stdin, _keep) = input();
    let stdin = Arc::new(EmbedderInput::new(stdin));
    let reading = stdin.clone();
    ends(
        "read of an embedder's stream",
        threads,
        limit,
        move |end| Ok(read(&reading, 8, false, end)?.len()),
        || (),
    )?;
    ends(
        "poll of an embedder's stream",
        threads,
        limit,
        move |end| wait_with(&mut [], &mut [Some(stdin.ready())], &Deadline::NEVER, end),
        || (),
    )?;
    let (stdout, _keep) = output(16);
    let stdout = EmbedderOutput::new(stdout);
    ends(
        "write to an embedder's stream",
        threads,
        limit,
        move |end| write(&stdout, &[0; 4096], false, end),
        || (),
    )
}

#[test]
fn any_number_of_threads_blocked_on_one_stream_end() {
    // One that does not listen.
    fn deaf(threads: usize, limit: Duration) -> Check {
        let (stdin, mut keep) = input();
        let stdin = Arc::new(EmbedderInput::new(stdin));
        let read = move |_: &EndSignal| {
            let nobody = EndSignal::new();
            Ok(read(&stdin, 1, false, &nobody)?.len())
        };
        ends("deaf read", threads, limit, read, move || {
            in_tokio(async { keep.write_all(&vec![b'x'; threads]).await.unwrap() });
        })
    }
    soon(|| {
        all_end(50, bound()).unwrap();
        for n in CROWDS {
            for _ in 0..rounds(1) {
                all_end(n, bound()).unwrap();
            }
            deaf(n, IMPATIENCE).unwrap_err();
        }
    });
}

/// How a thread waits for a stream, and how it reads two bytes.
trait Sharing: Send + Sync + 'static {
    fn wait(&self, from: &EmbedderInput, deadline: Deadline, end: &EndSignal) -> bool {
        wait_with(&mut [], &mut [Some(from.ready())], &deadline, end).unwrap() > 0
    }

    fn read(&self, from: &EmbedderInput, end: &EndSignal) -> Vec<u8> {
        read(from, 2, false, end).unwrap_or_default()
    }

    /// How long to wait for the others.
    const PATIENCE: Duration = IMPATIENCE;
}

struct Ours;

impl Sharing for Ours {
    const PATIENCE: Duration = PATIENCE;
}

/// Lets one thread wait at a time.
#[derive(Default)]
struct OneLock(Mutex<()>);

impl Sharing for OneLock {
    fn wait(&self, from: &EmbedderInput, deadline: Deadline, end: &EndSignal) -> bool {
        let _held = self.0.lock().unwrap();
        Ours.wait(from, deadline, end)
    }
}

/// Reads more than it was asked for, and drops it.
struct ReadsAhead;

impl Sharing for ReadsAhead {
    fn read(&self, from: &EmbedderInput, end: &EndSignal) -> Vec<u8> {
        let mut all = read(from, 64, false, end).unwrap_or_default();
        all.truncate(2);
        all
    }
}

fn all_get_their_share<S: Sharing>(sharing: S, n: usize) -> Check {
    let (stdin, mut peer) = input();
    let (stdin, sharing) = (Arc::new(EmbedderInput::new(stdin)), Arc::new(sharing));
    let end = EndSignal::new();
    let each = |run: fn(&S, &EmbedderInput, &EndSignal) -> Vec<u8>| {
        let (stdin, sharing, end) = (stdin.clone(), sharing.clone(), end.clone());
        move || run(&sharing, &stdin, &end)
    };
    let wait = |sharing: &S, stdin: &EmbedderInput, end: &EndSignal| {
        assert!(sharing.wait(stdin, Deadline::NEVER, end));
        Vec::new()
    };
    let pollers = all_blocked((1..n).map(|_| each(wait)));
    // Nothing there: a look does not wait behind them.
    let looking = thread::spawn(each(|sharing, stdin, end| {
        assert!(!sharing.wait(stdin, Deadline::NOW, end));
        assert!(is_would_block(&read(stdin, 8, true, end)));
        Vec::new()
    }));
    let in_time = within(S::PATIENCE, || looking.is_finished());
    let all: Vec<_> = (0..2 * n as u8).collect();
    in_tokio(async { peer.write_all(&all).await.unwrap() });
    for poller in pollers {
        poller.join().unwrap();
    }
    let _ = looking.join();
    let readers: Vec<_> = (0..n)
        .map(|_| thread::spawn(each(|sharing, stdin, end| sharing.read(stdin, end))))
        .collect();
    let all_read = within(S::PATIENCE, || readers.iter().all(|r| r.is_finished()));
    drop(peer);
    if all_read {
        assert_eq!(read(&stdin, 8, false, &end).unwrap(), b"", "the end");
    }
    end.raise();
    let mut got: Vec<_> = readers
        .into_iter()
        .flat_map(|r| r.join().unwrap())
        .collect();
    got.sort_unstable();
    match in_time && all_read && got == all {
        true => Ok(()),
        false => Err(format!("in time: {in_time}, {all_read}, read {got:?}")),
    }
}

#[test]
fn readers_and_pollers_of_one_stream_all_get_their_share() {
    soon(|| {
        for n in CROWDS {
            for _ in 0..rounds(3) {
                all_get_their_share(Ours, n).unwrap();
            }
            all_get_their_share(OneLock::default(), n).unwrap_err();
            all_get_their_share(ReadsAhead, n).unwrap_err();
        }
    });
}

/// A blocked poll of a stream next to a descriptor and a clock, each of which may be the one that
/// ends it.
#[test]
fn a_mixed_wait_returns_for_whichever_comes_first() {
    soon(|| {
        use p1_adapter::fd::AsFd;
        use p1_adapter::test_hooks::{Direction, Interest};
        let end = EndSignal::new();
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
                blocked(move || {
                    let mut interests = [Interest::new(pipe_in.as_fd(), Direction::Read)];
                    let mut futures = [Some(stdin.ready())];
                    let count = wait_with(&mut interests, &mut futures, &deadline, &end).unwrap();
                    (count, interests[0].found().ready, futures[0].is_none())
                })
            };
            let mut peer = peer;
            match first {
                0 => in_tokio(async { peer.write_all(b"x").await.unwrap() }),
                1 => drop(crate::sys::write(&pipe_out, b"x").unwrap()),
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

type Write = Box<dyn Fn(&EmbedderOutput, &[u8], &EndSignal) -> usize + Send + Sync>;

fn records_stay_whole(write: Write, n: usize) -> Check {
    const RECORD: usize = 20_000;
    let (stdout, mut peer) = output(1000);
    let shared = Arc::new((EmbedderOutput::new(stdout), write));
    let end = EndSignal::new();
    let writers: Vec<_> = (0..n)
        .map(|writer| {
            let (shared, end) = (shared.clone(), end.clone());
            thread::spawn(move || {
                let (stdout, write) = &*shared;
                let record = vec![b'a' + writer as u8; RECORD];
                assert_eq!(write(stdout, &record, &end), RECORD);
            })
        })
        .collect();
    let mut got = vec![0; n * RECORD];
    in_tokio(async { peer.read_exact(&mut got).await.unwrap() });
    for writer in writers {
        writer.join().unwrap();
    }
    match got
        .chunks(RECORD)
        .all(|record| *record == vec![record[0]; RECORD])
    {
        true => Ok(()),
        false => Err("a record was broken up".to_owned()),
    }
}

#[test]
fn one_write_is_one_write() {
    let ours =
        |to: &EmbedderOutput, bytes: &[u8], end: &EndSignal| write(to, bytes, false, end).unwrap();
    soon(move || {
        for n in CROWDS {
            for _ in 0..rounds(3) {
                records_stay_whole(Box::new(ours), n).unwrap();
            }
            // In two pieces, between which the others write their first.
            let begun = Barrier::new(n);
            let in_pieces = move |to: &EmbedderOutput, bytes: &[u8], end: &EndSignal| {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                let count = ours(to, first, end);
                begun.wait();
                count + ours(to, second, end)
            };
            records_stay_whole(Box::new(in_pieces), n).unwrap_err();
        }
    });
}

#[test]
fn a_write_that_does_not_wait_is_told_so() {
    soon(|| {
        let end = EndSignal::new();
        // Full, then busy.
        let (stdout, _keep) = output(10);
        let stdout = Arc::new(EmbedderOutput::new(stdout));
        assert_eq!(write(&stdout, &[0; 100], true, &end).unwrap(), 10);
        let waiting = {
            let (stdout, end) = (stdout.clone(), end.clone());
            blocked(move || write(&stdout, &[0; 100], false, &end))
        };
        assert!(is_would_block(&write(&stdout, b"x", true, &end)));
        end.raise();
        assert!(matches!(
            waiting.join().unwrap(),
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
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let mut guest = guest.thread();
                blocked(move || {
                    let [list, count] = guest.iovs(&[(0x10000, 8)]);
                    let args = [wasmtime::Val::I32(0), list, count, wasmtime::Val::I32(64)];
                    guest.try_call("fd_read", &args).unwrap_err()
                })
            })
            .collect();
        end.raise();
        for thread in waiting {
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
