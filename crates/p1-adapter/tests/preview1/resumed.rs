//! The async linker: what a call that is tried again keeps from its first attempt.

#[cfg(unix)]
use crate::alone::{allow_descriptors, alone};
use crate::asynchronous::{Task, bare, runtime, soon};
use crate::guest::emulated::slower;
use crate::guest::{DATA, NONBLOCK, OK, OUT};
use p1_adapter::{Interrupted, P1Ctx, P1CtxBuilder, StreamAccess};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;
use wasmtime::Val;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{AsyncStdoutStream, IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamResult};

pub(crate) async fn call(task: &mut Task, name: &str, args: &[Val]) {
    assert_eq!(task.try_call(name, args).await.unwrap(), OK, "{name}");
}

pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(30)).await;
}

#[test]
fn a_blocking_write_to_an_embedders_stream_waits_for_its_flush() {
    runtime().block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(1);
        let ctx = P1CtxBuilder::new()
            .stdout(AsyncStdoutStream::new(64 << 10, ours))
            .build()
            .unwrap();
        let mut task = Task::new(&ctx).await;
        let writing = tokio::spawn(async move { task.put(1, b"not lost").await });
        settle().await;
        assert!(
            !writing.is_finished(),
            "seven of the bytes are on their way"
        );
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
            all
        });
        assert_eq!(soon(writing).await.unwrap(), 8);
        // The stream's worker ends with the context, and loses what it has not passed on.
        drop(ctx);
        assert_eq!(soon(reading).await.unwrap(), b"not lost");
    });
}

#[test]
fn a_write_that_does_not_wait_does_not_wait_for_the_flush() {
    runtime().block_on(async {
        let (ours, _theirs) = tokio::io::duplex(1);
        let ctx = P1CtxBuilder::new()
            .stdout(AsyncStdoutStream::new(64 << 10, ours))
            .build()
            .unwrap();
        let mut task = Task::new(&ctx).await;
        let args = [1, NONBLOCK].map(Val::I32);
        call(&mut task, "fd_fdstat_set_flags", &args).await;
        assert_eq!(soon(task.put(1, b"on its way")).await, 10);
    });
}

/// An input that says "ready" at once and has nothing, ever.
#[derive(Clone, Default)]
struct Liar(Arc<AtomicU32>);

#[async_trait]
impl Pollable for Liar {
    async fn ready(&mut self) {}
}

impl InputStream for Liar {
    fn read(&mut self, _: usize) -> StreamResult<bytes::Bytes> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(bytes::Bytes::new())
    }
}

impl IsTerminal for Liar {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Liar {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

/// Runs `test` on a thread of its own, which is left behind if it does not come to an end.
fn bounded(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(test);
    let start = Instant::now();
    while !thread.is_finished() {
        assert!(
            start.elapsed() < slower(Duration::from_secs(30)),
            "still running"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    thread.join().unwrap();
}

#[test]
fn a_stream_that_is_ready_and_has_nothing_lets_other_tasks_run_and_is_given_up() {
    bounded(|| {
        runtime().block_on(async {
            let liar = Liar::default();
            let ctx = P1CtxBuilder::new().stdin(liar.clone()).build().unwrap();
            let mut task = Task::new(&ctx).await;
            let ran = Arc::new(AtomicBool::new(false));
            let others = ran.clone();
            tokio::spawn(async move { others.store(true, Ordering::Relaxed) });
            let args = task.args(0, 10);
            let error = task.try_call("fd_read", &args).await.unwrap_err();
            assert!(error.downcast_ref::<Interrupted>().is_none());
            assert!(ran.load(Ordering::Relaxed), "no other task ran");
            assert!(liar.0.load(Ordering::Relaxed) > 100, "given up too soon");
        });
    });
}

fn subscribe(task: &mut Task, fds: &[u32], tags: &[u8]) -> [Val; 4] {
    let mut count = 0;
    for fd in fds {
        for tag in tags {
            let mut bytes = [0u8; 48];
            bytes[8] = *tag;
            bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            task.write(DATA + count * 48, &bytes);
            count += 1;
        }
    }
    [DATA, DATA + 0x40000, count, OUT].map(|n| Val::I32(n as i32))
}

/// Its errno, at last, and how many are ready.
async fn a_poll_waits(mut task: Task, args: [Val; 4]) -> JoinHandle<(i32, u32)> {
    let polling = tokio::spawn(async move {
        let errno = task.try_call("poll_oneoff", &args).await.unwrap();
        (errno, task.u32(OUT))
    });
    settle().await;
    assert!(!polling.is_finished());
    polling
}

/// (Windows has no limit to show it by.)
#[test]
#[cfg(unix)]
fn a_poll_of_many_streams_takes_few_descriptors() {
    alone(
        "resumed::a_poll_of_many_streams_takes_few_descriptors",
        || {
            runtime().block_on(async {
                let ctx = bare();
                let mut task = Task::new(&ctx).await;
                let mut peers = Vec::new();
                let fds: Vec<u32> = (0..100)
                    .map(|_| {
                        let (a, b) = crate::sys::connected();
                        peers.push(b);
                        ctx.push_stream(a, StreamAccess::ReadWrite).unwrap()
                    })
                    .collect();
                // The runtime's own are there already; a hundred more would be too many.
                allow_descriptors(20);
                let args = subscribe(&mut task, &fds, &[1]);
                let polling = a_poll_waits(task, args).await;
                use std::io::Write as _;
                peers[50].write_all(b"x").unwrap();
                assert_eq!(soon(polling).await.unwrap(), (OK, 1));
            });
        },
    );
}

#[test]
fn a_poll_may_name_one_stream_many_times() {
    runtime().block_on(async {
        let ctx: P1Ctx = bare();
        let (a, mut b) = crate::sys::connected();
        let fd = ctx.push_stream(a, StreamAccess::ReadWrite).unwrap();
        let mut task = Task::new(&ctx).await;
        let args = subscribe(&mut task, &[fd; 300], &[1]);
        let polling = a_poll_waits(task, args).await;
        std::io::Write::write_all(&mut b, b"x").unwrap();
        assert_eq!(soon(polling).await.unwrap(), (OK, 300));
    });
}
