//! Whether an emulator runs the tests: `scripts/cross.sh` says so in `TESTS_EMULATED`.
//!
//! A processor that qemu emulates is 10 to 30 times slower, a thread takes 5 MiB, and a process
//! with many threads starts the next one slowly. So a test does less of the same there, and what it
//! measures may take longer.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::time::Duration;

/// Whether an emulator runs this process.
pub fn emulated() -> bool {
    std::env::var_os("TESTS_EMULATED").is_some()
}

/// How many: `many`, or `few` in an emulator.
pub fn less<T>(many: T, few: T) -> T {
    if emulated() { few } else { many }
}

/// How long something may take: `time`, and 20 times that in an emulator.
pub fn slower(time: Duration) -> Duration {
    time * less(1, 20)
}

/// Says why a test is left out in an emulator. Whether it is.
pub fn left_out(why: &str) -> bool {
    if emulated() {
        #[allow(clippy::print_stdout, reason = "for a reader of the tests")]
        {
            println!("left out in an emulator: {why}");
        }
    }
    emulated()
}
