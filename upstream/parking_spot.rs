//! Waits and notifies on words of memory, by the lot of `memory-waits`: in place of Wasmtime's
//! `src/runtime/vm/parking_spot.rs`, with its signatures. `scripts/upstream.sh` puts it into a copy
//! of Wasmtime, above the tests that Wasmtime has for its own.

use crate::runtime::vm::WaitResult;
use memory_waits::{ParkingLot, Role, WaitOutcome};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// One for the process, as a thread keeps one [`Waiter`] for all memories: a word is known by its
/// host address, so memories do not mix.
static LOT: LazyLock<Arc<ParkingLot>> = LazyLock::new(|| ParkingLot::new(64, false));

/// Where threads wait on the words of a memory.
#[derive(Default, Debug)]
pub struct ParkingSpot;

/// A thread's place, taken at its first wait and given back when this is dropped.
#[derive(Default)]
pub struct Waiter(Option<memory_waits::Waiter>);

impl Waiter {
    pub const fn new() -> Waiter {
        Waiter(None)
    }

    fn place(&mut self) -> &memory_waits::Waiter {
        self.0.get_or_insert_with(|| LOT.register(0, Role::Host))
    }
}

impl ParkingSpot {
    /// Waits while the word is `expected`, until a notify or the deadline.
    pub fn wait32(
        &self,
        atomic: &AtomicU32,
        expected: u32,
        deadline: impl Into<Option<Instant>>,
        waiter: &mut Waiter,
    ) -> WaitResult {
        let timeout = nanoseconds(deadline.into());
        result(waiter.place().wait32(atomic, expected, timeout, &mut || ()))
    }

    /// `wait32` for words of 64 bits.
    pub fn wait64(
        &self,
        atomic: &AtomicU64,
        expected: u64,
        deadline: impl Into<Option<Instant>>,
        waiter: &mut Waiter,
    ) -> WaitResult {
        let timeout = nanoseconds(deadline.into());
        result(waiter.place().wait64(atomic, expected, timeout, &mut || ()))
    }

    /// Wakes at most `n` threads that wait at this address; how many it woke.
    pub fn notify<T>(&self, addr: &T, n: u32) -> u32 {
        LOT.notify_address(core::ptr::from_ref(addr).addr(), n)
    }

    /// Shows the tests which threads wait at this address.
    #[cfg(test)]
    fn with_lot<T>(&self, addr: &T, mut f: impl FnMut(&Parked)) {
        let addr = core::ptr::from_ref(addr).addr();
        let waiters = LOT.waiters();
        let here = waiters.iter().filter(|waiting| waiting.address == addr);
        f(&Parked(here.count() as u32));
    }
}

/// How many threads wait at an address.
#[cfg(test)]
struct Parked(u32);

#[cfg(test)]
impl Parked {
    fn num_parked(&self) -> u32 {
        self.0
    }
}

/// The time until a deadline, as `memory.atomic.wait32` has it: negative for none.
fn nanoseconds(deadline: Option<Instant>) -> i64 {
    deadline.map_or(-1, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)
    })
}

fn result(outcome: WaitOutcome) -> WaitResult {
    match outcome {
        WaitOutcome::NotEqual => WaitResult::Mismatch,
        WaitOutcome::TimedOut => WaitResult::TimedOut,
        // This lot is not ended; an engine that wants its waits to end would, and trap here.
        WaitOutcome::Woken | WaitOutcome::Ended => WaitResult::Ok,
    }
}
