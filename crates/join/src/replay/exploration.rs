//! Many seeds, one after the other, in this process.

use std::fmt;
use std::time::Duration;

use p1_adapter::P1CtxBuilder;
use replay_threads::Policy;
use replay_threads::keyed::{Decision, Recorder, Replayer};
use replay_threads::minimise::{Minimised, Verdict, minimise};
use replay_threads::policy::{EarlyAtMost, Kind};
use wasi_threads::schedule::{Schedule, ScheduleError, ScheduleHandle};
use wasi_threads::{Frame, GroupBuilder, GroupError, Outcome, RunError, ThreadGroup, ThreadModule};

use super::bridge::schedule;
use super::world::World;

/// After this many points a run counts as one that does not end, unless set otherwise.
const MAX_POINTS: u64 = 10_000_000;
/// How many runs try to take decisions out, unless set otherwise.
const TRIES: u64 = 2_000;
/// Frames that tell one trap from another.
const FRAMES: usize = 12;

/// Runs `_start` of a module under `count` seeds of [`Kind::Pos`], 0 first, until one fails: as
/// [`Exploration::run`].
///
/// # Errors
///
/// As [`Exploration::run`].
pub fn explore<T, E>(
    module: &ThreadModule,
    count: u64,
    make: impl FnMut(&SeedRun) -> Result<GroupBuilder<T>, E>,
) -> Result<Explored, ExploreError<E>>
where
    T: Send + 'static,
    E: fmt::Debug + fmt::Display,
{
    Exploration::new(count).run(module, make)
}

/// What is searched.
#[derive(Clone, Debug)]
pub struct Exploration {
    count: u64,
    first: u64,
    policy: Kind,
    max_points: u64,
    tries: u64,
    export: String,
    early: u64,
}

/// A run that is about to be made.
#[derive(Debug)]
pub struct SeedRun {
    seed: u64,
    handle: ScheduleHandle,
}

impl SeedRun {
    /// Its seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// For host functions: see [`ScheduleHandle`].
    #[must_use]
    pub fn handle(&self) -> &ScheduleHandle {
        &self.handle
    }

    /// Gives a context the [`World`] of this run.
    pub fn give_world(&self, builder: &mut P1CtxBuilder) {
        World::new(self.seed).give(builder, &self.handle);
    }
}

/// What a search has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explored {
    /// How many seeds this is about: all, or those up to the one that failed.
    pub ran: u64,
    /// The run of the first seed that failed.
    pub failed: Option<Failed>,
}

/// A run that failed: it trapped, exited with another code than 0, is stuck, or did not end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// How it ended, by [`decisions`](Self::decisions) alone.
    pub outcome: Outcome,
    /// The decisions that the failure needs: [`Exploration::replay`] decides so. Empty if there
    /// were too many to keep.
    pub decisions: Vec<Decision>,
    /// How many decisions the policy had made.
    pub made: usize,
    /// Whether none of [`decisions`](Self::decisions) can be left out. If false, the tries were
    /// used up.
    pub is_minimal: bool,
}

impl Failed {
    /// The status that `wasi-threads-run` ends with after such a run.
    #[must_use]
    pub fn status(&self) -> i32 {
        match &self.outcome {
            Outcome::Returned => 0,
            Outcome::Exited(code) => *code,
            Outcome::ScheduleFailed(ScheduleError::NotReproducible(_)) => 123,
            // A time limit ends threads that pass no points.
            Outcome::ScheduleFailed(ScheduleError::TooManyPoints(_)) | Outcome::TimedOut => 124,
            Outcome::ScheduleFailed(ScheduleError::Stopped(_)) => 125,
            _ => 134,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (made, left) = (self.made, self.decisions.len());
        write!(f, "seed {}: {}", self.seed, self.outcome)?;
        write!(f, "\ndecisions: {made}, minimised to {left}")?;
        for decision in &self.decisions {
            write!(f, "\n  {decision}")?;
        }
        Ok(())
    }
}

/// Why a search was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExploreError<E: fmt::Debug + fmt::Display> {
    /// The caller's own builder was not made.
    #[error("{0}")]
    Make(E),
    /// The group was not made: of a module without points, for instance.
    #[error("the group cannot be made")]
    Group(#[from] GroupError),
    /// The group was not run.
    #[error("the group cannot be run")]
    Run(#[from] RunError),
}

/// How a run ended, and how that is told from other failures; `None` if it did not fail.
type Ended = (Outcome, Option<String>);

impl Exploration {
    /// `count` seeds of [`Kind::Pos`], of which the first is 0; each run may pass 10,000,000
    /// points.
    #[must_use]
    pub fn new(count: u64) -> Self {
        Exploration {
            count,
            first: 0,
            policy: Kind::Pos,
            max_points: MAX_POINTS,
            tries: TRIES,
            export: "_start".to_owned(),
            early: u64::MAX,
        }
    }

    /// The first seed. After the largest number comes 0.
    #[must_use]
    pub fn first(mut self, seed: u64) -> Self {
        self.first = seed;
        self
    }

    /// What decides.
    #[must_use]
    pub fn policy(mut self, policy: Kind) -> Self {
        self.policy = policy;
        self
    }

    /// After how many points of all threads a run has failed, because it does not end.
    #[must_use]
    pub fn max_points(mut self, points: u64) -> Self {
        self.max_points = points;
        self
    }

    /// How many runs try to take decisions out of those of a failing run.
    #[must_use]
    pub fn tries(mut self, tries: u64) -> Self {
        self.tries = tries;
        self
    }

    /// By how much a timeout may come before its time while other threads can run
    /// ([`EarlyAtMost`]); by any time if nothing is said.
    #[must_use]
    pub fn early(mut self, most: Duration) -> Self {
        self.early = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// The export that is run; `_start` if nothing is said.
    #[must_use]
    pub fn export(mut self, name: impl Into<String>) -> Self {
        self.export = name.into();
        self
    }

    /// Runs seeds until one fails, then takes out the decisions that the same failure does not
    /// need.
    ///
    /// `make` makes the group's builder for each run, and this gives it its schedule. The caller
    /// decides what a run sees of the world: [`SeedRun::give_world`] makes WASI's part of it the
    /// same each time. Runs are one after the other, and block the calling thread.
    ///
    /// A thread that computes without passing a point is not interrupted. A [time
    /// limit](wasi_threads::Limits::timeout) ends such a run, and the run has failed then
    /// ([`Failed::status`] 124).
    ///
    /// # Errors
    ///
    /// [`ExploreError`], of the first run that cannot be made.
    pub fn run<T, E>(
        &self,
        module: &ThreadModule,
        mut make: impl FnMut(&SeedRun) -> Result<GroupBuilder<T>, E>,
    ) -> Result<Explored, ExploreError<E>>
    where
        T: Send + 'static,
        E: fmt::Debug + fmt::Display,
    {
        for at in 0..self.count {
            let seed = self.first.wrapping_add(at);
            let (recorder, recording) = Recorder::new(self.policy.build(seed));
            let (outcome, failure) = self.once(module, seed, Box::new(recorder), &mut make)?;
            let Some(failure) = failure else {
                continue;
            };
            let made = recording.decisions();
            let ran = at + 1;
            let failed = match made {
                Some(made) => self.minimised(module, seed, (made, failure, outcome), &mut make)?,
                None => Failed {
                    seed,
                    outcome,
                    decisions: Vec::new(),
                    made: replay_threads::keyed::MOST_DECISIONS,
                    is_minimal: false,
                },
            };
            return Ok(Explored {
                ran,
                failed: Some(failed),
            });
        }
        Ok(Explored {
            ran: self.count,
            failed: None,
        })
    }

    /// Runs a seed once more. It decides as [`Failed::decisions`] say, and otherwise by the default
    /// order.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn replay<T, E>(
        &self,
        module: &ThreadModule,
        seed: u64,
        decisions: &[Decision],
        mut make: impl FnMut(&SeedRun) -> Result<GroupBuilder<T>, E>,
    ) -> Result<Outcome, ExploreError<E>>
    where
        T: Send + 'static,
        E: fmt::Debug + fmt::Display,
    {
        let (replayer, _) = Replayer::lenient(decisions.to_vec());
        let (outcome, _) = self.once(module, seed, Box::new(replayer), &mut make)?;
        Ok(outcome)
    }

    fn minimised<T, E>(
        &self,
        module: &ThreadModule,
        seed: u64,
        (made, failure, outcome): (Vec<Decision>, String, Outcome),
        make: &mut impl FnMut(&SeedRun) -> Result<GroupBuilder<T>, E>,
    ) -> Result<Failed, ExploreError<E>>
    where
        T: Send + 'static,
        E: fmt::Debug + fmt::Display,
    {
        let count = made.len();
        let (mut error, mut last) = (None, outcome);
        let Minimised {
            list, is_minimal, ..
        } = minimise(made, self.tries, |part| {
            if error.is_some() {
                return Verdict::Other;
            }
            let (replayer, replayed) = Replayer::lenient(part.to_vec());
            match self.once(module, seed, Box::new(replayer), make) {
                Ok((outcome, Some(what))) if what == failure => {
                    last = outcome;
                    Verdict::Same(replayed.met())
                }
                Ok(_) => Verdict::Other,
                Err(why) => {
                    error = Some(why);
                    Verdict::Other
                }
            }
        });
        match error {
            Some(error) => Err(error),
            None => Ok(Failed {
                seed,
                outcome: last,
                decisions: list,
                made: count,
                is_minimal,
            }),
        }
    }

    fn once<T, E>(
        &self,
        module: &ThreadModule,
        seed: u64,
        policy: Box<dyn Policy>,
        make: &mut impl FnMut(&SeedRun) -> Result<GroupBuilder<T>, E>,
    ) -> Result<Ended, ExploreError<E>>
    where
        T: Send + 'static,
        E: fmt::Debug + fmt::Display,
    {
        let policy = Box::new(EarlyAtMost::new(policy, self.early));
        let scheduled = schedule(policy).max_points(self.max_points);
        let run = SeedRun {
            seed,
            handle: scheduled.handle(),
        };
        let builder = make(&run).map_err(ExploreError::Make)?;
        let group = builder.schedule(Schedule::Policy(scheduled)).build()?;
        let outcome = group.run(&self.export)?;
        let failure = failure(&outcome, &group, module);
        Ok((outcome, failure))
    }
}

/// The same text for the same failure; `None` if the run did not fail.
fn failure<T: Send + 'static>(
    outcome: &Outcome,
    group: &ThreadGroup<T>,
    module: &ThreadModule,
) -> Option<String> {
    Some(match outcome {
        Outcome::Returned | Outcome::Exited(0) => return None,
        Outcome::Exited(code) => format!("exited with {code}"),
        Outcome::Deadlocked(deadlock) => {
            let waits = deadlock.threads.iter().map(ToString::to_string);
            format!("deadlock: {}", waits.collect::<Vec<_>>().join(", "))
        }
        Outcome::Trapped { trap, .. } => {
            // Whichever thread it was.
            let frames = group.backtrace_of(outcome).map(|trace| trace.to_frames());
            let place = |frame: &Frame| {
                let offset = frame.module_offset();
                let offset = offset.map(|offset| module.original_offset(offset));
                format!("{}:{offset:?}", frame.func_index())
            };
            let frames = frames.iter().flatten().take(FRAMES);
            let places: Vec<_> = frames.map(place).collect();
            format!("{trap:?} at {}", places.join(" "))
        }
        Outcome::ScheduleFailed(ScheduleError::TooManyPoints(_)) => "too many points".to_owned(),
        other => other.to_string(),
    })
}
