//! What the system knows of a process.

use std::time::{Duration, Instant};

/// The status of a process that ended by `abort`, as wasmtime reports traps.
#[cfg(not(windows))]
pub(crate) const ABORT_STATUS: u8 = 128 + 6;
/// What the C library's `abort` gives on Windows, as wasmtime reports traps.
#[cfg(windows)]
pub(crate) const ABORT_STATUS: u8 = 3;

/// Ends the process, at once: nothing is dropped, no destructor of the C library runs.
///
/// The standard library's exit waits for locks. A thread that has been stopped, or that blocks in
/// writing to a full pipe, may hold these for ever. All output has been written by now.
pub(crate) fn exit_now(status: u8) -> ! {
    #[cfg(unix)]
    signal_hook::low_level::exit(status.into());
    #[cfg(not(unix))]
    std::process::exit(status.into());
}

/// The most memory this process ever had in use at once, in bytes. Only Linux says so without
/// unsafe code, in proc(5).
pub(crate) fn peak_memory() -> Option<u64> {
    let kib: u64 = status("VmHWM:")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Waits until this process has no more threads than `count`, for a second at most. A thread that
/// has been told to end counts towards limits until it has.
///
/// Only Linux says how many there are; elsewhere nothing waits.
pub(crate) fn wait_for_threads_to_end(count: usize) {
    let end = Instant::now() + Duration::from_secs(1);
    while threads().is_some_and(|now| now > count) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How many threads this process has, if the system says so.
pub(crate) fn threads() -> Option<usize> {
    status("Threads:")?.parse().ok()
}

/// What Linux says of this process under `name` (proc(5), status).
fn status(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_trap_is_what_a_shell_calls_an_abort() {
        assert_eq!(ABORT_STATUS, 134);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn peak() {
        assert!(peak_memory().is_some_and(|bytes| bytes > 1 << 16));
    }

    /// Other tests start and end threads meanwhile.
    #[test]
    #[cfg(target_os = "linux")]
    fn threads_that_have_ended_are_not_counted() {
        const MANY: usize = 200;
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        std::thread::scope(|scope| {
            for _ in 0..MANY {
                scope.spawn(|| wait.lock().unwrap().recv().unwrap_err());
            }
            assert!(threads().unwrap() > MANY);
            let began = Instant::now();
            wait_for_threads_to_end(1);
            assert!(began.elapsed() >= Duration::from_secs(1));
            drop(go);
        });
        wait_for_threads_to_end(MANY);
        assert!(threads().unwrap() <= MANY);
    }
}
