//! How many mappings and how much address space the process may have, if the system says so in
//! `/proc`.

use std::sync::OnceLock;

/// Mappings a process may have; `None` where that is not limited or not known.
pub(crate) fn map_limit() -> Option<usize> {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    limit.trim().parse().ok()
}

/// Mappings this process has.
pub(crate) fn mapped() -> usize {
    let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
    maps.iter().filter(|byte| **byte == b'\n').count()
}

/// Whether a mapping may be refused for want of address space.
pub(crate) fn space_is_limited() -> bool {
    static LIMITED: OnceLock<bool> = OnceLock::new();
    *LIMITED.get_or_init(|| {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let strict = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
        limits_space(&limits) || strict.trim() == "2"
    })
}

/// Whether the text of `/proc/self/limits` limits the address space.
fn limits_space(limits: &str) -> bool {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max address space"))
        .and_then(|line| line.split_whitespace().next())
        .is_some_and(|soft| soft != "unlimited")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_has_mappings() {
        assert!(mapped() > 10);
        assert!(map_limit().is_some());
    }

    #[test]
    fn the_limit_of_the_address_space_is_read() {
        let text = |value: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max cpu time              unlimited            unlimited            seconds\n\
                 Max address space         {value}           unlimited            bytes\n"
            )
        };
        assert!(!limits_space(&text("unlimited ")));
        assert!(limits_space(&text("4194304000")));
        assert!(!limits_space(""));
    }
}
