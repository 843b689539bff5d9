//! What the program sees of the world under a schedule: nothing that differs from run to run.

use std::fmt;
use std::sync::Arc;

use p1_adapter::{ClockSource, GuestClock, P1CtxBuilder, Unrepeatable};
use wasi_threads::schedule::ScheduleHandle;

use super::random::Seeded;

/// When a run begins if nothing else is said, in nanoseconds since 1970: 2026-01-01, 00:00 UTC.
pub const START: u64 = 1_767_225_600_000_000_000;

type LetsPass = Box<dyn Fn(Unrepeatable) -> bool + Send + Sync>;

/// A world that is the same in each run of a seed. The schedule gives the clocks and the order of
/// calls, and the seed the random numbers. Listings are in the order of names, and files do not
/// have the host's times.
///
/// If something still depends on the host, the run ends as
/// [`ScheduleError::NotReproducible`](wasi_threads::schedule::ScheduleError::NotReproducible).
pub struct World {
    seed: u64,
    start: u64,
    lets_pass: Option<LetsPass>,
}

impl World {
    /// That of this seed, which begins at [`START`].
    #[must_use]
    pub fn new(seed: u64) -> Self {
        World {
            seed,
            start: START,
            lets_pass: None,
        }
    }

    /// When the world begins, in nanoseconds since 1970, which is also the time of all files. The
    /// schedule's clock must begin then, too:
    /// [`Scheduled::start_time`](wasi_threads::schedule::Scheduled::start_time).
    #[must_use]
    pub fn start(mut self, nanoseconds: u64) -> Self {
        self.start = nanoseconds;
        self
    }

    /// Asks `lets_pass`, on the calling thread, whether the run may go on with something that
    /// differs in another run. If it goes on, runs are no longer promised to be the same.
    #[must_use]
    pub fn let_pass(
        mut self,
        lets_pass: impl Fn(Unrepeatable) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.lets_pass = Some(Box::new(lets_pass));
        self
    }

    /// Gives it to a context. `handle` is that of the schedule.
    pub fn give(self, builder: &mut P1CtxBuilder, handle: &ScheduleHandle) {
        let Self {
            seed,
            start,
            lets_pass,
        } = self;
        let clock = Virtual {
            handle: handle.clone(),
            start,
        };
        let (before, yields, told) = (handle.clone(), handle.clone(), handle.clone());
        builder
            .clocks(Arc::new(clock))
            .secure_random(Seeded::new(seed))
            .before_call(move |_| Ok(before.host_call()?))
            .on_yield(move || Ok(yields.yield_now()?))
            .ordered_listings(true)
            .pinned_metadata(start)
            .whole_reads(true)
            .unrepeatable(move |what| {
                let passes = lets_pass.as_ref().is_some_and(|lets_pass| lets_pass(what));
                if !passes {
                    told.not_reproducible(what.to_string());
                }
                passes
            });
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// The schedule's clock.
struct Virtual {
    handle: ScheduleHandle,
    start: u64,
}

impl ClockSource for Virtual {
    fn now(&self, clock: GuestClock) -> u64 {
        let now = self.handle.now();
        match clock {
            GuestClock::Realtime => now,
            _ => now.saturating_sub(self.start),
        }
    }

    fn sleep_until(&self, clock: GuestClock, deadline: u64) -> wasmtime::Result<()> {
        let deadline = match clock {
            GuestClock::Realtime => deadline,
            _ => deadline.saturating_add(self.start),
        };
        Ok(self.handle.sleep_until(deadline)?)
    }
}
