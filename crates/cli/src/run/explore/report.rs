//! The search, and what is told of it.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replay_threads::explore::{Explored, Progress, Search};
use replay_threads::file::{End, Replay};
use replay_threads::keyed::Decision;
use replay_threads::minimise::{Minimised, Verdict, minimise};

use crate::args::schedule_args::ExploreOption;
use crate::message::exit::Exit;
use crate::message::{Message, Result, printed, say, warn};
use crate::module::source::ModuleSource;
use crate::output::Output;
use crate::report::interleaving;
use crate::run::explore::job::{Common, Failure, Job, Orders};
use crate::run::explore::protocol::{Answer, Request};
use crate::run::modules::Modules;
use crate::run::plan::Plan;
use crate::run::schedule::accesses::LINES;
use crate::run::schedule::command;
use crate::run::schedule::folders;
use crate::run::schedule::session::header;
use crate::run::schedule::temporary::TemporaryFolder;
use crate::run::schedule_options::ScheduleOptions;

/// Bounds of the minimiser.
const TRIES: u64 = 2_000;
const TRY_FOR: Duration = Duration::from_secs(30);
/// Decisions that are shown.
const SHOWN: usize = 40;
/// Distinct failures that are told.
const FAILURES_SHOWN: usize = 1_000;

/// Runs all seeds that the options ask for.
///
/// # Errors
///
/// Runs that cannot be made.
pub(crate) fn explore(
    plan: &Plan,
    options: &ScheduleOptions,
    option: ExploreOption,
) -> Result<Exit> {
    // Folders' hashes are of before the first run.
    let main = Modules::of(plan)?;
    let mut header = header(plan, options, String::new(), main.main())?;
    let with = common(plan, options)?;
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let search = Search {
        first: option.first,
        count: option.count,
        jobs: option.jobs.unwrap_or(processors),
        all: option.all,
    };
    let orders = option.orders.then(|| Orders::new(option.first));
    let orders = orders.as_ref();
    let explored = run_all(&search, &with, orders)?;
    let mut job = Job::new(0, &with, None);
    let Some(found) = explored.failures.first() else {
        let request = by_policy(option.first);
        job.ask(&request)?;
        print(&mut job)?;
        say(format_args!(
            "explored {} schedules, none failed",
            explored.ran
        ));
        tell_orders(orders, &explored);
        return Ok(Exit::Success);
    };
    let (seed, failure) = (found.seed, &found.failure);
    let original = decisions(&job.ask(&by_policy(seed))?)?;
    let Some(original) = original else {
        let printed = print(&mut job);
        tell(&explored, plan);
        tell_orders(orders, &explored);
        tell_unprinted(printed);
        warn(
            "the run is not saved",
            &"it has too many decisions, or reached no point",
        );
        let schedule = option.policy.with_seed(seed);
        say(format_args!("replay: --schedule {schedule}"));
        return Ok(Exit::Guest(failure.status));
    };
    let before = original.len();
    let mut minimal = minimised(&mut job, seed, original, failure)?;
    // Once more, for its output and its end.
    let answer = job.ask(&by_decisions(seed, &minimal.list))?;
    // The decisions as they were made. A thread may come to the same point for another reason than
    // in the run from which they come.
    if let Some(made) = decisions(&answer)? {
        minimal.list = made;
    }
    let printed = print(&mut job);
    tell(&explored, plan);
    tell_orders(orders, &explored);
    tell_unprinted(printed);
    tell_decisions(&minimal, before);
    if options.early.is_none() && minimal.list.iter().any(|decision| decision.early) {
        say("note: a timeout comes early; `--schedule-early=10ms` bounds that to 10 ms");
    }
    tell_interleaving(&mut job, seed, &minimal.list, &answer);
    header.schedule = option.policy.with_seed(seed).to_string();
    let end = End::new(answer.outcome, answer.status, answer.points, answer.moves);
    save(plan, options, &Replay::new(header, minimal.list, end));
    Ok(Exit::Guest(failure.status))
}

/// Makes one run twice, and compares.
///
/// # Errors
///
/// Runs that cannot be made.
pub(crate) fn verify(plan: &Plan, options: &ScheduleOptions) -> Result<Exit> {
    let with = common(plan, options)?;
    let seed = options.wanted.seed();
    // What decides is on the jobs' command line, too.
    let request = by_policy(seed);
    let mut one = Job::new(0, &with, None);
    let mut two = Job::new(1, &with, None);
    let (first, second) = (one.ask(&request)?, two.ask(&request)?);
    let same_output = outputs(&mut one)? == outputs(&mut two)?;
    print(&mut one)?;
    let differs: Vec<_> = [
        (
            "order",
            first.moves == second.moves && first.points == second.points,
        ),
        ("memory", first.memory == second.memory),
        ("output", same_output),
        ("status", first.status == second.status),
    ]
    .into_iter()
    .filter_map(|(what, same)| (!same).then_some(what))
    .collect();
    if !differs.is_empty() {
        let what = "two runs of one schedule differ";
        let why = format!("what differs: {}", differs.join(", "));
        return Err(Message::new(Exit::NotReproducible, what).why(why));
    }
    say(format_args!(
        "two runs are the same: {} points, trace {:016x}, memory {:016x}",
        first.points, first.moves, first.memory
    ));
    Ok(Exit::Guest(first.status))
}

fn outputs(job: &mut Job<'_>) -> Result<[Vec<u8>; 2]> {
    let cannot = |error| Message::failure("what was written cannot be read").why(error);
    job.outputs().map_err(cannot)
}

fn by_policy(seed: u64) -> Request {
    Request {
        seed,
        decisions: None,
        keep: true,
        lines: 0,
    }
}

fn by_decisions(seed: u64, decisions: &[Decision]) -> Request {
    let header = replay_threads::file::Header::new("", "");
    let replay = Replay::new(header, decisions.to_vec(), End::new("", 0, 0, 0));
    let mut bytes = Vec::new();
    // Into memory.
    let _ = replay.write(&mut bytes);
    Request {
        seed,
        decisions: Some(bytes),
        keep: true,
        lines: 0,
    }
}

/// Those of an answer, if it has them.
fn decisions(answer: &Answer) -> Result<Option<Vec<Decision>>> {
    if answer.decisions.is_empty() {
        return Ok(None);
    }
    let replay = Replay::read(&*answer.decisions);
    let unread = |error| Message::failure("decisions cannot be read").why(error);
    Ok(Some(replay.map_err(unread)?.decisions))
}

/// What every run finds.
fn common(plan: &Plan, options: &ScheduleOptions) -> Result<Common> {
    let copied = folders::are_copied(plan, options);
    Ok(Common {
        input: input(plan)?,
        folders: copied.then(TemporaryFolder::new).transpose()?,
    })
}

/// All of standard input, which every run finds.
fn input(plan: &Plan) -> Result<Vec<u8>> {
    let mut input = Vec::new();
    let stdin = std::io::stdin();
    let reads = plan.stdio.stdin && plan.module != ModuleSource::Stdin && !stdin.is_terminal();
    if reads && !crate::sys::at_start::was_closed(0) {
        let read = stdin.lock().read_to_end(&mut input);
        read.map_err(|error| Message::failure("standard input cannot be read").why(error))?;
    }
    Ok(input)
}

fn run_all(search: &Search, with: &Common, orders: Option<&Orders>) -> Result<Explored<Failure>> {
    let terminal = std::io::stderr().is_terminal();
    let mut told = Instant::now();
    let progress = |progress: Progress| {
        if terminal && told.elapsed() > Duration::from_millis(200) {
            told = Instant::now();
            let (ran, of, failed) = (progress.ran, progress.of, progress.failed);
            let _ = write!(
                std::io::stderr(),
                "\r{ran} of {of} schedules, {failed} failed\x1b[K"
            );
        }
    };
    let job = |job| Job::new(job, with, orders);
    let explored = replay_threads::explore::explore(search, job, progress);
    if terminal {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    explored
}

fn minimised(
    job: &mut Job<'_>,
    seed: u64,
    original: Vec<Decision>,
    failure: &Failure,
) -> Result<Minimised<Decision>> {
    let until = Instant::now() + TRY_FOR;
    let failed = RefCell::new(None);
    let late = RefCell::new(false);
    let mut minimal = minimise(original, TRIES, |part| {
        if failed.borrow().is_some() || Instant::now() > until {
            *late.borrow_mut() = true;
            return Verdict::Other;
        }
        let tried = job.ask(&by_decisions(seed, part)).and_then(|answer| {
            let same = answer.failure == failure.what && answer.status == failure.status;
            Ok(match (same, decisions(&answer)?) {
                (true, Some(met)) => Verdict::Same(met),
                _ => Verdict::Other,
            })
        });
        tried.unwrap_or_else(|error| {
            *failed.borrow_mut() = Some(error);
            Verdict::Other
        })
    });
    minimal.is_minimal &= !late.into_inner();
    match failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(minimal),
    }
}

/// What the last run wrote, as it would have.
///
/// # Errors
///
/// What it wrote cannot be read, or not be written to stdout. A failed write to stderr is no error.
fn print(job: &mut Job<'_>) -> Result<()> {
    let [stdout, stderr] = outputs(job)?;
    let _ = std::io::stderr().write_all(&stderr);
    // A closed stdout takes nothing, and there may be nothing.
    if stdout.is_empty() {
        return Ok(());
    }
    let mut to = std::io::stdout().lock();
    printed(to.write_all(&stdout).and_then(|()| to.flush()))
}

/// Of a failing run: its failure is the status all the same.
fn tell_unprinted(printed: Result<()>) {
    if let Err(message) = printed {
        say(message);
    }
}

fn tell(explored: &Explored<Failure>, plan: &Plan) {
    let name = plan.module.display();
    let failures = &explored.failures;
    say(format_args!(
        "explored {} schedules of {name}",
        explored.ran
    ));
    for found in failures.iter().take(FAILURES_SHOWN) {
        let (seed, status) = (found.seed, found.failure.status);
        let times = match found.times {
            1 => String::new(),
            times => format!(", and {} more", times - 1),
        };
        say(format_args!(
            "  seed {seed}{times}: status {status}, {}",
            found.failure.what
        ));
    }
    if failures.len() > FAILURES_SHOWN {
        say(format_args!(
            "  and {} other failures",
            failures.len() - FAILURES_SHOWN
        ));
    }
}

fn tell_decisions(minimal: &Minimised<Decision>, before: usize) {
    let (after, tries) = (minimal.list.len(), minimal.tries);
    let how = match minimal.is_minimal {
        true => "none can be left out",
        false => "the bound of tries was reached",
    };
    say(format_args!(
        "decisions: {before}, minimised to {after} in {tries} runs ({how})"
    ));
    for decision in minimal.list.iter().take(SHOWN) {
        say(format_args!("  {decision}"));
    }
    if after > SHOWN {
        say(format_args!("  and {} more", after - SHOWN));
    }
}

/// How many orders were tried, where they are counted.
fn tell_orders(orders: Option<&Orders>, explored: &Explored<Failure>) {
    if let Some(orders) = orders {
        let count = orders.among(explored.ran);
        say(format_args!("orders of conflicting accesses: {count}"));
    }
}

/// Prints which thread accessed what before the failure. For that the run is made again with its
/// accesses recorded: it is slower, and otherwise the same.
fn tell_interleaving(job: &mut Job<'_>, seed: u64, decisions: &[Decision], ended: &Answer) {
    let request = Request {
        lines: LINES,
        ..by_decisions(seed, decisions)
    };
    let answer = match job.ask(&request) {
        Ok(answer) => answer,
        Err(error) => return warn("the interleaving is not shown", &error),
    };
    let way = |answer: &Answer| (answer.moves, answer.points, answer.status);
    if way(&answer) != way(ended) {
        return warn(
            "the interleaving is not shown",
            &format_args!(
                "with its accesses told the run went on to: {}",
                answer.outcome
            ),
        );
    }
    let lines: Vec<_> = answer.interleaving.lines().collect();
    interleaving::tell(&lines);
}

fn save(plan: &Plan, options: &ScheduleOptions, replay: &Replay) {
    let default = match &plan.module {
        ModuleSource::File(path) => PathBuf::from(path.file_name().unwrap_or(path.as_os_str())),
        ModuleSource::Stdin => PathBuf::from("stdin"),
    };
    let written = match &options.save {
        Some(output) => output
            .write(|to| replay.write(to))
            .map(|()| output.name().to_owned()),
        None => {
            let path: &Path = &default.with_extension("replay");
            let output = Output::typed(path);
            output.and_then(|output| {
                let name = output.name().to_owned();
                output.write(|to| replay.write(to)).map(|()| name)
            })
        }
    };
    match written {
        Ok(name) => say(format_args!("replay: {}", command::replay(plan, &name))),
        Err(error) => warn("the run is not saved", &error),
    }
}
