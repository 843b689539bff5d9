//! What is asked for as a file: `compile -o`, `--trace`, `--profile`, `-D coredump`. A name means
//! the same to all of them.
#![cfg(target_os = "linux")]

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{TRAP, program};

/// A folder with the modules that the commands take.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.wat"), TRAP).unwrap();
    folder
}

/// The commands that write to `output`, the status of each, and what is then in the output.
fn commands(output: &str) -> Vec<(String, i32, &'static [u8])> {
    let mut commands: Vec<(String, i32, &[u8])> = vec![
        (format!("compile -o {output} m.wat"), 0, b"\x7fELF"),
        (
            format!("--trace {output} m.wat"),
            134,
            b"{\"displayTimeUnit",
        ),
        (format!("-D coredump={output} m.wat"), 134, b"\0asm"),
    ];
    if cfg!(all(
        feature = "profile",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )) {
        let guest = format!("--profile guest,{output} m.wat");
        let picture = format!("--profile flamegraph,{output} m.wat");
        commands.push((guest, 134, b"{\""));
        commands.push((picture, 134, b"<?xml"));
    }
    commands
}

/// Runs a line of bash in `folder`, in which `$0` is the binary.
fn bash(folder: &Path, line: &str) -> Output {
    let output = Command::new("bash")
        .args(["-c", line])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .current_dir(folder)
        .output()
        .unwrap();
    integration_tests::recorded(line, output)
}

/// What is in the folder that was not asked for.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "tmp"))
        .collect()
}

/// As root, `compile -o /dev/stdout` once made the device a file, with status 0; `-` was a file's
/// name.
#[test]
fn a_descriptor_is_written_and_never_replaced() {
    let folder = folder();
    // What `/dev/stdout` is, where a failure of this test does no harm.
    let link = folder.path().join("stdout");
    symlink("/proc/self/fd/1", &link).unwrap();
    for name in ["-", "stdout", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        for (command, status, begin) in commands(name) {
            let run = bash(folder.path(), &format!("\"$0\" {command}"));
            assert_eq!(run.status.code(), Some(status), "{command}: {run:?}");
            assert!(run.stdout.starts_with(begin), "{command}: {run:?}");
            // To a file it goes on where the file's writer is.
            let line = format!("{{ echo first; \"$0\" {command}; echo last; }} > file; cat file");
            let run = bash(folder.path(), &line);
            assert!(run.stdout.starts_with(b"first\n"), "{command}: {run:?}");
            assert!(run.stdout[6..].starts_with(begin), "{command}: {run:?}");
            assert!(run.stdout.ends_with(b"last\n"), "{command}: {run:?}");
        }
    }
    for (command, _, begin) in commands("/dev/fd/7") {
        let run = bash(folder.path(), &format!("\"$0\" {command} 7>&1 >/dev/null"));
        assert!(run.stdout.starts_with(begin), "{command}: {run:?}");
    }
    assert!(link.is_symlink());
    assert!(!folder.path().join("-").exists());
}

#[test]
fn a_descriptor_that_is_closed_is_an_error() {
    let folder = folder();
    for (name, said) in [
        ("-", "stdout"),
        ("/dev/stdout", "`/dev/stdout`"),
        ("/dev/fd/7", "`/dev/fd/7`"),
    ] {
        for (command, ..) in commands(name) {
            let run = bash(folder.path(), &format!("\"$0\" {command} 7>&- >&-"));
            assert_eq!(run.status.code(), Some(1), "{command}: {run:?}");
            let told = format!("{said} cannot be written");
            let told = [told, format!("cannot write {said}")];
            let stderr = String::from_utf8_lossy(&run.stderr);
            assert!(told.iter().any(|told| stderr.contains(told)), "{run:?}");
            assert!(stderr.contains("why: Bad file descriptor"), "{run:?}");
        }
    }
}

#[test]
fn a_fifo_is_written_and_never_replaced() {
    let folder = folder();
    let made = Command::new("mkfifo")
        .arg(folder.path().join("fifo"))
        .status();
    assert!(made.unwrap().success());
    symlink("fifo", folder.path().join("link")).unwrap();
    for name in ["fifo", "link"] {
        for (command, status, begin) in commands(name) {
            let line = format!("cat fifo & \"$0\" {command}; status=$?; wait; exit $status");
            let run = bash(folder.path(), &line);
            assert_eq!(run.status.code(), Some(status), "{command}: {run:?}");
            assert!(run.stdout.starts_with(begin), "{command}: {run:?}");
        }
    }
    let fifo = std::fs::symlink_metadata(folder.path().join("fifo")).unwrap();
    assert!(fifo.file_type().is_fifo());
    assert!(folder.path().join("link").is_symlink());
}

/// A link that led nowhere was once replaced by the file.
#[test]
fn a_link_stays_and_its_target_is_made_or_replaced() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("sub")).unwrap();
    symlink("sub/second", at("link")).unwrap();
    symlink("../target", at("sub/second")).unwrap();
    for (command, status, begin) in commands("link") {
        // The target is made, then replaced, and keeps its mode.
        for mode in [None, Some(0o604)] {
            let run = bash(folder.path(), &format!("\"$0\" {command}"));
            assert_eq!(run.status.code(), Some(status), "{command}: {run:?}");
            assert!(std::fs::read(at("target")).unwrap().starts_with(begin));
            assert!(at("link").is_symlink() && at("sub/second").is_symlink());
            let permissions = std::fs::metadata(at("target")).unwrap().permissions();
            match mode {
                Some(mode) => assert_eq!(permissions.mode() & 0o777, 0o604 & mode),
                None => std::fs::set_permissions(at("target"), PermissionsExt::from_mode(0o604))
                    .unwrap(),
            }
        }
        std::fs::remove_file(at("target")).unwrap();
    }
    assert_eq!(unfinished(folder.path()), Vec::<PathBuf>::new());
}

/// A disk that is full leaves what was there, and nothing unfinished.
#[test]
fn what_cannot_be_written_whole_leaves_the_old_file() {
    let folder = folder();
    std::fs::write(folder.path().join("old"), "old").unwrap();
    for (command, status, _) in commands("old") {
        let status = if status == 0 { 1 } else { status };
        // No file may become longer than this, and writing more is an error.
        let line = format!("trap '' XFSZ; ulimit -f 0; \"$0\" -C cache=n {command}");
        let line = line.replace("-C cache=n compile", "compile -C cache=n");
        let run = bash(folder.path(), &line);
        assert_eq!(run.status.code(), Some(status), "{command}: {run:?}");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(stderr.contains("File too large"), "{command}: {run:?}");
        let old = std::fs::read(folder.path().join("old")).unwrap();
        assert_eq!(old, b"old", "{command}");
        assert_eq!(unfinished(folder.path()), Vec::<PathBuf>::new());
    }
    for (command, status, _) in commands("/dev/full") {
        let status = if status == 0 { 1 } else { status };
        let run = bash(folder.path(), &format!("\"$0\" {command}"));
        assert_eq!(run.status.code(), Some(status), "{command}: {run:?}");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(
            stderr.contains("No space left on device"),
            "{command}: {run:?}"
        );
    }
}

/// A file that is a mount point, as in containers, cannot be replaced. In a folder that cannot be
/// written, no file can be made beside it.
#[test]
fn a_file_is_written_where_it_is_if_nothing_else_can_be_done() {
    let mounts = ["unshare -m true", "unshare -rm true"];
    let Some(namespace) = mounts.iter().find(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let tried = Command::new(words[0]).args(&words[1..]).output();
        tried.is_ok_and(|tried| tried.status.success())
    }) else {
        println!("no mount namespaces here: the test of mounted files is left out");
        return;
    };
    let namespace = namespace.trim_end_matches(" true");
    let folder = folder();
    for (command, status, begin) in commands("file") {
        for mount in [
            "mount --bind source file",
            "mount --bind . . && cd . && mount --bind source file && mount -o remount,ro,bind .",
        ] {
            std::fs::write(folder.path().join("file"), "").unwrap();
            std::fs::write(folder.path().join("source"), "old").unwrap();
            let line = format!("{namespace} bash -c '{mount} && \"$0\" {command}' \"$0\"");
            let run = bash(folder.path(), &line);
            assert_eq!(
                run.status.code(),
                Some(status),
                "{mount}: {command}: {run:?}"
            );
            let written = std::fs::read(folder.path().join("source")).unwrap();
            assert!(written.starts_with(begin), "{mount}: {command}: {run:?}");
        }
    }
}

/// Wasmtime panics about a folder that it cannot write into.
#[test]
fn a_folder_for_clif_that_cannot_be_written_is_an_error() {
    let folder = folder();
    let module = folder.path().join("m.wat");
    program()
        .args("compile --emit-clif /proc/self -o")
        .arg(folder.path().join("out.cwasm"))
        .arg(module)
        .run()
        .expect_code(1)
        .expect_stderr(&["error: cannot write into the folder `/proc/self`\n  why: "]);
}

/// A program may use up all descriptors: what its end needs was kept for it.
#[test]
fn a_program_that_uses_up_all_descriptors_keeps_its_trace_and_its_dump() {
    let folder = folder();
    let opens = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
          (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "m.wat")
        (func (export "_start") (local $errno i32)
          (loop $more
            (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 5)
              (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
            (br_if $more (i32.eqz (local.get $errno))))
          ;; Until EMFILE.
          (br_if 0 (i32.ne (local.get $errno) (i32.const 33)))
          unreachable))"#;
    std::fs::write(folder.path().join("opens.wat"), opens).unwrap();
    for older in [false, true] {
        let at = |name: &str| folder.path().join(name);
        if older {
            std::fs::write(at("trace"), "older").unwrap();
            std::fs::write(at("dump"), "older").unwrap();
        }
        let line = "ulimit -n 40; \"$0\" --dir . --trace trace -D coredump=dump opens.wat";
        let run = bash(folder.path(), line);
        assert_eq!(run.status.code(), Some(134), "{run:?}");
        let trace = std::fs::read_to_string(at("trace")).unwrap();
        assert!(trace.contains("path_open"), "{trace}");
        let dump = std::fs::read(at("dump")).unwrap();
        assert!(dump.starts_with(b"\0asm"), "{run:?}");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(!stderr.contains("warning"), "{stderr}");
        std::fs::remove_file(at("trace")).unwrap();
        std::fs::remove_file(at("dump")).unwrap();
    }
}

/// A FIFO without a reader once held up the run for ever, before it or after it, whatever the time
/// limit.
#[test]
fn a_fifo_that_nobody_reads_is_waited_for_until_time_is_out_or_a_signal_comes() {
    let folder = folder();
    assert!(bash(folder.path(), "mkfifo fifo").status.success());
    for option in ["--trace fifo", "-D coredump=fifo"] {
        let line = format!("timeout 60 \"$0\" --timeout 2s {option} m.wat");
        let run = bash(folder.path(), &line);
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(134), "{option}: {run:?}");
        let said = "`fifo` cannot be written\n  why: no process opened it for reading within the time limit";
        assert!(stderr.contains(said), "{option}: {stderr}");
        // It handles the signal at any time. Before it is ready, the signal ends it like any
        // program.
        let line = format!("timeout -s INT 2 \"$0\" {option} m.wat; echo $?");
        let run = bash(folder.path(), &line);
        assert_eq!(run.stdout, b"124\n", "{option}: {run:?}");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(
            stderr.is_empty() || stderr.contains("`fifo` cannot be written"),
            "{option}: {stderr}"
        );
    }
}

#[test]
fn one_file_for_two_outputs_is_refused() {
    let folder = folder();
    symlink("same", folder.path().join("link")).unwrap();
    for (dump, trace) in [("same", "same"), ("./same", "link"), ("link", "same")] {
        let run = bash(
            folder.path(),
            &format!("\"$0\" -D coredump={dump} --trace {trace} m.wat"),
        );
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(stderr.contains("one would replace the other"), "{stderr}");
        assert!(!folder.path().join("same").exists());
    }
}

/// A file that is open for reading was once found to be none after the run, with status 0.
#[test]
fn a_descriptor_for_reading_is_no_output() {
    let folder = folder();
    for (command, ..) in commands("/dev/stdin") {
        let run = bash(folder.path(), &format!("\"$0\" {command} < m.wat"));
        assert_eq!(run.status.code(), Some(1), "{command}: {run:?}");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(stderr.contains("why: Bad file descriptor"), "{stderr}");
    }
}
