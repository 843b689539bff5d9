//! Every function with arbitrary arguments in arbitrary memories: nothing panics, nothing waits on
//! after the signal, no errno is unknown, nothing outside the preopens or in a read-only one
//! changes.
//!
//! Programs come from `seeds.txt` and `corpus.txt`, from nothing, and from mutating kept programs.
//! A program is kept if a function answered in a way not seen before, alone or after the call
//! before it. A program that fails is printed as it would stand in the corpus.
//!
//! - `P1_FUZZ_SECONDS` says how long to go on (default: 3).
//! - `P1_FUZZ_SEED` says where to start (with several processes a seed does not repeat a run
//!   exactly).
//! - `P1_FUZZ_CORPUS` names another corpus.
//! - `P1_FUZZ_SAVE` names a file for a new one, made of what was kept (`scripts/p1-fuzz.sh`).
//!
//! The folders have FIFOs, links and devices, so this is for Unix.
#![cfg(unix)]

mod generate;
#[path = "../guest/mod.rs"]
mod guest;
mod hosts;
mod program;
mod run;

use fastrand::Rng;
use guest::FUNCTIONS;
use hosts::{KINDS, Kind};
use program::{Program, Step};
use run::{MANNERS, Manner, Outcome, run};
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Written by hand, then what was found.
const CORPUS: &str = concat!(include_str!("seeds.txt"), "\n", include_str!("corpus.txt"));
const SEEDS: &str = include_str!("seeds.txt");

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}: not {text}")),
    )
}

/// What has been seen: a function with its answer, and two such in a row.
#[derive(Default)]
struct Seen {
    answers: HashSet<Outcome>,
    pairs: HashSet<(Outcome, Outcome)>,
}

impl Seen {
    /// Whether something in here is new.
    fn add(&mut self, outcomes: &[Outcome]) -> bool {
        let before = (self.answers.len(), self.pairs.len());
        self.answers.extend(outcomes);
        self.pairs
            .extend(outcomes.windows(2).map(|two| (two[0], two[1])));
        before != (self.answers.len(), self.pairs.len())
    }
}

/// How long a program may wait before the signal ends it.
const PATIENCE: Duration = Duration::from_millis(4);

/// How a program has its memory, and on which host it runs.
type How = (Manner, Kind);

const PLAINLY: How = (Manner::Own, Kind::Plain);

fn must_run(program: &Program, how: How) -> Vec<Outcome> {
    must_run_with(program, how, PATIENCE)
}

fn must_run_with(program: &Program, how: How, patience: Duration) -> Vec<Outcome> {
    run(program, how.0, how.1, patience)
        .unwrap_or_else(|what| panic!("{what} ({how:?}):\n{program}"))
}

/// What all workers share.
struct Found {
    seen: Seen,
    kept: Vec<Program>,
    count: u64,
}

impl Found {
    fn next(&self, rng: &mut Rng) -> Program {
        if self.kept.is_empty() || rng.u8(..5) == 0 {
            return generate::random(rng);
        }
        let (one, other) = (rng.usize(..self.kept.len()), rng.usize(..self.kept.len()));
        generate::mutated(rng, &self.kept[one], &self.kept[other])
    }
}

/// Most of the time of a program is waiting, so there are more of them at once than processors.
const WORKERS: u64 = 6;

#[test]
fn arbitrary_programs() {
    let seconds = variable("P1_FUZZ_SECONDS").unwrap_or(3);
    let seed = variable("P1_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("P1_FUZZ_SEED={seed}");
    let corpus = match variable::<String>("P1_FUZZ_CORPUS") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => CORPUS.to_owned(),
    };
    let kept = program::parse(&corpus);
    let known = kept.len();
    let mut seen = Seen::default();
    let by_number = |i| {
        (
            MANNERS[i % MANNERS.len()],
            KINDS[i / MANNERS.len() % KINDS.len()],
        )
    };
    for (_, outcomes) in replay(&kept, by_number) {
        seen.add(&outcomes);
    }
    let found = Mutex::new(Found {
        seen,
        kept,
        count: 0,
    });
    let start = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let found = &found;
            scope.spawn(move || {
                let mut rng = Rng::with_seed(seed.wrapping_add(worker));
                while start.elapsed() < Duration::from_secs(seconds) {
                    let program = found.lock().unwrap().next(&mut rng);
                    let manner = MANNERS[rng.usize(..MANNERS.len())];
                    let kind = KINDS[rng.usize(..KINDS.len())];
                    let outcomes = must_run(&program, (manner, kind));
                    let mut found = found.lock().unwrap();
                    found.count += 1;
                    if found.seen.add(&outcomes) {
                        found.kept.push(program);
                    }
                }
            });
        }
    });
    let Found { seen, kept, count } = found.into_inner().unwrap();
    eprintln!(
        "{count} programs in {seconds} s; {} answers, {} pairs of them; {} programs kept, {known} of them known",
        seen.answers.len(),
        seen.pairs.len(),
        kept.len(),
    );
    if let Some(path) = variable::<String>("P1_FUZZ_SAVE") {
        std::fs::write(path, smallest(&kept)).unwrap();
    }
}

/// Runs every program once, `how` of its index; what came of each, in order.
fn replay(programs: &[Program], how: impl Fn(usize) -> How + Sync) -> Vec<(usize, Vec<Outcome>)> {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(program) = programs.get(i) else {
                        return;
                    };
                    let outcomes = must_run(program, how(i));
                    all.lock().unwrap().push((i, outcomes));
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    all.sort_unstable_by_key(|(i, _)| *i);
    all
}

/// The programs that are needed to see every answer (though not every pair), the short ones first.
/// Each is cut after the last call that adds something.
fn smallest(kept: &[Program]) -> String {
    let mut by_length = kept.to_vec();
    by_length.sort_by_key(|program| program.0.len());
    let mut seen = Seen::default();
    let mut corpus = String::from(
        "# Written by scripts/p1-fuzz.sh: programs that together have every function answer in every way seen so far.\n",
    );
    for (i, outcomes) in replay(&by_length, |_| PLAINLY) {
        let new = |outcome: &Outcome| seen.answers.insert(*outcome);
        let calls = outcomes.iter().map(new).collect::<Vec<_>>();
        let Some(last) = calls.iter().rposition(|new| *new) else {
            continue;
        };
        let mut left = last + 1;
        for step in &by_length[i].0 {
            if left == 0 {
                break;
            }
            left -= usize::from(matches!(step, Step::Call(..)));
            corpus += &format!("{step}\n");
        }
        corpus += "\n";
    }
    corpus
}

#[test]
fn every_function_succeeds_and_fails() {
    let mut seen = Seen::default();
    for program in program::parse(SEEDS) {
        seen.add(&must_run_with(&program, PLAINLY, Duration::from_secs(60)));
    }
    let odd = |(function, (_, params)): (usize, &(_, &str))| {
        Step::Call(function, vec![u64::MAX; params.len()])
    };
    for step in FUNCTIONS.iter().enumerate().map(odd) {
        seen.add(&must_run(&Program(vec![step]), PLAINLY));
    }
    let mut missing = Vec::new();
    for (function, (name, _)) in FUNCTIONS.iter().enumerate() {
        let answered = |how: fn(Option<u16>) -> bool| {
            let mut answers = seen.answers.iter();
            answers.any(|(f, errno)| *f == function && how(*errno))
        };
        if *name != "proc_exit" && !answered(|errno| errno == Some(0)) {
            missing.push(format!("{name} succeed"));
        }
        if *name != "sched_yield" && !answered(|errno| errno != Some(0)) {
            missing.push(format!("{name} fail"));
        }
    }
    assert!(missing.is_empty(), "nothing has {missing:?}");
}

#[test]
fn programs_survive_being_written_down() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..500 {
        let program = generate::random(&mut rng);
        assert_eq!(program::parse(&program.to_string()), [program]);
    }
}

/// What the checks are for they must find.
#[test]
fn a_change_outside_is_noticed() {
    run::spoilt().unwrap_err();
}
