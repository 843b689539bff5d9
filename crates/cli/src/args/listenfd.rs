//! `-S listenfd`. From version 50 on Wasmtime's library lacks this option, so it is taken out of
//! the command line before the library reads that.

use std::ffi::OsString;

use clap::Arg;
use wasmtime_cli_flags::opt::WasmtimeOptionValue;

use crate::args::run_args::RunArgs;
use crate::args::{Cli, Command, command};

/// The name of the option of `-S`.
const NAME: &str = "listenfd";

/// Whether the program gets the sockets that this process was started with.
pub(crate) fn is_asked(args: &RunArgs) -> bool {
    let typed = args.listenfd;
    // Or in a file of `--config`.
    #[cfg(not(wasmtime_50))]
    let typed = typed.or(args.common.wasi.listenfd);
    args.legacy.listenfd() || typed == Some(true)
}

/// Stores in `cli` what [`take_from`] found.
pub(crate) fn note(cli: &mut Cli, listenfd: Option<bool>) {
    match &mut cli.command {
        None => cli.run.listenfd = listenfd,
        Some(Command::Run(args)) => args.listenfd = listenfd,
        Some(_) => {}
    }
}

/// Takes it out of a command line, whose first word is the program's name. Returns the value that
/// was typed last. An option with an invalid value stays in the line.
pub(crate) fn take_from(line: &mut Vec<OsString>) -> Option<bool> {
    // The option is rare, and making the command takes long.
    if !line
        .iter()
        .any(|word| word.to_string_lossy().contains(NAME))
    {
        return None;
    }
    let mut of = command();
    let mut at = 1;
    let typed = line.get(at).and_then(|word| word.to_str());
    if let Some(subcommand) = typed.and_then(|word| of.find_subcommand(word)) {
        of = subcommand.clone();
        at += 1;
    }
    let mut found = None;
    // Up to the module: the arguments behind it are the program's.
    while let Some(word) = line.get(at).and_then(|word| word.to_str()) {
        let Some(Value {
            is_wasi,
            from,
            ends,
        }) = value_in(word, &of)
        else {
            break;
        };
        let (holds, from) = if ends { (at, from) } else { (at + 1, 0) };
        let next = holds + 1;
        let text = line.get(holds).and_then(|word| word.to_str());
        let Some((before, list)) = text.and_then(|text| text.split_at_checked(from)) else {
            break;
        };
        at = next;
        if is_wasi && let Some((rest, value)) = without(list) {
            found = Some(value);
            if rest.is_empty() {
                let option = if ends { holds } else { holds - 1 };
                line.drain(option..next);
                at = option;
            } else {
                line[holds] = format!("{before}{rest}").into();
            }
        }
    }
    found
}

/// Where the value of an option is.
struct Value {
    is_wasi: bool,
    /// Where in the word the value begins.
    from: usize,
    /// Whether the option ends with this word; otherwise the next word is its value.
    ends: bool,
}

/// Where the value of `word` is, if that is an option of `of`.
fn value_in(word: &str, of: &clap::Command) -> Option<Value> {
    let takes = |arg: Option<&Arg>| arg.is_some_and(|arg| arg.get_action().takes_values());
    let apart = |arg: Option<&Arg>| takes(arg) && !arg.is_some_and(Arg::is_require_equals_set);
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or_default();
        if name.is_empty() {
            return None;
        }
        let arg = of.get_arguments().find(|arg| arg.get_long() == Some(name));
        let has_value = long.len() > name.len();
        return Some(Value {
            is_wasi: name == "wasi",
            from: (name.len() + 3).min(word.len()),
            ends: has_value || !apart(arg),
        });
    }
    let letters = word
        .strip_prefix('-')
        .filter(|letters| !letters.is_empty())?;
    for (place, letter) in letters.char_indices() {
        let arg = of
            .get_arguments()
            .find(|arg| arg.get_short() == Some(letter));
        if takes(arg) {
            let rest = &letters[place + letter.len_utf8()..];
            let value = rest.strip_prefix('=').unwrap_or(rest);
            return Some(Value {
                is_wasi: letter == 'S',
                from: word.len() - value.len(),
                ends: !rest.is_empty(),
            });
        }
    }
    Some(Value {
        is_wasi: false,
        from: word.len(),
        ends: true,
    })
}

/// A list of `-S` without the option, and its last value; `None` if the option is not in the list.
fn without(list: &str) -> Option<(String, bool)> {
    let mut last = None;
    let mut rest = Vec::new();
    for option in list.split(',') {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        match bool::parse(value) {
            Ok(value) if name == NAME => last = Some(value),
            _ => rest.push(option),
        }
    }
    last.map(|value| (rest.join(","), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(line: &str) -> (String, Option<bool>) {
        let mut words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        let found = take_from(&mut words);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        (words.join(" "), found)
    }

    #[test]
    fn it_is_taken_wherever_options_are() {
        for (line, rest, found) in [
            ("x -S listenfd m", "x m", true),
            ("x -Slistenfd m", "x m", true),
            ("x -S=listenfd m", "x m", true),
            ("x --wasi listenfd m", "x m", true),
            ("x --wasi=listenfd=n m", "x m", false),
            ("x run -S listenfd=y m", "x run m", true),
            ("x -S cli,listenfd,threads m", "x -S cli,threads m", true),
            ("x -Scli,listenfd m", "x -Scli m", true),
            ("x --wasi=listenfd,cli m", "x --wasi=cli m", true),
            ("x -S listenfd -S listenfd=n m", "x m", false),
            (
                "x --dir . --stats -S listenfd m",
                "x --dir . --stats m",
                true,
            ),
            (
                "x --env listenfd -S listenfd -- m",
                "x --env listenfd -- m",
                true,
            ),
        ] {
            assert_eq!(taken(line), (rest.to_owned(), Some(found)), "{line}");
        }
    }

    #[test]
    fn what_is_not_it_stays() {
        for line in [
            "x m -S listenfd",
            "x -- m -S listenfd",
            "x - -S listenfd",
            "x run m -S listenfd",
            "x --env listenfd m",
            "x -W listenfd m",
            "x --dir -S listenfd",
            "x -S listenfds m",
            "x -S listenfd=maybe m",
            "x -S",
            "x --wasi",
            "x --listenfd m",
            "x -Wtimeout=1s m listenfd",
        ] {
            assert_eq!(taken(line), (line.to_owned(), None), "{line}");
        }
    }
}
