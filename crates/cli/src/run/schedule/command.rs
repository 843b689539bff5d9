//! Command lines that can be pasted.

use std::ffi::OsString;

use crate::run::plan::Plan;

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
    let mut line = rewritten(&typed, plan.typed_after, file);
    // Not left to its default, which differs.
    if let Some(options) = &plan.schedule
        && options.max_points != u64::MAX
        && !typed
            .iter()
            .any(|arg| arg.to_string_lossy().starts_with("--max-points"))
    {
        line.insert(1, format!("--max-points={}", options.max_points).into());
    }
    let quoted = line.iter().map(|arg| quoted(&arg.to_string_lossy()));
    quoted.collect::<Vec<_>>().join(" ")
}

/// The line with `--replay FILE` in place of what says which run it is. Its last `after` arguments
/// are the program's.
fn rewritten(typed: &[OsString], after: usize, file: &str) -> Vec<OsString> {
    let options = typed.len().saturating_sub(after);
    let mut line: Vec<OsString> = typed.iter().take(1).cloned().collect();
    let mut at = 1;
    if typed.get(1).is_some_and(|arg| arg == "run") && options > 1 {
        line.push("run".into());
        at = 2;
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

/// As a shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let found = rewritten(&typed, after, "f");
            let found: Vec<_> = found.iter().map(|arg| arg.to_str().unwrap()).collect();
            assert_eq!(found.join(" "), line);
        }
        assert_eq!(quoted("a b'c"), r"'a b'\''c'");
        assert_eq!(quoted(""), "''");
    }
}
