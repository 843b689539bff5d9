//! Debuggers on guests. `scripts/setup.sh` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::emulated::left_out;
use integration_tests::{Program, has_rust_target, repository, rustc};

const SOURCE: &str = "tests/guests/rust/debugged.rs";

/// A program with all of its variables, compiled into `home`: another test may compile it at the
/// same time. `None` without a compiler for it.
fn guest(home: &Path) -> Option<PathBuf> {
    if !has_rust_target() {
        return None;
    }
    let guest = home.join("debugged.wasm");
    let compiled = rustc()
        .args(["--edition", "2024", "-g", "-o"])
        .arg(&guest)
        .arg(repository().join(SOURCE))
        .status();
    assert!(compiled.unwrap().success());
    Some(guest)
}

/// The line that the breakpoints are set at.
fn line() -> usize {
    let source = std::fs::read_to_string(repository().join(SOURCE)).unwrap();
    let at = source
        .lines()
        .position(|line| line.contains("A breakpoint"));
    at.unwrap() + 1
}

/// The first of these that is installed.
fn installed(names: &[&str]) -> String {
    let found = names.iter().find(|name| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    });
    let found = found.unwrap_or_else(|| panic!("none of {names:?}: run scripts/setup.sh"));
    (*found).to_owned()
}

/// The output of a debugger that runs `guest` by a script, with a cache of its own. `None` if no
/// process may be traced.
///
/// The last of `args` says that a script follows, and `program` says that the program follows.
fn debug(
    (debugger, args, program): (&str, &[&str], &str),
    script: &str,
    guest: &Path,
    home: &Path,
) -> Option<String> {
    let file = home.join("script");
    std::fs::write(&file, script).unwrap();
    let output = Command::new("timeout")
        .args(["120", debugger])
        .args(args)
        .arg(&file)
        .arg(program)
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .args(["-D", "debug-info", "-O", "opt-level=0"])
        .arg(guest)
        .env("XDG_CACHE_HOME", home)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if said.contains("Operation not permitted") {
        println!("no process may be traced here: {debugger} is left out");
        return None;
    }
    Some(said)
}

/// Each thread stops, under its name, with its own variables, and the program goes on.
fn check(said: &str, shown: impl Fn(u64) -> String) {
    for (name, worker) in [("wasi-1", 1), ("wasi-2", 2)] {
        assert!(said.contains(name), "{name}: {said}");
        assert!(
            said.contains(&format!("worker={worker}")),
            "{worker}: {said}"
        );
        let shown = shown(worker);
        assert!(said.contains(&shown), "{shown}: {said}");
    }
    assert!(said.contains("debugged::main::"), "the caller: {said}");
    assert!(said.contains("total 30"), "{said}");
}

/// No breakpoint is left in what other runs use.
fn runs_by_itself(guest: &Path, home: &Path) {
    let run = Program::new(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .env("XDG_CACHE_HOME", home)
        .args("-D debug-info -O opt-level=0")
        .arg(guest)
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "total 30\n");
}

#[test]
fn gdb_stops_in_both_threads() {
    if left_out("a debugger of the host sees the emulator") {
        return;
    }
    let gdb = installed(&["gdb"]);
    let home = tempfile::tempdir().unwrap();
    let Some(guest) = guest(home.path()) else {
        return;
    };
    let script = format!(
        "set pagination off\nset breakpoint pending on\nset language c\n\
         handle SIGSEGV nostop noprint pass\nbreak debugged.rs:{}\nrun\n\
         bt 3\nprint worker + 100\ncontinue\nbt 3\nprint worker + 100\ncontinue\n",
        line()
    );
    let gdb: (&str, &[&str], &str) = (&gdb, &["-q", "-batch", "-nx", "-x"], "--args");
    let Some(said) = debug(gdb, &script, &guest, home.path()) else {
        return;
    };
    // It does not look into the scope that `share` is in.
    check(&said, |worker| format!(" = {}\n", worker + 100));
    runs_by_itself(&guest, home.path());
}

#[test]
fn lldb_stops_in_both_threads() {
    if left_out("a debugger of the host sees the emulator") {
        return;
    }
    let names = ["lldb", "lldb-19", "lldb-18", "lldb-17"];
    let lldb = installed(&names);
    let home = tempfile::tempdir().unwrap();
    let Some(guest) = guest(home.path()) else {
        return;
    };
    // The breakpoint's own command is run for the thread that is at it. lldb may have selected
    // another one, which is at a breakpoint of lldb's own.
    let script = format!(
        "settings set plugin.jit-loader.gdb.enable on\n\
         process handle SIGSEGV -n false -s false -p true\n\
         breakpoint set -f debugged.rs -l {}\n\
         breakpoint command add -o 'frame variable' 1\n\
         run\nbt all\ncontinue\nbt all\ncontinue\n",
        line()
    );
    let lldb: (&str, &[&str], &str) = (&lldb, &["--batch", "-x", "-s"], "--");
    let Some(said) = debug(lldb, &script, &guest, home.path()) else {
        return;
    };
    check(&said, |worker| format!("share = {}\n", worker * 10));
    runs_by_itself(&guest, home.path());
}
