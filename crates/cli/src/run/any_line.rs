//! Any command line is either understood or refused. `fuzz/targets/command_lines.rs` and a test
//! call [`any_line`].

use std::ffi::OsString;
use std::time::Duration;

use clap::FromArgMatches;
use wasmtime::Engine;

use crate::args::{Cli, Command, command};
use crate::message::exit::Exit;
use crate::module::engine;
use crate::run::plan::Plan;
use crate::sys::files::argument;

/// The most arguments of a line.
const ARGUMENTS: usize = 60;

/// The arguments are separated by line ends.
///
/// `forgets_limit` and `takes_option` each plant a fault: the longer of two time limits counts; an
/// option behind the module is taken by the host.
///
/// # Panics
///
/// If the line is misunderstood.
pub(crate) fn any_line(data: &[u8], forgets_limit: bool, takes_option: bool) {
    let typed = data.split(|byte| *byte == b'\n').take(ARGUMENTS);
    let mut line = vec![OsString::from("wasi-threads-run")];
    line.extend(typed.map(argument));
    // These options read or make files in the current folder. A process has one log, and this one
    // has many command lines; a cache has a thread.
    if says(&line, &["config", "log", "cache"]) {
        return;
    }
    let parsed = command()
        .try_get_matches_from(&line)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "nothing is said");
            return;
        }
    };
    let mut args = match cli.command {
        None => cli.run,
        Some(Command::Run(run)) => *run,
        Some(_) => return,
    };
    args.common.debug.logging = Some(false);
    args.common.codegen.cache = Some(false);
    if engine::fill_in(&mut args.common).is_err() {
        return;
    }
    let module_and_args = args.module_and_args.clone();
    let named = args.argv0.is_some();
    let mut limits: Vec<Duration> = args.timeout.into_iter().collect();
    limits.extend(args.common.wasm.timeout);
    let max_threads = args.max_threads;
    let mut plan = match Plan::from_args(args) {
        Ok(plan) => plan,
        Err(message) => {
            assert!(
                matches!(message.exit(), Exit::Usage | Exit::Failure),
                "{message}"
            );
            assert!(message.to_string().starts_with("error: "), "{message}");
            return;
        }
    };
    if forgets_limit {
        plan.limits.timeout = limits.iter().max().copied();
    }
    if takes_option && plan.argv.iter().any(|arg| arg == "--dir") {
        plan.argv.retain(|arg| arg != "--dir");
    }
    // All arguments behind the module are the program's, as typed.
    let rest: Vec<_> = module_and_args[1..]
        .iter()
        .map(|arg| arg.to_str())
        .collect();
    let given: Vec<_> = plan.argv[1..]
        .iter()
        .map(|arg| Some(arg.as_str()))
        .collect();
    assert_eq!(given, rest, "the program's arguments");
    // `/` has no name but itself.
    let has_name = std::path::Path::new(&module_and_args[0])
        .file_name()
        .is_some();
    assert!(
        named || !has_name || !plan.argv[0].contains('/'),
        "{:?}",
        plan.argv
    );
    // A given limit is there. An option of an old version gives another one.
    if let Some(shortest) = limits.iter().min() {
        let counts = plan.limits.timeout.expect("a time limit was given");
        assert!(counts <= *shortest, "of {limits:?} counts {counts:?}");
    }
    assert_eq!(plan.limits.threads, max_threads, "the limit of threads");
    for (at, (name, _)) in plan.env.iter().enumerate() {
        let others = &plan.env[at + 1..];
        assert!(
            others.iter().all(|(other, _)| other != name),
            "{name} twice"
        );
    }
    // Options that contradict each other are an error. Two things are not tried: the pooling
    // allocator, which reserves what its options say, and profilers, which make files.
    if !says(&line, &["pooling", "profile", "native-unwind"]) {
        let _ = Engine::new(&plan.engine);
    }
}

/// Whether an argument contains one of `words`.
fn says(line: &[OsString], words: &[&str]) -> bool {
    line.iter().any(|arg| {
        let text = arg.to_string_lossy();
        words.iter().any(|word| text.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::any_line;

    /// The files of a folder.
    fn files(folder: &Path) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(folder).expect("a folder");
        let read = |file: std::io::Result<std::fs::DirEntry>| std::fs::read(file?.path());
        files.map(|file| read(file).expect("a file")).collect()
    }

    /// The seeds of the fuzz target.
    fn seeds() -> Vec<Vec<u8>> {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/command_lines"))
    }

    /// The seeds, and what is in `$FUZZ_CORPUS/command_lines`, if the variable is set.
    #[test]
    fn lines_that_were_found() {
        let mut lines = seeds();
        assert!(!lines.is_empty());
        if let Some(corpora) = std::env::var_os("FUZZ_CORPUS") {
            let found = Path::new(&corpora).join("command_lines");
            if found.is_dir() {
                lines.extend(files(&found));
            }
        }
        for line in &lines {
            any_line(line, false, false);
        }
    }

    #[test]
    fn pieces_of_command_lines() {
        let seeds = seeds();
        let args: Vec<&[u8]> = seeds
            .iter()
            .flat_map(|seed| seed.split(|byte| *byte == b'\n'))
            .collect();
        // A repeatable source of choices.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % limit as u64) as usize
        };
        for _ in 0..1500 {
            let mut line = Vec::new();
            for _ in 0..=below(8) {
                line.extend(args[below(args.len())]);
                if below(8) > 0 {
                    line.push(b'\n');
                }
            }
            if below(4) == 0 && !line.is_empty() {
                let at = below(line.len());
                line[at] = below(256) as u8;
            }
            line.extend(b"\nx.wasm");
            any_line(&line, false, false);
        }
    }

    #[test]
    fn planted_faults_are_found() {
        for (forgets, takes) in [(true, false), (false, true)] {
            let found = |seed: &Vec<u8>| {
                std::panic::catch_unwind(|| any_line(seed, forgets, takes)).is_err()
            };
            assert!(seeds().iter().any(found), "{forgets} {takes}");
        }
    }
}
