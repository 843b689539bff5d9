//! What is told of a run: `--trace`, `--stats`, `-D coredump`, the log.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use crate::program;
use integration_tests::{Finished, Guest, TRAPPED};

/// The events of a trace that keeps the rules of the Trace Event Format.
#[track_caller]
fn events(path: &Path) -> Vec<Value> {
    let trace: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().clone();
    let mut open: HashMap<u64, Vec<(f64, f64)>> = HashMap::new();
    let mut starts: HashMap<u64, f64> = HashMap::new();
    let mut named = HashSet::new();
    for event in &events {
        let text = |key: &str| {
            event[key]
                .as_str()
                .unwrap_or_else(|| panic!("no {key}: {event}"))
        };
        let thread = event["tid"].as_u64().unwrap();
        assert!(event["pid"].is_u64(), "{event}");
        assert!(!text("name").is_empty(), "{event}");
        if text("ph") == "M" {
            match text("name") {
                "process_name" => assert!(event["args"]["name"].is_string(), "{event}"),
                "thread_name" => {
                    assert!(event["args"]["name"].is_string(), "{event}");
                    assert!(named.insert(thread), "named twice: {event}");
                }
                "thread_sort_index" => assert!(event["args"]["sort_index"].is_u64(), "{event}"),
                _ => panic!("{event}"),
            }
            continue;
        }
        assert!(named.contains(&thread), "a track without a name: {event}");
        let at = event["ts"].as_f64().unwrap();
        assert!(at >= 0.0, "{event}");
        match text("ph") {
            "X" => {
                let end = at + event["dur"].as_f64().unwrap();
                assert!(end >= at && event["args"].is_object(), "{event}");
                // Slices of a track lie inside of one another, or beside. A nanosecond is lost in
                // additions of floats.
                let track = open.entry(thread).or_default();
                track.retain(|(_, outer)| *outer > at + 0.0015);
                for (began, outer) in track.iter() {
                    assert!(
                        *began <= at && end <= outer + 0.0015,
                        "across another: {event}"
                    );
                }
                track.push((at, end));
            }
            "i" => assert!(["g", "p", "t"].contains(&text("s")), "{event}"),
            "s" => {
                assert!(!text("cat").is_empty(), "{event}");
                // Perfetto takes numbers only.
                let id = event["id"].as_u64().unwrap();
                assert_eq!(starts.insert(id, at), None, "{event}");
            }
            "f" => {
                assert_eq!(text("bp"), "e", "{event}");
                assert!(!text("cat").is_empty(), "{event}");
            }
            _ => panic!("{event}"),
        }
    }
    for end in events.iter().filter(|event| event["ph"] == "f") {
        let start = starts.remove(&end["id"].as_u64().unwrap());
        let start = start.unwrap_or_else(|| panic!("an arrow from nowhere: {end}"));
        assert!(
            start <= end["ts"].as_f64().unwrap(),
            "an arrow into the past: {end}"
        );
    }
    assert!(starts.is_empty(), "arrows to nowhere: {starts:?}");
    events
}

/// The events of a guest's run.
fn traced(guest: &Guest, args: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    program()
        .arg("--trace")
        .arg(&path)
        .guest(guest)
        .args(args)
        .run()
        .expect_code(0);
    events(&path)
}

fn slices<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    found.extend(
        events
            .iter()
            .filter(|event| event["ph"] == "X" && event["name"] == name),
    );
    found
}

#[test]
fn trace() {
    let events = traced(&Guest::c("mutex_condvar"), "4 10");
    // What the track of an event is called.
    let name_of = |event: &Value| {
        let named = |other: &&Value| other["name"] == "thread_name" && other["tid"] == event["tid"];
        &events.iter().find(named).unwrap()["args"]["name"]
    };
    for thread in ["main", "thread 1", "thread 2", "thread 3", "thread 4"] {
        assert_eq!(slices(&events, thread).len(), 1, "{thread}");
    }
    assert_eq!(slices(&events, "spawn").len(), 4);
    // A line a turn, and one at the end.
    assert_eq!(slices(&events, "fd_write").len(), 41);
    let woken: Vec<_> = slices(&events, "wait")
        .into_iter()
        .filter(|wait| wait["args"]["end"] == "woken")
        .collect();
    assert!(!woken.is_empty());
    for wait in woken {
        // The thread that woke it says so too.
        let number = &wait["args"]["notify"];
        let notify = slices(&events, "notify")
            .into_iter()
            .find(|notify| notify["args"]["notify"] == *number)
            .unwrap_or_else(|| panic!("{wait}"));
        assert_eq!(*name_of(notify), wait["args"]["by"]);
        assert_eq!(notify["args"]["address"], wait["args"]["address"]);
        assert!(
            notify["args"]["woken"]
                .as_array()
                .unwrap()
                .contains(name_of(wait))
        );
    }
    assert!(
        events
            .iter()
            .any(|event| event["name"] == "the program ends: returned")
    );
}

/// In Perfetto a thread 0 shares the track of the thread that has its process's number. So main
/// must not share thread 1's.
#[test]
fn main_has_a_track_of_its_own() {
    let events = traced(&Guest::c("spawns"), "once 3");
    let process = &events[0]["pid"];
    for event in &events {
        assert_eq!(event["pid"], *process, "{event}");
        assert_ne!(event["tid"], 0, "{event}");
    }
    assert_eq!(slices(&events, "main")[0]["tid"], *process);
    for thread in 1..=3 {
        let life = slices(&events, &format!("thread {thread}"));
        assert_eq!(life[0]["tid"], thread);
    }
}

/// Ids are taken again: each life has the arrow of its own spawn. And a trace is there however the
/// program ends.
#[test]
fn trace_of_many_lives_and_of_a_trap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let run = |guest: &str, args: &str| {
        program()
            .arg("--trace")
            .arg(&path)
            .guest(&Guest::c(guest))
            .args(args)
            .run()
    };
    run("spawns", "row 300").expect_code(0);
    let seen = events(&path);
    assert_eq!(slices(&seen, "spawn").len(), 300);
    let arrows = seen
        .iter()
        .filter(|event| event["ph"] == "f" && event["name"] == "spawn");
    assert_eq!(arrows.count(), 300);
    run("ending", "exit wait").expect_code(7);
    let seen = events(&path);
    assert!(
        seen.iter()
            .any(|event| event["name"] == "the program ends: exit code 7")
    );
    let wait = slices(&seen, "wait");
    assert_eq!(wait[0]["args"]["end"], "the program ended");
    // A file that cannot be made is known before the program runs.
    let run = program()
        .args("--trace no/such/folder/trace.json")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(1)
        .expect_stderr(&["error: the trace `no/such/folder/trace.json` cannot be written"]);
    assert_eq!(run.stdout, "");
}

#[test]
fn stats() {
    let run = |option: &str| -> Finished {
        program()
            .args(option)
            .guest(&Guest::c("mutex_condvar"))
            .args("4 10")
            .run()
            .expect_code(0)
    };
    run("--stats").expect_stderr(&[
        "threads  4 started, 0 spawns failed, 5 at once at most",
        "woken",
        "calls    41 fd_write, 0 failed: ",
        " in all, ",
    ]);
    let json = run("--stats=json");
    assert_eq!(json.stderr.lines().count(), 1, "{json}");
    let said: Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(said["threads"]["started"], 4);
    assert_eq!(said["threads"]["most_at_once"], 5);
    assert_eq!(said["shared_memory_bytes"], 16_777_216);
    assert_eq!(said["spawns"]["count"], 4);
    let writes = &said["host_calls"]["fd_write"];
    assert_eq!(
        (&writes["calls"], &writes["failed"]),
        (&41.into(), &0.into())
    );
    for seconds in [
        &writes["seconds"],
        &said["spawns"]["seconds"],
        &said["run_seconds"],
    ] {
        assert!(
            seconds.as_f64().is_some_and(|seconds| seconds > 0.0),
            "{json}"
        );
    }
    assert!(
        said["waits"]["seconds"].as_f64() >= said["waits"]["longest_seconds"].as_f64(),
        "{json}"
    );
}

/// A core dump has the thread that trapped, by its name, its functions, and the shared memory's
/// content.
#[test]
fn coredump() {
    use wasmparser::{KnownCustom, Parser, Payload};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("core");
    let run = |args: &str| {
        program()
            .arg("-D")
            .arg(format!("coredump={}", path.display()))
            .guest(&Guest::c("ending"))
            .args(args)
            .run()
    };
    run("exit wait").expect_code(7);
    assert!(!path.exists(), "no trap, no dump");
    run("trap wait")
        .expect_code(TRAPPED)
        .expect_stderr(&["note: the core dump is in `", "thread 1 of "]);
    let dump = std::fs::read(&path).unwrap();
    let (mut memories, mut frames, mut text) = (Vec::new(), 0, false);
    for payload in Parser::new(0).parse_all(&dump) {
        match payload.unwrap() {
            Payload::MemorySection(section) => {
                memories.extend(section.into_iter().map(|memory| memory.unwrap()));
            }
            Payload::DataSection(section) => {
                for data in section {
                    // A string of the guest's.
                    let data = data.unwrap().data;
                    text |= data.windows(13).any(|bytes| bytes == b"usage: ending");
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::CoreDumpInstances(instances) => {
                    assert!(instances.instances.iter().any(|one| one.memories == [0]));
                }
                KnownCustom::CoreDumpStack(stack) => {
                    assert_eq!(stack.name, "thread 1");
                    frames = stack.frames.len();
                }
                _ => {}
            },
            _ => {}
        }
    }
    assert!(memories.len() == 1 && memories[0].shared, "{memories:?}");
    assert!(frames >= 2 && text, "{frames} frames, text: {text}");
    // The name is as it was typed, for debuggers, without the backquotes of messages.
    let module = Guest::c("ending").path().display().to_string();
    let has = |text: &str| {
        dump.windows(text.len())
            .any(|bytes| bytes == text.as_bytes())
    };
    assert!(has(&module) && !has(&format!("`{module}`")));
}

/// The log is Wasmtime's: `WASMTIME_LOG` says what of it is shown.
#[test]
fn log() {
    let run = |options: &str| {
        program()
            .args("-C cache=n")
            .args(options)
            .env("WASMTIME_LOG", "wasmtime=debug")
            .guest(&Guest::wat("hello"))
            .run()
            .expect_code(0)
    };
    run("").expect_stderr(&["DEBUG"]);
    run("-D logging").expect_stderr(&["DEBUG"]);
    assert_eq!(run("-D logging=n").stderr, "");
    let folder = tempfile::tempdir().unwrap();
    let run = program()
        .args("-C cache=n -D log-to-files")
        .env("RUST_LOG", "debug")
        .in_folder(folder.path())
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(0);
    assert_eq!(run.stderr, "");
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .any(|name| name.to_string_lossy().starts_with("wasmtime.dbg.")),
        "{names:?}"
    );
}
