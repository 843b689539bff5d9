//! The system's clocks, and a timer that keeps to one.

use rustix::fd::OwnedFd;
use rustix::fs::Timestamps;
pub(crate) use rustix::time::{ClockId, Timespec};
use rustix::time::{clock_getres, clock_gettime};
use std::io;

/// What a time of a file is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewTime {
    Keep,
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

const NANOS: u64 = 1_000_000_000;

/// The clock's nanoseconds. Negative times (before 1970, before boot) count as 0.
#[inline]
pub(crate) fn now(clock: ClockId) -> u64 {
    nanoseconds(clock_gettime(clock))
}

/// The clock's resolution in nanoseconds.
pub(crate) fn resolution(clock: ClockId) -> u64 {
    nanoseconds(clock_getres(clock))
}

#[inline]
fn nanoseconds(time: Timespec) -> u64 {
    // Preview1 cannot express times before 1970 or after the year 2554, where 64 bits end.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(NANOS)
        .saturating_add(time.tv_nsec as u64)
}

/// Nanoseconds as a `timespec`. `u64::MAX` ns is 18,446,744,073 s, which every `time_t` of 64 bits
/// holds; a 32-bit one saturates.
#[allow(clippy::unnecessary_fallible_conversions, clippy::useless_conversion)]
pub(crate) fn timespec(nanoseconds: u64) -> Timespec {
    Timespec {
        tv_sec: (nanoseconds / NANOS)
            .try_into()
            .unwrap_or(i64::from(i32::MAX)),
        tv_nsec: (nanoseconds % NANOS).try_into().unwrap_or(0),
    }
}

/// Both times, as the calls that set them take them. The system takes "now" itself, so a process
/// that may write a file may set it.
pub(super) fn timestamps(access: NewTime, modification: NewTime) -> Timestamps {
    Timestamps {
        last_access: timestamp(access),
        last_modification: timestamp(modification),
    }
}

fn timestamp(time: NewTime) -> Timespec {
    let (tv_sec, tv_nsec) = match time {
        NewTime::Keep => (0, rustix::fs::UTIME_OMIT),
        NewTime::Now => (0, rustix::fs::UTIME_NOW),
        NewTime::At(nanoseconds) => return timespec(nanoseconds),
    };
    Timespec { tv_sec, tv_nsec }
}

/// A descriptor that becomes readable when `CLOCK_REALTIME` reaches `nanoseconds`, however the
/// clock is set meanwhile: the kernel keeps such a timer on the clock itself, not on a computed
/// interval.
#[cfg(target_os = "linux")]
pub(crate) fn realtime_timer(nanoseconds: u64) -> io::Result<OwnedFd> {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    };
    let timer = timerfd_create(
        TimerfdClockId::Realtime,
        TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
    )?;
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::ABSTIME,
        &Itimerspec {
            it_interval: timespec(0),
            // All zeroes would disarm it; the first nanosecond of 1970 has passed as well.
            it_value: timespec(nanoseconds.max(1)),
        },
    )?;
    Ok(timer)
}

/// No timer that follows the clock here: the caller takes the remaining time once.
#[cfg(not(target_os = "linux"))]
pub(crate) fn realtime_timer(_nanoseconds: u64) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
