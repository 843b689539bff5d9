//! Decisions made again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::interface::{Policy, Stop, ThreadId, Turn};
use crate::keyed::course::{Course, Standing};
use crate::keyed::decision::{Decision, why_name};

/// What a run did, and the list of decisions did not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("diverged at decision {decision}: expected {expected}, found {found}")]
pub struct Divergence {
    /// Which decision, from 1; one more than there are stands for the end.
    pub decision: usize,
    /// What the list says.
    pub expected: String,
    /// What happened.
    pub found: String,
}

/// The default schedule with these decisions.
///
/// A strict one stops at the first difference. To do so it names a thread that cannot be next,
/// which ends the run. [`Replayed::divergence`] says what the difference was.
#[derive(Debug)]
pub struct Replayer {
    course: Course,
    decisions: Vec<Decision>,
    /// Which decision is at which point of which thread.
    at: BTreeMap<(u32, u64), usize>,
    strict: bool,
    replayed: Replayed,
}

/// What a [`Replayer`] has done, to be had while it is in use, and afterwards.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    done: Arc<Mutex<Done>>,
}

#[derive(Debug, Default)]
struct Done {
    /// How many decisions there are.
    expected: Vec<Decision>,
    met: Vec<Decision>,
    moves: u64,
    moved_at: u64,
    divergence: Option<Divergence>,
}

/// Each method takes a lock for a moment, which the policy takes at each of its decisions.
impl Replayed {
    /// The decisions that were made and differ from the default schedule's, in their order.
    #[must_use]
    pub fn met(&self) -> Vec<Decision> {
        self.lock().met.clone()
    }

    /// The first difference, if there was one.
    #[must_use]
    pub fn divergence(&self) -> Option<Divergence> {
        self.lock().divergence.clone()
    }

    /// The same after the run has ended: a decision that was never reached is a difference, too.
    #[must_use]
    pub fn at_end(&self) -> Option<Divergence> {
        let done = self.lock();
        let left = || {
            let next = done.expected.get(done.met.len())?;
            Some(Divergence {
                decision: done.met.len() + 1,
                expected: next.to_string(),
                found: "the end of the run".to_owned(),
            })
        };
        done.divergence.clone().or_else(left)
    }

    /// As [`Recording::moves`](super::Recording::moves).
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.lock().moves
    }

    /// As [`Recording::moved_at`](super::Recording::moved_at).
    #[must_use]
    pub fn moved_at(&self) -> u64 {
        self.lock().moved_at
    }

    fn moved(&self, moves: u64, at: u64) {
        let mut done = self.lock();
        (done.moves, done.moved_at) = (moves, at);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replayer {
    /// Stops at every difference.
    #[must_use]
    pub fn strict(decisions: Vec<Decision>) -> (Self, Replayed) {
        Self::new(decisions, true)
    }

    /// Leaves out what cannot be decided. Of two decisions at one point the later counts.
    #[must_use]
    pub fn lenient(decisions: Vec<Decision>) -> (Self, Replayed) {
        Self::new(decisions, false)
    }

    fn new(decisions: Vec<Decision>, strict: bool) -> (Self, Replayed) {
        let keys = decisions.iter().enumerate();
        let at = keys.map(|(n, decision)| ((decision.thread, decision.point), n));
        let replayed = Replayed::default();
        if strict {
            replayed.lock().expected.clone_from(&decisions);
        }
        let replayer = Self {
            course: Course::default(),
            at: at.collect(),
            decisions,
            strict,
            replayed: replayed.clone(),
        };
        (replayer, replayed)
    }

    /// Which thread is next, or that the list says otherwise.
    fn choose(&mut self, stop: &Stop<'_>, standing: Standing) -> Result<ThreadId, Divergence> {
        let default = standing.default.unwrap_or(stop.thread);
        let met = self.replayed.lock().met.len();
        let listed = self.at.get(&(standing.thread, stop.point)).copied();
        let Some(decision) = listed.map(|n| self.decisions[n]) else {
            return Ok(default);
        };
        let found = find(decision.next, stop);
        if self.strict {
            let is_next = listed == Some(met);
            let fits = found.is_some_and(|(_, sleeps)| sleeps == decision.early);
            if !(is_next && fits && decision.why == stop.why) {
                return Err(self.difference(met, stop, standing));
            }
        }
        match found {
            Some((thread, early)) if self.strict || thread != default => {
                let why = stop.why;
                self.replayed.lock().met.push(Decision {
                    why,
                    early,
                    ..decision
                });
                Ok(thread)
            }
            _ => Ok(default),
        }
    }

    fn difference(&self, met: usize, stop: &Stop<'_>, standing: Standing) -> Divergence {
        let expected = self.decisions.get(met);
        let sleeping: Vec<_> = stop.sleeping.iter().map(|sleeper| sleeper.thread).collect();
        Divergence {
            decision: met + 1,
            expected: expected.map_or("no decision".to_owned(), ToString::to_string),
            found: format!(
                "thread {} at its point {} ({}), runnable {}, sleeping {}",
                standing.thread,
                stop.point,
                why_name(stop.why),
                listed(stop.runnable),
                listed(&sleeping),
            ),
        }
    }

    /// How many points a thread may pass before its next decision.
    fn until_decision(&self, thread: u32, point: u64) -> u64 {
        let next = self
            .at
            .range((thread, point + 1)..=(thread, u64::MAX))
            .next();
        next.map_or(u64::MAX, |((_, at), _)| at - point - 1)
    }
}

/// The thread of this id if it may be next, and whether it sleeps.
fn find(id: u32, stop: &Stop<'_>) -> Option<(ThreadId, bool)> {
    let sleeping = stop.sleeping.iter().map(|sleeper| (sleeper.thread, true));
    let runnable = stop.runnable.iter().map(|thread| (*thread, false));
    let mut all = runnable.chain(sleeping);
    all.find(|(thread, _)| thread.get() == id)
}

fn listed(threads: &[ThreadId]) -> String {
    let ids: Vec<_> = threads
        .iter()
        .map(|thread| thread.get().to_string())
        .collect();
    match ids.is_empty() {
        true => "none".to_owned(),
        false => ids.join(", "),
    }
}

impl Policy for Replayer {
    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let standing = self.course.stopped(stop);
        let thread = match self.choose(stop, standing) {
            Ok(thread) => thread,
            Err(divergence) => {
                self.replayed.lock().divergence.get_or_insert(divergence);
                return Turn {
                    thread: ThreadId::new(u32::MAX),
                    budget: 0,
                };
            }
        };
        let point = self.course.gives(thread, standing, stop);
        self.replayed.moved(self.course.moves, self.course.moved_at);
        let budget = self
            .course
            .budget(point)
            .min(self.until_decision(thread.get(), point));
        Turn { thread, budget }
    }
}
