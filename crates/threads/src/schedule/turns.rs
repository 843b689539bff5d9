//! What the threads of a scheduled group do at points, in waits and at their ends.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::host::panics::caught;
use crate::schedule::access::AccessObserver;
use crate::schedule::handover::{Roused, Seats};
use crate::schedule::member::{Current, TurnTaker};
use crate::schedule::policy::{Policy, Stop, Turn, Why};
use crate::schedule::scheduled::Settings;
use crate::schedule::table::{Blocked, Question, TurnTable};
use crate::schedule::trace::ScheduleTrace;
use crate::types::error::GroupEnded;
use crate::types::schedule_error::ScheduleError;
use crate::types::thread_id::ThreadId;
use crate::waits::Width;

/// Why a scheduled run cannot go on.
pub(crate) enum Verdict {
    /// All threads wait, and none for a deadline.
    Deadlock(Vec<Blocked>),
    /// Something else.
    Failed(ScheduleError),
}

/// How a wait ended, after the thread had given the turn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// By a notify with this tag.
    Woken(u64),
    /// Its deadline came.
    TimedOut,
}

type Hook = Box<dyn Fn(Verdict) + Send + Sync>;

/// The turn of one group. Only the holder of the turn calls its methods, except [`end`](Self::end),
/// [`ask`](Self::ask) and those that only look.
pub(crate) struct Turns {
    seats: Seats,
    table: Mutex<TurnTable>,
    /// Taken out while it decides, so that no lock is held then.
    policy: Mutex<Option<Box<dyn Policy>>>,
    max_points: u64,
    accesses: Option<Arc<dyn AccessObserver>>,
    verdict: OnceLock<Hook>,
}

impl Turns {
    pub(crate) fn new(
        policy: Box<dyn Policy>,
        settings: Settings,
        accesses: Option<Arc<dyn AccessObserver>>,
    ) -> Self {
        Self {
            seats: Seats::default(),
            table: Mutex::new(TurnTable::new(settings)),
            policy: Mutex::new(Some(policy)),
            max_points: settings.max_points,
            accesses,
            verdict: OnceLock::new(),
        }
    }

    /// Sets what ends the group for a reason that is found here. Called once, before anything runs.
    pub(crate) fn on_verdict(&self, hook: impl Fn(Verdict) + Send + Sync + 'static) {
        // Called once.
        let _ = self.verdict.set(Box::new(hook));
    }

    fn judge(&self, verdict: Verdict) {
        if let Some(hook) = self.verdict.get() {
            hook(verdict);
        }
    }

    /// Ends the group for this reason.
    pub(crate) fn fail(&self, error: ScheduleError) {
        self.judge(Verdict::Failed(error));
    }

    /// Sends back all threads that wait for their turn: the group has ended.
    pub(crate) fn end(&self) {
        self.seats.end();
    }

    /// Asks a thread that waits for its turn where it is.
    pub(crate) fn ask(&self, thread: ThreadId) {
        self.seats.ask(thread.get());
    }

    /// Threads that wait on words, by id.
    pub(crate) fn blocked(&self) -> Vec<Blocked> {
        self.table().blocked()
    }

    pub(crate) fn trace(&self) -> ScheduleTrace {
        self.table().trace()
    }

    /// The virtual time.
    pub(crate) fn now(&self) -> u64 {
        let member = Current::member(self);
        let mut table = self.table();
        if let Some(member) = member {
            table.pass_points(member.id, Current::settle());
        }
        table.now()
    }

    /// The observer of accesses, if there is one.
    pub(crate) fn accesses(&self) -> Option<&Arc<dyn AccessObserver>> {
        self.accesses.as_ref()
    }

    /// The thread that the calling host thread runs, if it is one of the group and that goes on.
    pub(crate) fn own(&self) -> Option<ThreadId> {
        Current::id_in(self).filter(|_| !self.seats.is_ended())
    }

    /// How many points the calling thread has passed. Only looks: the run stays the same.
    pub(crate) fn point_of(&self, own: ThreadId) -> u64 {
        let passed = self.table().passed(own);
        passed.saturating_add(Current::unsettled())
    }

    /// Whether the calling host thread runs a thread of the group.
    pub(crate) fn is_inside(&self) -> bool {
        Current::member(self).is_some()
    }

    /// Registers a thread that the calling one starts, and that is about to get a host thread.
    pub(crate) fn register(
        self: &Arc<Self>,
        thread: ThreadId,
        parent: Option<ThreadId>,
    ) -> TurnTaker {
        self.with_policy(|policy| policy.began(thread, parent));
        self.table().insert(thread);
        TurnTaker {
            id: thread,
            turns: Arc::clone(self),
            seat: self.seats.add(thread.get()),
        }
    }

    /// The thread got no host thread. That need not happen on another host, so the run ends as not
    /// reproducible.
    pub(crate) fn unregister(&self, thread: ThreadId, why: String) {
        self.table().remove(thread);
        self.seats.remove(thread.get());
        self.fail(ScheduleError::NotReproducible(why));
    }

    /// A point that wasm has counted, and that used up the budget. Returns the new budget. `report`
    /// tells where the thread is.
    pub(crate) fn point(&self, why: Why, report: &mut dyn FnMut()) -> Result<i64, GroupEnded> {
        if let Some(member) = Current::member(self) {
            self.table().pass_points(member.id, Current::settle());
            self.stop(&member, why, report)?;
        }
        Ok(Current::left().unwrap_or(i64::MAX))
    }

    /// A point at which the policy is asked in any case, because the set of runnable threads has
    /// changed.
    pub(crate) fn changed(&self, why: Why, report: &mut dyn FnMut()) -> Result<(), GroupEnded> {
        let Some(member) = Current::member(self) else {
            return Ok(());
        };
        self.count(&member);
        self.stop(&member, why, report)
    }

    /// The point before a host call.
    pub(crate) fn host_call(&self) -> Result<(), GroupEnded> {
        let Some(member) = Current::member(self) else {
            return Ok(());
        };
        if self.seats.is_ended() {
            return Err(GroupEnded);
        }
        {
            let mut table = self.table();
            table.pass_points(member.id, Current::settle());
            table.pass_host_call(member.id);
        }
        match Current::use_one() {
            true => self.stop(&member, Why::HostCall, &mut || ()),
            false => Ok(()),
        }
    }

    /// Sleeps until the virtual time is `deadline`.
    pub(crate) fn sleep_until(&self, deadline: u64) -> Result<(), GroupEnded> {
        let Some(member) = Current::member(self) else {
            return Ok(());
        };
        self.count(&member);
        self.table().sleep(member.id, deadline);
        self.stop(&member, Why::Sleep, &mut || ())
    }

    /// Waits on the word at a host address, for `timeout` nanoseconds at most unless that is
    /// negative. The caller has compared the word, and no other thread has run since. `None` if the
    /// calling thread is no thread of the group.
    pub(crate) fn wait(
        &self,
        address: usize,
        width: Width,
        timeout: i64,
        report: &mut dyn FnMut(),
    ) -> Result<Option<Waited>, GroupEnded> {
        let Some(member) = Current::member(self) else {
            return Ok(None);
        };
        if timeout == 0 {
            return Ok(Some(Waited::TimedOut));
        }
        self.count(&member);
        self.table().wait(member.id, address, width, timeout);
        self.stop(&member, Why::Wait, report)?;
        let (timed_out, tag) = self.table().waited(member.id);
        Ok(Some(match timed_out {
            true => Waited::TimedOut,
            false => Waited::Woken(tag),
        }))
    }

    /// Lets up to `count` threads run that wait at a host address. Returns how many. The caller
    /// then calls [`changed`](Self::changed).
    pub(crate) fn notify(
        &self,
        address: usize,
        count: u32,
        tag: u64,
        each: &mut dyn FnMut(u32),
    ) -> u32 {
        if Current::member(self).is_none() {
            let why = "the memory was notified from outside of the group".to_owned();
            self.fail(ScheduleError::NotReproducible(why));
            return 0;
        }
        self.table().notify(address, count, tag, each)
    }

    /// Counts one point that the host passes.
    fn count(&self, member: &TurnTaker) {
        let mut table = self.table();
        table.pass_points(member.id, Current::settle().saturating_add(1));
    }

    /// Stops the calling thread, and gives the turn on. Returns when the thread has the turn again,
    /// or the group has ended.
    fn stop(
        &self,
        member: &TurnTaker,
        why: Why,
        report: &mut dyn FnMut(),
    ) -> Result<(), GroupEnded> {
        if let Some((next, budget)) = self.decide(member.id, why) {
            if next == member.id {
                Current::begin(budget);
                return Ok(());
            }
            self.give(next, budget);
        }
        // Also if the run cannot go on: the end reaches this thread like every other.
        member.take(report)
    }

    /// Which thread is next, and with which budget; `None` if there is none.
    fn decide(&self, thread: ThreadId, why: Why) -> Option<(ThreadId, u64)> {
        if self.seats.is_ended() {
            return None;
        }
        let question = {
            let mut table = self.table();
            if table.is_over() {
                drop(table);
                self.fail(ScheduleError::TooManyPoints(self.max_points));
                return None;
            }
            table.question(thread)
        };
        if question.runnable.is_empty() && question.sleeping.is_empty() {
            let blocked = self.blocked();
            // Without any thread left there is no deadlock.
            if !blocked.is_empty() {
                self.judge(Verdict::Deadlock(blocked));
            }
            return None;
        }
        let turn = self.ask_policy(thread, why, &question)?;
        let budget = self.table().answer(thread, why, question, turn);
        if budget.is_none() {
            self.fail(ScheduleError::NotRunnable(turn.thread));
        }
        Some((turn.thread, budget?))
    }

    fn ask_policy(&self, thread: ThreadId, why: Why, question: &Question) -> Option<Turn> {
        let stop = Stop {
            thread,
            point: question.point,
            why,
            runnable: &question.runnable,
            sleeping: &question.sleeping,
            total: question.total,
            now: question.now,
        };
        self.with_policy(|policy| policy.next(&stop))
    }

    /// Calls the policy; `None` if it has panicked before.
    fn with_policy<R>(&self, f: impl FnOnce(&mut dyn Policy) -> R) -> Option<R> {
        let mut policy = self.policy().take()?;
        let result = f(&mut *policy);
        *self.policy() = Some(policy);
        Some(result)
    }

    fn table(&self) -> MutexGuard<'_, TurnTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn policy(&self) -> MutexGuard<'_, Option<Box<dyn Policy>>> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnTaker {
    /// Runs `f`, the life of the thread, when the thread has its first turn, and gives the turn on
    /// when `f` has returned. `f` runs also if the group has ended.
    pub(crate) fn live(self, f: impl FnOnce()) {
        let (turns, id) = (Arc::clone(&self.turns), self.id);
        let first = self.clone();
        Current::enter(self, || {
            Current::begin(0);
            turns.or_failed(|| {
                // Main takes the first turn; all others are given theirs.
                if id == ThreadId::MAIN {
                    let _ = turns.stop(&first, Why::Start, &mut || ());
                } else {
                    let _ = first.take(&mut || ());
                }
            });
            f();
            turns.or_failed(|| turns.leave(&first));
        });
    }

    /// Waits for the turn.
    fn take(&self, report: &mut dyn FnMut()) -> Result<(), GroupEnded> {
        loop {
            match self.seat.take() {
                Roused::Turn(budget) => {
                    Current::begin(budget);
                    return Ok(());
                }
                Roused::Asked => report(),
                Roused::Ended => return Err(GroupEnded),
            }
        }
    }
}

impl Turns {
    /// The thread has ended: gives the turn on.
    fn leave(&self, member: &TurnTaker) {
        self.seats.remove(member.id.get());
        // The other threads end as well, in no order.
        if self.seats.is_ended() {
            return;
        }
        self.count(member);
        self.table().remove(member.id);
        self.with_policy(|policy| policy.ended(member.id));
        if let Some((next, budget)) = self.decide(member.id, Why::End) {
            self.give(next, budget);
        }
    }

    /// Gives the turn, which the caller holds. A thread in the table has a seat; if it had none,
    /// the run would end with an error, and not wait for ever.
    fn give(&self, next: ThreadId, budget: u64) {
        if !self.seats.give(next.get(), budget) && !self.seats.is_ended() {
            self.fail(ScheduleError::NotRunnable(next));
        }
    }

    /// Runs `f`. If the policy panics in it, ends the group, because no host call is there that
    /// would catch the panic.
    fn or_failed(&self, f: impl FnOnce()) {
        if caught(f).is_none() {
            self.fail(ScheduleError::PolicyPanicked);
        }
    }
}
