//! When a wait gives up.

use crate::sys::time::{ClockId, Timespec, now, timespec};
use std::time::Duration;

/// The moment when a wait returns with nothing ready. It is a point on the host's monotonic clock,
/// a point on its real-time clock, both (the earlier one counts) or neither.
///
/// All arithmetic saturates: a timeout of `u64::MAX` ns (584 years) is in effect a wait without
/// end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline {
    monotonic: Option<u64>,
    realtime: Option<u64>,
}

impl Deadline {
    /// No deadline: wait until something is ready, or the signal is raised.
    pub const NEVER: Deadline = Deadline {
        monotonic: None,
        realtime: None,
    };

    /// A deadline that has passed: look once, do not wait.
    pub const NOW: Deadline = Deadline {
        monotonic: Some(0),
        realtime: None,
    };

    /// `nanoseconds` from now.
    pub fn after_nanos(nanoseconds: u64) -> Deadline {
        Deadline::at_monotonic(now(ClockId::Monotonic).saturating_add(nanoseconds))
    }

    /// `duration` from now.
    pub fn after(duration: Duration) -> Deadline {
        Deadline::after_nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    /// When `CLOCK_MONOTONIC` shows this many nanoseconds.
    pub fn at_monotonic(nanoseconds: u64) -> Deadline {
        Deadline {
            monotonic: Some(nanoseconds),
            realtime: None,
        }
    }

    /// When `CLOCK_REALTIME` shows this many nanoseconds since 1970. If that clock is set while a
    /// thread waits, the wait ends when the new time gets there. That holds on Linux; elsewhere the
    /// remaining time is taken once, at the start of the wait.
    pub fn at_realtime(nanoseconds: u64) -> Deadline {
        Deadline {
            monotonic: None,
            realtime: Some(nanoseconds),
        }
    }

    /// Whichever of the two comes first.
    #[must_use]
    pub fn or(self, other: Deadline) -> Deadline {
        fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Deadline {
            monotonic: earlier(self.monotonic, other.monotonic),
            realtime: earlier(self.realtime, other.realtime),
        }
    }

    /// Whether the moment has come.
    pub fn has_passed(&self) -> bool {
        self.monotonic_passed() || self.realtime.is_some_and(|at| now(ClockId::Realtime) >= at)
    }

    /// How long until the earlier of the two, as the clocks are now; nothing (`None`) without a
    /// deadline.
    pub(crate) fn left(&self) -> Option<Duration> {
        let until = |clock, at: u64| Duration::from_nanos(at.saturating_sub(now(clock)));
        let monotonic = self.monotonic.map(|at| until(ClockId::Monotonic, at));
        let realtime = self.realtime.map(|at| until(ClockId::Realtime, at));
        match (monotonic, realtime) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// What is left on the monotonic clock: nothing (`None`) if there is no such deadline.
    pub(super) fn monotonic_left(&self) -> Option<Timespec> {
        self.monotonic.map(|at| match at {
            0 => timespec(0),
            at => timespec(at.saturating_sub(now(ClockId::Monotonic))),
        })
    }

    /// Whether its point on the monotonic clock, if there is one, has come.
    pub(super) fn monotonic_passed(&self) -> bool {
        self.monotonic
            .is_some_and(|at| at == 0 || now(ClockId::Monotonic) >= at)
    }

    /// The point on the real-time clock, if it is still ahead.
    pub(super) fn realtime(&self) -> Option<u64> {
        self.realtime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_timeout_neither_wraps_nor_has_passed() {
        let far = Deadline::after_nanos(u64::MAX);
        assert_eq!(far, Deadline::at_monotonic(u64::MAX));
        assert!(!far.has_passed());
        let left = far.monotonic_left().unwrap();
        assert!(left.tv_sec > 500 * 365 * 86_400, "{left:?}");
        assert!(!Deadline::at_realtime(u64::MAX).has_passed());
    }

    #[test]
    fn the_earlier_of_two_counts_per_clock() {
        let a = Deadline::at_monotonic(5).or(Deadline::at_realtime(7));
        let b = a.or(Deadline::at_monotonic(3)).or(Deadline::at_realtime(9));
        assert_eq!(b.monotonic, Some(3));
        assert_eq!(b.realtime, Some(7));
        assert_eq!(b.or(Deadline::NEVER), b);
        assert!(Deadline::NOW.has_passed());
        assert!(!Deadline::NEVER.has_passed());
        assert!(Deadline::at_realtime(0).has_passed());
    }
}
