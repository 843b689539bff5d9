//! The eleven programs that compute (`benches/computing`): how they are built, run, and compared.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::guests::root;
use crate::usage::{self, Usage};
use crate::{Failure, Settings};

/// Each program, and how many of its tasks take about a second natively.
pub const PROGRAMS: [(&str, u32); 11] = [
    ("ray", 240),
    ("sort", 100),
    ("matrix", 80),
    ("deflate", 24),
    ("hash", 80),
    ("nbody", 150),
    ("json", 80),
    ("btree", 24),
    ("regex", 40),
    ("alloc", 40),
    ("calls", 30),
];

/// What runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The system itself.
    Native,
    /// `wasi-threads-run`, with its defaults.
    Ours,
    /// Another build of it (`OTHER`).
    Other,
    /// Wasmtime 46's command with wasi-threads.
    Wasmtime46,
    /// Wasmtime 48's command, without threads.
    Wasmtime48,
}

impl Host {
    /// Its name in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Ours => "ours",
            Self::Other => "other",
            Self::Wasmtime46 => "wasmtime 46",
            Self::Wasmtime48 => "wasmtime 48",
        }
    }
}

/// The programs and what runs them.
#[derive(Debug)]
pub struct Hosts {
    built: PathBuf,
    ours: PathBuf,
    other: Option<PathBuf>,
    wasmtime46: Option<PathBuf>,
    wasmtime48: Option<PathBuf>,
}

impl Hosts {
    /// Builds the programs; finds our binary (`OURS`), another build of it (`OTHER`), and the
    /// commands of Wasmtime (`WASMTIME46`, `WASMTIME48`, or what `scripts/peers.sh` installed).
    ///
    /// # Errors
    ///
    /// When cargo cannot build a program, or our binary is missing.
    pub fn find() -> Result<Self, Failure> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let installed = |name: &str, version: &str| {
            let command = root().join("target/peers").join(version).join("wasmtime");
            path(name).or_else(|| command.is_file().then_some(command))
        };
        let ours = path("OURS").unwrap_or_else(|| root().join("target/release/wasi-threads-run"));
        if !ours.is_file() {
            return Err(format!("{} is missing: build it first", ours.display()).into());
        }
        Ok(Self {
            built: build()?,
            ours,
            other: path("OTHER"),
            wasmtime46: installed("WASMTIME46", "46"),
            wasmtime48: installed("WASMTIME48", "48"),
        })
    }

    /// The runners that are installed and can run a program on so many threads.
    #[must_use]
    pub fn present(&self, threads: u32) -> Vec<Host> {
        let mut hosts = vec![Host::Native, Host::Ours];
        if self.other.is_some() {
            hosts.push(Host::Other);
        }
        if self.wasmtime46.is_some() {
            hosts.push(Host::Wasmtime46);
        }
        if self.wasmtime48.is_some() && threads == 1 {
            hosts.push(Host::Wasmtime48);
        }
        hosts
    }

    /// The command that runs a program.
    fn command(&self, host: Host, program: &str, threads: u32, tasks: u32) -> Command {
        let module = |target: &str| self.built.join(target).join("release/computing.wasm");
        let mut command = match host {
            Host::Native => Command::new(self.built.join("release/computing")),
            Host::Ours | Host::Other => {
                let other = self.other.as_ref().filter(|_| host == Host::Other);
                let mut command = Command::new(other.unwrap_or(&self.ours));
                command.arg(module("wasm32-wasip1-threads"));
                command
            }
            Host::Wasmtime46 => {
                let mut command = Command::new(self.wasmtime46.as_deref().unwrap_or(Path::new("")));
                command
                    .args(["run", "-C", "cache=y", "-W", "threads=y,shared-memory=y"])
                    .args(["-S", "threads=y"])
                    .arg(module("wasm32-wasip1-threads"));
                command
            }
            Host::Wasmtime48 => {
                let mut command = Command::new(self.wasmtime48.as_deref().unwrap_or(Path::new("")));
                command
                    .args(["run", "-C", "cache=y"])
                    .arg(module("wasm32-wasip1"));
                command
            }
        };
        command
            .arg(program)
            .arg(threads.to_string())
            .arg(tasks.to_string());
        command
    }
}

/// Builds the package natively and for both targets; the folder of what was built.
fn build() -> Result<PathBuf, Failure> {
    let package = root().join("benches/computing");
    let built = root().join("target/computing");
    for target in [None, Some("wasm32-wasip1-threads"), Some("wasm32-wasip1")] {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(&package)
            .args(["build", "--release", "--locked", "--target-dir"])
            .arg(&built)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTFLAGS");
        if let Some(target) = target {
            // Blocks of 128 bits: what people turn on who compute.
            cargo
                .args(["--target", target])
                .env("RUSTFLAGS", "-Ctarget-feature=+simd128");
        }
        let status = cargo
            .status()
            .map_err(|error| format!("{cargo:?}: {error}"))?;
        if !status.success() {
            let needed = "it needs `rustup target add wasm32-wasip1 wasm32-wasip1-threads`";
            return Err(format!("{cargo:?}: {status}; {needed}").into());
        }
    }
    Ok(built)
}

/// What each host took for one program on so many threads: the runs, in order.
pub type Runs = Vec<(Host, Vec<Usage>)>;

/// Runs a program on every host in turn, `settings.runs` times after one run that is not counted.
///
/// # Errors
///
/// When a run fails, or its check value is not that of native code.
pub fn measure(
    hosts: &Hosts,
    settings: &Settings,
    (program, tasks): (&str, u32),
    threads: u32,
) -> Result<Runs, Failure> {
    let tasks = ((f64::from(tasks) * settings.scale) as u32).max(1);
    let mut runs: Runs = hosts
        .present(threads)
        .into_iter()
        .map(|host| (host, vec![]))
        .collect();
    let mut check: Option<String> = None;
    for round in 0..=settings.runs {
        for (host, taken) in &mut runs {
            let usage = usage::run(&mut hosts.command(*host, program, threads, tasks))?;
            let value = usage.said.split_whitespace().last().map(str::to_owned);
            if value.is_none()
                || *check.get_or_insert_with(|| value.clone().unwrap()) != value.unwrap()
            {
                return Err(format!("{program}: {} computes something else", host.name()).into());
            }
            if round > 0 {
                taken.push(usage);
            }
        }
    }
    Ok(runs)
}

/// The median of what `of` says of the runs.
#[must_use]
pub fn median<V: Copy + Ord>(runs: &[Usage], of: impl Fn(&Usage) -> V) -> V {
    let mut values: Vec<V> = runs.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// One thread: processor time, wall time and memory of each host, as Markdown.
#[must_use]
pub fn table(results: &[(&str, Runs)]) -> String {
    let hosts: Vec<Host> = results[0].1.iter().map(|(host, _)| *host).collect();
    let mut text = String::from("| program |");
    for host in &hosts {
        let name = host.name();
        let _ = write!(text, " {name}: processor ms | wall ms | peak MiB |");
    }
    for host in hosts.iter().filter(|host| **host != Host::Ours) {
        let _ = write!(text, " ours / {} |", host.name());
    }
    let columns = text.matches('|').count() - 1;
    let _ = write!(text, "\n|---|{}\n", "---:|".repeat(columns - 1));
    let mut ratios = vec![Vec::new(); hosts.len()];
    for (program, runs) in results {
        let _ = write!(text, "| {program} |");
        for (_, taken) in runs {
            let processor = median(taken, |one| one.processor);
            let wall = median(taken, |one| one.wall);
            let peak = median(taken, |one| one.peak) as f64 / f64::from(1 << 20);
            let _ = write!(
                text,
                " {} | {} | {peak:.1} |",
                millis(processor),
                millis(wall)
            );
        }
        for (at, (host, taken)) in runs.iter().enumerate() {
            if *host != Host::Ours {
                let ratio = ratio(&runs[1].1, taken);
                ratios[at].push(ratio);
                let _ = write!(text, " {ratio:.3} |");
            }
        }
        text.push('\n');
    }
    text += "| geometric mean |";
    text += &" |".repeat(3 * hosts.len());
    for of_host in ratios.iter().filter(|of_host| !of_host.is_empty()) {
        let mean = of_host.iter().map(|ratio| ratio.ln()).sum::<f64>() / of_host.len() as f64;
        let _ = write!(text, " {:.3} |", mean.exp());
    }
    text.push('\n');
    text
}

/// The median of the ratios of processor time, run by run: what disturbs one disturbs the other.
fn ratio(ours: &[Usage], other: &[Usage]) -> f64 {
    let mut ratios: Vec<f64> = ours
        .iter()
        .zip(other)
        .map(|(ours, other)| ours.processor.as_secs_f64() / other.processor.as_secs_f64())
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e3)
}
