//! One run whose threads take turns: what decides, what is kept of it, and what came of it.

use std::sync::Arc;

use p1_adapter::P1CtxBuilder;
use replay_threads::file::{End, Header, Replay};
use replay_threads::keyed::{Decision, Divergence, Recorder, Recording, Replayed, Replayer};
use replay_threads::policy::{EarlyAtMost, Kind};
use wasi_threads::schedule::Scheduled;
use wasi_threads_p1::replay::{World, schedule};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

use crate::args::values::DirOption;
use crate::message::exit::Exit;
use crate::message::{Message, Result, say, warn};
use crate::module::source::Loaded;
use crate::output::Output;
use crate::report::backtraces::Backtraces;
use crate::run::plan::Plan;
use crate::run::races::{RaceWatch, WatchedPolicy};
use crate::run::schedule::accesses::Accesses;
use crate::run::schedule::allowed::Allowed;
use crate::run::schedule::{command, digests};
use crate::run::schedule_options::{RacesPlan, ScheduleOptions, Wanted};

/// What decides which thread is next.
pub(crate) enum Decides {
    Policy(Kind),
    /// These decisions, and nothing else.
    Strictly(Vec<Decision>),
    /// Those of them that can be made.
    Leniently(Vec<Decision>),
}

impl Decides {
    /// What decides, if nothing else is said.
    pub(crate) fn of(wanted: &Wanted) -> Self {
        match wanted {
            Wanted::Policy { kind, .. } => Decides::Policy(*kind),
            Wanted::Replay { replay, .. } => Decides::Strictly(replay.decisions.clone()),
            Wanted::Explore(option) => Decides::Policy(option.policy),
        }
    }
}

/// One run.
pub(crate) struct Session {
    scheduled: Option<Scheduled>,
    handle: wasi_threads::schedule::ScheduleHandle,
    seed: u64,
    kept: Kept,
    /// What the program finds on standard input, if that is not this process's.
    input: Option<Vec<u8>>,
    accesses: Option<Arc<Accesses>>,
    /// The program's folders, if they are not the plan's.
    folders: Option<Vec<DirOption>>,
    start: u64,
    allowed: Allowed,
    races: Option<Arc<RaceWatch>>,
    /// Whether what the program writes goes nowhere.
    silent: bool,
}

enum Kept {
    Recording(Recording),
    Replayed(Replayed),
}

/// What came of it.
pub(crate) struct Summary {
    /// The decisions that made it; `None` if there were too many to be kept.
    pub(crate) decisions: Option<Vec<Decision>>,
    /// A hash of the turn's moves.
    pub(crate) moves: u64,
    /// The points of all threads when the turn last moved.
    pub(crate) points: u64,
    pub(crate) divergence: Option<Divergence>,
}

impl Session {
    /// A run that is about to be made.
    pub(crate) fn new(decides: Decides, seed: u64, options: &ScheduleOptions) -> Self {
        Self::watched(decides, seed, options, None)
    }

    /// The same, looked at for races.
    fn watched(
        decides: Decides,
        seed: u64,
        options: &ScheduleOptions,
        races: Option<Arc<RaceWatch>>,
    ) -> Self {
        let (policy, kept): (Box<dyn replay_threads::Policy>, _) = match decides {
            Decides::Policy(kind) => {
                let (recorder, recording) = Recorder::new(kind.build(seed));
                (Box::new(recorder), Kept::Recording(recording))
            }
            Decides::Strictly(decisions) => {
                let (replayer, replayed) = Replayer::strict(decisions);
                (Box::new(replayer), Kept::Replayed(replayed))
            }
            Decides::Leniently(decisions) => {
                let (replayer, replayed) = Replayer::lenient(decisions);
                (Box::new(replayer), Kept::Replayed(replayed))
            }
        };
        let policy = match options.early {
            None => policy,
            Some(most) => Box::new(EarlyAtMost::new(policy, most)),
        };
        let policy = match &races {
            None => policy,
            Some(watch) => Box::new(WatchedPolicy {
                policy,
                watch: Arc::clone(watch),
            }),
        };
        let mut scheduled = schedule(policy)
            .start_time(options.start)
            .max_points(options.max_points);
        if let Some(watch) = &races {
            scheduled = scheduled.observe_accesses(Arc::clone(watch) as _);
        }
        let handle = scheduled.handle();
        Session {
            scheduled: Some(scheduled),
            handle,
            seed,
            kept,
            input: None,
            accesses: None,
            folders: None,
            start: options.start,
            allowed: Allowed::new(&options.allowed),
            races,
            silent: false,
        }
    }

    /// The run that the options ask for.
    pub(crate) fn of(options: &ScheduleOptions, races: Option<Arc<RaceWatch>>) -> Self {
        let seed = options.wanted.seed();
        let decides = Decides::of(&options.wanted);
        let mut session = Self::watched(decides, seed, options, races);
        if options.races.as_ref().is_some_and(RacesPlan::is_again) {
            session.silent = true;
            session.input = Some(Vec::new());
        }
        if options.show.is_some() {
            session.keep_accesses(&Arc::new(Accesses::history()));
        }
        session
    }

    /// The schedule, for the group: once.
    pub(crate) fn take(&mut self) -> Option<Scheduled> {
        self.scheduled.take()
    }

    /// Keeps accesses, of a program that tells of them. Must be called before the schedule is
    /// [taken](Self::take).
    pub(crate) fn keep_accesses(&mut self, accesses: &Arc<Accesses>) {
        self.accesses = Some(Arc::clone(accesses));
        let scheduled = self.scheduled.take();
        self.scheduled =
            scheduled.map(|scheduled| scheduled.observe_accesses(Arc::clone(accesses) as _));
    }

    /// The virtual time, which moves as points are passed.
    pub(crate) fn clock(&self) -> impl Fn() -> u64 + Send + 'static {
        let handle = self.handle.clone();
        move || handle.now()
    }

    /// Has the program find this on standard input.
    pub(crate) fn set_input(&mut self, input: Vec<u8>) {
        self.input = Some(input);
    }

    /// Has the program find these folders, and not the plan's.
    pub(crate) fn set_folders(&mut self, folders: Vec<DirOption>) {
        self.folders = Some(folders);
    }

    /// The program's folders, if they are not the plan's.
    pub(crate) fn folders(&self) -> Option<&[DirOption]> {
        self.folders.as_deref()
    }

    /// Whether what the program writes goes nowhere.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// The seed of what is random.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether standard input is not this process's.
    pub(crate) fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// Gives the program a world that is the same each time.
    pub(crate) fn give_world(&self, builder: &mut P1CtxBuilder) {
        let allowed = self.allowed.clone();
        World::new(self.seed)
            .start(self.start)
            .let_pass(move |what| allowed.passes(what.name()))
            .give(builder, &self.handle);
        if let Some(races) = self.races.clone() {
            builder.on_memory_use(move |used| {
                races.host(None, used);
            });
        }
        // Without any, it is at its end.
        if let Some(input) = self.input.as_ref().filter(|input| !input.is_empty()) {
            builder.stdin(MemoryInputPipe::new(input.clone()));
        }
    }

    /// The conflicting accesses at the end of the run, and around its last decision, where they are
    /// kept.
    pub(crate) fn interleaving(&self, most: usize, backtraces: &Backtraces) -> Vec<String> {
        let decisions = self.summary().decisions.unwrap_or_default();
        let accesses = self.accesses.as_ref();
        accesses.map_or(Vec::new(), |accesses| {
            accesses.around(&decisions, most, backtraces)
        })
    }

    /// The first difference from the file, if there is one.
    pub(crate) fn divergence(&self) -> Option<Divergence> {
        match &self.kept {
            Kept::Recording(_) => None,
            Kept::Replayed(replayed) => replayed.divergence(),
        }
    }

    /// What came of it, after its end.
    pub(crate) fn summary(&self) -> Summary {
        match &self.kept {
            Kept::Recording(recording) => Summary {
                decisions: recording.decisions(),
                moves: recording.moves(),
                points: recording.moved_at(),
                divergence: None,
            },
            Kept::Replayed(replayed) => Summary {
                decisions: Some(replayed.met()),
                moves: replayed.moves(),
                points: replayed.moved_at(),
                divergence: replayed.at_end(),
            },
        }
    }
}

/// What a run depends on.
///
/// # Errors
///
/// A module that is compiled already, a folder that cannot be read.
pub(crate) fn header(
    plan: &Plan,
    options: &ScheduleOptions,
    schedule: String,
    main: &Loaded,
) -> Result<Header> {
    let Loaded::Wasm(bytes) = main else {
        let what = format!("{} is compiled already", plan.module.display());
        return Err(Message::failure(what).why("a replay file is about a module as it was built"));
    };
    let tool = concat!("wasi-threads-run ", env!("CARGO_PKG_VERSION"));
    let mut header = Header::new(tool, schedule);
    let points = format!("{:?}", (options.points, options.start, &options.allowed));
    let env = plan
        .env
        .iter()
        .flat_map(|(name, value)| [name.as_str(), value]);
    for (name, digest) in [
        ("module", digests::of_bytes(bytes)),
        (
            "options",
            digests::of_options(plan, &points, options.max_points),
        ),
        (
            "arguments",
            digests::of_texts(plan.argv.iter().map(String::as_str)),
        ),
        ("environment", digests::of_texts(env)),
        ("folders", digests::of_folders(&plan.dirs)?),
        ("input", digests::of_input(plan)?),
    ] {
        header.hashes.insert(name.to_owned(), digest);
    }
    Ok(header)
}

/// Prints the notes before a run, and checks whether the run can be the requested one.
///
/// # Errors
///
/// A replay of something else.
pub(crate) fn before(
    plan: &Plan,
    options: &ScheduleOptions,
    main: &Loaded,
) -> Result<Option<Header>> {
    match &options.wanted {
        Wanted::Policy { kind, seed, drawn } => {
            let spec = kind.with_seed(*seed).to_string();
            if *drawn {
                say(format_args!("note: the schedule is {spec}"));
            }
            let kept = options.save.is_some();
            kept.then(|| header(plan, options, spec, main)).transpose()
        }
        Wanted::Explore(_) => Ok(None),
        Wanted::Replay { from, replay } => {
            let now = header(plan, options, replay.header.schedule.clone(), main)?;
            let other = replay.header.differences(&now);
            if other.is_empty() {
                return Ok(None);
            }
            let what = format!("`{}` is of another run", from.display());
            Err(Message::new(Exit::Diverged, what)
                .why(format!("what differs: {}", other.join(", ")))
                .help("give what was given when it was saved: its last line said the command"))
        }
    }
}

/// Prints the notes after a run, saves the run if asked to, and returns the status.
pub(crate) fn after(
    (plan, options): (&Plan, &ScheduleOptions),
    summary: Summary,
    (header, save): (Option<Header>, Option<&Output>),
    (outcome, exit): (String, Exit),
) -> Exit {
    // Ends that come from outside are no differences.
    let from_outside = ["timed out", "cancelled"].contains(&outcome.as_str());
    if from_outside || exit == Exit::NotReproducible {
        return exit;
    }
    if let Wanted::Replay { replay, .. } = &options.wanted {
        let expected = &replay.end;
        let same = (summary.moves, summary.points) == (expected.trace, expected.points)
            && exit.status() == expected.status;
        let divergence = summary.divergence.or_else(|| {
            (!same).then(|| Divergence {
                decision: replay.decisions.len() + 1,
                expected: format!(
                    "status {}, the last move of the turn after {} points (trace {:016x})",
                    expected.status, expected.points, expected.trace
                ),
                found: format!(
                    "status {}, the last move of the turn after {} points (trace {:016x})",
                    exit.status(),
                    summary.points,
                    summary.moves
                ),
            })
        });
        if let Some(divergence) = divergence {
            if exit != Exit::Diverged {
                say(Message::new(Exit::Diverged, divergence.to_string()));
            }
            return Exit::Diverged;
        }
    }
    if let (Some(header), Some(save)) = (header, save) {
        let Some(decisions) = summary.decisions else {
            let most = replay_threads::keyed::MOST_DECISIONS;
            warn(
                "the run is not saved",
                &format_args!("it has more than {most} decisions"),
            );
            return exit;
        };
        let end = End::new(outcome, exit.status(), summary.points, summary.moves);
        let replay = Replay::new(header, decisions, end);
        match save.write(|to| replay.write(to)) {
            Ok(()) => say(format_args!(
                "replay: {}",
                command::replay(plan, save.name())
            )),
            Err(error) => warn(format_args!("{} cannot be written", save.name()), &error),
        }
    }
    exit
}
