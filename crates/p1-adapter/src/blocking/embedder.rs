//! Streams an embedder gives: wasmtime-wasi's `StdinStream` and `StdoutStream`.
//!
//! Their preview2 form waits in `ready(&mut self)`, for one caller at a time. [`Waitable`] lets any
//! number of threads and tasks wait, and gives the stream to those that want to look, read or write
//! meanwhile; no waiter holds it. Blocked reads queue behind each other, and so do blocked writes.
//! So a reader that was told "ready" finds its bytes. A poll, or a read that does not wait, passes
//! the queue.
//!
//! Futures are polled in wasmtime-wasi's global runtime if the thread is in none. That runtime is
//! started when a stream is handed over. It needs descriptors, and panics without, so a guest that
//! has used them all up must not be the one that starts it.

use super::block_on::block_on;
use super::end::{BlockingError, EndSignal};
use crate::sys::errno::Errno;
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use table_sync::{Pollable, Waitable};
use tokio::sync::Mutex;
use wasmtime_wasi::cli::{StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, StreamError};
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// How often in a row a stream may say "ready" and then have nothing before it counts as broken.
/// (wasmtime-wasi gives up after 10. Here a read that does not wait may have taken the bytes
/// first.)
pub(crate) const PREMATURE: u32 = 1000;

/// The most taken from one write at a time: what wasmtime-wasi's streams permit.
const CHUNK: usize = 64 << 10;

/// A readiness that completes once; see [`EmbedderInput::ready`].
pub type Ready<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// An embedder's input stream, shared by any number of threads.
pub struct EmbedderInput {
    stream: Waitable<LazyInput>,
    /// Held by the one blocked reader that may read next.
    reading: Mutex<()>,
    terminal: bool,
}

/// An embedder's output stream, shared by any number of threads.
pub struct EmbedderOutput {
    stream: Waitable<LazyOutput>,
    /// Held for the whole of one guest write. Taken before `stream`.
    writing: Arc<Mutex<()>>,
    terminal: bool,
}

/// A stream that is made when first used.
enum LazyInput {
    Unopened(Box<dyn StdinStream>),
    Open(Box<dyn InputStream>),
}

/// As [`LazyInput`].
enum LazyOutput {
    Unopened(Box<dyn StdoutStream>),
    Open(Box<dyn OutputStream>),
}

impl LazyInput {
    fn open(&mut self) -> &mut dyn InputStream {
        if let LazyInput::Unopened(stdin) = self {
            *self = LazyInput::Open(stdin.p2_stream());
        }
        match self {
            LazyInput::Open(stream) => &mut **stream,
            LazyInput::Unopened(_) => unreachable!("opened above"),
        }
    }
}

impl LazyOutput {
    fn open(&mut self) -> &mut dyn OutputStream {
        if let LazyOutput::Unopened(stdout) = self {
            *self = LazyOutput::Open(stdout.p2_stream());
        }
        match self {
            LazyOutput::Open(stream) => &mut **stream,
            LazyOutput::Unopened(_) => unreachable!("opened above"),
        }
    }
}

impl Pollable for LazyInput {
    async fn ready(&mut self) {
        self.open().ready().await;
    }
}

impl Pollable for LazyOutput {
    async fn ready(&mut self) {
        self.open().ready().await;
    }
}

impl EmbedderInput {
    /// Reads from `stdin`, whose preview2 stream is made once, at the first use.
    pub fn new(stdin: impl StdinStream + 'static) -> Self {
        with_ambient_tokio_runtime(|| ());
        EmbedderInput {
            terminal: stdin.is_terminal(),
            stream: Waitable::new(LazyInput::Unopened(Box::new(stdin))),
            reading: Mutex::new(()),
        }
    }

    /// Whether the embedder says that it is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One read of at most `max` bytes; waits for the first unless `nonblocking`. `sink` gets them,
    /// once; at the end of the stream it is not called and the result is 0.
    ///
    /// # Errors
    ///
    /// [`BlockingError::Interrupted`] if `end` is raised while it waits. `WouldBlock` instead of
    /// waiting. The stream's own error (`EIO` if that is no operating system error), or
    /// [`BlockingError::Stream`] if the stream asks for a trap.
    pub fn read(
        &self,
        max: usize,
        nonblocking: bool,
        end: &EndSignal,
        sink: impl FnOnce(&[u8]) -> Result<(), BlockingError>,
    ) -> Result<usize, BlockingError> {
        let got = if nonblocking {
            let now = with_ambient_tokio_runtime(|| take(self.stream.lock().open(), max))?;
            now.ok_or(Errno::AGAIN)?
        } else {
            drive(end, self.read_async(max))?
        };
        if !got.is_empty() {
            sink(&got)?;
        }
        Ok(got.len())
    }

    /// As [`read`](Self::read), for a caller that can await. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// What the stream failed with.
    pub async fn read_async(&self, max: usize) -> Result<Bytes, BlockingError> {
        let _lock = self.reading.lock().await;
        for _ in 0..=PREMATURE {
            // The access ends with the statement.
            let got = take(self.stream.lock_async().await.open(), max)?;
            match got {
                Some(bytes) => return Ok(bytes),
                None => self.ready().await,
            }
        }
        Err(premature())
    }

    /// Completes when a read would not wait. Any number may wait; dropping one disturbs no other.
    pub fn ready(&self) -> Ready<'_> {
        let ready = self.stream.ready();
        // It is closed only when dropped, which this borrow prevents.
        Box::pin(async { ready.await.unwrap_or(()) })
    }
}

impl EmbedderOutput {
    /// Writes to `stdout`, whose preview2 stream is made once, at the first use.
    pub fn new(stdout: impl StdoutStream + 'static) -> Self {
        with_ambient_tokio_runtime(|| ());
        EmbedderOutput {
            terminal: stdout.is_terminal(),
            stream: Waitable::new(LazyOutput::Unopened(Box::new(stdout))),
            writing: Arc::default(),
        }
    }

    /// Whether the embedder says that it is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The write lock, for a task to hold across waits.
    pub(crate) fn write_lock(&self) -> &Arc<Mutex<()>> {
        &self.writing
    }

    /// One write of `len` bytes, which `source` hands out range by range, then a flush. Waits for
    /// the write lock, for room, and for the flush. With `nonblocking` it writes what there is room
    /// for and does not wait for the flush. A write of no bytes does nothing.
    ///
    /// # Errors
    ///
    /// As for [`EmbedderInput::read`]; a closed stream is `EIO`, as in wasmtime-wasi. The signal is
    /// looked at before each piece as well, so that it ends a write that never has to wait.
    pub fn write(
        &self,
        len: usize,
        nonblocking: bool,
        end: &EndSignal,
        mut source: impl FnMut(Range<usize>) -> Result<Bytes, BlockingError>,
    ) -> Result<usize, BlockingError> {
        if len == 0 {
            Ok(0)
        } else if nonblocking {
            let _lock = self.writing.try_lock().map_err(|_| Errno::AGAIN)?;
            let done = self.write_piece(len, source)?;
            with_ambient_tokio_runtime(|| self.stream.lock().open().flush()).map_err(failure)?;
            Ok(done)
        } else {
            let checked = |range| {
                end.check()?;
                source(range)
            };
            drive(end, self.write_async(len, checked))
        }
    }

    /// As [`write`](Self::write), for a caller that can await. If the future is dropped, part may
    /// have been written.
    ///
    /// # Errors
    ///
    /// What the stream failed with.
    pub async fn write_async(
        &self,
        len: usize,
        mut source: impl FnMut(Range<usize>) -> Result<Bytes, BlockingError>,
    ) -> Result<usize, BlockingError> {
        if len == 0 {
            return Ok(0);
        }
        let _lock = self.writing.lock().await;
        let mut done = 0;
        let mut fruitless = 0;
        while done < len {
            let room = {
                let mut stream = self.stream.lock_async().await;
                let stream = stream.open();
                let room = stream.check_write().map_err(failure)?;
                if room > 0 {
                    let piece = done..len.min(done + room.min(CHUNK));
                    done = piece.end;
                    stream.write(source(piece)?).map_err(failure)?;
                }
                room
            };
            self.unless(room > 0, &mut fruitless).await?;
        }
        match self.stream.lock_async().await.open().flush() {
            Ok(()) => {}
            // Everything was taken. The next write finds that the stream takes no more.
            Err(StreamError::Closed) => return Ok(len),
            Err(error) => return Err(failure(error)),
        }
        loop {
            let flushed = match self.stream.lock_async().await.open().check_write() {
                Ok(0) => false,
                Ok(_) | Err(StreamError::Closed) => return Ok(len),
                Err(error) => return Err(failure(error)),
            };
            self.unless(flushed, &mut fruitless).await?;
        }
    }

    /// Waits for readiness unless something was transferred; fails when waiting never helps.
    async fn unless(&self, achieved: bool, fruitless: &mut u32) -> Result<(), BlockingError> {
        if achieved {
            *fruitless = 0;
            return Ok(());
        }
        *fruitless += 1;
        if *fruitless > PREMATURE {
            return Err(premature());
        }
        self.ready().await;
        Ok(())
    }

    /// Writes what there is room for now (`WouldBlock` without any) and does not flush: a piece of
    /// the write of the holder of the write lock.
    pub(crate) fn write_piece(
        &self,
        len: usize,
        mut source: impl FnMut(Range<usize>) -> Result<Bytes, BlockingError>,
    ) -> Result<usize, BlockingError> {
        with_ambient_tokio_runtime(|| {
            let mut stream = self.stream.lock();
            let stream = stream.open();
            match stream.check_write().map_err(failure)? {
                0 => Err(Errno::AGAIN.into()),
                permit => {
                    let piece = 0..len.min(permit.min(CHUNK));
                    let done = piece.end;
                    stream.write(source(piece)?).map_err(failure)?;
                    Ok(done)
                }
            }
        })
    }

    /// Starts a flush, if it has not `begun`, and says whether it is done: `WouldBlock` until then.
    /// For the holder of the write lock.
    pub(crate) fn flush_piece(&self, begun: &mut bool) -> Result<(), BlockingError> {
        with_ambient_tokio_runtime(|| {
            let mut stream = self.stream.lock();
            let stream = stream.open();
            if !*begun {
                *begun = true;
                match stream.flush() {
                    Ok(()) => {}
                    // As in `write_async`: the next write finds that.
                    Err(StreamError::Closed) => return Ok(()),
                    Err(error) => return Err(failure(error)),
                }
            }
            match stream.check_write() {
                Ok(0) => Err(Errno::AGAIN.into()),
                Ok(_) | Err(StreamError::Closed) => Ok(()),
                Err(error) => Err(failure(error)),
            }
        })
    }

    /// Completes when a write would not wait for room. Any number may wait.
    pub fn ready(&self) -> Ready<'_> {
        let ready = self.stream.ready();
        // It is closed only when dropped, which this borrow prevents.
        Box::pin(async { ready.await.unwrap_or(()) })
    }
}

/// What can be read now: `None` if the caller has to wait, no bytes at the end.
fn take(stream: &mut dyn InputStream, max: usize) -> Result<Option<Bytes>, BlockingError> {
    if max == 0 {
        return Ok(Some(Bytes::new()));
    }
    match stream.read(max) {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => Ok(Some(bytes)),
        Err(StreamError::Closed) => Ok(Some(Bytes::new())),
        Err(error) => Err(failure(error)),
    }
}

/// Runs `future` on this thread until it completes or the signal is raised.
fn drive<T>(
    end: &EndSignal,
    future: impl Future<Output = Result<T, BlockingError>>,
) -> Result<T, BlockingError> {
    end.check()?;
    with_ambient_tokio_runtime(|| block_on(end.or_raised(future))?)
}

fn failure(error: StreamError) -> BlockingError {
    match error {
        StreamError::Closed => Errno::IO.into(),
        StreamError::LastOperationFailed(error) => match error.downcast::<io::Error>() {
            Ok(error) => error.into(),
            Err(_) => Errno::IO.into(),
        },
        StreamError::Trap(error) => BlockingError::Stream(error),
    }
}

pub(crate) fn premature() -> BlockingError {
    BlockingError::Stream(wasmtime::Error::msg(
        "the stream said it was ready and then was not, too many times",
    ))
}

impl fmt::Debug for EmbedderInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedderInput").finish_non_exhaustive()
    }
}

impl fmt::Debug for EmbedderOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedderOutput").finish_non_exhaustive()
    }
}
