//! Suggestions for imports whose names are nearly right.

/// The prefixes of WASI functions in wasi-libc. If libc was not linked, they are imported by such
/// names.
const IN_C: [&str; 2] = ["__imported_wasi_snapshot_preview1_", "__wasi_"];

/// The function of `known` that an unknown import probably means, as module and name. Its name may
/// have other separators, it may be in another module, or the import may have a C library's prefix.
pub(crate) fn near<'a>(
    module: &str,
    name: &str,
    known: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<(&'a str, &'a str)> {
    let plain = |name: &str| {
        let name = IN_C
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
        name.replace(['-', '_'], "").to_ascii_lowercase()
    };
    let wanted = plain(name);
    let near = known.filter(|(_, name)| plain(name) == wanted);
    // Functions of the same module first.
    near.min_by_key(|(from, _)| (*from != module, *from))
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn other_separators_and_other_modules() {
        let known = || {
            [
                ("wasi_unstable", "fd_read"),
                ("wasi_snapshot_preview1", "fd_read"),
                ("wasi", "thread-spawn"),
            ]
            .into_iter()
        };
        let spawn = Some(("wasi", "thread-spawn"));
        assert_eq!(near("wasi", "thread_spawn", known()), spawn);
        assert_eq!(near("env", "threadSpawn", known()), spawn);
        assert_eq!(near("env", "__wasi_thread_spawn", known()), spawn);
        let read = Some(("wasi_snapshot_preview1", "fd_read"));
        assert_eq!(near("wasi_snapshot_preview1", "fd-read", known()), read);
        assert_eq!(near("env", "dance", known()), None);
    }
}
