//! What the tests do with a target.

use std::fmt::Write as _;
use std::time::Duration;

use fuzzing::driver::{self, Finding};
use fuzzing::{Target, plant};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}: not {text}")),
    )
}

/// How long a planted fault is looked for at most, which takes no time if a seed shows it.
const LONG: Duration = Duration::from_secs(60);

fn shown(finding: &Finding) -> String {
    let hex = finding.input.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("{}\nof the input {hex}", finding.said)
}

pub(crate) fn finds_nothing(target: Target) {
    let chance = number("FUZZ_CHANCE").unwrap_or_else(|| u64::from(std::process::id()));
    let seconds = number("FUZZ_SECONDS").unwrap_or(2);
    match driver::run(target, chance, Duration::from_secs(seconds)) {
        Ok(count) => eprintln!("{}: {count} inputs in {seconds} s", target.name),
        Err(finding) => panic!("{}, FUZZ_CHANCE={chance}: {}", target.name, shown(&finding)),
    }
}

pub(crate) fn finds_what_is_planted(target: Target) {
    let of_target = plant::PLANTED
        .iter()
        .filter(|fault| fault.target == target.name);
    let mut count = 0;
    for fault in of_target {
        let found = plant::with(fault.name, || driver::run(target, 1, LONG));
        assert!(
            found.is_err(),
            "{}: {} is not found: {}",
            fault.target,
            fault.name,
            fault.what
        );
        count += 1;
    }
    assert!(count >= 2, "{}: nothing is planted", target.name);
}
