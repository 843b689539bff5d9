//! What the program sees of the world under a schedule: nothing that differs from run to run.

use std::sync::Arc;

use p1_adapter::{ClockSource, GuestClock, P1CtxBuilder};
use wasi_threads::schedule::ScheduleHandle;

use crate::run::schedule::random::Seeded;

/// When every run begins, in nanoseconds since 1970: 2026-01-01, 00:00 UTC. All files are from then, too.
pub(super) const START: u64 = 1_767_225_600_000_000_000;

/// Gives a context clocks, random numbers and an order that are the schedule's.
pub(super) fn give(builder: &mut P1CtxBuilder, handle: &ScheduleHandle, seed: u64) {
    let (before, yields, told) = (handle.clone(), handle.clone(), handle.clone());
    builder
        .clocks(Arc::new(Virtual(handle.clone())))
        .secure_random(Seeded::new(seed))
        .before_call(move |_| Ok(before.host_call()?))
        .on_yield(move || Ok(yields.yield_now()?))
        .ordered_listings(true)
        .pinned_metadata(START)
        .whole_reads(true)
        .unrepeatable(move |what| {
            told.not_reproducible(what.to_string());
            false
        });
}

/// The schedule's clock.
struct Virtual(ScheduleHandle);

impl ClockSource for Virtual {
    fn now(&self, clock: GuestClock) -> u64 {
        match clock {
            GuestClock::Realtime => self.0.now(),
            _ => self.0.now().saturating_sub(START),
        }
    }

    fn sleep_until(&self, clock: GuestClock, deadline: u64) -> wasmtime::Result<()> {
        let deadline = match clock {
            GuestClock::Realtime => deadline,
            _ => deadline.saturating_add(START),
        };
        Ok(self.0.sleep_until(deadline)?)
    }
}
