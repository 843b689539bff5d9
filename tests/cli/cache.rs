//! The cache of compiled modules.

use std::path::{Path, PathBuf};

use crate::program;
use integration_tests::{Finished, Guest, Program, TRAPPED};
use wasi_threads::Termination;

/// A folder of a test's own for the cache, and the file that says so.
struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept { folder };
        // A literal string of TOML, in which nothing is escaped.
        let config = format!("[cache]\ndirectory = '{}'\n", kept.cache().display());
        std::fs::write(kept.path("config.toml"), config).unwrap();
        kept
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// The binary with this cache.
    fn program(&self) -> Program {
        let option = format!("cache-config={}", self.path("config.toml").display());
        program().arg("-C").arg(option)
    }

    /// What is kept: all files but those of the clean-up.
    fn entries(&self) -> Vec<PathBuf> {
        entries(&self.cache())
    }

    /// Writes a module that says `text` and a newline.
    fn module(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, says(text)).unwrap();
        path
    }
}

fn entries(cache: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(cache.join("modules"))
        .into_iter()
        .flatten()
    {
        let files = std::fs::read_dir(folder.unwrap().path()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        found.extend(files.filter(|file| file.extension().is_none()));
    }
    found.sort();
    found
}

fn says(text: &str) -> String {
    format!(
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (data (i32.const 0) "\10\00\00\00\{:02x}\00\00\00")
             (data (i32.const 16) "{text}\n")
             (func (export "_start")
               (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        text.len() + 1
    )
}

/// A run that logs what the cache does.
fn logged(program: Program) -> Program {
    program.env("WASMTIME_LOG", "wasmtime_internal_cache=trace")
}

/// Whether a run that was logged has put something into the cache.
fn stored(run: &Finished) -> bool {
    assert!(run.stderr.contains("get_data() for path"), "{run}");
    run.stderr.contains("update_data() for path")
}

/// A prepared module is kept, once, and run the next time.
#[test]
fn what_was_kept_is_run() {
    let kept = Kept::new();
    let (one, other) = (
        kept.module("one.wat", "one"),
        kept.module("other.wat", "other"),
    );
    let run = |module: &Path| logged(kept.program()).arg(module).run().expect_code(0);
    let first = run(&one);
    assert!(first.stdout == "one\n" && stored(&first), "{first}");
    // In our folder only: Wasmtime's own cache keeps it no second time.
    let of_one = kept.entries();
    assert_eq!(of_one.len(), 1, "{of_one:?}");
    let folder = of_one[0].parent().and_then(Path::file_name).unwrap();
    let folder = folder.to_string_lossy();
    assert!(folder.starts_with("wasi-threads-run-"), "{folder}");
    let second = run(&one);
    assert!(second.stdout == "one\n" && !stored(&second), "{second}");
    assert_eq!(kept.entries(), of_one);
    // The proof that it is what runs: another's in its place.
    run(&other);
    let both = kept.entries();
    assert_eq!(both.len(), 2, "{both:?}");
    let of_other = both.iter().find(|entry| **entry != of_one[0]).unwrap();
    std::fs::copy(of_other, &of_one[0]).unwrap();
    assert_eq!(run(&one).stdout, "other\n");
}

#[test]
fn a_changed_file_is_noticed() {
    let kept = Kept::new();
    for text in ["before", "after!", "before"] {
        let module = kept.module("module.wat", text);
        let run = kept.program().arg(module).run().expect_code(0);
        assert_eq!(run.stdout, format!("{text}\n"));
    }
    assert_eq!(kept.entries().len(), 2);
}

/// Other options make other code.
#[test]
fn options_that_matter_are_part_of_the_key() {
    let kept = Kept::new();
    let module = kept.module("module.wat", "hello");
    let mut sets = vec![
        "",
        "-W fuel=1000000",
        "-O opt-level=0",
        "-D address-map=n,max-backtrace=0",
        "-W threads=n",
    ];
    // Elsewhere epochs end what computes in any case.
    if Termination::CAN_EXIT {
        sets.push("-W epoch-interruption");
    }
    for round in 0..2 {
        for (index, options) in sets.iter().enumerate() {
            let run = logged(kept.program()).args(options).arg(&module).run();
            let run = run.expect_code(0);
            assert_eq!(run.stdout, "hello\n", "{options}");
            assert_eq!(stored(&run), round == 0, "{options}: {run}");
            let expected = if round == 0 { index + 1 } else { sets.len() };
            assert_eq!(kept.entries().len(), expected, "{options}");
        }
    }
    // Those that concern the run only are not.
    kept.program()
        .args("--env A=B --timeout 60s --stats -W max-memory-size=1000000")
        .arg(&module)
        .run()
        .expect_code(0);
    assert_eq!(kept.entries().len(), sets.len());
}

/// Zstandard's format (RFC 8878) of `content`, nothing compressed: a frame of raw blocks.
fn zstd(content: &[u8]) -> Vec<u8> {
    // A single segment, with its length in 4 bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    let mut blocks = content.chunks(128 << 10).peekable();
    while let Some(block) = blocks.next() {
        let last = u32::from(blocks.peek().is_none());
        frame.extend(&(((block.len() as u32) << 3) | last).to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

/// What is damaged is compiled again, and replaced.
#[test]
fn a_damaged_entry_is_replaced() {
    let kept = Kept::new();
    let module = kept.module("module.wat", "whole");
    let run = || logged(kept.program()).arg(&module).run().expect_code(0);
    assert!(stored(&run()));
    let entry = kept.entries().pop().unwrap();
    let good = std::fs::read(&entry).unwrap();
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_owned();
        bytes[at] ^= 1;
        bytes
    };
    // What is packed in an entry is what `compile` writes.
    let out = kept.path("out.cwasm");
    let compile = program().args("compile -C cache=n").arg("-o").arg(&out);
    compile.arg(&module).run().expect_code(0);
    let packed = std::fs::read(&out).unwrap();
    std::fs::write(&entry, zstd(&packed)).unwrap();
    let taken = run();
    assert!(taken.stdout == "whole\n" && !stored(&taken), "{taken}");
    let mut damages = vec![
        ("nothing", Vec::new()),
        ("garbage", b"garbage".repeat(100)),
        ("a front", good[..good.len() / 2].to_vec()),
        ("one byte less", good[..good.len() - 1].to_vec()),
        ("packed garbage", zstd(&b"garbage".repeat(30))),
        (
            "packed code without a stamp",
            zstd(b"\x7fELF\x02\x01\x01\xc8\0"),
        ),
    ];
    // Zstandard does not detect all damage, and none in entries that are packed again. A changed
    // bit of padding has no effect.
    let content = |bytes: &[u8]| ::zstd::decode_all(bytes).ok();
    let mut seen = 0;
    for n in 0..10 {
        let place = |bytes: &[u8]| bytes.len() * (2 * n + 1) / 20;
        let bytes = flipped(&good, place(&good));
        if content(&bytes) != content(&good) {
            damages.push(("a bit", bytes));
            seen += 1;
        }
        damages.push(("a packed bit", zstd(&flipped(&packed, place(&packed)))));
    }
    assert!(seen > 5, "{seen} bits of 10 are of the content");
    for (what, bytes) in damages {
        std::fs::write(&entry, &bytes).unwrap();
        let again = run();
        assert_eq!(again.stdout, "whole\n", "{what}");
        assert!(stored(&again), "{what}: {again}");
        assert!(std::fs::read(&entry).unwrap() == good, "{what}");
    }
    // Without the log, nothing is said of it.
    std::fs::write(&entry, &good[..100]).unwrap();
    let silent = kept.program().arg(&module).run().expect_code(0);
    assert_eq!((&*silent.stdout, &*silent.stderr), ("whole\n", ""));
    let last = run();
    assert!(!stored(&last), "{last}");
}

/// Threads, waits, start function and the text of a trap are the same as with a module compiled
/// just now.
#[test]
fn a_trap_tells_the_same() {
    let kept = Kept::new();
    let guest = Guest::c("ending");
    let core = kept.path("core");
    let run = |program: Program| {
        let run = program
            .arg("-D")
            .arg(format!("coredump={}", core.display()))
            .guest(&guest)
            .args("trap wait")
            .run()
            .expect_code(TRAPPED)
            .expect_stderr(&["thread 1 of ", " - child", "ending.c:", "unreachable"]);
        let dump = std::fs::read(&core).unwrap();
        std::fs::remove_file(&core).unwrap();
        (run.stderr, dump.len())
    };
    let fresh = run(program().args("-C cache=n"));
    assert!(kept.entries().is_empty());
    assert_eq!(run(kept.program()), fresh);
    assert_eq!(kept.entries().len(), 1);
    assert_eq!(run(kept.program()), fresh);
    assert_eq!(kept.entries().len(), 1);
    // The waits are seen.
    for args in ["stay wait", "stay join"] {
        let run = kept.program().guest(&guest).args(args).run();
        run.expect_code(TRAPPED).expect_stderr(&[
            "all its threads wait for one another",
            "thread 1 waits",
            "ending.c:",
        ]);
    }
    let run = kept.program().args("--stats=json").guest(&guest);
    let run = run.args("exit wait").run().expect_code(7);
    assert!(run.stderr.contains("\"waited\":1"), "{run}");
}

/// It is prepared in another way, and its sites are kept with it.
#[test]
fn a_module_that_tells_of_its_accesses_is_kept() {
    let kept = Kept::new();
    let run = || {
        let program = kept.program().args("--races --schedule random:1");
        let run = program.guest(&Guest::c("races")).arg("freed_read").run();
        run.expect_code(66)
    };
    let first = run().expect_stderr(&["read_block", "drop_block", "make_block"]);
    let entries = kept.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(run().stderr, first.stderr);
    assert_eq!(kept.entries(), entries);
}

/// Profilers are told the names of functions that come from the cache.
#[test]
#[cfg(target_os = "linux")]
fn a_profile_has_the_names() {
    let kept = Kept::new();
    let config = kept.path("config.toml");
    let run = |cache: &str| {
        // The map's name has the process's id in it.
        let run = Program::new("sh")
            .arg("-c")
            .arg("echo $$; exec \"$@\"")
            .arg("sh")
            .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .args("--profile perfmap -C")
            .arg(cache)
            .guest(&Guest::c("ending"))
            .args("exit wait")
            .run()
            .expect_code(7);
        let process = run.stdout.lines().next().unwrap();
        let map = format!("/tmp/perf-{process}.map");
        let lines = std::fs::read_to_string(&map).unwrap_or_else(|e| panic!("{map}: {e}"));
        std::fs::remove_file(&map).unwrap();
        // Address, size, name.
        let names = lines.lines().filter_map(|line| line.splitn(3, ' ').nth(2));
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    let fresh = run("cache=n");
    assert!(fresh.iter().any(|name| name.contains("child")), "{fresh:?}");
    let cached = format!("cache-config={}", config.display());
    assert_eq!(run(&cached), fresh);
    assert_eq!(kept.entries().len(), 1);
    assert_eq!(run(&cached), fresh);
}

/// What `--preload` names is kept as well, and `-` is as good as a file.
#[test]
fn libraries_and_stdin() {
    let kept = Kept::new();
    let library = kept.path("library.wat");
    std::fs::write(
        &library,
        r#"(module (func (export "seven") (result i32) (i32.const 7)))"#,
    )
    .unwrap();
    let main = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "library" "seven" (func $seven (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (call $seven))))"#;
    for round in 0..2 {
        let run = logged(kept.program())
            .arg("--preload")
            .arg(format!("library={}", library.display()))
            .on_stdin(main)
            .run()
            .expect_code(7);
        assert_eq!(stored(&run), round == 0, "{run}");
        assert_eq!(kept.entries().len(), 2);
    }
}

/// `compile` takes what a run has kept, and writes what it would have written; `--emit-clif`
/// compiles.
#[test]
fn compile_uses_it() {
    let kept = Kept::new();
    let guest = Guest::c("ending");
    let compile = |program: Program, options: &str| {
        let out = kept.path("out.cwasm");
        let run = logged(program)
            .arg("-o")
            .arg(&out)
            .args(options)
            .guest(&guest)
            .run()
            .expect_code(0);
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        (run, bytes)
    };
    let config = format!("-C cache-config={}", kept.path("config.toml").display());
    let (_, fresh) = compile(program().arg("compile"), "-C cache=n");
    assert!(kept.entries().is_empty());
    kept.program()
        .guest(&guest)
        .args("exit wait")
        .run()
        .expect_code(7);
    let (run, cached) = compile(program().arg("compile"), &config);
    assert!(!stored(&run), "{run}");
    assert!(
        cached == fresh,
        "{} and {} bytes",
        cached.len(),
        fresh.len()
    );
    let clif = kept.path("clif");
    let options = format!("{config} --emit-clif {}", clif.display());
    compile(program().arg("compile"), &options);
    assert!(std::fs::read_dir(clif).unwrap().count() > 0);
}

/// Switched off, nothing is written and nothing is read.
#[test]
fn without_the_cache_there_is_no_file() {
    let kept = Kept::new();
    let home = kept.path("home");
    let module = kept.module("module.wat", "hello");
    for off in ["-C cache=n", "--disable-cache"] {
        kept.program()
            .args(off)
            .env("XDG_CACHE_HOME", &home)
            .env("HOME", &home)
            .arg(&module)
            .run()
            .expect_code(0);
        assert!(!kept.cache().exists() && !home.exists(), "{off}");
    }
}

/// The folder of the configuration's file is used, and no other; without one, Wasmtime's.
#[test]
#[cfg(target_os = "linux")]
fn the_folder_is_wasmtimes() {
    let kept = Kept::new();
    let home = kept.path("home");
    let module = kept.module("module.wat", "hello");
    let run = |program: Program| {
        let run = program.env("XDG_CACHE_HOME", &home).arg(&module).run();
        assert_eq!(run.expect_code(0).stdout, "hello\n");
    };
    run(kept.program());
    assert!(kept.entries().len() == 1 && !home.exists());
    run(program());
    assert_eq!(entries(&home.join("wasmtime")).len(), 1);
}

/// No folder for the cache is no reason not to run: in a container, for a service's user.
#[test]
#[cfg(target_os = "linux")]
fn without_a_cache_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    for home in ["/dev/null", "/proc/nowhere"] {
        let run = program()
            .env("XDG_CACHE_HOME", format!("{home}/cache"))
            .env("XDG_CONFIG_HOME", format!("{home}/config"))
            .env("HOME", home)
            .guest(&Guest::wat("hello"))
            .run()
            .expect_code(0);
        assert_eq!(
            (&*run.stdout, &*run.stderr),
            ("hello, world\n", ""),
            "{home}"
        );
    }
    // A home that is relative means nothing to the cache.
    let run = Program::new("env")
        .args("-u XDG_CACHE_HOME HOME=relative")
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(0);
    assert_eq!((&*run.stdout, &*run.stderr), ("hello, world\n", ""));
    // Asked for, it is an error.
    program()
        .args("-C cache=y")
        .env("XDG_CACHE_HOME", "/dev/null/cache")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(2)
        .expect_stderr(&["error: "]);
    // A folder that exists and cannot be written. Root can write everywhere, so the test runs as
    // another user.
    let folder = tempfile::tempdir().unwrap();
    let allow = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let place = folder.path();
    copy_binary(&place.join("run"));
    std::fs::copy(Guest::wat("hello").path(), place.join("hello.wat")).unwrap();
    std::fs::create_dir_all(place.join("cache/wasmtime")).unwrap();
    for closed in ["cache/wasmtime", "cache", "."] {
        allow(&place.join(closed), 0o555);
    }
    let as_nobody = std::fs::write(place.join("probe"), "").is_ok();
    let run = match as_nobody {
        true => Program::new("setpriv")
            .args("--reuid=65534 --regid=65534 --clear-groups --")
            .arg(place.join("run")),
        false => Program::new(place.join("run")),
    };
    let run = run
        .env("XDG_CACHE_HOME", place.join("cache"))
        .env("HOME", "/nonexistent")
        .arg(place.join("hello.wat"))
        .run();
    // So that it can be removed.
    for open in [".", "cache", "cache/wasmtime"] {
        allow(&place.join(open), 0o755);
    }
    let run = run.expect_code(0);
    assert_eq!(run.stdout, "hello, world\n", "{run}");
}

/// Copies the binary in a process of its own. Had this one the copy open for writing, another
/// test's fork could keep it so, and the copy could not be executed (`ETXTBSY`).
#[cfg(target_os = "linux")]
fn copy_binary(to: &Path) {
    let mut cp = std::process::Command::new("cp");
    let copied = cp
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}

/// A user without a home has no folder for the cache, and none for its configuration.
#[test]
#[cfg(target_os = "linux")]
fn without_a_home() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    copy_binary(&place.join("run"));
    std::fs::copy(Guest::wat("hello").path(), place.join("hello.wat")).unwrap();
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Only root can run a program as a user that no list has.
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=4242", "--regid=4242", "--clear-groups", "--"])
        .arg(place.join("run"))
        .arg(place.join("hello.wat"))
        .env_clear()
        // An emulator's own: where the libraries are.
        .envs(std::env::vars().filter(|(name, _)| name == "QEMU_LD_PREFIX"))
        .output()
        .unwrap();
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("setpriv: ") {
        println!("left out: it takes root to have no home");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"hello, world\n", "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// A wrong configuration file of the cache is reported, and not taken for a home that cannot be
/// written. (No variable says where it is on Windows.)
#[test]
#[cfg(unix)]
fn a_broken_cache_configuration_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("wasmtime")).unwrap();
    std::fs::write(folder.path().join("wasmtime/config.toml"), "garbage = [").unwrap();
    let run = |options: &str| {
        program()
            .args(options)
            .env("XDG_CONFIG_HOME", folder.path())
            .guest(&Guest::wat("hello"))
            .run()
    };
    for options in ["", "-C cache=y"] {
        run(options)
            .expect_code(2)
            .expect_stderr(&["failed to parse config file", "wasmtime/config.toml"]);
    }
    run("-C cache=n").expect_code(0);
}
