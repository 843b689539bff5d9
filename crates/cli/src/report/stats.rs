//! `--stats`: the figures of a run, after it.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use wasi_threads::waits::WaitStatistics;
use wasi_threads::{SpawnError, SpawnFailures, ThreadCounts, ThreadGroup};

use crate::args::values::StatsFormat;
use crate::message::error_text::help;
use crate::message::wording::wasmtime_words;
use crate::message::{say, say_as_it_is};
use crate::report::totals::{Times, Totals};
use crate::sys::process;

/// The figures of one run.
pub(crate) struct Stats {
    /// The time from the start of loading to a module that can be run.
    pub(crate) prepared_in: Duration,
    /// The time from there to the end of the program and of its threads.
    pub(crate) ran_for: Duration,
}

/// The figures that only the group has.
#[derive(Default)]
pub(crate) struct GroupTotals {
    threads: ThreadCounts,
    waits: WaitStatistics,
    spawn_failures: SpawnFailures,
    /// The size in bytes of the memory that the threads shared, if there is one.
    shared_memory: Option<u64>,
}

impl GroupTotals {
    /// The figures of a group so far.
    pub(crate) fn of<T: Send + 'static>(group: &ThreadGroup<T>) -> Self {
        GroupTotals {
            threads: group.thread_counts(),
            waits: group.wait_statistics(),
            spawn_failures: group.spawn_failures(),
            shared_memory: group.memory().map(|memory| memory.data_size() as u64),
        }
    }
}

impl GroupTotals {
    /// Prints on stderr why spawns failed, if the program cannot know, and the user did not ask for
    /// it by a limit.
    pub(crate) fn explain_spawns(&self) {
        let SpawnFailures { count, last, .. } = &self.spawn_failures;
        if let Some(why) = last.as_ref().and_then(explanation) {
            let s = if *count == 1 { "" } else { "s" };
            say(format_args!("note: {count} spawn{s} failed: {why}"));
        }
    }
}

fn explanation(failure: &SpawnError) -> Option<String> {
    match failure {
        // The end needs no explanation.
        SpawnError::Ended => None,
        // The user asked for these.
        SpawnError::Limit(_) | SpawnError::LimitEver(_) => None,
        SpawnError::NoEntryPoint => Some(format!(
            "{failure}: link it with `--export=wasi_thread_start`"
        )),
        SpawnError::HostThread(_) => Some(format!(
            "{failure}: see `ulimit -u`, and on Linux `sysctl kernel.pid_max` and pids.max of the control group"
        )),
        SpawnError::Instantiate(why) => Some(match wasmtime_words(why).and_then(help) {
            Some(help) => format!("{failure}: {help}"),
            None => failure.to_string(),
        }),
        other => Some(other.to_string()),
    }
}

impl Stats {
    /// Prints the figures on stderr.
    pub(crate) fn report(&self, totals: &GroupTotals, seen: &Totals, format: StatsFormat) {
        let ran_for = self.ran_for;
        let ThreadCounts { started, most, .. } = totals.threads;
        let waits = &totals.waits;
        let peak = process::peak_memory();
        match format {
            StatsFormat::Human => {
                let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
                let or_unknown = |bytes: Option<u64>| bytes.map_or("unknown".into(), mib);
                say(format_args!(
                    "time     {:.1?} to prepare, {ran_for:.1?} to run\n\
                     threads  {started} started, {} spawns failed, {most} at once at most\n\
                     spawns   {}\n\
                     waits    {} waited: {} woken, {} timed out, {} ended; {} found another value; {} notifies\n\
                     waiting  {}\n\
                     memory   {} shared, {} of this process at most{}",
                    self.prepared_in,
                    totals.spawn_failures.count,
                    times(&seen.spawns),
                    waits.queued,
                    waits.wakes,
                    waits.timeouts,
                    waits.ended,
                    waits.not_equal,
                    waits.notifies,
                    times(&seen.waits),
                    totals.shared_memory.map_or("nothing".into(), mib),
                    or_unknown(peak),
                    calls(seen),
                ));
            }
            StatsFormat::Json => say_as_it_is(json!({
                "prepare_seconds": self.prepared_in.as_secs_f64(),
                "run_seconds": ran_for.as_secs_f64(),
                "threads": {
                    "started": started,
                    "failed_spawns": totals.spawn_failures.count,
                    "most_at_once": most,
                },
                "waits": {
                    "waited": waits.queued,
                    "woken": waits.wakes,
                    "timed_out": waits.timeouts,
                    "ended": waits.ended,
                    "other_value": waits.not_equal,
                    "notifies": waits.notifies,
                    "seconds": seconds(seen.waits.total),
                    "longest_seconds": seconds(seen.waits.longest),
                },
                "spawns": {
                    "count": seen.spawns.count,
                    "seconds": seconds(seen.spawns.total),
                    "longest_seconds": seconds(seen.spawns.longest),
                },
                "host_calls": seen.calls.iter().map(|(name, calls)| ((*name).to_owned(), json!({
                    "calls": calls.times.count,
                    "failed": calls.failed,
                    "seconds": seconds(calls.times.total),
                    "longest_seconds": seconds(calls.times.longest),
                }))).collect::<serde_json::Map<_, _>>(),
                "shared_memory_bytes": totals.shared_memory,
                "peak_process_bytes": peak,
            })),
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A number of things and the time they took, for people.
fn times(times: &Times) -> String {
    let time = Duration::from_nanos;
    match times.count {
        0 => "none".into(),
        count => format!(
            "{:.1?} in all, {:.1?} each, {:.1?} at most",
            time(times.total),
            time(times.total / count),
            time(times.longest)
        ),
    }
}

/// A line for each function of WASI that was called, the slowest first.
fn calls(seen: &Totals) -> String {
    let mut calls: Vec<_> = seen.calls.iter().collect();
    calls.sort_by_key(|(_, calls)| u64::MAX - calls.times.total);
    let mut text = String::new();
    for (name, calls) in calls {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\ncalls    {} {name}, {} failed: {}",
            calls.times.count,
            calls.failed,
            times(&calls.times)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_nobody_asked_for_is_explained() {
        // Backticks alone, as in the names of limits, do not make it a limit.
        let refused = "Resource `temporarily` unavailable (os error 11)".to_owned();
        let said = explanation(&SpawnError::HostThread(refused)).unwrap_or_default();
        assert!(
            said.contains("pids.max") && said.contains("os error 11"),
            "{said}"
        );
        // The error names the limit if it was found before the system refused.
        let limit = "no address space (ulimit -v)".to_owned();
        let said = explanation(&SpawnError::NoCapacity(limit)).unwrap_or_default();
        assert!(said.ends_with("(ulimit -v)"), "{said}");
        assert_eq!(explanation(&SpawnError::Limit(10_500)), None);
        assert_eq!(explanation(&SpawnError::Ended), None);
    }
}
