//! What the holder of the turn knows of all threads. Only the holder changes it.

use std::collections::{BTreeMap, VecDeque};

use crate::schedule::policy::{Sleeper, Turn, Why};
use crate::schedule::scheduled::Settings;
use crate::schedule::trace::{Mix, ScheduleTrace};
use crate::types::thread_id::ThreadId;
use crate::waits::Width;

/// What a thread would do if it had the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunState {
    Run,
    /// It waits on the word at this host address.
    Wait {
        address: usize,
        width: Width,
    },
    Sleep,
}

#[derive(Clone, Copy, Debug)]
struct Thread {
    state: RunState,
    deadline: Option<u64>,
    /// Whether its last wait ended because its deadline came.
    timed_out: bool,
    /// The tag of the notify that ended its last wait.
    tag: u64,
}

/// A thread that waits on a word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocked {
    pub(crate) thread: ThreadId,
    /// The host address of the word.
    pub(crate) address: usize,
    pub(crate) width: Width,
    pub(crate) timed: bool,
}

/// A question to the policy. Its lists are kept for the next question.
#[derive(Debug, Default)]
pub(crate) struct Question {
    pub(crate) point: u64,
    pub(crate) total: u64,
    pub(crate) now: u64,
    pub(crate) runnable: Vec<ThreadId>,
    pub(crate) sleeping: Vec<Sleeper>,
}

/// The threads of a group under a schedule.
#[derive(Debug)]
pub(crate) struct TurnTable {
    settings: Settings,
    threads: BTreeMap<ThreadId, Thread>,
    /// The waiters, in the order in which they began to wait.
    queue: VecDeque<(usize, ThreadId)>,
    /// How many points were passed under each id, also by threads that have ended.
    passed: BTreeMap<ThreadId, u64>,
    now: u64,
    total: u64,
    decisions: u64,
    switches: u64,
    started: u64,
    mix: Mix,
    spare: Question,
}

impl TurnTable {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            threads: BTreeMap::new(),
            queue: VecDeque::new(),
            passed: BTreeMap::new(),
            now: settings.start,
            total: 0,
            decisions: 0,
            switches: 0,
            started: 0,
            mix: Mix::default(),
            spare: Question::default(),
        }
    }

    /// Adds a thread that can run.
    pub(crate) fn insert(&mut self, thread: ThreadId) {
        self.started += 1;
        self.threads.insert(
            thread,
            Thread {
                state: RunState::Run,
                deadline: None,
                timed_out: false,
                tag: 0,
            },
        );
    }

    pub(crate) fn remove(&mut self, thread: ThreadId) {
        self.threads.remove(&thread);
        self.queue.retain(|(_, waiting)| *waiting != thread);
    }

    /// Notes that `thread` has passed so many points. Each moves the clock by `each`.
    fn pass(&mut self, thread: ThreadId, points: u64, each: u64) {
        let passed = self.passed.entry(thread).or_default();
        *passed = passed.saturating_add(points);
        self.total = self.total.saturating_add(points);
        self.now = self.now.saturating_add(points.saturating_mul(each));
    }

    pub(crate) fn pass_points(&mut self, thread: ThreadId, points: u64) {
        self.pass(thread, points, self.settings.point_time);
    }

    pub(crate) fn pass_host_call(&mut self, thread: ThreadId) {
        self.pass(thread, 1, self.settings.host_call_time);
    }

    /// How many points `thread` has passed.
    pub(crate) fn passed(&self, thread: ThreadId) -> u64 {
        self.passed.get(&thread).copied().unwrap_or(0)
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Whether more points were passed than allowed.
    pub(crate) fn is_over(&self) -> bool {
        self.total > self.settings.max_points
    }

    /// Notes that `thread` waits on a word, for `timeout` nanoseconds at most unless that is
    /// negative.
    pub(crate) fn wait(&mut self, thread: ThreadId, address: usize, width: Width, timeout: i64) {
        let deadline = u64::try_from(timeout).ok();
        let deadline = deadline.map(|timeout| self.now.saturating_add(timeout));
        if let Some(thread) = self.threads.get_mut(&thread) {
            thread.state = RunState::Wait { address, width };
            thread.deadline = deadline;
            thread.timed_out = false;
        }
        self.queue.push_back((address, thread));
    }

    /// How the last wait of `thread` ended: whether its deadline came, and otherwise the tag of the
    /// notify.
    pub(crate) fn waited(&self, thread: ThreadId) -> (bool, u64) {
        let thread = self.threads.get(&thread);
        thread.map_or((false, 0), |thread| (thread.timed_out, thread.tag))
    }

    /// Lets up to `count` threads run that wait at `address`, those that began first. Returns how
    /// many.
    pub(crate) fn notify(
        &mut self,
        address: usize,
        count: u32,
        tag: u64,
        each: &mut dyn FnMut(u32),
    ) -> u32 {
        let mut woken = 0;
        while woken < count {
            let mut waiting = self.queue.iter();
            let Some(at) = waiting.position(|(other, _)| *other == address) else {
                break;
            };
            if let Some((_, id)) = self.queue.remove(at)
                && let Some(thread) = self.threads.get_mut(&id)
            {
                thread.state = RunState::Run;
                thread.deadline = None;
                thread.tag = tag;
                each(id.get());
                woken += 1;
            }
        }
        woken
    }

    /// Notes that `thread` sleeps until `deadline`.
    pub(crate) fn sleep(&mut self, thread: ThreadId, deadline: u64) {
        if let Some(thread) = self.threads.get_mut(&thread) {
            thread.state = RunState::Sleep;
            thread.deadline = Some(deadline);
        }
    }

    /// Threads that wait on words, by id.
    pub(crate) fn blocked(&self) -> Vec<Blocked> {
        let threads = self.threads.iter();
        let blocked = threads.filter_map(|(id, thread)| match thread.state {
            RunState::Wait { address, width } => Some(Blocked {
                thread: *id,
                address,
                width,
                timed: thread.deadline.is_some(),
            }),
            RunState::Run | RunState::Sleep => None,
        });
        blocked.collect()
    }

    /// Lets `id` run because its deadline has come.
    fn wake_at_deadline(&mut self, id: ThreadId) {
        let Some(thread) = self.threads.get_mut(&id) else {
            return;
        };
        thread.state = RunState::Run;
        thread.timed_out = true;
        if let Some(deadline) = thread.deadline.take() {
            self.now = self.now.max(deadline);
        }
        self.queue.retain(|(_, waiting)| *waiting != id);
    }

    /// The question to the policy when `thread` has stopped.
    pub(crate) fn question(&mut self, thread: ThreadId) -> Question {
        let now = self.now;
        let passed = |one: &Thread| one.deadline.is_some_and(|deadline| deadline <= now);
        let due = self.threads.iter().filter(|(_, one)| passed(one));
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.wake_at_deadline(id);
        }
        let mut question = std::mem::take(&mut self.spare);
        question.point = self.passed(thread);
        (question.total, question.now) = (self.total, self.now);
        question.runnable.clear();
        question.sleeping.clear();
        for (id, one) in &self.threads {
            match (one.state, one.deadline) {
                (RunState::Run, _) => question.runnable.push(*id),
                (_, Some(deadline)) => question.sleeping.push(Sleeper {
                    thread: *id,
                    deadline,
                }),
                _ => {}
            }
        }
        let sleeping = &mut question.sleeping;
        sleeping.sort_by_key(|sleeper| (sleeper.deadline, sleeper.thread));
        question
    }

    /// Takes the policy's answer to the question that `thread` stopped for. Returns the budget, cut
    /// to what the run may still pass; `None` if the policy named a thread that can neither run nor
    /// be woken.
    pub(crate) fn answer(
        &mut self,
        thread: ThreadId,
        why: Why,
        question: Question,
        turn: Turn,
    ) -> Option<u64> {
        if question.runnable.binary_search(&turn.thread).is_err() {
            let mut sleeping = question.sleeping.iter();
            sleeping.find(|sleeper| sleeper.thread == turn.thread)?;
            self.wake_at_deadline(turn.thread);
        }
        self.decisions += 1;
        self.switches += u64::from(turn.thread != thread);
        for number in [
            thread.get().into(),
            question.point,
            why as u64,
            turn.thread.get().into(),
            turn.budget,
        ] {
            self.mix.add(number);
        }
        self.spare = question;
        Some(turn.budget.min(self.settings.max_points - self.total))
    }

    pub(crate) fn trace(&self) -> ScheduleTrace {
        ScheduleTrace {
            hash: self.mix.sum(),
            points: self.total,
            decisions: self.decisions,
            switches: self.switches,
            threads: self.started,
            now: self.now,
        }
    }
}
