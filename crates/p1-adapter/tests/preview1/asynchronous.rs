//! The async linker: what waits gives its thread back.

use crate::guest::{DATA, Guest, LIST, OK, OUT, World};
use crate::observer::Notes;
use p1_adapter::{Interrupted, P1Ctx, P1CtxBuilder, P1State, StreamAccess};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use wasmtime::{SharedMemory, Val};

/// Of guests with more memory than others.
pub(crate) static LARGE: LazyLock<World> = LazyLock::new(|| World::of(16));

/// A guest that is a task.
pub(crate) struct Task(Guest);

impl Deref for Task {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        &self.0
    }
}

impl DerefMut for Task {
    fn deref_mut(&mut self) -> &mut Guest {
        &mut self.0
    }
}

impl Task {
    pub(crate) async fn new(ctx: &P1Ctx) -> Self {
        let state = P1State::new(ctx.clone());
        Self(LARGE.task(&LARGE.tasks, state, None).await)
    }

    /// A task in a memory of [`LARGE`]'s that others may share.
    pub(crate) async fn sharing(ctx: &P1Ctx, memory: &SharedMemory) -> Self {
        let state = P1State::with_memory(ctx.clone(), memory.clone());
        Self(LARGE.task(&LARGE.tasks, state, Some(memory)).await)
    }

    pub(crate) async fn try_call(&mut self, name: &str, args: &[Val]) -> wasmtime::Result<i32> {
        self.0.try_call_async(name, args).await
    }

    pub(crate) fn args(&mut self, fd: u32, len: u32) -> [Val; 4] {
        self.write(LIST, &DATA.to_le_bytes());
        self.write(LIST + 4, &len.to_le_bytes());
        [fd, LIST, 1, OUT].map(|n| Val::I32(n as i32))
    }

    pub(crate) async fn get(&mut self, fd: u32, len: u32) -> Vec<u8> {
        let args = self.args(fd, len);
        assert_eq!(self.try_call("fd_read", &args).await.unwrap(), OK);
        self.read(DATA, self.u32(OUT))
    }

    pub(crate) async fn put(&mut self, fd: u32, bytes: &[u8]) -> u32 {
        self.write(DATA, bytes);
        let args = self.args(fd, bytes.len() as u32);
        assert_eq!(self.try_call("fd_write", &args).await.unwrap(), OK);
        self.u32(OUT)
    }
}

/// One thread: a call that held it would stop everything.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn bare() -> P1Ctx {
    P1CtxBuilder::new().build().unwrap()
}

/// A pipe whose reading end the guest has.
pub(crate) fn to_guest(ctx: &P1Ctx) -> (u32, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    (ctx.push_stream(reader, StreamAccess::Read).unwrap(), writer)
}

/// A pipe whose writing end the guest has.
pub(crate) fn from_guest(ctx: &P1Ctx) -> (u32, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    (
        ctx.push_stream(writer, StreamAccess::Write).unwrap(),
        reader,
    )
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("in time")
}

#[test]
fn a_read_that_waits_lets_other_tasks_run() {
    runtime().block_on(async {
        let ctx = bare();
        let (fd, mut writer) = to_guest(&ctx);
        let mut task = Task::new(&ctx).await;
        let reading = tokio::spawn(async move { task.get(fd, 100).await });
        let mut other = Task::new(&ctx).await;
        for _ in 0..50 {
            assert_eq!(other.try_call("sched_yield", &[]).await.unwrap(), OK);
            tokio::task::yield_now().await;
        }
        assert!(!reading.is_finished());
        writer.write_all(b"here").unwrap();
        assert_eq!(soon(reading).await.unwrap(), b"here");
    });
}

#[test]
fn closing_the_number_does_not_fail_a_read_that_waits() {
    runtime().block_on(async {
        let ctx = bare();
        let (fd, mut writer) = to_guest(&ctx);
        let mut task = Task::new(&ctx).await;
        let reading = tokio::spawn(async move { task.get(fd, 100).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut other = Task::new(&ctx).await;
        assert_eq!(
            other
                .try_call("fd_close", &[Val::I32(fd as i32)])
                .await
                .unwrap(),
            OK
        );
        writer.write_all(b"still").unwrap();
        assert_eq!(soon(reading).await.unwrap(), b"still");
    });
}

#[test]
fn writes_of_two_tasks_do_not_interleave() {
    const LEN: usize = 300_000;
    runtime().block_on(async {
        let ctx = bare();
        let (fd, mut reader) = from_guest(&ctx);
        let mut writing = Vec::new();
        for byte in [b'a', b'b'] {
            let mut task = Task::new(&ctx).await;
            writing.push(tokio::spawn(
                async move { task.put(fd, &vec![byte; LEN]).await },
            ));
        }
        // Neither fits into a pipe.
        let all = tokio::task::spawn_blocking(move || {
            let mut all = vec![0; 2 * LEN];
            reader.read_exact(&mut all).unwrap();
            all
        });
        let all = soon(all).await.unwrap();
        for task in writing {
            assert_eq!(soon(task).await.unwrap() as usize, LEN);
        }
        assert!(all[..LEN].iter().all(|byte| *byte == all[0]));
        assert!(all[LEN..].iter().all(|byte| *byte == all[LEN]));
        assert_ne!(all[0], all[LEN]);
    });
}

#[test]
fn a_poll_waits_for_streams_and_clocks() {
    runtime().block_on(async {
        let ctx = bare();
        let (fd, mut writer) = to_guest(&ctx);
        let mut task = Task::new(&ctx).await;
        let subscribe = |timeout: u64| {
            let mut bytes = [0u8; 96];
            bytes[0] = 1;
            bytes[16] = 1;
            bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
            bytes[48] = 2;
            bytes[56] = 1;
            bytes[64..68].copy_from_slice(&fd.to_le_bytes());
            bytes
        };
        let args = [DATA, DATA + 512, 2, OUT].map(|n| Val::I32(n as i32));
        task.write(DATA, &subscribe(30_000_000));
        let start = Instant::now();
        assert_eq!(soon(task.try_call("poll_oneoff", &args)).await.unwrap(), OK);
        assert!(start.elapsed() >= Duration::from_millis(29));
        assert_eq!((task.u32(OUT), task.u32(DATA + 512)), (1, 1), "the clock");
        task.write(DATA, &subscribe(3_600_000_000_000));
        let polling = tokio::spawn(async move {
            let errno = task.try_call("poll_oneoff", &args).await.unwrap();
            (errno, task.u32(OUT), task.u32(DATA + 512))
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        writer.write_all(b"x").unwrap();
        assert_eq!(soon(polling).await.unwrap(), (OK, 1, 2), "the stream");
    });
}

#[test]
fn a_raised_signal_ends_what_waits() {
    runtime().block_on(async {
        let ctx = bare();
        let (fd, _writer) = to_guest(&ctx);
        let mut tasks = Vec::new();
        for _ in 0..10 {
            let mut task = Task::new(&ctx).await;
            let args = task.args(fd, 10);
            tasks.push(tokio::spawn(async move {
                task.try_call("fd_read", &args).await
            }));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        ctx.end_signal().raise();
        for task in tasks {
            let error = soon(task).await.unwrap().unwrap_err();
            assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
        }
    });
}

#[test]
fn dropping_the_future_gives_the_wait_up_and_loses_nothing() {
    runtime().block_on(async {
        let ctx = bare();
        let (fd, mut writer) = to_guest(&ctx);
        let mut task = Task::new(&ctx).await;
        let cut = tokio::time::timeout(Duration::from_millis(20), task.get(fd, 10)).await;
        assert!(cut.is_err());
        writer.write_all(b"kept").unwrap();
        let mut other = Task::new(&ctx).await;
        assert_eq!(soon(other.get(fd, 10)).await, b"kept");
    });
}

#[test]
fn an_observer_is_told_once_of_a_call_that_waits() {
    runtime().block_on(async {
        let notes = Arc::new(Notes::default());
        let ctx = P1CtxBuilder::new()
            .call_observer(notes.clone())
            .build()
            .unwrap();
        let (fd, mut writer) = to_guest(&ctx);
        let mut task = Task::new(&ctx).await;
        let reading = tokio::spawn(async move {
            let read = task.get(fd, 10).await;
            (task, read)
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        writer.write_all(b"here").unwrap();
        let (mut task, read) = soon(reading).await.unwrap();
        assert_eq!(read, b"here");
        assert_eq!(notes.take(), ["fd_read starts", "fd_read returns 0"]);
        let cut = tokio::time::timeout(Duration::from_millis(20), task.get(fd, 10)).await;
        assert!(cut.is_err());
        assert_eq!(notes.take(), ["fd_read starts", "fd_read is given up"]);
    });
}
