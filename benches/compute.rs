//! Eleven programs that compute, side by side with native code and with Wasmtime 46 and 48.
//!
//! `cargo bench -p benches --bench compute` prints what one thread takes, and how the programs
//! scale to 8 threads. `BENCH_RUNS`, `BENCH_SCALE` and `BENCH_ONLY` as in `support/lib.rs`.

use std::io::Write as _;

use benches::computing::{self, Hosts, PROGRAMS, Runs};
use benches::{Failure, Settings, machine};

/// Numbers of threads of the table on scaling.
const THREADS: [u32; 4] = [1, 2, 4, 8];

fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    if !std::env::args().any(|word| word == "--bench") {
        return writeln!(out, "Computing: measured only by `cargo bench`").map_err(Into::into);
    }
    let settings = Settings::from_env()?;
    let hosts = Hosts::find()?;
    let wanted = |name: &str| {
        settings
            .only
            .as_deref()
            .is_none_or(|part| name.contains(part))
    };
    let programs: Vec<_> = PROGRAMS
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .collect();
    let mut results = Vec::new();
    for program in &programs {
        writeln!(std::io::stderr(), "{}: one thread", program.0)?;
        results.push((
            program.0,
            computing::measure(&hosts, &settings, *program, 1)?,
        ));
    }
    if results.is_empty() {
        return Err("no program has such a name".into());
    }
    writeln!(
        out,
        "## Computing\n\n{}\n",
        machine::describe(settings.runs)
    )?;
    writeln!(out, "### One thread\n\n{}", computing::table(&results))?;

    writeln!(out, "### Throughput of several threads over that of one\n")?;
    write!(out, "| program | host |")?;
    for threads in THREADS {
        write!(out, " {threads} |")?;
    }
    writeln!(
        out,
        " peak MiB with the most |\n|---|---|{}",
        "---:|".repeat(THREADS.len() + 1)
    )?;
    for (program, (_, alone)) in programs.iter().zip(results) {
        let mut taken = vec![alone];
        for threads in &THREADS[1..] {
            writeln!(std::io::stderr(), "{}: {threads} threads", program.0)?;
            taken.push(computing::measure(&hosts, &settings, *program, *threads)?);
        }
        // The hosts that have threads: the others are not in the last list.
        for (host, most) in taken.last().into_iter().flatten() {
            write!(out, "| {} | {} |", program.0, host.name())?;
            let wall = |runs: &Runs| {
                let (_, runs) = runs.iter().find(|(known, _)| known == host)?;
                Some(computing::median(runs, |run| run.wall).as_secs_f64())
            };
            let walls: Vec<f64> = taken.iter().filter_map(wall).collect();
            for wall in &walls {
                write!(out, " {:.2} |", walls[0] / wall)?;
            }
            let peak = computing::median(most, |run| run.peak) as f64 / f64::from(1 << 20);
            writeln!(out, " {peak:.1} |")?;
        }
    }
    Ok(())
}
