//! What a whole process took, as the kernel accounts for it; and pipes that hold more.
#![allow(
    unsafe_code,
    reason = "the standard library gives neither a child's usage nor the size of a pipe"
)]

use std::io::{PipeWriter, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// One finished run.
#[derive(Clone, Debug)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Processor time of all threads, in user and kernel mode.
    pub processor: Duration,
    /// Most bytes that were resident.
    pub peak: u64,
    /// What it printed to stdout.
    pub said: String,
}

/// Runs a command to its end. It prints less than a pipe holds.
///
/// # Errors
///
/// When it cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<Usage, Failure> {
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let mut said = String::new();
    child
        .stdout
        .take()
        .ok_or("no stdout")?
        .read_to_string(&mut said)?;
    let (status, usage) = reap(child.id())?;
    let wall = begin.elapsed();
    if status != 0 {
        return Err(format!("{command:?}: wait status {status}: {said}").into());
    }
    let time = |time: libc::timeval| {
        Duration::new(time.tv_sec.cast_unsigned(), 0)
            + Duration::from_micros(time.tv_usec.cast_unsigned())
    };
    Ok(Usage {
        wall,
        processor: time(usage.ru_utime) + time(usage.ru_stime),
        // Linux counts in KiB.
        peak: usage.ru_maxrss.cast_unsigned() << 10,
        said,
    })
}

/// Waits for a child: its wait status, and what it used.
fn reap(child: u32) -> Result<(i32, libc::rusage), Failure> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: both pointers are to variables of the types that wait4(2) writes to.
    let reaped = unsafe { libc::wait4(child.cast_signed(), &mut status, 0, usage.as_mut_ptr()) };
    if reaped != child.cast_signed() {
        return Err(format!("wait4: {}", std::io::Error::last_os_error()).into());
    }
    // SAFETY: wait4 returned the child, so it has written the usage.
    Ok((status, unsafe { usage.assume_init() }))
}

/// Makes a pipe hold a mebibyte, the most that every user may have. Returns how many bytes it holds
/// now.
///
/// # Errors
///
/// When the user's pipes hold too much already.
pub fn widen(pipe: &PipeWriter) -> Result<usize, Failure> {
    // SAFETY: the command takes a number, and the descriptor is open as long as it is borrowed.
    let holds = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
    usize::try_from(holds)
        .map_err(|_| format!("F_SETPIPE_SZ: {}", std::io::Error::last_os_error()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_child_is_accounted_for() {
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i";
        let usage = run(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(usage.said, "200000\n");
        assert!(usage.processor > Duration::from_millis(5), "{usage:?}");
        assert!(usage.peak > 100 << 10, "{usage:?}");
        assert!(run(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }
}
