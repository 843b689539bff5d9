//! Support for the benches: the same guest on every side, in one run.
//!
//! A bench is a list of [`rows`]. Each row is a guest program with its arguments. [`compare`] runs
//! it on each [`side`](sides) in turn, several times over, so that other work of the machine
//! affects all sides alike. It prints a Markdown table of medians and of ratios to native code
//! ([`markdown`]).
//!
//! The guest takes the time itself, and prints it with a check value, which must be the same on
//! every side. So a side that does less work than the others fails instead of looking fast
//! ([`sample`]).
//!
//! What can be set, all by environment variables:
//!
//! | variable | means | default |
//! |---|---|---|
//! | `BENCH_RUNS` | how often each side runs each row | 9 |
//! | `BENCH_SCALE` | factor on every row's number of operations | 1 |
//! | `BENCH_ONLY` | run only rows whose name contains this | all |
//! | `BENCH_DIR` | folder for the guests' files | the system's temporary folder |
//! | `OURS` | the binary to measure | `target/release/wasi-threads-run` |
//! | `OTHER` | another build of it, measured beside it: of another commit, C library or Wasmtime | unset |
//! | `PEERS` | folder of `peer46`, `p1-48` and `floor` | `benches/peers/target/release` |
//! | `BENCH_STRICT` | fail if a row is beyond its limit | only mark it |
//! | `WASMTIME46` | a `wasmtime` 46 command to use in place of `peer46` | unset |
//! | `WASMTIME48` | a `wasmtime` 48 command, which blocks too, if there is no `p1-48` | unset |
//!
//! A peer that is not there is left out, with a line saying so; native code and
//! the project's own binary must be there.

pub mod computing;
pub mod feed;
pub mod guests;
pub mod machine;
pub mod markdown;
pub mod rows;
pub mod sample;
pub mod sides;
pub mod usage;

use std::error::Error;
use std::io::Write as _;

use feed::Feed;
use guests::Guests;
use rows::Row;
use sample::Samples;
use sides::{Side, Sides};

/// What a bench ends with when it cannot be run.
pub type Failure = Box<dyn Error>;

/// What to run and how often, as the environment says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Runs of each side for each row; at least one.
    pub runs: usize,
    /// Factor on the number of operations.
    pub scale: f64,
    /// Only rows whose name contains this are run.
    pub only: Option<String>,
}

impl Settings {
    /// Reads `BENCH_RUNS`, `BENCH_SCALE` and `BENCH_ONLY`.
    ///
    /// # Errors
    ///
    /// When one of them is set to something that is not a number above zero.
    pub fn from_env() -> Result<Self, Failure> {
        let number = |name: &str, default: f64| match std::env::var(name) {
            Err(_) => Ok(default),
            Ok(text) => match text.parse() {
                Ok(value) if value > 0.0 => Ok(value),
                _ => Err(Failure::from(format!(
                    "{name}={text}: not a number above zero"
                ))),
            },
        };
        Ok(Self {
            runs: (number("BENCH_RUNS", 9.0)? as usize).max(1),
            scale: number("BENCH_SCALE", 1.0)?,
            only: std::env::var("BENCH_ONLY").ok(),
        })
    }
}

/// The `main` of a bench: runs `rows` and prints their table to stdout; says on
/// stderr what it is doing.
///
/// Does nothing unless the command line has `--bench`, as `cargo bench` puts
/// there: `cargo test --all-targets` runs bench programs too, and must not take
/// minutes.
///
/// # Errors
///
/// When a guest does not compile, a side cannot be run, or the sides disagree.
pub fn main(title: &str, rows: &[Row]) -> Result<(), Failure> {
    if !std::env::args().any(|word| word == "--bench") {
        return writeln!(std::io::stdout(), "{title}: measured only by `cargo bench`")
            .map_err(Into::into);
    }
    let settings = Settings::from_env()?;
    let guests = Guests::build()?;
    let sides = Sides::find()?;
    let results = compare(rows, &guests, &sides, &settings)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "## {title}\n\n{}\n", machine::describe(settings.runs))?;
    write!(out, "{}", markdown::tables(&results))?;
    let beyond: Vec<String> = results
        .iter()
        .filter(|one| one.is_beyond())
        .map(|one| one.row.name())
        .collect();
    if !beyond.is_empty() {
        writeln!(out, "Beyond their limits: {}.\n", beyond.join(", "))?;
        if std::env::var_os("BENCH_STRICT").is_some() {
            return Err(format!("beyond their limits: {}", beyond.join(", ")).into());
        }
    }
    Ok(())
}

/// One row with what each side took.
#[derive(Debug)]
pub struct Compared<'a> {
    /// What was run.
    pub row: &'a Row,
    /// What it took, in the order of the row's sides; native code is first.
    pub sides: Vec<(Side, Samples)>,
    /// What an empty host function of the same signature took.
    pub floor: Option<Samples>,
}

impl Compared<'_> {
    /// The row's limit, in nanoseconds; `None` if it has none, or it is not known without the
    /// floor.
    #[must_use]
    pub fn limit(&self) -> Option<f64> {
        let (_, native) = self.sides.first()?;
        let floor = self.floor.as_ref().map(Samples::median);
        self.row.limit?.nanoseconds(native.median(), floor)
    }

    /// Whether the median of this project's runs is beyond the limit.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        let ours = self.sides.iter().find(|(side, _)| *side == Side::Ours);
        ours.zip(self.limit())
            .is_some_and(|((_, taken), limit)| taken.median() > limit)
    }
}

/// Runs every row that `settings` selects on every side that is there.
///
/// The sides take turns, and the one to begin changes from turn to turn.
///
/// # Errors
///
/// When a side fails, takes more than [`sample::LIMIT`], or reports another check
/// value than the first.
pub fn compare<'a>(
    rows: &'a [Row],
    guests: &Guests,
    sides: &Sides,
    settings: &Settings,
) -> Result<Vec<Compared<'a>>, Failure> {
    let dir = match std::env::var_os("BENCH_DIR") {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    let mut results = Vec::new();
    for row in rows {
        if settings
            .only
            .as_ref()
            .is_some_and(|part| !row.name().contains(part))
        {
            continue;
        }
        let mut present: Vec<Side> = row
            .kind
            .sides()
            .iter()
            .copied()
            .filter(|side| sides.has(*side))
            .collect();
        let floor = row.floor_arguments(settings.scale);
        let floor = floor.filter(|_| sides.has(Side::Floor));
        present.extend(floor.as_ref().map(|_| Side::Floor));
        let mut samples = vec![Samples::default(); present.len()];
        for run in 0..settings.runs {
            for turn in 0..present.len() {
                let at = (run + turn) % present.len();
                let side = present[at];
                let mut feed = match side {
                    Side::Floor => Feed::Nothing,
                    _ => Feed::of(row)?,
                };
                let mut command = sides.command(side, guests, row, &feed);
                match (&floor, side) {
                    (Some(arguments), Side::Floor) => command.args(arguments),
                    _ => command.args(row.arguments(settings.scale)),
                };
                command.args(feed.arguments(side)).current_dir(dir.path());
                samples[at].push(sample::run(command, &mut feed)?);
            }
        }
        for (side, taken) in present.iter().zip(&samples) {
            if taken.check() != samples[0].check() {
                return Err(format!(
                    "{}: {side} reports another result than native code",
                    row.name()
                )
                .into());
            }
        }
        let medians: Vec<String> = present
            .iter()
            .zip(&samples)
            .map(|(side, taken)| format!("{side} {:.0}", taken.median()))
            .collect();
        writeln!(
            std::io::stderr(),
            "{}: ns/op {}",
            row.name(),
            medians.join(", ")
        )?;
        let floor = floor.and_then(|_| samples.pop());
        results.push(Compared {
            row,
            sides: present.into_iter().zip(samples).collect(),
            floor,
        });
    }
    Ok(results)
}
