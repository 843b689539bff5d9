//! Command lines that can be pasted.

use std::ffi::OsString;

use crate::run::plan::Plan;
use crate::sys::shell::quoted;

/// The options that say which run it is, and where it is kept.
const OF_SCHEDULES: [&str; 5] = [
    "--schedule",
    "--explore",
    "--save",
    "--replay",
    "--schedule-early",
];
/// Those without a value.
const ALONE: [&str; 2] = ["--verify", "--explore-shared"];

/// This command line, as a replay of `file`, which messages name so.
pub(crate) fn replay(plan: &Plan, file: &str) -> String {
    // What was typed before the module; the module and its arguments stay as they are.
    let typed: Vec<_> = std::env::args_os().collect();
    let file = file.trim_matches('`');
    let max_points = plan.schedule.as_ref().map(|options| options.max_points);
    let max_points = max_points.filter(|points| *points != u64::MAX);
    let line = rewritten(&typed, plan.typed_after, file, max_points);
    let quoted = line.iter().map(|arg| quoted(&arg.to_string_lossy()));
    quoted.collect::<Vec<_>>().join(" ")
}

/// The line with `--replay FILE` in place of what says which run it is. Its last `after` arguments
/// are the program's. `max_points` is not left to its default, which differs.
fn rewritten(
    typed: &[OsString],
    after: usize,
    file: &str,
    max_points: Option<u64>,
) -> Vec<OsString> {
    let options = typed.len().saturating_sub(after);
    let mut typed_options = typed.iter().take(options);
    let is_typed = typed_options.any(|arg| arg.to_string_lossy().starts_with("--max-points"));
    let mut line: Vec<OsString> = typed.iter().take(1).cloned().collect();
    let mut at = 1;
    if typed.get(1).is_some_and(|arg| arg == "run") && options > 1 {
        line.push("run".into());
        at = 2;
    }
    if let Some(points) = max_points.filter(|_| !is_typed) {
        line.push(format!("--max-points={points}").into());
    }
    line.extend(["--replay".into(), file.into()]);
    while at < options {
        let arg = typed[at].to_string_lossy();
        let name = arg.split_once('=').map_or(&*arg, |(name, _)| name);
        match (OF_SCHEDULES.contains(&name), ALONE.contains(&name)) {
            (true, _) => at += if arg.contains('=') { 1 } else { 2 },
            (_, true) => at += 1,
            _ => {
                line.push(typed[at].clone());
                at += 1;
            }
        }
    }
    line.extend(typed.iter().skip(options).cloned());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(line: &[OsString]) -> String {
        let line: Vec<_> = line.iter().map(|arg| arg.to_str().unwrap()).collect();
        line.join(" ")
    }

    /// Before `run` it was an option without its schedule, and the line was refused.
    #[test]
    fn the_bound_of_points_comes_behind_the_subcommand() {
        for (typed, after, line) in [
            (
                "w run --explore 5 a.wasm --max-points",
                2,
                "w run --max-points=9 --replay f a.wasm --max-points",
            ),
            (
                "w --explore 5 a.wasm",
                1,
                "w --max-points=9 --replay f a.wasm",
            ),
            (
                "w run --max-points 7 --explore 5 a.wasm",
                1,
                "w run --replay f --max-points 7 a.wasm",
            ),
        ] {
            let typed: Vec<_> = typed.split(' ').map(OsString::from).collect();
            assert_eq!(joined(&rewritten(&typed, after, "f", Some(9))), line);
        }
    }

    #[test]
    fn what_says_which_run_it_is_is_replaced() {
        for (typed, after, line) in [
            (
                "w --schedule pos a.wasm --save",
                2,
                "w --replay f a.wasm --save",
            ),
            (
                "w run --explore=5 --save x --dir . -- a.wasm",
                1,
                "w run --replay f --dir . -- a.wasm",
            ),
            (
                "w --verify --env A=1 --schedule=random:1 a",
                1,
                "w --replay f --env A=1 a",
            ),
            (
                "w --explore 5 --schedule-early 1s --schedule-start=2027-01-01 a",
                1,
                "w --replay f --schedule-start=2027-01-01 a",
            ),
        ] {
            let typed: Vec<_> = typed.split(' ').map(OsString::from).collect();
            let found = rewritten(&typed, after, "f", None);
            assert_eq!(joined(&found), line);
        }
    }
}
