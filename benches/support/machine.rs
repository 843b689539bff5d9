//! What the figures were taken on: a figure without its machine says nothing.

use std::fs::read_to_string;

/// One line: processor, cores, kernel, load, and how the figures were taken.
#[must_use]
pub fn describe(runs: usize) -> String {
    let processors = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("processor unknown", |(_, model)| model.trim());
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{model}, {cores} cores, Linux {}; load average after the run {}; median of {runs} interleaved runs.",
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown"),
    )
}
