//! A host of threads that take turns, for programs made of bytes. It has only what a policy can
//! notice.

use replay_threads::{Policy, Sleeper, Stop, ThreadId, Turn, Why};

use crate::input::Input;

/// Threads that a run has at most, and plans of a program.
const THREADS: usize = 6;
const PLANS: usize = 4;
/// Operations of a plan.
const OPERATIONS: usize = 12;
/// Words that threads change, wait on and notify.
const WORDS: usize = 3;
/// Asks of the policy, and points, after which a run ends.
const ASKS: u64 = 3000;
const POINTS: u64 = 50_000_000;

#[derive(Clone, Copy, Debug)]
enum Operation {
    /// Passes so many points.
    Work(u64),
    /// Changes a word. The next wait on it sees whether it was set.
    Turn(usize),
    /// Waits while a word is not set, for a time if one is given.
    Wait(usize, Option<u64>),
    /// Sets a word, and wakes those that wait on it.
    Notify(usize),
    Sleep(u64),
    Spawn(usize),
    Yield,
}

/// What each thread does: the first plan is the main thread's.
#[derive(Debug)]
pub(crate) struct Program(Vec<Vec<Operation>>);

impl Program {
    pub(crate) fn made(input: &mut Input<'_>) -> Self {
        let mut plans = vec![Vec::new()];
        while !input.is_empty() && plans.len() <= PLANS {
            let (what, how) = (input.u8(), u64::from(input.u8()));
            let word = how as usize % WORDS;
            let operation = match what % 10 {
                0 => Operation::Work(how),
                // Past the point at which the default schedule moves on.
                1 => Operation::Work(how * 1000),
                2 => Operation::Turn(word),
                3 => Operation::Wait(word, None),
                4 => Operation::Wait(word, Some(how * 10)),
                5 => Operation::Notify(word),
                6 => Operation::Sleep(how * 100),
                7 => Operation::Spawn(how as usize),
                8 => Operation::Yield,
                _ => {
                    plans.push(Vec::new());
                    continue;
                }
            };
            let plan = plans.last_mut().expect("one at least");
            if plan.len() < OPERATIONS {
                plan.push(operation);
            }
        }
        Self(plans)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Returned,
    Deadlock,
    /// There were too many points or asks.
    Bound,
    /// The policy named a thread that cannot be next.
    Fault,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    /// Each operation that was done: of which thread, and whether it found its word set.
    pub(crate) trace: Vec<(usize, usize, bool)>,
    /// How many threads slept or waited for a time.
    pub(crate) sleeps: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    Waits(usize),
    Sleeps,
    Ended,
}

struct Thread {
    plan: usize,
    at: usize,
    /// Points that are left of the operation; `None` before it has begun.
    left: Option<u64>,
    points: u64,
    state: State,
    deadline: Option<u64>,
}

struct Host<'a> {
    program: &'a Program,
    policy: &'a mut dyn Policy,
    threads: Vec<Thread>,
    words: [bool; WORDS],
    holder: usize,
    budget: u64,
    points: u64,
    asks: u64,
    now: u64,
    ran: Ran,
}

/// Runs a program to its end, or to a bound.
pub(crate) fn run(program: &Program, policy: &mut dyn Policy) -> Ran {
    let mut host = Host {
        program,
        policy,
        threads: Vec::new(),
        words: [false; WORDS],
        holder: 0,
        budget: 0,
        points: 0,
        asks: 0,
        now: 0,
        ran: Ran {
            ended: Ended::Returned,
            trace: Vec::new(),
            sleeps: 0,
        },
    };
    host.start(0, None);
    loop {
        if let Err(ended) = host.step() {
            host.ran.ended = ended;
            return host.ran;
        }
    }
}

fn id(thread: usize) -> ThreadId {
    ThreadId::new(thread as u32)
}

impl Host<'_> {
    fn start(&mut self, plan: usize, parent: Option<usize>) {
        self.policy.began(id(self.threads.len()), parent.map(id));
        self.threads.push(Thread {
            plan,
            at: 0,
            left: None,
            points: 0,
            state: State::Runs,
            deadline: None,
        });
    }

    fn pass(&mut self, points: u64) {
        self.threads[self.holder].points += points;
        self.points += points;
        self.now += 20 * points;
    }

    /// The holder goes on by an operation, or by what it may pass of one.
    fn step(&mut self) -> Result<(), Ended> {
        let me = self.holder;
        let (plan, at) = (self.threads[me].plan, self.threads[me].at);
        let Some(&operation) = self.program.0[plan].get(at) else {
            if me == 0 {
                return Err(Ended::Returned);
            }
            self.threads[me].state = State::Ended;
            self.pass(1);
            self.ask(Why::End)?;
            self.policy.ended(id(me));
            return Ok(());
        };
        let (why, points) = match operation {
            Operation::Work(points) => (Why::Access, points),
            Operation::Turn(_) => (Why::Atomic, 1),
            Operation::Wait(..) => (Why::Wait, 1),
            Operation::Notify(_) => (Why::Notify, 1),
            Operation::Sleep(_) => (Why::Sleep, 1),
            Operation::Spawn(_) => (Why::Spawn, 1),
            Operation::Yield => (Why::Yield, 0),
        };
        let left = self.threads[me].left.unwrap_or(points);
        let may = left.min(self.budget);
        self.budget -= may;
        self.pass(may);
        self.threads[me].left = Some(left - may);
        if left > may {
            self.threads[me].left = Some(left - may - 1);
            self.pass(1);
            return self.ask(why);
        }
        self.threads[me].left = None;
        self.threads[me].at += 1;
        self.operate(operation, at)
    }

    fn operate(&mut self, operation: Operation, at: usize) -> Result<(), Ended> {
        let me = self.holder;
        let word = match operation {
            Operation::Turn(word) | Operation::Wait(word, _) | Operation::Notify(word) => word,
            _ => 0,
        };
        self.ran.trace.push((me, at, self.words[word]));
        match operation {
            Operation::Work(_) => {}
            Operation::Turn(word) => self.words[word] ^= true,
            Operation::Wait(word, _) if self.words[word] => {}
            Operation::Wait(word, time) => return self.block(State::Waits(word), time, Why::Wait),
            Operation::Notify(word) => {
                self.words[word] = true;
                for thread in &mut self.threads {
                    if thread.state == State::Waits(word) {
                        (thread.state, thread.deadline) = (State::Runs, None);
                    }
                }
            }
            Operation::Sleep(time) => return self.block(State::Sleeps, Some(time), Why::Sleep),
            Operation::Spawn(plan) if self.threads.len() < THREADS => {
                self.start(plan % self.program.0.len(), Some(me));
            }
            Operation::Spawn(_) => {}
            Operation::Yield => {
                self.pass(1);
                return self.ask(Why::Yield);
            }
        }
        Ok(())
    }

    fn block(&mut self, state: State, time: Option<u64>, why: Why) -> Result<(), Ended> {
        self.ran.sleeps += u64::from(time.is_some());
        let deadline = time.map(|time| self.now + time);
        let thread = &mut self.threads[self.holder];
        (thread.state, thread.deadline) = (state, deadline);
        self.pass(1);
        self.ask(why)
    }

    fn ask(&mut self, why: Why) -> Result<(), Ended> {
        self.asks += 1;
        if self.asks > ASKS || self.points > POINTS {
            return Err(Ended::Bound);
        }
        // A thread whose deadline has passed can run.
        for thread in &mut self.threads {
            if thread.deadline.is_some_and(|deadline| deadline <= self.now) {
                (thread.state, thread.deadline) = (State::Runs, None);
            }
        }
        let threads = self.threads.iter().enumerate();
        let runs = threads.clone().filter(|(_, one)| one.state == State::Runs);
        let runnable: Vec<_> = runs.map(|(thread, _)| id(thread)).collect();
        let sleeps = threads.filter_map(|(thread, one)| Some((id(thread), one.deadline?)));
        let mut sleeping: Vec<_> = sleeps
            .map(|(thread, deadline)| Sleeper { thread, deadline })
            .collect();
        sleeping.sort_by_key(|sleeper| (sleeper.deadline, sleeper.thread));
        if runnable.is_empty() && sleeping.is_empty() {
            return Err(Ended::Deadlock);
        }
        let stop = Stop::new(id(self.holder), self.threads[self.holder].points, why)
            .threads(&runnable, &sleeping)
            .total(self.points);
        let Turn { thread, budget } = self.policy.next(&stop);
        if let Some(sleeper) = sleeping.iter().find(|sleeper| sleeper.thread == thread) {
            self.now = self.now.max(sleeper.deadline);
        } else if !runnable.contains(&thread) {
            return Err(Ended::Fault);
        }
        self.holder = thread.get() as usize;
        self.budget = budget;
        let next = &mut self.threads[self.holder];
        (next.state, next.deadline) = (State::Runs, None);
        Ok(())
    }
}
