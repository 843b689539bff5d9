//! Eleven programs that compute, side by side with native code and with Wasmtime 46 and 48.
//!
//! `cargo bench -p benches --bench compute` prints what one thread takes, and how the programs
//! scale to 8 threads. `BENCH_RUNS`, `BENCH_SCALE` and `BENCH_ONLY` as in `support/lib.rs`.

use std::io::Write as _;

use benches::computing::{self, Host, Hosts, PROGRAMS};
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
    writeln!(
        out,
        "| program | host | 1 | 2 | 4 | 8 |\n|---|---|---:|---:|---:|---:|"
    )?;
    for program in &programs {
        let mut walls: Vec<(Host, Vec<f64>)> = Vec::new();
        for threads in THREADS {
            writeln!(std::io::stderr(), "{}: {threads} threads", program.0)?;
            for (host, runs) in computing::measure(&hosts, &settings, *program, threads)? {
                let wall = computing::median(&runs, |run| run.wall).as_secs_f64();
                match walls.iter_mut().find(|(known, _)| *known == host) {
                    Some((_, walls)) => walls.push(wall),
                    None => walls.push((host, vec![wall])),
                }
            }
        }
        for (host, walls) in walls
            .iter()
            .filter(|(_, walls)| walls.len() == THREADS.len())
        {
            write!(out, "| {} | {} |", program.0, host.name())?;
            for wall in walls {
                write!(out, " {:.2} |", walls[0] / wall)?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}
