//! A finished `WasiCtx` as the start of a context of ours.
//!
//! Arguments, environment and preopens come out through wasmtime-wasi's public traits. Streams,
//! clocks and random numbers are `Send` but not `Sync`, and in private fields. So each is kept
//! whole, behind a mutex of its own.

use crate::ctx::builder::P1CtxBuilder;
use crate::ctx::random_source::RandomSource;
use crate::lock::lock;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream, WasiCliCtxView};
use wasmtime_wasi::clocks::{WasiClocksCtx, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::cli::environment::Host as _;
use wasmtime_wasi::p2::bindings::cli::stderr::Host as _;
use wasmtime_wasi::p2::bindings::cli::stdin::Host as _;
use wasmtime_wasi::p2::bindings::cli::stdout::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_stderr::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_stdin::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_stdout::Host as _;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::random::Host as _;
use wasmtime_wasi::p2::{InputStream, OutputStream};
use wasmtime_wasi::random::WasiRandomCtx;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, ResourceTable, WasiCtx};

/// Continues from a context of wasmtime-wasi's: its arguments, environment, preopened directories,
/// standard streams, clocks and random numbers. What may be called on sockets of preview2 has no
/// counterpart in preview1.
///
/// # What it costs
///
/// The builder's own inherited streams, clocks and random numbers take no lock. Those of a
/// `WasiCtx` cannot be looked into. So all threads meet at one mutex for the clocks and at one for
/// random numbers. Each stream is driven through its preview2 interface: copied bytes,
/// wasmtime-wasi's tokio runtime, and its standard input reading ahead on a thread of its own. Say
/// `inherit_stdio` and the like on this builder afterwards to replace them.
///
/// wasmtime-wasi's inherited output is `std::io::stdout().write_all` on the calling thread. Where
/// that blocks (a full pipe, a terminal that is stopped), the thread stays in it, or in an async
/// store the executor. The end signal does not reach it there; it reaches the next piece of 64 KiB.
/// The adapter's own `inherit_stdout` and `inherit_stderr` end at once.
///
/// The limit on random bytes per call ([`P1CtxBuilder::max_random_size`]) is this builder's; that
/// of the `WasiCtx` is in a private field and is not carried over.
///
/// ```
/// use p1_adapter::P1CtxBuilder;
/// use wasmtime_wasi::WasiCtx;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let wasi = WasiCtx::builder().arg("prog").env("LANG", "C").build();
/// let ctx = P1CtxBuilder::from(wasi).inherit_stdio().build()?;
/// # let _ = ctx;
/// # Ok(())
/// # }
/// ```
impl From<WasiCtx> for P1CtxBuilder {
    fn from(mut wasi: WasiCtx) -> Self {
        let mut builder = Self::new();
        let mut table = ResourceTable::new();
        let mut cli = WasiCliCtxView {
            ctx: wasi.cli(),
            table: &mut table,
        };
        // None of wasmtime-wasi 48's implementations of these can fail. If a later one fails, what
        // it would have given is left out.
        builder.args(&cli.get_arguments().unwrap_or_default());
        builder.envs(&cli.get_environment().unwrap_or_default());

        let input = TakenInput::take(&mut cli);
        let (output, error) = (
            TakenOutput::take(&mut cli, Which::Out),
            TakenOutput::take(&mut cli, Which::Err),
        );
        if let Some(input) = input {
            builder.stdin(input);
        }
        if let Some(output) = output {
            builder.stdout(output);
        }
        if let Some(error) = error {
            builder.stderr(error);
        }
        let clocks = std::sync::Arc::new(LockedClocks(Mutex::new(std::mem::take(wasi.clocks()))));
        builder.wall_clock(SharedClocks(clocks.clone()));
        builder.monotonic_clock(SharedClocks(clocks));
        builder.secure_random(LockedRandom(Mutex::new(std::mem::take(wasi.random()))));
        builder.set_preopens(std::mem::take(wasi.filesystem()));
        builder
    }
}

/// A standard input, taken out of its context, to be opened once.
struct TakenInput {
    stream: Mutex<Option<Box<dyn InputStream>>>,
    terminal: bool,
}

impl TakenInput {
    fn take(cli: &mut WasiCliCtxView<'_>) -> Option<Self> {
        let terminal = matches!(cli.get_terminal_stdin(), Ok(Some(_)));
        let stream = cli.get_stdin().ok()?;
        Some(Self {
            stream: Mutex::new(cli.table.delete(stream).ok()),
            terminal,
        })
    }
}

impl IsTerminal for TakenInput {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdinStream for TakenInput {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        // Only preview3 asks for it, which this crate does not offer.
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        match lock(&self.stream).take() {
            Some(stream) => stream,
            None => StdinStream::p2_stream(&tokio::io::empty()),
        }
    }
}

/// A standard output or error, taken out of its context, to be opened once.
struct TakenOutput {
    stream: Mutex<Option<Box<dyn OutputStream>>>,
    terminal: bool,
}

#[derive(Clone, Copy)]
enum Which {
    Out,
    Err,
}

impl TakenOutput {
    fn take(cli: &mut WasiCliCtxView<'_>, which: Which) -> Option<Self> {
        let (terminal, stream) = match which {
            Which::Out => (
                matches!(cli.get_terminal_stdout(), Ok(Some(_))),
                cli.get_stdout(),
            ),
            Which::Err => (
                matches!(cli.get_terminal_stderr(), Ok(Some(_))),
                cli.get_stderr(),
            ),
        };
        Some(Self {
            stream: Mutex::new(cli.table.delete(stream.ok()?).ok()),
            terminal,
        })
    }
}

impl IsTerminal for TakenOutput {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdoutStream for TakenOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // As for `TakenInput`.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        match lock(&self.stream).take() {
            Some(stream) => stream,
            None => StdoutStream::p2_stream(&tokio::io::empty()),
        }
    }
}

/// The clocks of a context.
struct LockedClocks(Mutex<WasiClocksCtx>);

impl LockedClocks {
    fn ask<R>(&self, question: impl FnOnce(&mut WasiClocksCtxView<'_>) -> R) -> R {
        let mut table = ResourceTable::new();
        question(&mut WasiClocksCtxView {
            ctx: &mut lock(&self.0),
            table: &mut table,
        })
    }
}

struct SharedClocks(std::sync::Arc<LockedClocks>);

fn duration(time: wasmtime::Result<wall_clock::Datetime>) -> Duration {
    time.map_or(Duration::ZERO, |time| {
        Duration::from_secs(time.seconds)
            .saturating_add(Duration::from_nanos(time.nanoseconds.into()))
    })
}

impl HostWallClock for SharedClocks {
    fn resolution(&self) -> Duration {
        duration(self.0.ask(|clocks| wall_clock::Host::resolution(clocks)))
    }

    fn now(&self) -> Duration {
        duration(self.0.ask(|clocks| wall_clock::Host::now(clocks)))
    }
}

impl HostMonotonicClock for SharedClocks {
    fn resolution(&self) -> u64 {
        self.0
            .ask(|clocks| monotonic_clock::Host::resolution(clocks))
            .unwrap_or(1)
    }

    fn now(&self) -> u64 {
        self.0
            .ask(|clocks| monotonic_clock::Host::now(clocks))
            .unwrap_or(0)
    }
}

/// The random numbers of a context.
struct LockedRandom(Mutex<WasiRandomCtx>);

impl RandomSource for LockedRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut random = lock(&self.0);
        for word in bytes.chunks_mut(8) {
            let fresh = random.get_random_u64().unwrap_or_default().to_le_bytes();
            word.copy_from_slice(&fresh[..word.len()]);
        }
    }
}
