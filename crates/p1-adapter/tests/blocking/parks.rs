//! An embedder's stream that parks its thread inside its poll, as a stream does that drives a
//! future of its own there.

use crate::support::{PATIENCE, blocked, eventually, soon, within};
use bytes::Bytes;
use p1_adapter::test_hooks::{BlockingError, EmbedderInput, EmbedderOutput, EndSignal};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::thread;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamResult};

/// Never ready. Its poll parks the thread once, or until it is let go.
#[derive(Clone, Default)]
struct Parks {
    polled: Arc<AtomicBool>,
    unparked: Arc<AtomicU32>,
    let_go: Arc<AtomicBool>,
}

impl Parks {
    /// One that is let go from the start.
    fn once() -> Self {
        let this = Parks::default();
        this.let_go.store(true, Ordering::SeqCst);
        this
    }

    fn park(&self) {
        self.polled.store(true, Ordering::SeqCst);
        loop {
            thread::park();
            // Looked at before this wake-up is counted. A thread that releases it after the count
            // has to unpark it again.
            let let_go = self.let_go.load(Ordering::SeqCst);
            self.unparked.fetch_add(1, Ordering::SeqCst);
            if let_go {
                return;
            }
        }
    }
}

#[async_trait]
impl Pollable for Parks {
    async fn ready(&mut self) {
        poll_fn(|_| {
            self.park();
            Poll::Pending
        })
        .await
    }
}

impl InputStream for Parks {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Ok(Bytes::new())
    }
}

impl OutputStream for Parks {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        unreachable!("there is no room")
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(0)
    }
}

impl IsTerminal for Parks {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Parks {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for Parks {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

type Transfer = fn(Parks, &EndSignal) -> Result<usize, BlockingError>;

const TRANSFERS: [Transfer; 2] = [
    |stream, end| EmbedderInput::new(stream).read(8, false, end, |_| Ok(())),
    |stream, end| EmbedderOutput::new(stream).write(8, false, end, |_| Ok(Bytes::new())),
];

/// The signal is raised while the thread is parked inside the poll, which uses up the wake-up;
/// `then` ends the poll.
fn ends(transfer: Transfer, stream: Parks, then: impl FnOnce(&Parks, &thread::Thread)) {
    let end = EndSignal::new();
    let waiting = {
        let (stream, end) = (stream.clone(), end.clone());
        blocked(move || transfer(stream, &end))
    };
    assert!(eventually(|| stream.polled.load(Ordering::SeqCst)));
    end.raise();
    then(&stream, waiting.thread());
    let ended = within(PATIENCE, || waiting.is_finished());
    // So that it ends where the wake-up was lost.
    stream.let_go.store(true, Ordering::SeqCst);
    while !waiting.is_finished() {
        waiting.thread().unpark();
        thread::yield_now();
    }
    assert!(ended, "the end signal is lost");
    let outcome = waiting.join().unwrap();
    assert!(matches!(outcome, Err(BlockingError::Interrupted(_))));
}

#[test]
fn a_stream_that_parks_in_its_poll_does_not_swallow_the_end() {
    soon(|| {
        for transfer in TRANSFERS {
            ends(transfer, Parks::once(), |_, _| ());
        }
    });
}

/// An executor inside an executor: the inner one finds the outer one's wake-up and goes on waiting
/// for its own.
#[test]
fn a_stream_that_drives_a_future_in_its_poll_does_not_swallow_the_end() {
    soon(|| {
        for transfer in TRANSFERS {
            ends(transfer, Parks::default(), |stream, thread| {
                assert!(eventually(|| stream.unparked.load(Ordering::SeqCst) > 0));
                stream.let_go.store(true, Ordering::SeqCst);
                thread.unpark();
            });
        }
    });
}
