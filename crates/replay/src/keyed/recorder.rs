//! A policy whose decisions are kept.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::interface::{Policy, Stop, ThreadId, Turn, Why};
use crate::keyed::course::Course;
use crate::keyed::decision::Decision;

/// How many decisions of a run are kept. A run with more cannot be written to a file; its seed
/// still makes it again.
pub const MOST_DECISIONS: usize = 1_000_000;

/// Keeps what a policy decides, as departures from the default schedule.
///
/// The policy is not asked at stops that only the default schedule needs, one in
/// [`LONG`](super::LONG) points.
pub struct Recorder {
    policy: Box<dyn Policy>,
    course: Course,
    recording: Recording,
    /// At which point of the holder the policy wants to be asked.
    due: u64,
}

/// What a [`Recorder`] keeps, to be had while the recorder is in use, and afterwards.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    decisions: Vec<Decision>,
    too_many: bool,
    moves: u64,
    moved_at: u64,
}

/// Each method takes a lock for a moment, which the policy takes at each of its decisions.
impl Recording {
    /// The decisions so far, in their order; `None` if there were more than [`MOST_DECISIONS`].
    #[must_use]
    pub fn decisions(&self) -> Option<Vec<Decision>> {
        let kept = self.lock();
        (!kept.too_many).then(|| kept.decisions.clone())
    }

    /// A hash of every move of the turn to another thread so far: of which point of which thread,
    /// to which thread, and after how many points of all.
    ///
    /// It is that of a [`Replayer`](super::Replayer) that makes the same run.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.lock().moves
    }

    /// The points of all threads when the turn last moved.
    #[must_use]
    pub fn moved_at(&self) -> u64 {
        self.lock().moved_at
    }

    fn moved(&self, moves: u64, at: u64) {
        let mut kept = self.lock();
        (kept.moves, kept.moved_at) = (moves, at);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, decision: Decision) {
        let mut kept = self.lock();
        if kept.decisions.len() < MOST_DECISIONS {
            kept.decisions.push(decision);
        } else {
            kept.too_many = true;
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Keeps what `policy` decides.
    pub fn new(policy: Box<dyn Policy>) -> (Self, Recording) {
        let recording = Recording::default();
        let recorder = Self {
            policy,
            course: Course::default(),
            recording: recording.clone(),
            due: 0,
        };
        (recorder, recording)
    }

    /// Whether the policy is asked at this stop. It is not if the thread went on within its budget.
    fn is_due(&self, stop: &Stop<'_>, long: bool) -> bool {
        let own = matches!(stop.why, Why::Start | Why::Wait | Why::Sleep | Why::End);
        !long || own || stop.point >= self.due
    }
}

impl Policy for Recorder {
    fn began(&mut self, thread: ThreadId, parent: Option<ThreadId>) {
        self.policy.began(thread, parent);
    }

    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let standing = self.course.stopped(stop);
        let turn = match self.is_due(stop, standing.long) {
            true => self.policy.next(stop),
            false => Turn {
                thread: stop.thread,
                budget: self.due - stop.point - 1,
            },
        };
        let early = stop
            .sleeping
            .iter()
            .any(|sleeper| sleeper.thread == turn.thread);
        let point = self.course.gives(turn.thread, standing, stop);
        self.recording
            .moved(self.course.moves, self.course.moved_at);
        if standing.default != Some(turn.thread) {
            self.recording.push(Decision {
                thread: standing.thread,
                point: stop.point,
                why: stop.why,
                next: turn.thread.get(),
                early,
            });
        }
        self.due = point.saturating_add(turn.budget).saturating_add(1);
        Turn {
            thread: turn.thread,
            budget: turn.budget.min(self.course.budget(point)),
        }
    }

    fn ended(&mut self, thread: ThreadId) {
        self.policy.ended(thread);
    }
}
