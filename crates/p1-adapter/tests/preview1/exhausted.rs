//! Programs that have used up the host's descriptors, and hosts that refuse to make some: waits go
//! on, and end.
#![cfg(target_os = "linux")]

use crate::alone::{allow_descriptors, alone};
use crate::asynchronous::{Task, runtime};
use crate::guest::emulated::left_out;
use crate::guest::*;
use crate::poll::{MS, On, poll, subscribe};
use crate::seccomp::{EVENTFD, PIPE, refuse};
use p1_adapter::{EndSignal, Interrupted, P1Ctx, P1CtxBuilder, StreamAccess};
use std::io::{PipeWriter, Write as _};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWriteExt as _, DuplexStream};
use wasmtime::Val;
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};

fn clock(id: u32, milliseconds: u64) -> On {
    On::Clock {
        id,
        timeout: milliseconds * MS,
        absolute: false,
    }
}

/// Opens the directory again and again, until it is refused.
fn use_up(guest: &mut Guest) {
    let refused = (0..1000).find_map(|_| guest.open(".", DIRECTORY, READ, 0).err());
    assert_eq!(refused, Some(MFILE));
}

/// A context with a directory, and a pipe as 4 that the guest reads.
fn ctx(end: &EndSignal) -> (P1Ctx, PipeWriter) {
    let ctx = P1CtxBuilder::new()
        .preopened_dir(".", "/", FsPerms::ReadOnly)
        .unwrap()
        .end_signal(end.clone())
        .build()
        .unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    assert_eq!(ctx.push_stream(reader, StreamAccess::Read).unwrap(), 4);
    (ctx, writer)
}

/// Sleeps on both clocks, polls, reads; then all that waits ends with the signal.
fn waits_and_ends(guest: &mut Guest, writer: PipeWriter, end: &EndSignal) {
    for id in [0, 1] {
        let began = Instant::now();
        let events = poll(guest, &[clock(id, 60)]).unwrap();
        assert_eq!((events.len(), events[0].error), (1, 0));
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(55), "clock {id}: {took:?}");
    }
    let events = poll(guest, &[On::Read(4), clock(1, 30)]).unwrap();
    assert_eq!((events.len(), events[0].kind), (1, 0), "the clock");
    let fills = writes_later(writer);
    assert_eq!(guest.get(4, 4).unwrap(), b"come");
    let _open = fills.join().unwrap();

    let ctx = guest.store.data().ctx().clone();
    let ends = |what: &dyn Fn(&mut Guest) -> wasmtime::Error| {
        let guest = &mut Guest::new(&ctx);
        let error = what(guest);
        assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
    };
    let raise = {
        let end = end.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            end.raise();
        })
    };
    let far = [clock(1, 600_000), On::Read(4)];
    std::thread::scope(|scope| {
        // A sleep, a poll, a read.
        for count in [1, 2] {
            let far = &far[..count];
            let ends = &ends;
            scope.spawn(move || {
                ends(&|guest| {
                    let args = subscribe(guest, far);
                    guest.try_call("poll_oneoff", &args).unwrap_err()
                });
            });
        }
        ends(&|guest| {
            let [list, count] = guest.iovs(&[(DATA, 1)]);
            let args = [Val::I32(4), list, count, Val::I32(OUT as i32)];
            guest.try_call("fd_read", &args).unwrap_err()
        });
    });
    raise.join().unwrap();
}

#[test]
fn a_guest_that_has_used_up_the_hosts_descriptors_waits() {
    alone(
        "exhausted::a_guest_that_has_used_up_the_hosts_descriptors_waits",
        || {
            let end = EndSignal::new();
            let (ctx, writer) = ctx(&end);
            allow_descriptors(20);
            let mut guest = Guest::new(&ctx);
            use_up(&mut guest);
            waits_and_ends(&mut guest, writer, &end);
        },
    );
}

/// As if the whole process was full when the signal was made, and still is.
#[test]
fn a_signal_for_which_no_descriptor_was_left_ends_waits() {
    if left_out("it has no filters of system calls") {
        return;
    }
    alone(
        "exhausted::a_signal_for_which_no_descriptor_was_left_ends_waits",
        || {
            let (reader, writer) = std::io::pipe().unwrap();
            refuse(&[EVENTFD, PIPE]);
            let end = EndSignal::new();
            let ctx = P1CtxBuilder::new().end_signal(end.clone()).build().unwrap();
            // Under the number that it has in the other tests.
            for reader in [reader.try_clone().unwrap(), reader] {
                ctx.push_stream(reader, StreamAccess::Read).unwrap();
            }
            waits_and_ends(&mut Guest::new(&ctx), writer, &end);
        },
    );
}

#[test]
fn where_event_descriptors_are_refused_a_pipe_does() {
    if left_out("it has no filters of system calls") {
        return;
    }
    alone(
        "exhausted::where_event_descriptors_are_refused_a_pipe_does",
        || {
            refuse(&[EVENTFD]);
            let end = EndSignal::new();
            let (ctx, writer) = ctx(&end);
            waits_and_ends(&mut Guest::new(&ctx), writer, &end);
        },
    );
}

fn writes_later(mut writer: PipeWriter) -> JoinHandle<PipeWriter> {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(60));
        writer.write_all(b"come").unwrap();
        writer
    })
}

/// A wait of a task's takes a duplicate of its descriptor.
#[test]
fn a_task_waits_without_a_descriptor_left() {
    alone("exhausted::a_task_waits_without_a_descriptor_left", || {
        let (ctx, writer) = ctx(&EndSignal::new());
        let (reader, _silent) = std::io::pipe().unwrap();
        assert_eq!(ctx.push_stream(reader, StreamAccess::Read).unwrap(), 5);
        runtime().block_on(async {
            let mut task = Task::new(&ctx).await;
            allow_descriptors(20);
            use_up(&mut Guest::new(&ctx));
            let later = writes_later(writer);
            assert_eq!(task.get(4, 4).await, b"come");
            let later = writes_later(later.join().unwrap());
            let args = subscribe(&mut task, &[On::Read(5), On::Read(4)]);
            assert_eq!(task.try_call("poll_oneoff", &args).await.unwrap(), OK);
            assert_eq!(task.u32(OUT), 1);
            drop(later.join().unwrap());
        });
    });
}

/// An embedder's stream, which starts a task of tokio's when it is first used.
struct Later(Mutex<Option<DuplexStream>>);

impl IsTerminal for Later {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Later {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.0.lock().unwrap().take().unwrap())
    }
}

/// The runtime in which it does needs descriptors, and its waits need one.
#[test]
fn an_embedders_stream_needs_no_descriptor_once_it_was_handed_over() {
    alone(
        "exhausted::an_embedders_stream_needs_no_descriptor_once_it_was_handed_over",
        || {
            let (mut ours, theirs) = tokio::io::duplex(16);
            let ctx = P1CtxBuilder::new()
                .stdin(Later(Mutex::new(Some(theirs))))
                .preopened_dir(".", "/", FsPerms::ReadOnly)
                .unwrap()
                .build()
                .unwrap();
            let mut guest = Guest::new(&ctx);
            let writer_runtime = runtime();
            allow_descriptors(20);
            use_up(&mut guest);
            let writes = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(60));
                writer_runtime.block_on(ours.write_all(b"come")).unwrap();
                ours
            });
            let events = poll(&mut guest, &[On::Read(0)]).unwrap();
            assert_eq!((events.len(), events[0].kind), (1, 1));
            assert_eq!(guest.get(0, 4).unwrap(), b"come");
            drop(writes.join().unwrap());
        },
    );
}
