//! Writing one's own kind of descriptor. (A page of documentation; there is nothing in here.)
//!
//! A guest sees descriptors through preview1 and cannot tell what is behind them. There are two
//! ways to make one.
//!
//! # A descriptor of the operating system's
//!
//! Make a pipe or a socket pair, hand one end over with [`push_stream`](crate::P1Ctx::push_stream),
//! and serve the other from wherever suits: a thread, a runtime, another process. The guest gets
//! everything a stream has (polling, `NONBLOCK`, ends of file, flow control), its calls wait in the
//! kernel, and nothing but file descriptors is shared. This is the way for anything that talks both
//! ways.
//!
//! ```
//! use p1_adapter::{P1CtxBuilder, StreamAccess};
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ctx = P1CtxBuilder::new().build()?;
//! let (guests, mut ours) = UnixStream::pair()?;
//! let fd = ctx.push_stream(guests, StreamAccess::ReadWrite)?;
//! // Answers every request in capitals.
//! let server = std::thread::spawn(move || -> std::io::Result<()> {
//!     let mut request = [0; 512];
//!     loop {
//!         match ours.read(&mut request)? {
//!             0 => return Ok(()),
//!             n => ours.write_all(&request[..n].to_ascii_uppercase())?,
//!         }
//!     }
//! });
//! # let _ = fd;
//! # drop(ctx);
//! # server.join().unwrap()?;
//! # Ok(())
//! # }
//! ```
//!
//! # A stream in Rust
//!
//! Implement wasmtime-wasi's [`StdoutStream`](wasmtime_wasi::cli::StdoutStream) or
//! [`StdinStream`](wasmtime_wasi::cli::StdinStream) and hand it over with
//! [`push_output`](crate::P1Ctx::push_output) or [`push_input`](crate::P1Ctx::push_input). Bytes
//! are copied once, and a guest's call runs your code. The adapter and your code rely on this:
//!
//! * `p2_stream` is called once, at the first use. Its result is used by one thread at a time,
//!   under a lock; it need not be `Sync`. Do not wait in `read`, `write`, `check_write` or `flush`:
//!   other threads' calls on it would wait too.
//! * `ready` is where waiting is done. It is polled by many threads and tasks in turn, and dropped
//!   half-way when something else is wanted of the stream, so it must lose nothing when dropped. An
//!   end signal ends the wait.
//! * One guest write is offered in pieces of at most what `check_write` permits, in order, with no
//!   other write in between, then flushed. `check_write` returning 0 means "wait for `ready`". An
//!   end signal is looked at before each piece: a `write` that takes its time delays it by that.
//! * `read` returning no bytes means "wait for `ready`". `Closed` is the end of the file for a
//!   reader and `io` for a writer. `LastOperationFailed` with an [`std::io::Error`] in it becomes
//!   that errno. `Trap` ends the guest.
//!
//! Here is an output that keeps the last line it was given:
//!
//! ```
//! use bytes::Bytes;
//! use p1_adapter::P1CtxBuilder;
//! use std::sync::{Arc, Mutex};
//! use tokio::io::AsyncWrite;
//! use wasmtime_wasi::async_trait;
//! use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
//! use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
//!
//! #[derive(Clone, Default)]
//! struct LastLine(Arc<Mutex<Vec<u8>>>);
//!
//! #[async_trait]
//! impl Pollable for LastLine {
//!     /// There is always room.
//!     async fn ready(&mut self) {}
//! }
//!
//! impl OutputStream for LastLine {
//!     fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
//!         let mut line = self.0.lock().unwrap();
//!         for byte in bytes {
//!             // A line begins where the one before it has ended.
//!             if line.last() == Some(&b'\n') {
//!                 line.clear();
//!             }
//!             line.push(byte);
//!         }
//!         Ok(())
//!     }
//!
//!     fn flush(&mut self) -> StreamResult<()> {
//!         Ok(())
//!     }
//!
//!     fn check_write(&mut self) -> StreamResult<usize> {
//!         Ok(64 << 10)
//!     }
//! }
//!
//! impl IsTerminal for LastLine {
//!     fn is_terminal(&self) -> bool {
//!         false
//!     }
//! }
//!
//! impl StdoutStream for LastLine {
//!     /// Preview3's; this crate uses the other.
//!     fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
//!         Box::new(tokio::io::sink())
//!     }
//!
//!     fn p2_stream(&self) -> Box<dyn OutputStream> {
//!         Box::new(self.clone())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ctx = P1CtxBuilder::new().build()?;
//! let line = LastLine::default();
//! let fd = ctx.push_output(line.clone())?;
//! assert_eq!(fd, 3);
//! # Ok(())
//! # }
//! ```
//!
//! # Files and folders
//!
//! [`push_file`](crate::P1Ctx::push_file) takes anything that has a descriptor (a `memfd`, a FUSE
//! mount). Files and folders made of Rust code, with positions and attributes, are those of
//! [`made`](crate::made).
