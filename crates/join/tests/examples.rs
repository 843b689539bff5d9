//! The examples of all crates, run as their users run them, with what they print.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Where the examples are, built from the sources as they are now.
fn examples() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Of target/debug/deps/NAME.
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--offline", "--workspace", "--examples"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let mut folder = profile.parent().unwrap();
        // `cargo test --target TARGET` has a folder TARGET between the two. Only cargo's own has
        // this file.
        if !folder.join(".rustc_info.json").exists() {
            cargo.arg("--target").arg(folder.file_name().unwrap());
            folder = folder.parent().unwrap();
        }
        cargo.env("CARGO_TARGET_DIR", folder);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        profile.join("examples")
    })
}

fn run(example: &str, args: &[&str]) -> Output {
    let output = Command::new(examples().join(example))
        .args(args)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output();
    output.unwrap()
}

/// Runs an example that succeeds and says nothing on its standard error; what it prints.
fn prints(example: &str, args: &[&str]) -> String {
    let output = run(example, args);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn hello() {
    assert_eq!(
        prints("hello", &[]),
        "hello from a thread\nthe program returned, and had 1 thread(s)\n"
    );
}

#[test]
fn mini_run() {
    let primes = "examples/primes.wat";
    let said = prints("mini_run", &["--timeout", "100", primes, "3", "1000"]);
    assert!(
        said.starts_with("168 primes below 1000, counted by 3 threads in "),
        "{said}"
    );
    // Its own status, its own words.
    let refused = run("mini_run", &[primes, "0"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let late = run(
        "mini_run",
        &["--timeout", "0.05", primes, "1", "2000000000"],
    );
    assert_eq!(late.status.code(), Some(134), "{late:?}");
    let words = "mini_run: the program did not end by itself: the time limit passed\n";
    assert_eq!(String::from_utf8_lossy(&late.stderr), words);
    let none = run("mini_run", &["--dir", "/no/such/folder", primes]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
}

#[test]
fn server() {
    assert_eq!(
        prints("server", &[]),
        "200 groups: 160 answered (160 right), 20 timed out, 20 left by their clients\n"
    );
}

#[test]
fn plugins() {
    assert_eq!(
        prints("plugins", &[]),
        "plug-in of version 3\n\
         caller 1: 75 words in 25 calls\n\
         caller 2: 150 words in 25 calls\n\
         caller 3: 225 words in 25 calls\n\
         caller 4: 300 words in 25 calls\n\
         the plug-in has failed: thread main trapped: wasm trap: wasm `unreachable` instruction executed\n\
         then: the group has ended: thread main trapped: wasm trap: wasm `unreachable` instruction executed\n"
    );
}

#[test]
fn results() {
    assert_eq!(
        prints("results", &[]),
        "1000 squares, the last 998001, their sum 332833500\n\
         a terabyte of them: atomic access out of bounds\n"
    );
}

#[test]
fn deterministic() {
    let said = prints("deterministic", &[]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], lines[1]);
    assert_eq!(
        lines[0],
        "seed 1: 1704067200 s, then 1 ms later; monotonic 1000000000 ns; random 910a2dec89025cc1"
    );
    assert_ne!(lines[1][9..], lines[2][9..]);
}

#[test]
fn cached() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let both = "from the compiler: status 7\nfrom the folder: status 7\n";
    assert_eq!(prints("cached", &[path]), both);
    // Another process finds it, too. A file that was cut short is made again.
    let found = "from the folder: status 7\nfrom the folder: status 7\n";
    assert_eq!(prints("cached", &[path]), found);
    let files: Vec<_> = std::fs::read_dir(path).unwrap().collect();
    assert_eq!(files.len(), 1);
    let file = files.into_iter().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let damaged = "the file is damaged: it was cut short, or changed, after it was compiled\n";
    assert_eq!(prints("cached", &[path]), format!("{damaged}{both}"));
}

#[test]
fn table_sync_by_itself() {
    assert_eq!(
        prints("sessions", &[]),
        "ada: 4000 requests\ngrace: 4000 requests\nedsger: 4000 requests\n\
         later: resource not present\n\
         the holder still sees ada\n\
         the old number: resource not present\n\
         the new one: request 1\n"
    );
}

#[test]
fn the_lot_by_itself() {
    assert_eq!(
        prints("lot", &[]),
        "counted to 4000 under the lock\n\
         stuck: threads [1, 2]\n\
         woken for their end: 2\n\
         both threads have returned, 2 of them from a wait that was ended\n"
    );
}

#[test]
fn the_adapter_by_itself() {
    assert_eq!(
        prints("instead_of_p1", &[]),
        "hello from a file\nit exited with 18\n"
    );
}

#[test]
fn descriptors_of_the_hosts_own() {
    assert_eq!(
        prints("own_kind", &[]),
        "you ask: WHAT IS THE TIME?\n\
         the service answered 1 question\n\
         kept: a first line\n\
         kept: a second line\n"
    );
}

#[test]
fn folders_of_the_hosts_own() {
    assert_eq!(
        prints("made_folder", &[]),
        "out of a folder: errno 63\ncopy: 12 squared is 144\n"
    );
}
