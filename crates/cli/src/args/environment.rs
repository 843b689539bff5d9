//! Options from environment variables, as `wasmtime` reads them from version 50 on.
//!
//! `WASMTIME_WASM=a,b=c` means `-W a,b=c`, and `WASMTIME_WASM_MAX_MEMORY_SIZE=65536` means
//! `-W max-memory-size=65536`; the same for each group of options. Typed options override
//! variables, and variables override the file of `--config`. A variable that names no option is
//! ignored.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::args::{command, listenfd};
use crate::message::{Message, Result};

/// Whether the library of options reads the variables itself.
pub(crate) const LIBRARY_READS_VARIABLES: bool = cfg!(wasmtime_50);

/// The groups: the variable that holds options of the group, separated by commas, and the option it
/// stands for.
const GROUPS: [(&str, &str); 6] = [
    ("WASMTIME_OPTIMIZE", "-O"),
    ("WASMTIME_CODEGEN", "-C"),
    ("WASMTIME_DEBUG", "-D"),
    ("WASMTIME_WASM", "-W"),
    ("WASMTIME_WASI", "-S"),
    ("WASMTIME_RECORD", "-R"),
];

/// Options whose names begin with this have no variables of their own: they are the compiler's, of
/// which there is no list.
const NAMED_FREELY: &str = "cranelift-";

/// The command line `line`, with the options of `variables` before the typed ones.
///
/// # Errors
///
/// A variable whose value the option does not take, or that is not text.
pub(crate) fn with_variables(
    mut line: Vec<OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<OsString>> {
    let at = match line.get(1).and_then(|word| word.to_str()) {
        Some("run" | "compile") => 2,
        Some("inspect" | "completion" | "man" | "help" | "--help" | "-h" | "--version" | "-V") => {
            return Ok(line);
        }
        _ => 1,
    };
    if line.len() < at {
        return Ok(line);
    }
    // Sorted, so that the order is always the same.
    let variables: BTreeMap<String, OsString> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("WASMTIME_"))
        .collect();
    let mut said = Vec::new();
    for (group, option) in GROUPS {
        for (name, value) in &variables {
            let Some(rest) = name.strip_prefix(group) else {
                continue;
            };
            let value = value
                .to_str()
                .ok_or_else(|| wrong(name, "it is not UTF-8"))?;
            let Some(typed) = as_typed(rest, value) else {
                continue;
            };
            match check(option, &typed) {
                Ok(()) => said.extend([option.into(), typed.into()]),
                Err(error) if error.is_unknown && !rest.is_empty() => {}
                Err(error) => return Err(wrong(name, error.text)),
            }
        }
    }
    line.splice(at..at, said);
    Ok(line)
}

/// The text on the command line for the variable with `rest` behind its group's name; `None` if
/// there is no such option.
fn as_typed(rest: &str, value: &str) -> Option<String> {
    if rest.is_empty() {
        return Some(value.to_owned());
    }
    let name = rest.strip_prefix('_')?;
    if name.is_empty() || name.contains(|c: char| c.is_ascii_lowercase() || c == '-') {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('_', "-");
    (!name.starts_with(NAMED_FREELY)).then(|| format!("{name}={value}"))
}

/// Why a text cannot be an option's value.
struct CannotBe {
    is_unknown: bool,
    text: String,
}

/// Whether `option` takes `typed`.
fn check(option: &str, typed: &str) -> std::result::Result<(), CannotBe> {
    let name = typed.split('=').next().unwrap_or_default();
    // On the command line, these print a list and end the process.
    let refused = match typed {
        "help" | "help-long" => format!("unknown {option} option: {typed}"),
        _ => {
            let mut line = ["wasi-threads-run", option, typed, "-"]
                .map(OsString::from)
                .into();
            let _ = listenfd::take_from(&mut line);
            match command().try_get_matches_from(line) {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            }
        }
    };
    let line = refused.lines().next().unwrap_or_default();
    let text = line.strip_prefix("error: ").unwrap_or(line).to_owned();
    Err(CannotBe {
        is_unknown: text.contains("unknown ") && text.ends_with(&format!(": {name}")),
        text,
    })
}

fn wrong(name: &str, why: impl std::fmt::Display) -> Message {
    Message::usage(format!("the environment variable `{name}` cannot be used"))
        .why(why)
        .help("unset it, or see `-W help` and the like for the options")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(typed: &str, variables: &[(&str, &str)]) -> Result<String> {
        let typed = typed.split_whitespace().map(OsString::from).collect();
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let line = with_variables(typed, variables)?;
        let line: Vec<_> = line.iter().map(|word| word.to_str().unwrap()).collect();
        Ok(line.join(" "))
    }

    #[test]
    fn variables_come_before_what_is_typed() {
        let variables = [
            ("WASMTIME_WASM", "bulk-memory=n,max-memory-size=65536"),
            ("WASMTIME_WASM_TIMEOUT", "1s"),
            ("WASMTIME_OPTIMIZE_OPT_LEVEL", "0"),
        ];
        let said = "-O opt-level=0 -W bulk-memory=n,max-memory-size=65536 -W timeout=1s";
        for (typed, wanted) in [
            ("x -W timeout=2s m", format!("x {said} -W timeout=2s m")),
            ("x run m", format!("x run {said} m")),
            ("x compile m", format!("x compile {said} m")),
            ("x inspect m", "x inspect m".to_owned()),
            ("x --version", "x --version".to_owned()),
            ("x", format!("x {said}")),
        ] {
            assert_eq!(line(typed, &variables).unwrap(), wanted);
        }
    }

    #[test]
    fn what_names_no_option_is_left_alone() {
        let variables = [
            ("WASMTIME_LOG", "trace"),
            ("WASMTIME_BACKTRACE_DETAILS", "1"),
            ("WASMTIME_WASM_NO_SUCH", "1"),
            ("WASMTIME_WASMTIME", "1"),
            ("WASMTIME_WASM_timeout", "1s"),
            ("WASMTIME_CODEGEN_CRANELIFT_X", "1"),
            ("WASMTIME_WASM_", "1"),
            ("wasmtime_wasm", "1"),
        ];
        assert_eq!(line("x m", &variables).unwrap(), "x m");
    }

    #[test]
    fn what_cannot_be_is_an_error_that_names_the_variable() {
        for (name, value) in [
            ("WASMTIME_WASM_TIMEOUT", "soon"),
            ("WASMTIME_WASM", "timeout=soon"),
            ("WASMTIME_WASM", "no-such"),
            ("WASMTIME_WASM", "help"),
            ("WASMTIME_WASM_TIMEOUT", "1s,no-such"),
            ("WASMTIME_WASI", ""),
        ] {
            let Err(message) = line("x m", &[(name, value)]) else {
                panic!("{name}={value} is taken")
            };
            assert!(message.to_string().contains(name), "{message}");
        }
    }
}
