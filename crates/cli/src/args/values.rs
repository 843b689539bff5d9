//! Values of options, from text.

use std::path::PathBuf;
use std::time::Duration;

use wasmtime_cli_flags::opt::WasmtimeOptionValue;

/// The format of `--stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StatsFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One line of JSON.
    Json,
}

/// A value of `--deadlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnDeadlock {
    /// Report it, with every thread's backtrace, and end with status 134.
    Report,
    /// Wait on.
    Off,
}

/// The largest thread id of wasi-threads, so also the most threads.
const MAX_THREAD_ID: u32 = (1 << 29) - 1;

/// One `--dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirOption {
    pub(crate) host: String,
    pub(crate) guest: String,
    pub(crate) read_only: bool,
}

pub(crate) fn parse_dir(typed: &str) -> Result<DirOption, String> {
    let mut parts = typed.split("::");
    let host = parts.next().unwrap_or_default();
    let guest = parts.next().unwrap_or(host);
    let read_only = match parts.next() {
        None | Some("rw") => false,
        Some("ro") => true,
        Some(other) => {
            return Err(format!(
                "the third part says how the folder may be used, `ro` or `rw`, not `{other}`"
            ));
        }
    };
    if parts.next().is_some() {
        return Err("expected at most three parts: HOST::GUEST::ro".into());
    }
    if host.is_empty() || guest.is_empty() {
        return Err("a folder's name is empty".into());
    }
    Ok(DirOption {
        host: host.into(),
        guest: guest.into(),
        read_only,
    })
}

pub(crate) fn parse_env(typed: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match typed.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (typed, None),
    };
    if name.is_empty() {
        return Err("the variable's name is empty".into());
    }
    Ok((name.to_owned(), value))
}

pub(crate) fn parse_preload(typed: &str) -> Result<(String, PathBuf), String> {
    match typed.split_once('=') {
        Some((name, path)) if !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("expected NAME=MODULE".into()),
    }
}

/// A value as `-W` and the like take it: numbers may contain `_` and be hexadecimal.
pub(crate) fn number<V: WasmtimeOptionValue>(typed: &str) -> Result<V, String> {
    V::parse(Some(typed)).map_err(|error| error.to_string())
}

pub(crate) fn parse_max_threads(typed: &str) -> Result<u32, String> {
    match number(typed)? {
        threads @ 0..=MAX_THREAD_ID => Ok(threads),
        _ => Err(format!("wasi-threads has {MAX_THREAD_ID} thread ids")),
    }
}

pub(crate) fn parse_duration(typed: &str) -> Result<Duration, String> {
    // The same as `-W timeout` takes.
    Duration::parse(Some(typed)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number("0x100000"), Ok(1usize << 20));
        assert_eq!(number("1_000_000"), Ok(1_000_000usize));
        assert!(number::<usize>("1k").is_err());
        assert_eq!(parse_max_threads("0x10"), Ok(16));
        assert!(parse_max_threads("536870912").is_err());
        assert!(parse_max_threads("x").is_err_and(|why| why.contains("digit")));
    }

    #[test]
    fn dirs() {
        let dir = |host: &str, guest: &str, read_only| {
            Ok(DirOption {
                host: host.into(),
                guest: guest.into(),
                read_only,
            })
        };
        assert_eq!(parse_dir("."), dir(".", ".", false));
        assert_eq!(parse_dir("/a/b::/data"), dir("/a/b", "/data", false));
        assert_eq!(parse_dir("a::/::ro"), dir("a", "/", true));
        assert_eq!(parse_dir("a::/::rw"), dir("a", "/", false));
        assert!(parse_dir("a::/::readonly").is_err());
        assert!(parse_dir("a::b::ro::c").is_err());
        assert!(parse_dir("::b").is_err());
        assert!(parse_dir("a::").is_err());
    }

    #[test]
    fn preload() {
        assert_eq!(parse_preload("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_preload("a").is_err());
        assert!(parse_preload("a=").is_err());
    }

    #[test]
    fn env() {
        assert_eq!(parse_env("A=b=c"), Ok(("A".into(), Some("b=c".into()))));
        assert_eq!(parse_env("A="), Ok(("A".into(), Some(String::new()))));
        assert_eq!(parse_env("A"), Ok(("A".into(), None)));
        assert!(parse_env("=b").is_err());
    }
}
