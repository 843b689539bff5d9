//! A process that runs seeds, from within.

use std::io::{self, BufReader};
use std::sync::Arc;

use p1_adapter::{EndSignal, P1State};
use replay_threads::file::{End, Header, Replay};
use wasi_threads::rewrite::Recorded;
use wasi_threads::schedule::{Schedule, ScheduleError};
use wasi_threads::{Frame, Outcome, Termination, ThreadGroup};

use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::report::backtraces::Backtraces;
use crate::report::outcome::{self, Reporter};
use crate::run::context::context;
use crate::run::entry::{self, Runs};
use crate::run::explore::protocol::{Answer, Request, read_input};
use crate::run::explore::pulse::{self, Pulse};
use crate::run::link::linker;
use crate::run::modules::{Modules, PreparedModules};
use crate::run::plan::Plan;
use crate::run::schedule::accesses::Accesses;
use crate::run::schedule::digests;
use crate::run::schedule::folders::Copies;
use crate::run::schedule::session::{Decides, Session};
use crate::run::schedule_options::ScheduleOptions;
use crate::run::{cannot_run, group, shape};
use crate::sys::job;

/// Frames that tell one failure from another.
const FRAMES: usize = 12;

/// Runs what it is asked for on standard input, until that ends.
///
/// # Errors
///
/// What keeps the program from being run.
pub(crate) fn serve(plan: &Plan, options: &ScheduleOptions, number: usize) -> Result<Exit> {
    job::settle(number);
    let lost = |error: io::Error| Message::failure("the exploring process is gone").why(error);
    let mut socket = BufReader::new(job::own().map_err(lost)?);
    let input = read_input(&mut socket).map_err(lost)?;
    let beats = socket.get_ref().try_clone().map_err(lost)?;
    let pulse = Pulse::start(beats, pulse::EVERY)
        .map_err(|error| Message::failure("a thread cannot be started").why(error))?;
    let orders = options.wanted.counts_orders();
    let recorded = orders.then(|| Accesses::told_at(options.points));
    let with = (&input[..], &pulse);
    let program = Program::new(plan, options, with, recorded)?;
    // It takes as long to make, and few searches need it.
    let mut telling = None;
    while let Some(request) = Request::read(&mut socket).map_err(lost)? {
        let answer = if request.lines > 0 {
            let program = match telling.take() {
                Some(program) => program,
                None => {
                    pulse.preparing();
                    Program::new(plan, options, with, Some(Accesses::told_at(options.points)))?
                }
            };
            let answer = program.show(request)?;
            telling = Some(program);
            answer
        } else if orders {
            let accesses = Arc::new(Accesses::orders());
            let answer = program.run(request, Some(&accesses))?;
            Answer {
                order: accesses.order(),
                ..answer
            }
        } else {
            program.run(request, None)?
        };
        pulse.over();
        answer.write(socket.get_mut()).map_err(lost)?;
    }
    Ok(Exit::Success)
}

struct Program<'a> {
    plan: &'a Plan,
    options: &'a ScheduleOptions,
    modules: PreparedModules<'a>,
    runs: Runs,
    input: &'a [u8],
    /// Of the folders that it may write.
    copies: Option<Copies>,
    pulse: &'a Pulse,
}

impl<'a> Program<'a> {
    /// The program, ready to be run; `recorded`: it tells of these accesses.
    fn new(
        plan: &'a Plan,
        options: &'a ScheduleOptions,
        (input, pulse): (&'a [u8], &'a Pulse),
        recorded: Option<Recorded>,
    ) -> Result<Self> {
        let name = plan.module.display();
        let modules = Modules::of(plan)?.prepare(plan, recorded)?;
        shape::check(modules.main.module(), &name, plan)?;
        let copies = match &options.job_folders {
            Some(folders) => {
                let number = options.job.unwrap_or(0).to_string();
                Copies::of(&plan.dirs, folders.join(number))?
            }
            None => None,
        };
        Ok(Program {
            copies,
            runs: entry::runs(&modules.main, &name, plan)?,
            modules,
            plan,
            options,
            input,
            pulse,
        })
    }

    /// Makes a run that says which thread accessed what.
    fn show(&self, request: Request) -> Result<Answer> {
        let accesses = Arc::new(Accesses::history());
        let lines = request.lines;
        let answer = self.run(request, Some(&accesses))?;
        let replay = Replay::read(&*answer.decisions);
        let decisions = replay.map_or(Vec::new(), |replay| replay.decisions);
        let shown = accesses.around(&decisions, lines, &self.modules.backtraces);
        Ok(Answer {
            interleaving: shown.join("\n"),
            ..answer
        })
    }

    fn run(&self, request: Request, accesses: Option<&Arc<Accesses>>) -> Result<Answer> {
        let decides = match request.decisions {
            None => Decides::of(&self.options.wanted),
            Some(bytes) => {
                let unread = |error| Message::failure("decisions cannot be read").why(error);
                Decides::Leniently(Replay::read(&*bytes).map_err(unread)?.decisions)
            }
        };
        let mut session = Session::new(decides, request.seed, self.options);
        session.set_input(self.input.to_vec());
        if let Some(copies) = &self.copies {
            session.set_folders(copies.fresh()?);
        }
        if let Some(accesses) = accesses {
            session.keep_accesses(accesses);
        }
        let group = self.group(&mut session)?;
        self.pulse.running(session.clock());
        let ran = match &self.runs {
            Runs::Start => group.start(),
            Runs::Command(export) => group.run(export),
            Runs::Call(call) => group
                .invoke(&call.export, &call.params)
                .map(|(outcome, _)| outcome),
        };
        let name = self.plan.module.display();
        let outcome = ran.map_err(|error| cannot_run::run(&error, &name))?;
        let reporter = Reporter {
            name,
            timeout: self.plan.limits.timeout,
            signal: None,
            divergence: None,
        };
        let backtrace = group.backtrace_of(&outcome);
        let backtraces: &Backtraces = &self.modules.backtraces;
        let exit = reporter.outcome(&outcome, backtrace, backtraces);
        let summary = session.summary();
        let in_words = outcome::in_a_line(&outcome);
        let decisions = match summary.decisions.filter(|_| request.keep) {
            None => Vec::new(),
            Some(decisions) => {
                let end = End::new(&in_words, exit.status(), summary.points, summary.moves);
                let mut bytes = Vec::new();
                // Into memory.
                let _ = Replay::new(Header::new("", ""), decisions, end).write(&mut bytes);
                bytes
            }
        };
        Ok(Answer {
            status: exit.status(),
            failure: self.failure(&outcome, &group),
            outcome: in_words,
            points: summary.points,
            moves: summary.moves,
            // Of 16 MiB it takes as long as a short run.
            memory: match request.keep {
                true => group.memory_hash(),
                false => 0,
            },
            decisions,
            order: 0,
            interleaving: String::new(),
        })
    }

    fn group(&self, session: &mut Session) -> Result<ThreadGroup<P1State>> {
        let plan = self.plan;
        let end = EndSignal::new();
        let sockets = (Default::default(), Vec::new());
        let ctx = context(plan, &end, sockets, (None, None, Some(&*session), None))?;
        let linker = linker(&self.modules, &ctx, plan)?;
        let limits = plan.limits.of_the_group(plan.limits.timeout);
        let mut group = group::builder(plan, &self.modules, linker, ctx, end)
            .limits(limits)
            // All of it is given back: a thread that computes is killed with the process.
            .termination(Termination::AtHostCalls)
            .host_call_names(&crate::report::calls::NAMES);
        if let Some(scheduled) = session.take() {
            group = group.schedule(Schedule::Policy(scheduled));
        }
        let name = plan.module.display();
        group
            .build()
            .map_err(|error| cannot_run::group(&error, &name))
    }
}

impl Program<'_> {
    /// A text that identifies the failure; empty if the run did not fail.
    fn failure(&self, outcome: &Outcome, group: &ThreadGroup<P1State>) -> String {
        match outcome {
            Outcome::Returned | Outcome::Exited(0) => String::new(),
            Outcome::Deadlocked(deadlock) => {
                let mut waits: Vec<_> = deadlock.threads.iter().map(ToString::to_string).collect();
                waits.sort();
                format!("deadlock: {}", waits.join(", "))
            }
            Outcome::ScheduleFailed(ScheduleError::TooManyPoints(_)) => {
                "too many points".to_owned()
            }
            Outcome::Trapped { trap, .. } => {
                // Whichever thread it was.
                let frames = group.backtrace_of(outcome).map(|trace| trace.to_frames());
                let places = frames.iter().flatten().take(FRAMES);
                // Where it was in the module as it came.
                let offset = |frame: &Frame| {
                    let offset = frame.module_offset();
                    offset.map(|offset| self.modules.main.original_offset(offset))
                };
                let places: Vec<_> = places
                    .map(|frame| format!("{}:{:?}", frame.func_index(), offset(frame)))
                    .collect();
                let trap =
                    trap.map_or("a host function failed".to_owned(), |trap| trap.to_string());
                let places = digests::of_bytes(places.join(" ").as_bytes());
                format!("{trap} (backtrace {})", places.get(..8).unwrap_or(&places))
            }
            // The status tells it from others, and is told beside it.
            other => outcome::in_a_line(other),
        }
    }
}
