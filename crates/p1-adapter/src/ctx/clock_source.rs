//! Clocks of an embedder's that a guest also sleeps by.

use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// The clocks that preview1 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuestClock {
    /// Nanoseconds since 1970.
    Realtime,
    /// Nanoseconds since a moment of its own.
    Monotonic,
    /// Processor time of the program.
    ProcessCpu,
    /// Processor time of the calling thread.
    ThreadCpu,
}

/// All clocks of a guest, and its sleeps. Set with
/// [`P1CtxBuilder::clocks`](crate::P1CtxBuilder::clocks).
///
/// Time then passes as the embedder says: no call asks a clock of the host's. Any number of threads
/// may call at once.
pub trait ClockSource: Send + Sync {
    /// What the clock shows, in nanoseconds.
    fn now(&self, clock: GuestClock) -> u64;

    /// The clock's resolution in nanoseconds (default: 1). 0 is told as 1.
    fn resolution(&self, _clock: GuestClock) -> u64 {
        1
    }

    /// Blocks the calling thread until `clock` shows `deadline` or later. It is only called for
    /// [`GuestClock::Realtime`] and [`GuestClock::Monotonic`]. A deadline of `u64::MAX` never
    /// comes. The thread holds no lock of the adapter's. If this returns early it is called again.
    ///
    /// The context's end signal does not reach a thread in here: the embedder has to wake it.
    ///
    /// # Errors
    ///
    /// Ends the call with this trap, and so the guest's thread.
    fn sleep_until(&self, clock: GuestClock, deadline: u64) -> wasmtime::Result<()>;
}

/// A source, seen as the two clocks that wasmtime-wasi knows.
pub(super) struct OfSource(pub(super) Arc<dyn ClockSource>);

impl HostWallClock for OfSource {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(self.0.resolution(GuestClock::Realtime))
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.now(GuestClock::Realtime))
    }
}

impl HostMonotonicClock for OfSource {
    fn resolution(&self) -> u64 {
        self.0.resolution(GuestClock::Monotonic)
    }

    fn now(&self) -> u64 {
        self.0.now(GuestClock::Monotonic)
    }
}
