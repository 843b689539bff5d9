//! The profile as a picture: the width of a function is the processor time that was spent in it and
//! in the functions it called.

use std::collections::BTreeMap;
use std::io::{self, Write};

use inferno::flamegraph::{Options, from_lines};
use wasi_threads::Profile;

use crate::report::profile::named::{DEEPER, Named, called};
use crate::report::profile::rate;

/// Writes it as SVG. Threads with the same stacks are merged. Time without a processor is left out.
pub(super) fn write(
    out: &mut dyn Write,
    profile: &Profile,
    named: &Named,
    name: &str,
) -> io::Result<()> {
    let mut weights: BTreeMap<String, u64> = BTreeMap::new();
    let mut lines: BTreeMap<_, String> = BTreeMap::new();
    let samples = profile.threads.iter().flat_map(|thread| &thread.samples);
    for sample in samples.filter(|sample| sample.blocked.is_none()) {
        let activity = called(sample.activity);
        let line = lines
            .entry((sample.stack, activity))
            .or_insert_with(|| line(profile, named, sample.stack, activity));
        *weights.entry(line.clone()).or_default() += u64::from(sample.weight);
    }
    if weights.is_empty() {
        weights.insert("(nothing was sampled)".to_owned(), 1);
    }
    let lines: Vec<_> = weights
        .iter()
        .map(|(stack, weight)| format!("{stack} {weight}"))
        .collect();
    let mut options = Options::default();
    options.title = format!("{}: processor time of {}", escaped(name), threads(profile));
    options.subtitle = Some(rate(profile));
    "ms".clone_into(&mut options.count_name);
    options.factor = profile.interval.as_secs_f64() * 1000.0;
    // No random colours: the same run looks the same.
    options.deterministic = true;
    from_lines(&mut options, lines.iter().map(String::as_str), out)
}

fn threads(profile: &Profile) -> String {
    match profile.threads.len() {
        1 => "one thread".to_owned(),
        threads => format!("{threads} threads"),
    }
}

/// The functions, the outermost first, with `;` between them.
fn line(profile: &Profile, named: &Named, stack: usize, activity: Option<&str>) -> String {
    let (cut, functions) = named.stack(profile, stack);
    let names = functions.map(|function| function.name.as_str());
    let names = cut
        .then_some(DEEPER)
        .into_iter()
        .chain(names)
        .chain(activity);
    let mut line = names.map(plain).collect::<Vec<_>>().join(";");
    if line.is_empty() {
        "(no frames)".clone_into(&mut line);
    }
    line
}

/// A name without characters that have a meaning in the format of lines, or that XML forbids.
fn plain(name: &str) -> String {
    let mut plain = escaped(name).replace(';', ":");
    // In that format, a number behind a space at the end is a weight, and a `#` at the beginning
    // starts a comment.
    if let Some(space) = plain.rfind(' ')
        && !plain[space + 1..].contains(|char: char| !char.is_ascii_digit() && char != '.')
    {
        plain.replace_range(space..=space, "_");
    }
    if plain.starts_with('#') {
        plain.insert(0, '_');
    }
    plain
}

/// An escaped name has no control characters. The ones replaced here are no characters at all.
fn escaped(name: &str) -> String {
    name.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_keep_to_themselves() {
        for (name, expected) in [
            ("core::ptr::drop", "core::ptr::drop"),
            ("a;b 7", "a:b_7"),
            ("a 1.5", "a_1.5"),
            ("a ", "a_"),
            ("# 7", "_#_7"),
            ("<T as U>::f", "<T as U>::f"),
            ("x\u{ffff}y", "x\u{fffd}y"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }
}
