//! The value of `--profile`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wasi_threads::Termination;
use wasmtime::ProfilingStrategy;

use crate::args::values::parse_duration;
use crate::message::{Message, Result};

/// A value of `--profile`.
#[derive(Debug)]
pub(crate) enum Profiling {
    /// Compiled code is announced to a profiler of the system.
    Code(ProfilingStrategy),
    /// The guest's threads are sampled.
    Threads(ThreadProfile),
}

impl Profiling {
    /// The file, if this process writes one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Profiling::Code(_) => None,
            Profiling::Threads(profile) => Some(&profile.file),
        }
    }

    /// How to sample the guest's threads, if that is wanted.
    pub(crate) fn of_threads(self) -> Option<ThreadProfile> {
        match self {
            Profiling::Code(_) => None,
            Profiling::Threads(profile) => Some(profile),
        }
    }
}

/// What profile of the guest's threads to make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ThreadProfile {
    pub(crate) format: ProfileFormat,
    /// Where it goes.
    pub(crate) file: PathBuf,
    /// The processor time between two samples of a thread.
    pub(crate) interval: Duration,
}

/// The format of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProfileFormat {
    /// For the Firefox Profiler.
    Firefox,
    /// A picture.
    Flamegraph,
}

/// The default interval. Kernels deliver 100 to 1,000 samples in a second.
const INTERVAL: Duration = Duration::from_millis(1);

/// Parses the value as typed.
pub(crate) fn parse(typed: &str) -> Result<Profiling> {
    Ok(Profiling::Code(match typed {
        "perfmap" => ProfilingStrategy::PerfMap,
        "jitdump" => ProfilingStrategy::JitDump,
        "vtune" => ProfilingStrategy::VTune,
        _ => return threads(typed).map(Profiling::Threads),
    }))
}

fn threads(typed: &str) -> Result<ThreadProfile> {
    let mut parts = typed.splitn(3, ',');
    let (format, file) = match parts.next() {
        Some("guest") => (ProfileFormat::Firefox, "guest-profile.json"),
        Some("flamegraph") => (ProfileFormat::Flamegraph, "guest-flamegraph.svg"),
        _ => {
            return Err(
                Message::usage(format!("`--profile {typed}` is unknown")).help(
                    "it is one of `guest[,FILE[,INTERVAL]]`, `flamegraph[,FILE[,INTERVAL]]`, `perfmap`, `jitdump` and `vtune`",
                ),
            );
        }
    };
    let refused =
        |why: &str| Message::usage(format!("`--profile {typed}` cannot work here")).why(why);
    if !cfg!(feature = "profile") {
        return Err(
            refused("this binary was built without the feature `profile`")
                .help("`--profile perfmap` or `jitdump`, with `perf record`, is there"),
        );
    }
    if !Termination::CAN_EXIT {
        return Err(refused(
            "threads are sampled on Linux on x86-64 and aarch64 only",
        ));
    }
    let file = match parts.next() {
        None | Some("") => Path::new(file),
        Some(file) => Path::new(file),
    };
    let interval = match parts.next().map(parse_duration) {
        None => INTERVAL,
        Some(Ok(interval)) if !interval.is_zero() => interval,
        Some(Ok(_)) => return Err(refused("the interval is not a duration")),
        Some(Err(error)) => {
            return Err(refused(&error).help("give the interval as `1ms` or `0.5s`"));
        }
    };
    Ok(ThreadProfile {
        format,
        file: file.to_owned(),
        interval,
    })
}

#[cfg(all(test, feature = "profile"))]
mod tests {
    use super::*;

    #[test]
    fn files_and_intervals() {
        if !Termination::CAN_EXIT {
            return;
        }
        use ProfileFormat::{Firefox, Flamegraph};
        for (typed, format, file, micros) in [
            ("guest", Firefox, "guest-profile.json", 1000),
            ("guest,a b", Firefox, "a b", 1000),
            ("guest,,10ms", Firefox, "guest-profile.json", 10_000),
            ("guest,-,500us", Firefox, "-", 500),
            ("flamegraph", Flamegraph, "guest-flamegraph.svg", 1000),
            ("flamegraph,x.svg,1s", Flamegraph, "x.svg", 1_000_000),
        ] {
            let parsed = threads(typed).unwrap_or_else(|message| panic!("{typed}: {message}"));
            let interval = Duration::from_micros(micros);
            let file = file.into();
            assert_eq!(
                parsed,
                ThreadProfile {
                    format,
                    file,
                    interval
                },
                "{typed}"
            );
        }
        for typed in [
            "guest,x,0s",
            "guest,x,soon",
            "guest,x,1ms,2",
            "nothing",
            "flame",
        ] {
            assert!(threads(typed).is_err(), "{typed}");
        }
    }
}
