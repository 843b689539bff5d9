//! What the options about schedules mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use replay_threads::file::Replay;
use replay_threads::policy::{Kind, Spec};
use wasi_threads::rewrite::Points;
use wasi_threads_p1::replay::START;
use wasm_races::Suppressions;
use wasmtime_cli_flags::CommonOptions;

use crate::args::listenfd;
use crate::args::run_args::RunArgs;
use crate::args::schedule_args::{ExploreOption, Preempt, ScheduleArgs};
use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::output::Output;

/// After how many points an explored run counts as endless, by default.
const MAX_EXPLORED_POINTS: u64 = 10_000_000;

/// How to make a run with a schedule.
pub(crate) struct ScheduleOptions {
    pub(crate) wanted: Wanted,
    pub(crate) points: Points,
    pub(crate) max_points: u64,
    /// Where the run is saved.
    pub(crate) save: Option<Output>,
    /// Whether the run is made twice, and compared.
    pub(crate) verify: bool,
    /// How many lines to print about which thread accessed what.
    pub(crate) show: Option<usize>,
    /// What the run may go on with, although it differs from run to run.
    pub(crate) allowed: Vec<String>,
    /// The time at which it begins, in nanoseconds since 1970.
    pub(crate) start: u64,
    /// By how many nanoseconds a timeout may come early; `None`: by any.
    pub(crate) early: Option<u64>,
    /// Whether the program writes to the folders themselves.
    pub(crate) shared: bool,
    /// How races are looked for, if they are.
    pub(crate) races: Option<RacesPlan>,
    /// The number of the job, in a process that runs seeds for another one.
    pub(crate) job: Option<usize>,
    /// Where such a process has its copies of folders.
    pub(crate) job_folders: Option<PathBuf>,
}

/// How races are looked for.
pub(crate) struct RacesPlan {
    /// The status of a program that ends by itself, if races are told; 0 leaves it its own.
    pub(crate) exit: u8,
    /// Bytes of shadow memory.
    pub(crate) memory: usize,
    /// Whether a second run finds out where the earlier accesses were.
    pub(crate) stacks: bool,
    /// Races that are not reported.
    pub(crate) lists: Suppressions,
    /// Whether what looks like a sequence lock counts for the status.
    pub(crate) strict: bool,
    /// Whether this process makes the second run.
    again: bool,
}

impl RacesPlan {
    /// Whether this process makes the second run.
    pub(crate) fn is_again(&self) -> bool {
        self.again
    }

    /// How they are looked for of threads that run at once.
    ///
    /// # Errors
    ///
    /// A list that cannot be read.
    pub(crate) fn in_parallel(typed: &ScheduleArgs) -> Result<Option<Self>> {
        match runs_at_once(typed) {
            true => Self::of(typed),
            false => Ok(None),
        }
    }

    fn of(typed: &ScheduleArgs) -> Result<Option<Self>> {
        let Some(option) = &typed.races else {
            return Ok(None);
        };
        let mut lists = Suppressions::default();
        for path in &option.suppress {
            let cannot = |why: &dyn std::fmt::Display| {
                let what = format!("the list `{}` cannot be read", path.display());
                Message::failure(what).why(why)
            };
            let text = std::fs::read_to_string(path).map_err(|error| cannot(&error))?;
            lists.extend(Suppressions::parse(&text).map_err(|error| cannot(&error))?);
        }
        if option.default_list {
            lists.extend(Suppressions::of_libraries());
        }
        Ok(Some(RacesPlan {
            exit: option.exit,
            memory: option.memory,
            // Nothing runs the same a second time.
            stacks: option.stacks && !option.parallel,
            lists,
            strict: option.strict,
            again: typed.races_again.is_some(),
        }))
    }
}

/// Which runs to make.
pub(crate) enum Wanted {
    /// One run, by a policy.
    Policy {
        kind: Kind,
        seed: u64,
        /// Whether no seed was given.
        drawn: bool,
    },
    /// One run, by a file.
    Replay { from: PathBuf, replay: Box<Replay> },
    /// Many runs.
    Explore(ExploreOption),
}

impl Wanted {
    /// The seed of random numbers outside of the policy.
    pub(crate) fn seed(&self) -> u64 {
        match self {
            Wanted::Policy { seed, .. } => *seed,
            Wanted::Replay { replay, .. } => {
                let spec = replay.header.schedule.parse::<Spec>();
                spec.ok().and_then(|spec| spec.seed).unwrap_or(0)
            }
            Wanted::Explore(option) => option.first,
        }
    }

    /// Whether the orders of conflicting accesses are counted.
    pub(crate) fn counts_orders(&self) -> bool {
        matches!(self, Wanted::Explore(option) if option.orders)
    }

    /// The option that asks for it.
    pub(crate) fn option(&self) -> &'static str {
        match self {
            Wanted::Policy { .. } => "--schedule",
            Wanted::Replay { .. } => "--replay",
            Wanted::Explore(_) => "--explore",
        }
    }
}

impl ScheduleOptions {
    /// The options about schedules; `None` if the threads run all at once.
    ///
    /// # Errors
    ///
    /// Options that contradict one another, and a replay file that cannot be read.
    pub(crate) fn of(args: &RunArgs, save: Option<Output>) -> Result<Option<Self>> {
        let typed = &args.schedule;
        // Any order finds races.
        let random = Spec {
            kind: Kind::Random,
            seed: None,
        };
        let alone_races = typed.replay.is_none() && typed.explore.is_none() && !runs_at_once(typed);
        let by_default = (typed.races.is_some() && alone_races).then_some(&random);
        let schedule = typed.schedule.as_ref().or(by_default);
        let wanted = match (schedule, &typed.replay, typed.explore) {
            (Some(spec), ..) => {
                let seed = spec.seed.or(typed.races_again);
                Wanted::Policy {
                    kind: spec.kind,
                    seed: seed.unwrap_or_else(|| match spec.kind.is_seeded() {
                        true => any_seed(),
                        false => 0,
                    }),
                    drawn: spec.kind.is_seeded() && seed.is_none(),
                }
            }
            (None, Some(from), _) => Wanted::Replay {
                from: from.clone(),
                replay: Box::new(read(from)?),
            },
            (None, None, Some(option)) => Wanted::Explore(option),
            (None, None, None) => return alone(args).map(|()| None),
        };
        refuse(args, &wanted)?;
        let default = match &wanted {
            Wanted::Explore(_) => MAX_EXPLORED_POINTS,
            _ => u64::MAX,
        };
        Ok(Some(ScheduleOptions {
            points: match typed.preempt {
                None => Points::Atomics,
                Some(Preempt::Accesses) => Points::Accesses,
                Some(Preempt::Loops) => Points::Loops,
            },
            max_points: typed.max_points.unwrap_or(default),
            save,
            verify: typed.verify,
            show: typed.show.map(usize::from),
            allowed: typed.schedule_allow.clone(),
            start: typed.schedule_start.unwrap_or(START),
            early: typed.schedule_early.map(nanos),
            shared: typed.explore_shared,
            races: RacesPlan::of(typed)?,
            job: typed.explore_job,
            job_folders: typed.explore_folders.clone(),
            wanted,
        }))
    }
}

fn read(from: &Path) -> Result<Replay> {
    let cannot = |why: &dyn std::fmt::Display| {
        Message::failure(format!("`{}` cannot be replayed", from.display())).why(why)
    };
    let file = std::fs::File::open(from).map_err(|error| cannot(&error))?;
    Replay::read(std::io::BufReader::new(file)).map_err(|error| cannot(&error))
}

/// Whether races are looked for of threads that run at once.
fn runs_at_once(typed: &ScheduleArgs) -> bool {
    typed.races.as_ref().is_some_and(|races| races.parallel)
}

/// Refuses options that need a schedule.
fn alone(args: &RunArgs) -> Result<()> {
    let typed = &args.schedule;
    if runs_at_once(typed) && !args.preload.is_empty() {
        let what = "`--races` and `--preload` do not go together";
        return Err(Message::usage(what).why("a library does not tell of its accesses"));
    }
    for (given, option) in [
        (typed.save.is_some(), "--save"),
        (typed.verify, "--verify"),
        (typed.show.is_some(), "--show"),
        (typed.explore_shared, "--explore-shared"),
        (!typed.schedule_allow.is_empty(), "--schedule-allow"),
        (typed.schedule_start.is_some(), "--schedule-start"),
        (typed.schedule_early.is_some(), "--schedule-early"),
        (typed.max_points.is_some(), "--max-points"),
        (typed.preempt.is_some(), "--preempt"),
    ] {
        if given {
            return Err(Message::usage(format!("`{option}` needs a schedule"))
                .why("it applies only to runs whose threads take turns")
                .help("give `--schedule`, `--replay` or `--explore` with it"));
        }
    }
    Ok(())
}

/// Refuses options that do not work with a schedule.
fn refuse(args: &RunArgs, wanted: &Wanted) -> Result<()> {
    let common: &CommonOptions = &args.common;
    let option = wanted.option();
    let sockets = "the data from a socket differs from run to run";
    let fuel = "threads draw fuel in slices, whose ends would become part of the order";
    let sockets_pass = args
        .schedule
        .schedule_allow
        .iter()
        .any(|name| name == "socket");
    let alone = option == "--schedule" && !args.schedule.verify;
    for (given, other, why) in [
        (
            !args.preload.is_empty(),
            "--preload",
            "each library would count points of its own",
        ),
        (
            !common.wasi.tcplisten.is_empty() && !sockets_pass,
            "-S tcplisten",
            sockets,
        ),
        (
            listenfd::is_asked(args) && !sockets_pass,
            "-S listenfd",
            sockets,
        ),
        (common.wasm.fuel.is_some(), "-W fuel", fuel),
        (
            args.schedule.explore_shared && alone,
            "--explore-shared",
            "a single run always writes to the folders themselves",
        ),
        (
            args.schedule.verify && option == "--explore",
            "--verify",
            "it repeats a single run",
        ),
        (
            args.schedule.verify && args.schedule.show.is_some(),
            "--show",
            "`--verify` makes two runs",
        ),
        (
            args.schedule.races.is_some() && option == "--explore",
            "--races",
            "races are looked for in a single run: give `--schedule` with its seed, or `--replay` with its file",
        ),
        (
            runs_at_once(&args.schedule),
            "--races=parallel",
            "the threads take turns, or run at once",
        ),
        (
            args.schedule.races.is_some() && args.schedule.show.is_some(),
            "--show",
            "only one of them can observe accesses",
        ),
        (
            args.schedule.races.is_some() && args.schedule.verify,
            "--races",
            "`--verify` makes the run twice",
        ),
        (
            args.schedule.save.is_some() && option == "--replay",
            "--save",
            "the replayed run is in a file already",
        ),
        (
            args.schedule.schedule_early.is_some() && option == "--replay",
            "--schedule-early",
            "the file says which timeouts come early",
        ),
    ] {
        if given {
            let what = format!("`{option}` and `{other}` do not go together");
            return Err(Message::new(Exit::Usage, what).why(why));
        }
    }
    Ok(())
}

/// As virtual time counts it; what does not fit is as good as no bound.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A random seed, for when none was given.
fn any_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library's keys are random numbers of the system. Six digits are easy to type.
    RandomState::new().hash_one(std::process::id()) % 1_000_000
}
