//! Many seeds, and the lowest that fails.
//!
//! Jobs take seeds in their order. When a seed fails, no higher one is begun, and the lower ones
//! that run are waited for. So the result is that of one job, whatever the number of jobs and their
//! speed.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Runs one seed after the other, for one job.
pub trait Runner {
    /// How a run failed. Equal ones are the same failure.
    type Failure: Eq + Send;
    /// Why a run could not be made.
    type Error: Send;

    /// Runs a seed. `None`: it did not fail.
    ///
    /// # Errors
    ///
    /// An error ends the search, as a failure of this seed would.
    fn run(&mut self, seed: u64) -> Result<Option<Self::Failure>, Self::Error>;
}

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// The first seed.
    pub first: u64,
    /// How many seeds; after the largest comes 0.
    pub count: u64,
    /// How many at once.
    pub jobs: NonZeroUsize,
    /// Whether to go on after a failure.
    pub all: bool,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found<F> {
    /// The first seed that has it, in the order of the search.
    pub seed: u64,
    /// What it is.
    pub failure: F,
    /// How many seeds have it.
    pub times: u64,
}

/// How far a search has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many seeds have run.
    pub ran: u64,
    /// How many are searched.
    pub of: u64,
    /// How many of them failed.
    pub failed: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored<F> {
    /// How many seeds this is about: all, or those up to the first that fails.
    pub ran: u64,
    /// Each distinct failure, in the order of the seeds; at most one unless the search went on
    /// after it.
    pub failures: Vec<Found<F>>,
}

/// Runs seeds until one fails, or all.
///
/// `runner` makes the runner of each job, on the job's thread. `progress` is called after each run,
/// on any of these threads, one call at a time.
///
/// # Errors
///
/// That of the lowest seed, if no lower one failed.
///
/// # Panics
///
/// If a runner, or `progress`, does.
pub fn explore<R: Runner>(
    search: &Search,
    runner: impl Fn(usize) -> R + Sync,
    progress: impl FnMut(Progress) + Send,
) -> Result<Explored<R::Failure>, R::Error> {
    let shared = Shared {
        next: AtomicU64::new(0),
        last: AtomicU64::new(search.count.saturating_sub(1)),
        seen: Mutex::new(Seen {
            ran: 0,
            failed: 0,
            failures: Vec::new(),
            error: None,
            progress,
        }),
    };
    let jobs = search
        .jobs
        .get()
        .min(usize::try_from(search.count).unwrap_or(usize::MAX));
    std::thread::scope(|scope| {
        for job in 0..jobs {
            let (shared, runner) = (&shared, &runner);
            scope.spawn(move || shared.work(search, &mut runner(job)));
        }
    });
    shared.result(search)
}

struct Shared<F, E, P> {
    /// Which seed is next, counted from the first one.
    next: AtomicU64,
    /// The last that is still of interest.
    last: AtomicU64,
    seen: Mutex<Seen<F, E, P>>,
}

struct Seen<F, E, P> {
    ran: u64,
    failed: u64,
    /// Failures, each with the lowest seed that has it, counted from the first one, and how many
    /// have it.
    failures: Vec<(u64, F, u64)>,
    error: Option<(u64, E)>,
    progress: P,
}

impl<F: Eq, E, P: FnMut(Progress)> Shared<F, E, P> {
    fn work(&self, search: &Search, runner: &mut impl Runner<Failure = F, Error = E>) {
        loop {
            let at = self.next.fetch_add(1, Relaxed);
            if at >= search.count || at > self.last.load(Relaxed) {
                return;
            }
            let ran = runner.run(search.first.wrapping_add(at));
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let ends = match ran {
                Ok(None) => false,
                Ok(Some(failure)) => {
                    seen.failed(at, failure);
                    !search.all
                }
                Err(error) => {
                    seen.erred(at, error);
                    true
                }
            };
            if ends {
                self.last.fetch_min(at, Relaxed);
            }
            seen.ran += 1;
            let now = Progress {
                ran: seen.ran,
                of: search.count,
                failed: seen.failed,
            };
            (seen.progress)(now);
        }
    }

    fn result(self, search: &Search) -> Result<Explored<F>, E> {
        let seen = self
            .seen
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut failures = seen.failures;
        failures.sort_by_key(|(at, ..)| *at);
        if !search.all {
            failures.truncate(1);
        }
        let first = failures.first().map(|(at, ..)| *at);
        match seen.error {
            Some((at, error)) if search.all || first.is_none_or(|first| at < first) => {
                return Err(error);
            }
            _ => {}
        }
        let ran = match first {
            Some(at) if !search.all => at + 1,
            _ => search.count,
        };
        let found = failures.into_iter().map(|(at, failure, times)| Found {
            seed: search.first.wrapping_add(at),
            failure,
            times: if search.all { times } else { 1 },
        });
        Ok(Explored {
            ran,
            failures: found.collect(),
        })
    }
}

impl<F: Eq, E, P> Seen<F, E, P> {
    fn failed(&mut self, at: u64, failure: F) {
        self.failed += 1;
        match self
            .failures
            .iter_mut()
            .find(|(_, known, _)| *known == failure)
        {
            Some((lowest, _, times)) => {
                *lowest = at.min(*lowest);
                *times += 1;
            }
            None => self.failures.push((at, failure, 1)),
        }
    }

    fn erred(&mut self, at: u64, error: E) {
        if self.error.as_ref().is_none_or(|(lowest, _)| at < *lowest) {
            self.error = Some((at, error));
        }
    }
}

#[cfg(test)]
mod tests;
