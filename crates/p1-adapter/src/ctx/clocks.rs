//! Clocks: the host's, read without a system call, or an embedder's.

use crate::abi::types::{Clockid, Errno, Timestamp};
use crate::blocking::Deadline;
use crate::sys::time::{self, ClockId};
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

type Wall = Arc<dyn HostWallClock + Sync>;
type Monotonic = Arc<dyn HostMonotonicClock + Sync>;

/// The four clocks of one context.
pub(crate) struct Clocks {
    wall: Option<Wall>,
    monotonic: Option<Monotonic>,
    /// The host's monotonic clock when the context was made: the guest's shows the time since then, so that it learns
    /// nothing about the host's uptime.
    start: u64,
}

fn saturated(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Clocks {
    pub(crate) fn new(wall: Option<Wall>, monotonic: Option<Monotonic>) -> Self {
        // One less, so that no reading is 0: some programs take 0 for "never".
        Self {
            wall,
            monotonic,
            start: time::now(ClockId::Monotonic).saturating_sub(1),
        }
    }

    /// What the clock shows.
    #[inline]
    pub(crate) fn now(&self, clock: Clockid) -> Timestamp {
        match clock {
            Clockid::Monotonic => match &self.monotonic {
                None => time::now(ClockId::Monotonic).saturating_sub(self.start),
                Some(custom) => custom.now(),
            },
            Clockid::Realtime => match &self.wall {
                None => time::now(ClockId::Realtime),
                Some(custom) => saturated(custom.now()),
            },
            Clockid::ProcessCputimeId => time::now(ClockId::ProcessCPUTime),
            Clockid::ThreadCputimeId => time::now(ClockId::ThreadCPUTime),
        }
    }

    /// The clock's resolution, never 0.
    pub(crate) fn resolution(&self, clock: Clockid) -> Timestamp {
        let found = match (clock, &self.monotonic, &self.wall) {
            (Clockid::Monotonic, Some(custom), _) => custom.resolution(),
            (Clockid::Realtime, _, Some(custom)) => saturated(custom.resolution()),
            (Clockid::Monotonic, None, _) => time::resolution(ClockId::Monotonic),
            (Clockid::Realtime, _, None) => time::resolution(ClockId::Realtime),
            (Clockid::ProcessCputimeId, ..) => time::resolution(ClockId::ProcessCPUTime),
            (Clockid::ThreadCputimeId, ..) => time::resolution(ClockId::ThreadCPUTime),
        };
        found.max(1)
    }

    /// When a `poll_oneoff` clock subscription is due, on the host's clocks.
    ///
    /// An embedder's clock is asked once, now; the time that is left is then waited out on the host's monotonic clock.
    /// CPU-time clocks cannot be waited for (`inval`, as POSIX `clock_nanosleep` answers for a thread's own).
    pub(crate) fn deadline(
        &self,
        clock: Clockid,
        timeout: Timestamp,
        absolute: bool,
    ) -> Result<Deadline, Errno> {
        match clock {
            Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => Err(Errno::Inval),
            _ if !absolute => Ok(Deadline::after_nanos(timeout)),
            Clockid::Monotonic if self.monotonic.is_none() => {
                Ok(Deadline::at_monotonic(timeout.saturating_add(self.start)))
            }
            Clockid::Realtime if self.wall.is_none() => Ok(Deadline::at_realtime(timeout)),
            Clockid::Monotonic | Clockid::Realtime => Ok(Deadline::after_nanos(
                timeout.saturating_sub(self.now(clock)),
            )),
        }
    }
}
