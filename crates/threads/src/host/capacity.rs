//! Whether the host has capacity for one more thread.
//!
//! A new thread sets itself up: Rust's runtime and Wasmtime each map a signal stack for it. If the
//! system refuses that, Rust aborts the process. So capacity is checked before: in numbers of
//! mappings (Linux, `vm.max_map_count`), and in address space if that is limited (`RLIMIT_AS`,
//! `ulimit -v`, or strict overcommitment). A refusal at creation (`RLIMIT_NPROC`, `pids.max`, a
//! stack that does not fit) is an ordinary error, and is not checked here.
//!
//! Both limits apply to the process, so all groups share this capacity. Only Linux tells its
//! limits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::sys::process_limits::{map_limit, mapped, space_is_limited};
use crate::sys::stacks::Slab;

/// How many mappings one more thread may take: stack, two signal stacks, each with its guard; an
/// arena of the allocator; tables and memories of its instance. If each guard is a mapping, 6 were
/// seen on average. If guards are not mappings (Linux 6.13), hardly any; then this number only has
/// the effect that mappings are counted every 256 threads.
const MAPPINGS_EACH: usize = 12;

/// Mappings that are left to the rest of the process.
const MAPPINGS_KEPT: usize = 512;

/// Threads that may be started before the mappings are counted again, at most.
const COUNT_EVERY: usize = 256;

/// How long a result of no capacity holds without a new count. Counting many mappings takes
/// milliseconds, and a guest may ask in a loop.
const FULL_FOR: Duration = Duration::from_millis(20);

/// Address space that a thread may need until it is set up, beyond its stack, in bytes.
const SPACE_EACH: usize = 1 << 20;

/// Address space that is left to the rest of the process. glibc's allocator reserves 64 MiB for the
/// arena of a thread.
const SPACE_KEPT: usize = 80 << 20;

/// How many threads have been started and have not set themselves up yet, in the whole process.
static STARTING: AtomicUsize = AtomicUsize::new(0);

/// Counts a thread that sets itself up, until this is dropped.
pub(crate) struct Starting(());

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the process lacks for one more thread. The text names the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCapacity {
    #[error("the address space of the process has no room for another thread (`ulimit -v`)")]
    AddressSpace,
    #[error(
        "the process has no room for the mappings of another thread: the system allows it {limit} (`vm.max_map_count`)"
    )]
    Mappings { limit: usize },
}

/// Takes capacity for one more thread with a stack of `stack` bytes, or says why there is none.
pub(crate) fn take(stack: usize) -> Result<Starting, NoCapacity> {
    mappings()?;
    let starting = STARTING.fetch_add(1, Ordering::Relaxed) + 1;
    let starting_one = Starting(());
    if space_is_limited() {
        let wanted = SPACE_EACH
            .saturating_mul(starting)
            .saturating_add(SPACE_KEPT)
            .saturating_add(stack);
        // Mapped and unmapped at once; nothing touches it. A block of the allocator would tell
        // nothing: mimalloc reserves a gigabyte, and takes blocks from it.
        if Slab::map(1, wanted).is_err() {
            return Err(NoCapacity::AddressSpace);
        }
    }
    Ok(starting_one)
}

/// How many threads may be started before the mappings have to be counted again.
#[derive(Default)]
struct Budget {
    left: usize,
    full_since: Option<Instant>,
}

/// Takes the mappings of one more thread out of the budget.
fn mappings() -> Result<(), NoCapacity> {
    static LIMIT: OnceLock<Option<usize>> = OnceLock::new();
    static BUDGET: Mutex<Budget> = Mutex::new(Budget {
        left: 0,
        full_since: None,
    });
    let Some(limit) = *LIMIT.get_or_init(map_limit) else {
        return Ok(());
    };
    let mut budget = BUDGET.lock().unwrap_or_else(PoisonError::into_inner);
    if budget.left == 0 {
        let still_full = |since: Instant| since.elapsed() < FULL_FOR;
        if !budget.full_since.is_some_and(still_full) {
            budget.left = threads_left(limit, mapped());
            budget.full_since = (budget.left == 0).then(Instant::now);
        }
    }
    match budget.left.checked_sub(1) {
        Some(left) => {
            budget.left = left;
            Ok(())
        }
        None => Err(NoCapacity::Mappings { limit }),
    }
}

/// How many threads may be started before the next count.
fn threads_left(limit: usize, mapped: usize) -> usize {
    (limit.saturating_sub(mapped).saturating_sub(MAPPINGS_KEPT) / MAPPINGS_EACH).min(COUNT_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_what_the_mappings_leave() {
        assert_eq!(threads_left(65_530, 100), COUNT_EVERY);
        assert_eq!(threads_left(65_530, 65_530), 0);
        assert_eq!(threads_left(65_530, 65_530 - MAPPINGS_KEPT), 0);
        let ten = 65_530 - MAPPINGS_KEPT - 10 * MAPPINGS_EACH;
        assert_eq!(threads_left(65_530, ten), 10);
        assert_eq!(threads_left(0, 100), 0);
    }

    #[test]
    fn a_process_has_room_for_a_thread() {
        assert!(take(1 << 20).is_ok());
        // Other tests start threads too.
        let start = Instant::now();
        while STARTING.load(Ordering::Relaxed) != 0 {
            assert!(start.elapsed() < Duration::from_secs(10));
            std::thread::yield_now();
        }
    }
}
