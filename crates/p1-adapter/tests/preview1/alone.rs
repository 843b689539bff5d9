//! Tests in a process of their own.

/// Runs `body` in a process of its own, which runs the calling test and nothing else. It is for
/// tests about a whole process (its limits, the most memory it had). `name` is that test's, as the
/// test harness writes it.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    const MARK: &str = "P1_ADAPTER_ALONE";
    if std::env::var_os(MARK).is_some_and(|asked| asked == name) {
        return body();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failed}");
    assert!(said.contains("1 passed"), "no test {name}: {said}");
}

/// Lets this process open `more` descriptors beyond those it has, and no others. For [`alone`].
/// (Windows has no such limit.)
#[cfg(unix)]
pub(crate) fn allow_descriptors(more: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let is_open = |number: &u64| {
        let path = format!("/proc/self/fd/{number}");
        std::fs::symlink_metadata(path).is_ok()
    };
    // The limit is for numbers; the one after the last that may be given out.
    let refused = (0..).filter(|number| !is_open(number)).nth(more as usize);
    let limit = Rlimit {
        current: refused,
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}
