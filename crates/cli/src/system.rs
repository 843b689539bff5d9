//! What this machine has room for.

/// Mappings one guest thread takes, times ten: 5,000 threads had 30,076.
const MAPPINGS_PER_10_THREADS: u64 = 61;

/// Mappings the rest of the process takes, with room to spare.
const OTHER_MAPPINGS: u64 = 1000;

/// What limits them, as sysctl(8) names it.
pub(crate) const LIMIT: &str = "vm.max_map_count";

/// How many threads fit into the mappings a process may have (Linux:
/// `vm.max_map_count`); `None` where there is no such limit, or none is known.
///
/// A thread beyond it could not be refused in good order: the Rust runtime aborts
/// the process when a thread that has started cannot map its signal stack.
pub(crate) fn most_threads() -> Option<u32> {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    Some(threads_in(limit.trim().parse().ok()?))
}

fn threads_in(mappings: u64) -> u32 {
    let threads =
        mappings.saturating_sub(OTHER_MAPPINGS).saturating_mul(10) / MAPPINGS_PER_10_THREADS;
    u32::try_from(threads).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::threads_in;

    #[test]
    fn the_default_of_linux_has_room_for_ten_thousand() {
        assert!((10_000..10_700).contains(&threads_in(65_530)));
        assert_eq!(threads_in(0), 1);
        assert_eq!(threads_in(u64::MAX), u32::MAX);
    }
}
