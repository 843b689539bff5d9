//! The options of runs whose threads take turns.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use replay_threads::policy::{Kind, Spec};

use crate::args::date::parse_date;
use crate::args::races_args::{self, RacesOption};
use crate::args::values::parse_duration;

/// The options of `run` about schedules.
#[derive(Parser)]
pub(crate) struct ScheduleArgs {
    /// Runs one thread at a time, in an order that a policy and its seed decide: the same seed
    /// makes the same run.
    ///
    /// `random[:SEED]`, `pct:DEPTH[:SEED]`, `pos[:SEED]` or `round-robin[:BUDGET]`. Without SEED a
    /// random one is taken, and printed.
    #[arg(long, value_name = "POLICY", value_parser = parse_spec, conflicts_with_all = ["replay", "explore"])]
    pub(crate) schedule: Option<Spec>,

    /// Repeats the run of a file of `--save`; stops if the run differs.
    #[arg(long, value_name = "FILE", conflicts_with = "explore")]
    pub(crate) replay: Option<PathBuf>,

    /// Runs the program under N seeds, and reports the lowest that fails.
    ///
    /// `N[,policy=random|pct:DEPTH|pos][,seed=FIRST][,jobs=J][,all][,orders]`. `all` goes on after
    /// a failure, and reports each distinct one. `orders` counts in how many orders threads
    /// accessed the same memory. A failing run is minimised and saved. The policy is `pos` unless
    /// another is given.
    #[arg(long, value_name = "N[,...]", value_parser = parse_explore)]
    pub(crate) explore: Option<ExploreOption>,

    /// Lets the runs of `--explore`, `--verify` and `--replay` write to the folders themselves, and
    /// not to copies of them.
    #[arg(long)]
    pub(crate) explore_shared: bool,

    /// Lets a run with a schedule go on with something that may differ from run to run: `socket`,
    /// `fifo`, `device`, or an error such as `ENOSPC`.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = parse_allowed)]
    pub(crate) schedule_allow: Vec<String>,

    /// The time at which a run with a schedule begins: YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SSZ.
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub(crate) schedule_start: Option<u64>,

    /// Lets a timeout come early by at most this time, such as `10ms`; `0s`: never.
    ///
    /// A policy lets any timeout come early while other threads can run, as no clock bounds how
    /// slow they are. A test that gives another thread ten seconds then fails.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) schedule_early: Option<Duration>,

    /// Saves the run to this file, for `--replay` (default with `--explore`: the module's name,
    /// ending in .replay).
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,

    /// Runs a schedule twice, and compares the runs.
    #[arg(long)]
    pub(crate) verify: bool,

    /// Ends a run with a schedule when its threads have passed this many points.
    #[arg(long, value_name = "N", value_parser = parse_points)]
    pub(crate) max_points: Option<u64>,

    /// Where another thread may take over, besides atomics, waits, spawns and host calls.
    #[arg(long, value_name = "WHERE")]
    pub(crate) preempt: Option<Preempt>,

    /// Prints at the end of a run with a schedule which thread accessed what: the last N lines, and
    /// those around the last decision.
    #[arg(
        long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20",
        value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "explore"
    )]
    pub(crate) show: Option<u16>,
    /// Looks for data races, in a run whose threads take turns (by default of `random`), or with
    /// `parallel` run at once.
    ///
    /// `exit=N` (the status if races are told, 66), `suppress=FILE` (a list of races that are not
    /// told), `memory=MIB` (for what is kept of accesses, 1024), `no-default` (tells those of the C
    /// library and of Rust's that do no harm), `no-stacks` (no second run to find out where the
    /// earlier access was).
    #[arg(long, value_name = "OPTIONS", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = races_args::parse)]
    pub(crate) races: Option<RacesOption>,

    /// For the second run of a process that looks for races: the seed.
    #[arg(long, hide = true)]
    pub(crate) races_again: Option<u64>,

    /// For processes that this binary starts itself.
    #[arg(long, hide = true)]
    pub(crate) explore_job: Option<usize>,

    /// Where such a process has its copies of folders.
    #[arg(long, hide = true)]
    pub(crate) explore_folders: Option<PathBuf>,
}

/// A value of `--preempt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Preempt {
    /// At plain loads and stores.
    Accesses,
    /// At plain loads and stores, at entries of functions and at heads of loops.
    Loops,
}

/// The value of `--explore`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExploreOption {
    pub(crate) count: u64,
    pub(crate) policy: Kind,
    /// The first seed.
    pub(crate) first: u64,
    /// How many jobs run at once; by default as many as there are processors.
    pub(crate) jobs: Option<NonZeroUsize>,
    pub(crate) all: bool,
    /// Whether the orders of accesses are counted.
    pub(crate) orders: bool,
}

fn parse_spec(typed: &str) -> Result<Spec, String> {
    typed.parse().map_err(|error| format!("{error}"))
}

fn parse_allowed(typed: &str) -> Result<String, String> {
    let error = |name: &str| {
        let capital = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        name.len() > 1 && name.starts_with('E') && name.bytes().all(capital)
    };
    match ["socket", "fifo", "device"].contains(&typed) || error(typed) {
        true => Ok(typed.to_owned()),
        false => {
            Err("expected socket, fifo, device, or the name of an error, such as ENOSPC".into())
        }
    }
}

fn parse_points(typed: &str) -> Result<u64, String> {
    decimal(typed, "number of points").and_then(|points| match points {
        0 => Err("must be at least 1".into()),
        points => Ok(points),
    })
}

fn parse_explore(typed: &str) -> Result<ExploreOption, String> {
    let mut parts = typed.split(',');
    let mut option = ExploreOption {
        count: decimal(parts.next().unwrap_or_default(), "number of seeds")?,
        policy: Kind::Pos,
        first: 0,
        jobs: None,
        all: false,
        orders: false,
    };
    if option.count == 0 {
        return Err("at least one seed is explored".into());
    }
    let mut seen = Vec::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        if seen.contains(&name) {
            return Err(format!("`{name}` is given twice"));
        }
        seen.push(name);
        match (name, value) {
            ("all", None) => option.all = true,
            ("orders", None) => option.orders = true,
            ("policy", Some(value)) => option.policy = parse_kind(value)?,
            ("seed", Some(value)) => option.first = decimal(value, "seed")?,
            ("jobs", Some(value)) => {
                let jobs = decimal(value, "number of jobs")?;
                let jobs = usize::try_from(jobs).ok().filter(|jobs| *jobs <= 1024);
                let jobs = jobs.and_then(NonZeroUsize::new);
                option.jobs = Some(jobs.ok_or("there are 1 to 1024 jobs")?);
            }
            _ => {
                return Err(format!(
                    "`{part}` is unknown: expected policy=..., seed=..., jobs=..., all or orders"
                ));
            }
        }
    }
    Ok(option)
}

fn parse_kind(typed: &str) -> Result<Kind, String> {
    let spec = parse_spec(typed)?;
    match (spec.kind.is_seeded(), spec.seed) {
        (false, _) => Err(format!("`{typed}` has no seed to explore")),
        (true, Some(_)) => Err("give the first seed by seed=...".into()),
        (true, None) => Ok(spec.kind),
    }
}

fn decimal(typed: &str, what: &str) -> Result<u64, String> {
    let digits = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_digit());
    let number = typed.parse().ok().filter(|_| digits);
    number.ok_or_else(|| format!("`{typed}` is not a {what}: expected a decimal number of 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explorations() {
        let option = parse_explore("200").unwrap();
        assert_eq!((option.count, option.policy), (200, Kind::Pos));
        assert_eq!((option.first, option.jobs, option.all), (0, None, false));
        assert!(!option.orders && parse_explore("3,orders").unwrap().orders);
        let option = parse_explore("7,all,jobs=2,seed=18446744073709551615,policy=pct:3").unwrap();
        assert_eq!((option.count, option.policy), (7, Kind::Pct(3)));
        assert_eq!(option.jobs.map(NonZeroUsize::get), Some(2));
        assert_eq!((option.first, option.all), (u64::MAX, true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (typed, message) in [
            (
                "",
                "`` is not a number of seeds: expected a decimal number of 64 bits",
            ),
            ("0", "at least one seed is explored"),
            (
                "0x10",
                "`0x10` is not a number of seeds: expected a decimal number of 64 bits",
            ),
            (
                "5,all=1",
                "`all=1` is unknown: expected policy=..., seed=..., jobs=..., all or orders",
            ),
            (
                "5,",
                "`` is unknown: expected policy=..., seed=..., jobs=..., all or orders",
            ),
            ("5,seed=1,seed=2", "`seed` is given twice"),
            ("5,jobs=0", "there are 1 to 1024 jobs"),
            (
                "5,policy=round-robin",
                "`round-robin` has no seed to explore",
            ),
            ("5,policy=pos:3", "give the first seed by seed=..."),
            ("5,policy=pct", "pct needs a depth: `pct:3`"),
        ] {
            assert_eq!(parse_explore(typed).unwrap_err(), message, "{typed}");
        }
        assert!(
            ["socket", "ENOSPC", "E2BIG"]
                .iter()
                .all(|name| parse_allowed(name).is_ok())
        );
        assert!(
            ["", "E", "sockets", "enospc"]
                .iter()
                .all(|name| parse_allowed(name).is_err())
        );
        assert!(parse_points("0").is_err() && parse_points("1_000").is_err());
        assert_eq!(parse_points("1000"), Ok(1000));
    }
}
