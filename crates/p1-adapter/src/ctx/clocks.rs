//! Clocks: the host's, read without a system call, or an embedder's.

use super::clock_source::{ClockSource, GuestClock, OfSource};
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
    /// If there is one, the two clocks above are its.
    source: Option<Arc<dyn ClockSource>>,
    /// The host's monotonic clock when the context was made: the guest's shows the time since then,
    /// so that it learns nothing about the host's uptime.
    start: u64,
}

fn saturated(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Clocks {
    pub(crate) fn new(
        mut wall: Option<Wall>,
        mut monotonic: Option<Monotonic>,
        source: Option<Arc<dyn ClockSource>>,
    ) -> Self {
        if let Some(source) = &source {
            wall = Some(Arc::new(OfSource(Arc::clone(source))));
            monotonic = Some(Arc::new(OfSource(Arc::clone(source))));
        }
        // One less, so that no reading is 0: some programs take 0 for "never".
        Self {
            wall,
            monotonic,
            source,
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
            Clockid::ProcessCputimeId => match &self.source {
                None => time::now(ClockId::ProcessCPUTime),
                Some(source) => source.now(GuestClock::ProcessCpu),
            },
            Clockid::ThreadCputimeId => match &self.source {
                None => time::now(ClockId::ThreadCPUTime),
                Some(source) => source.now(GuestClock::ThreadCpu),
            },
        }
    }

    /// The embedder's, if guests sleep by it.
    pub(crate) fn source(&self) -> Option<&dyn ClockSource> {
        self.source.as_deref()
    }

    /// Whether the moment has come.
    pub(crate) fn is_due(&self, due: &Due) -> bool {
        match (due, &self.source) {
            (Due::Host(deadline), _) => deadline.has_passed(),
            (Due::Source(clock, at), Some(source)) => source.now(*clock) >= *at,
            // Of another context: there is no such subscription.
            (Due::Source(..), None) => true,
        }
    }

    /// The clock's resolution, never 0.
    pub(crate) fn resolution(&self, clock: Clockid) -> Timestamp {
        if let (Some(source), Some(clock)) = (&self.source, cpu_clock(clock)) {
            return source.resolution(clock).max(1);
        }
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

    /// When a `poll_oneoff` clock subscription is due, on the host's clocks or on the embedder's
    /// that guests sleep by.
    ///
    /// Any other clock of an embedder's is asked once, now. The time that is left is then waited
    /// for on the host's monotonic clock. CPU-time clocks cannot be waited for (`inval`, as POSIX
    /// `clock_nanosleep` answers for a thread's own).
    pub(crate) fn deadline(
        &self,
        clock: Clockid,
        timeout: Timestamp,
        absolute: bool,
    ) -> Result<Due, Errno> {
        let clock_of_source = match clock {
            Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => return Err(Errno::Inval),
            Clockid::Monotonic => GuestClock::Monotonic,
            Clockid::Realtime => GuestClock::Realtime,
        };
        if let Some(source) = &self.source {
            let from = if absolute {
                0
            } else {
                source.now(clock_of_source)
            };
            return Ok(Due::Source(clock_of_source, timeout.saturating_add(from)));
        }
        Ok(Due::Host(match clock {
            _ if !absolute => Deadline::after_nanos(timeout),
            Clockid::Monotonic if self.monotonic.is_none() => {
                Deadline::at_monotonic(timeout.saturating_add(self.start))
            }
            Clockid::Realtime if self.wall.is_none() => Deadline::at_realtime(timeout),
            _ => Deadline::after_nanos(timeout.saturating_sub(self.now(clock))),
        }))
    }
}

/// The clock of processor time, if it is one.
fn cpu_clock(clock: Clockid) -> Option<GuestClock> {
    match clock {
        Clockid::ProcessCputimeId => Some(GuestClock::ProcessCpu),
        Clockid::ThreadCputimeId => Some(GuestClock::ThreadCpu),
        Clockid::Monotonic | Clockid::Realtime => None,
    }
}

/// When a subscription to a clock is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// On the host's clocks.
    Host(Deadline),
    /// When the embedder's clock shows this.
    Source(GuestClock, u64),
}
