//! Programs of a few operations, run under a policy: what a host does, for tests.

mod programs;
mod tests;

use std::collections::VecDeque;

use crate::interface::{Policy, Sleeper, Stop, ThreadId, Turn, Why};

/// What a thread does. Each is one point; one that blocks is another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Reads a word into the thread's register.
    Load(usize),
    /// Writes the register plus a number.
    Store(usize, i64),
    /// Writes a number.
    Set(usize, i64),
    /// Waits while a word has this value, for at most so many nanoseconds.
    Wait(usize, i64, Option<u64>),
    /// Wakes all that wait on a word.
    Notify(usize),
    /// Takes a lock, waiting for it.
    Lock(usize),
    /// Waits until a word has this value.
    Until(usize, i64),
    /// Gives it back.
    Unlock(usize),
    /// Loads a word until it has this value.
    Spin(usize, i64),
    /// The same, and yields each time.
    SpinYield(usize, i64),
    Sleep(u64),
    /// Starts this thread of the program.
    Spawn(usize),
    /// Fails unless a word has this value.
    Check(usize, i64),
}

/// The operations of each thread; the first is the main one.
pub(crate) type Program = Vec<Vec<Op>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Returned,
    /// Which thread, and at which of its operations.
    Failed(u32, usize),
    Deadlock,
    Bound,
    /// The policy named a thread that cannot be next.
    Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) points: u64,
    pub(crate) stops: u64,
    /// Every operation in its order.
    pub(crate) trace: Vec<(u32, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    Waits(usize),
    Sleeps,
    Ended,
}

struct Thread {
    ops: Vec<Op>,
    at: usize,
    register: i64,
    points: u64,
    state: State,
    deadline: Option<u64>,
    /// The operation under way has waited, and goes on.
    resumes: bool,
}

/// Runs a program for at most `bound` points.
pub(crate) fn run(program: &Program, policy: &mut dyn Policy, bound: u64) -> Ran {
    let mut host = Host {
        program,
        policy,
        words: [0; 8],
        threads: Vec::new(),
        waiting: VecDeque::new(),
        now: 0,
        left: 0,
        ran: Ran {
            outcome: Outcome::Returned,
            points: 0,
            stops: 0,
            trace: Vec::new(),
        },
    };
    host.start(0, None);
    let outcome = host.go(bound);
    Ran {
        outcome,
        ..host.ran
    }
}

struct Host<'a> {
    program: &'a Program,
    policy: &'a mut dyn Policy,
    words: [i64; 8],
    threads: Vec<Thread>,
    waiting: VecDeque<usize>,
    now: u64,
    /// The points that the holder may pass.
    left: u64,
    ran: Ran,
}

fn id(thread: usize) -> ThreadId {
    ThreadId::new(u32::try_from(thread).unwrap())
}

impl Host<'_> {
    fn start(&mut self, of: usize, parent: Option<usize>) {
        self.policy.began(id(self.threads.len()), parent.map(id));
        self.threads.push(Thread {
            ops: self.program[of].clone(),
            at: 0,
            register: 0,
            points: 0,
            state: State::Runs,
            deadline: None,
            resumes: false,
        });
    }

    fn go(&mut self, bound: u64) -> Outcome {
        let mut holder = 0;
        loop {
            match self.step(&mut holder) {
                Err(outcome) => return outcome,
                Ok(()) if self.ran.points > bound => return Outcome::Bound,
                Ok(()) => {}
            }
        }
    }

    /// A point is passed; the policy is asked if the budget is used up, or the holder must give the
    /// turn on.
    fn point(&mut self, holder: &mut usize, why: Why, must: bool) -> Result<bool, Outcome> {
        self.threads[*holder].points += 1;
        self.ran.points += 1;
        self.now += 20;
        if !must && self.left > 0 {
            self.left -= 1;
            return Ok(true);
        }
        let before = *holder;
        self.ask(holder, why)?;
        Ok(before == *holder)
    }

    fn ask(&mut self, holder: &mut usize, why: Why) -> Result<(), Outcome> {
        self.ran.stops += 1;
        // Whose deadline has passed can run.
        for thread in &mut self.threads {
            if thread.deadline.is_some_and(|deadline| deadline <= self.now) {
                (thread.state, thread.deadline) = (State::Runs, None);
            }
        }
        let runs = |state: State| state == State::Runs;
        let all = 0..self.threads.len();
        let runnable: Vec<_> = all
            .clone()
            .filter(|t| runs(self.threads[*t].state))
            .map(id)
            .collect();
        let mut sleeping: Vec<_> = all
            .filter_map(|t| {
                let deadline = self.threads[t].deadline?;
                Some(Sleeper {
                    thread: id(t),
                    deadline,
                })
            })
            .collect();
        sleeping.sort_by_key(|sleeper| (sleeper.deadline, sleeper.thread));
        if runnable.is_empty() && sleeping.is_empty() {
            return Err(Outcome::Deadlock);
        }
        let stop = Stop {
            thread: id(*holder),
            point: self.threads[*holder].points,
            why,
            runnable: &runnable,
            sleeping: &sleeping,
            total: self.ran.points,
            now: self.now,
        };
        let Turn { thread, budget } = self.policy.next(&stop);
        let sleeper = sleeping.iter().find(|sleeper| sleeper.thread == thread);
        if let Some(sleeper) = sleeper {
            self.now = self.now.max(sleeper.deadline);
        } else if !runnable.contains(&thread) {
            return Err(Outcome::Fault);
        }
        *holder = thread.get() as usize;
        self.left = budget;
        let next = &mut self.threads[*holder];
        (next.state, next.deadline) = (State::Runs, None);
        self.waiting.retain(|waiter| waiter != holder);
        Ok(())
    }

    fn block(
        &mut self,
        holder: &mut usize,
        state: State,
        deadline: Option<u64>,
        why: Why,
    ) -> Result<(), Outcome> {
        let thread = &mut self.threads[*holder];
        (thread.state, thread.deadline, thread.resumes) = (state, deadline, true);
        if let State::Waits(_) = state {
            self.waiting.push_back(*holder);
        }
        self.point(holder, why, true).map(drop)
    }

    fn notify(&mut self, word: usize) {
        for waiter in std::mem::take(&mut self.waiting) {
            let thread = &mut self.threads[waiter];
            match thread.state {
                State::Waits(on) if on == word => {
                    (thread.state, thread.deadline) = (State::Runs, None)
                }
                _ => self.waiting.push_back(waiter),
            }
        }
    }

    fn step(&mut self, holder: &mut usize) -> Result<(), Outcome> {
        let me = *holder;
        let at = self.threads[me].at;
        let Some(op) = self.threads[me].ops.get(at).copied() else {
            if me == 0 {
                return Err(Outcome::Returned);
            }
            self.threads[me].state = State::Ended;
            self.point(holder, Why::End, true)?;
            self.policy.ended(id(me));
            return Ok(());
        };
        // Before the operation, as the turn may go elsewhere: then the thread comes back to it.
        if !std::mem::take(&mut self.threads[me].resumes) {
            self.threads[me].resumes = true;
            let why = match op {
                Op::Wait(..) => Why::Wait,
                Op::Notify(_) => Why::Notify,
                Op::Spawn(_) => Why::Spawn,
                Op::Sleep(_) => Why::Sleep,
                _ => Why::Atomic,
            };
            return self.point(holder, why, false).map(drop);
        }
        self.operate(holder, op, at)
    }

    fn operate(&mut self, holder: &mut usize, op: Op, at: usize) -> Result<(), Outcome> {
        let me = *holder;
        self.ran.trace.push((id(me).get(), at));
        let mut next = at + 1;
        match op {
            Op::Load(word) => self.threads[me].register = self.words[word],
            Op::Store(word, plus) => self.words[word] = self.threads[me].register + plus,
            Op::Set(word, value) => self.words[word] = value,
            Op::Check(word, value) if self.words[word] == value => {}
            Op::Check(..) => return Err(Outcome::Failed(id(me).get(), at)),
            Op::Notify(word) => self.notify(word),
            Op::Unlock(word) => {
                self.words[word] = 0;
                self.notify(word);
            }
            Op::Spawn(of) => self.start(of, Some(me)),
            Op::Lock(word) if self.words[word] == 0 => self.words[word] = 1,
            Op::Lock(word) => return self.block(holder, State::Waits(word), None, Why::Wait),
            Op::Until(word, value) if self.words[word] != value => {
                return self.block(holder, State::Waits(word), None, Why::Wait);
            }
            Op::Until(..) => {}
            Op::Wait(word, value, timeout) => {
                self.threads[me].at += 1;
                if self.words[word] != value {
                    return Ok(());
                }
                let deadline = timeout.map(|timeout| self.now + timeout);
                self.block(holder, State::Waits(word), deadline, Why::Wait)?;
                self.threads[me].resumes = false;
                return Ok(());
            }
            Op::Sleep(time) => {
                self.threads[me].at += 1;
                let deadline = Some(self.now + time);
                self.block(holder, State::Sleeps, deadline, Why::Sleep)?;
                self.threads[me].resumes = false;
                return Ok(());
            }
            Op::Spin(word, value) | Op::SpinYield(word, value) if self.words[word] != value => {
                next = at;
                if let Op::SpinYield(..) = op {
                    self.point(holder, Why::Yield, true)?;
                }
            }
            Op::Spin(..) | Op::SpinYield(..) => {}
        }
        self.threads[me].at = next;
        Ok(())
    }
}
