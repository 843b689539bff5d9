//! The system's clocks.
#![allow(unsafe_code)]

use super::attributes::{EPOCH, UNITS};
use super::fd::OwnedFd;
use super::object::wide;
use std::io;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::SystemInformation::GetSystemTimePreciseAsFileTime;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, GetProcessTimes, GetThreadTimes,
};

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockId {
    Monotonic,
    Realtime,
    ProcessCPUTime,
    ThreadCPUTime,
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timespec {
    pub(crate) tv_sec: i64,
    pub(crate) tv_nsec: i64,
}

/// What a time of a file is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewTime {
    Keep,
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

const NANOS: u64 = 1_000_000_000;

/// Nanoseconds of one of the system's units.
const UNIT: u64 = NANOS / UNITS;

/// The clock's nanoseconds. Times before 1970 count as 0.
pub(crate) fn now(clock: ClockId) -> u64 {
    match clock {
        ClockId::Monotonic => {
            let mut count = 0;
            // SAFETY: writes the number.
            unsafe { QueryPerformanceCounter(&raw mut count) };
            let scaled = u128::from(count.cast_unsigned()) * u128::from(NANOS);
            u64::try_from(scaled / u128::from(frequency())).unwrap_or(u64::MAX)
        }
        ClockId::Realtime => {
            let mut time = FILETIME::default();
            // SAFETY: writes the time.
            unsafe { GetSystemTimePreciseAsFileTime(&raw mut time) };
            let since = units(time).saturating_sub(EPOCH.cast_unsigned() * UNITS);
            since.saturating_mul(UNIT)
        }
        ClockId::ProcessCPUTime | ClockId::ThreadCPUTime => {
            let mut times = [FILETIME::default(); 4];
            let [born, ended, kernel, user] = &mut times;
            // SAFETY: writes the four times; the numbers stand for the calling process and thread.
            unsafe {
                match clock {
                    ClockId::ThreadCPUTime => {
                        GetThreadTimes(GetCurrentThread(), born, ended, kernel, user)
                    }
                    _ => GetProcessTimes(GetCurrentProcess(), born, ended, kernel, user),
                }
            };
            let [_, _, kernel, user] = times;
            (units(kernel).saturating_add(units(user))).saturating_mul(UNIT)
        }
    }
}

/// The clock's resolution in nanoseconds.
pub(crate) fn resolution(clock: ClockId) -> u64 {
    match clock {
        ClockId::Monotonic => (NANOS / frequency()).max(1),
        ClockId::Realtime => UNIT,
        // The system's own period, as it is unless a program has changed it.
        ClockId::ProcessCPUTime | ClockId::ThreadCPUTime => 15_625_000,
    }
}

/// Counts of the monotonic clock in a second.
fn frequency() -> u64 {
    let mut frequency = 0;
    // SAFETY: writes the number.
    unsafe { QueryPerformanceFrequency(&raw mut frequency) };
    frequency.cast_unsigned().max(1)
}

fn units(time: FILETIME) -> u64 {
    wide(time.dwHighDateTime, time.dwLowDateTime)
}

/// Nanoseconds as a length of time.
pub(crate) fn timespec(nanoseconds: u64) -> Timespec {
    Timespec {
        tv_sec: (nanoseconds / NANOS).cast_signed(),
        tv_nsec: (nanoseconds % NANOS).cast_signed(),
    }
}

/// As the system sets times; nothing where it is to be left.
pub(super) fn file_time(time: NewTime) -> Option<FILETIME> {
    let nanoseconds = match time {
        NewTime::Keep => return None,
        NewTime::Now => now(ClockId::Realtime),
        NewTime::At(nanoseconds) => nanoseconds,
    };
    // No more than the year 2554.
    let units = nanoseconds / UNIT + EPOCH.cast_unsigned() * UNITS;
    Some(FILETIME {
        dwLowDateTime: units as u32,
        dwHighDateTime: (units >> 32) as u32,
    })
}

/// No timer that can be waited for among others follows the clock: the caller takes the remaining
/// time once.
pub(crate) fn realtime_timer(_: u64) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn clocks_go_forward_and_agree_with_the_standard_librarys() {
        let std = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let ours = Duration::from_nanos(now(ClockId::Realtime));
        assert!(
            ours.abs_diff(std) < Duration::from_secs(5),
            "{ours:?} {std:?}"
        );
        let before = now(ClockId::Monotonic);
        std::thread::sleep(Duration::from_millis(20));
        let passed = now(ClockId::Monotonic) - before;
        assert!(passed >= 15_000_000, "{passed}");
    }

    #[test]
    fn a_time_is_set_as_it_is_told() {
        let set = file_time(NewTime::At(1_500_000_000)).unwrap();
        let told = super::super::attributes::FileTime::from(set);
        assert_eq!((told.seconds, told.nanoseconds), (1, 500_000_000));
        assert!(file_time(NewTime::Keep).is_none());
    }
}
