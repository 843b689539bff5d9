//! `--profile guest` and `--profile flamegraph`: what threads do is found where they do it, and
//! files are whole at every end.
#![cfg(all(
    feature = "profile",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use integration_tests::emulated::{emulated, less};
use integration_tests::{Finished, Guest};
use serde_json::Value;

use crate::program;

/// What of the processor a kernel's tick may be too late for, and what else a run has around the
/// guest's work.
const POINTS: f64 = 0.05;

/// A sample, read back.
#[derive(Debug)]
struct Sample {
    weight: f64,
    /// Processor time, in microseconds.
    ran: f64,
    /// The functions, the innermost first, each with its file and line if it has one.
    stack: Vec<(String, Option<(String, u64)>)>,
    category: String,
}

impl Sample {
    /// The innermost function.
    fn leaf(&self) -> &str {
        self.stack.first().map_or("", |(name, _)| name)
    }

    fn has(&self, function: &str) -> bool {
        self.stack.iter().any(|(name, _)| name == function)
    }
}

#[derive(Debug)]
struct Thread {
    name: String,
    samples: Vec<Sample>,
    /// Names and lengths in milliseconds.
    markers: Vec<(String, f64)>,
}

fn numbers(column: &Value) -> Vec<Option<u64>> {
    let column = column.as_array().unwrap();
    column.iter().map(Value::as_u64).collect()
}

/// Checks the table's columns: all of its length.
fn table(table: &Value, columns: &[&str]) -> usize {
    let length = table["length"].as_u64().unwrap() as usize;
    for column in columns {
        let len = table[column].as_array().map(Vec::len);
        assert_eq!(len, Some(length), "{column}");
    }
    length
}

/// Reads the file as the Firefox Profiler does, and checks what that relies on: tables of one
/// length, valid indices, prefixes of stacks that come first, times that increase.
fn read(path: &Path) -> Vec<Thread> {
    let text = std::fs::read_to_string(path).unwrap();
    let profile: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let meta = &profile["meta"];
    assert!(meta["preprocessedProfileVersion"].as_u64().unwrap() >= 50);
    assert!(meta["interval"].as_f64().unwrap() > 0.0);
    assert_eq!(meta["symbolicated"], true);
    let categories = meta["categories"].as_array().unwrap();
    let said = meta["extra"][0]["entries"][0]["value"].as_str().unwrap();
    assert!(said.contains("of processor time"), "{said}");
    let libraries = profile["libs"].as_array().unwrap().len();
    let threads = profile["threads"].as_array().unwrap();
    threads
        .iter()
        .map(|thread| {
            let strings = thread["stringArray"].as_array().unwrap();
            let string = |index: u64| strings[index as usize].as_str().unwrap().to_owned();
            let functions = &thread["funcTable"];
            table(
                functions,
                &["name", "resource", "fileName", "isJS", "lineNumber"],
            );
            let resources = &thread["resourceTable"];
            table(resources, &["lib", "name"]);
            for library in numbers(&resources["lib"]) {
                assert!(library.unwrap() < libraries as u64);
            }
            let frames = &thread["frameTable"];
            let columns = ["address", "category", "func", "line", "nativeSymbol"];
            let frame_count = table(frames, &columns);
            let (funcs, lines) = (numbers(&frames["func"]), numbers(&frames["line"]));
            let frame_categories = numbers(&frames["category"]);
            let (names, files) = (numbers(&functions["name"]), numbers(&functions["fileName"]));
            let stacks = &thread["stackTable"];
            let stack_count = table(stacks, &["frame", "prefix"]);
            let (stack_frames, prefixes) = (numbers(&stacks["frame"]), numbers(&stacks["prefix"]));
            for index in 0..stack_count {
                assert!(stack_frames[index].unwrap() < frame_count as u64);
                assert!(prefixes[index].is_none_or(|prefix| prefix < index as u64));
            }
            let frame = |frame: u64| {
                let func = funcs[frame as usize].unwrap() as usize;
                let place = files[func].zip(lines[frame as usize]);
                let place = place.map(|(file, line)| (string(file), line));
                (string(names[func].unwrap()), place)
            };
            let samples = &thread["samples"];
            let columns = ["stack", "timeDeltas", "weight", "threadCPUDelta"];
            let count = table(samples, &columns);
            assert_eq!(samples["weightType"], "samples");
            for delta in samples["timeDeltas"].as_array().unwrap() {
                assert!(delta.as_f64().unwrap() >= 0.0);
            }
            let sample_stacks = numbers(&samples["stack"]);
            let samples = (0..count).map(|index| {
                let mut stack = Vec::new();
                let mut at = sample_stacks[index];
                let mut category = String::new();
                while let Some(next) = at {
                    let innermost = stack_frames[next as usize].unwrap();
                    if stack.is_empty() {
                        let number = frame_categories[innermost as usize].unwrap();
                        let name = &categories[number as usize]["name"];
                        category = name.as_str().unwrap().to_owned();
                    }
                    stack.push(frame(innermost));
                    at = prefixes[next as usize];
                }
                Sample {
                    weight: samples["weight"][index].as_f64().unwrap(),
                    ran: samples["threadCPUDelta"][index].as_f64().unwrap(),
                    stack,
                    category,
                }
            });
            let samples = samples.collect();
            let markers = &thread["markers"];
            let count = table(
                markers,
                &["category", "data", "endTime", "name", "phase", "startTime"],
            );
            let marker = |index: usize| {
                let name = string(markers["name"][index].as_u64().unwrap());
                let time = |column: &str| markers[column][index].as_f64().unwrap();
                (name, time("endTime") - time("startTime"))
            };
            Thread {
                name: thread["name"].as_str().unwrap().to_owned(),
                samples,
                markers: (0..count).map(marker).collect(),
            }
        })
        .collect()
}

/// Runs the guest, and reads the profile that it leaves.
fn profiled(args: &str, more: &str, status: i32) -> (Finished, Vec<Thread>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.json");
    let run = program()
        .args(more)
        .arg("--profile")
        .arg(format!("guest,{}", path.display()))
        .guest(&Guest::c("profiled"))
        .args(args)
        .timeout(Duration::from_secs(120))
        .run()
        .expect_code(status);
    let threads = read(&path);
    (run, threads)
}

/// The share of processor time of the samples that `wanted` takes.
fn share(threads: &[Thread], wanted: impl Fn(&Sample) -> bool) -> f64 {
    let all = || threads.iter().flat_map(|thread| &thread.samples);
    let total: f64 = all().map(|sample| sample.ran).sum();
    let part: f64 = all().filter(|one| wanted(one)).map(|one| one.ran).sum();
    part / total
}

/// What there is, for a reader of the failed test.
fn summary(threads: &[Thread]) -> BTreeMap<(&str, &str, &str), f64> {
    let mut weights = BTreeMap::new();
    for thread in threads {
        for sample in &thread.samples {
            let key = (
                thread.name.as_str(),
                sample.category.as_str(),
                sample.leaf(),
            );
            *weights.entry(key).or_default() += sample.weight;
        }
    }
    weights
}

#[test]
fn a_known_split_is_found_on_every_thread() {
    let (run, threads) = profiled("split 200", "", 0);
    assert_eq!(run.stderr, "");
    let mut names: Vec<_> = threads.iter().map(|thread| thread.name.as_str()).collect();
    // By when they began.
    names[1..].sort_unstable();
    let workers = ["thread 1", "thread 2", "thread 3", "thread 4"];
    // Viewers know the main thread by the program's name.
    assert_eq!(names, [&["profiled.wasm"], &workers[..]].concat());
    let light = share(&threads, |sample| sample.has("light"));
    let heavy = share(&threads, |sample| sample.has("heavy"));
    println!("light {light:.3}, heavy {heavy:.3}");
    assert!(
        (light - 0.3).abs() < POINTS,
        "{light}: {:?}",
        summary(&threads)
    );
    assert!(
        (heavy - 0.7).abs() < POINTS,
        "{heavy}: {:?}",
        summary(&threads)
    );
    // qemu stops a thread only at the first instructions of pieces of code, and none may be one
    // that was inlined.
    let inlined_too = !emulated();
    for thread in &threads[1..] {
        // What was inlined has its own name, and a place in its file; not each instruction has a
        // line.
        let inlined = |sample: &&Sample| {
            let work = sample.leaf() == "work" && sample.stack[0].1.is_some();
            sample.category == "Wasm" && sample.has("heavy") && (work || !inlined_too)
        };
        let sample = thread.samples.iter().find(inlined);
        let sample = sample.unwrap_or_else(|| panic!("{:?}", summary(&threads)));
        if inlined_too {
            let (file, line) = sample.stack[0].1.clone().unwrap();
            assert!(file.ends_with("profiled.c") && line > 0, "{file}:{line}");
        }
        assert_eq!(sample.stack.last().unwrap().0, "wasi_thread_start");
    }
    // Main joins: it waits, on no processor, and that is marked.
    let main = &threads[0];
    let waits = |sample: &&Sample| sample.category == "Waiting" && sample.has("thread_join");
    let waiting: f64 = main
        .samples
        .iter()
        .filter(waits)
        .map(|one| one.weight)
        .sum();
    assert!(waiting > 100.0, "{waiting}: {:?}", summary(&threads));
    let marked = |(name, lasted): &&(String, f64)| name == "memory.atomic.wait" && *lasted > 50.0;
    assert!(
        main.markers.iter().any(|one| marked(&one)),
        "{:?}",
        main.markers
    );
}

#[test]
fn copies_are_of_the_function_that_copies() {
    let (_, threads) = profiled("copy 100", "", 0);
    let copies = |sample: &Sample| sample.category == "Runtime" && sample.has("copies");
    let found = share(&threads, copies);
    println!("in copies {found:.3}");
    assert!(found > 0.05, "{found}: {:?}", summary(&threads));
    for sample in threads.iter().flat_map(|thread| &thread.samples) {
        if sample.category == "Runtime" && sample.has("run") && !sample.has("alloc") {
            // Nothing is between the copy and its function.
            assert_eq!(sample.stack[1].0, "copies", "{sample:?}");
            assert!(sample.leaf().contains("memory.copy"), "{sample:?}");
        }
    }
}

#[test]
fn a_convoy_waits_where_it_locks() {
    let (_, threads) = profiled("convoy 50", "", 0);
    let workers = &threads[1..];
    let all = || workers.iter().flat_map(|thread| &thread.samples);
    let of =
        |wanted: &dyn Fn(&&Sample) -> bool| all().filter(wanted).map(|one| one.weight).sum::<f64>();
    let waits = of(&|one| one.category == "Waiting" && one.has("mutex_lock") && one.has("locked"));
    let ran = of(&|one| one.category != "Waiting");
    println!("waited {waits}, ran {ran}");
    // Three of four threads have to, and a load may hold up those that run.
    assert!(waits > ran, "{waits}, {ran}: {:?}", summary(&threads));
    for sample in all().filter(|one| one.category == "Waiting") {
        assert_eq!(sample.leaf(), "memory.atomic.wait", "{sample:?}");
        assert_eq!(sample.ran, 0.0);
    }
}

#[test]
fn host_calls_have_their_names() {
    let (_, threads) = profiled("sleep 100", "", 0);
    let sleeps =
        |one: &&Sample| one.category == "Waiting" && one.leaf() == "poll_oneoff" && one.has("rest");
    let slept: f64 = threads[0]
        .samples
        .iter()
        .filter(sleeps)
        .map(|one| one.weight)
        .sum();
    assert!(slept > 20.0, "{slept}: {:?}", summary(&threads));
    let markers = &threads[0].markers;
    assert!(
        markers.iter().any(|(name, _)| name == "poll_oneoff"),
        "{markers:?}"
    );
}

/// Whether the threads' work is there, whichever way the program ended. A load may leave them a few
/// samples.
#[track_caller]
fn has_work(threads: &[Thread]) {
    let work = share(threads, |sample| sample.has("run"));
    assert!(work > 0.5, "{work}: {:?}", summary(threads));
}

#[test]
fn the_profile_is_whole_at_every_end() {
    // The limit is for the compilation, too: it is in the cache then.
    for options in ["", "-W epoch-interruption"] {
        profiled("split 1", options, 0);
    }
    for (args, more, status) in [
        ("split 0", "--timeout 3s", 134),
        ("split 0", "--timeout 3s -W epoch-interruption", 134),
        ("convoy 0", "--timeout 3s", 134),
        ("split 50 exit", "", 7),
        ("split 50 trap", "", 134),
        ("split 50", "--stats --trace /dev/null", 0),
    ] {
        let (_, threads) = profiled(args, more, status);
        has_work(&threads);
        // A thread that waits at the end has waited.
        let main = &threads[0];
        let waits = main.samples.iter().any(|one| one.category == "Waiting");
        assert!(waits, "{args} {more}: {:?}", summary(&threads));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.json");
    program()
        .arg(format!("--profile=guest,{}", path.display()))
        .guest(&Guest::c("profiled"))
        .args("split 0")
        .meanwhile(|| std::thread::sleep(Duration::from_millis(500)))
        .signal("TERM")
        .run()
        .expect_code(143);
    has_work(&read(&path));
}

#[test]
fn compiled_code_has_a_profile_with_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    program()
        .arg("compile")
        .guest(&Guest::c("profiled"))
        .arg("-o")
        .arg(at("profiled.cwasm"))
        .run()
        .expect_code(0);
    program()
        .in_folder(folder.path())
        .args("--allow-precompiled --profile guest profiled.cwasm split 50")
        .run()
        .expect_code(0);
    let threads = read(&at("guest-profile.json"));
    has_work(&threads);
    let placed = |sample: &Sample| sample.stack.iter().any(|(_, place)| place.is_some());
    assert!(share(&threads, placed) > 0.5);
}

/// Every name, with its tooltip's figures.
fn titles(svg: &str) -> Vec<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(svg);
    reader.config_mut().check_end_names = true;
    let mut titles: Vec<String> = Vec::new();
    let mut depth = 0;
    let mut in_title = false;
    loop {
        match reader
            .read_event()
            .unwrap_or_else(|error| panic!("{error}: {svg}"))
        {
            Event::Start(tag) => {
                depth += 1;
                in_title = tag.name().as_ref() == b"title";
                if in_title {
                    titles.push(String::new());
                }
            }
            Event::End(_) => {
                depth -= 1;
                in_title = false;
            }
            Event::Text(text) if in_title => {
                titles.last_mut().unwrap().push_str(&text.decode().unwrap());
            }
            Event::GeneralRef(name) if in_title => {
                titles
                    .last_mut()
                    .unwrap()
                    .push_str(&format!("&{};", name.decode().unwrap()));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    titles
}

#[test]
fn a_flame_graph_has_the_functions() {
    let folder = tempfile::tempdir().unwrap();
    program()
        .in_folder(folder.path())
        .args("--profile flamegraph")
        .guest(&Guest::c("profiled"))
        .args("split 100")
        .run()
        .expect_code(0);
    let svg = std::fs::read_to_string(folder.path().join("guest-flamegraph.svg")).unwrap();
    let titles = titles(&svg);
    // As above.
    let inlined = less(Some("work"), None);
    for function in ["wasi_thread_start", "run", "light", "heavy"]
        .into_iter()
        .chain(inlined)
    {
        let begin = format!("{function} (");
        assert!(
            titles.iter().any(|title| title.starts_with(&begin)),
            "{function}: {titles:?}"
        );
    }
    assert!(svg.contains("in a second of processor time"));
}

/// Names are the module's, and text: no markup, no lines of another kind.
#[test]
fn names_are_not_markup() {
    let name = r"</title><script>alert(1)</script>;\ff \u{202e}\u{ffff} 17";
    let module = format!(
        r#"(module (memory (export "memory") 1)
             (func (export "_start") (local i32) (loop (br_if 0 (i32.lt_u
               (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 300000000)))))
             (@custom "name" (after last) "\01\{:02x}\01\00\{:02x}{}"))"#,
        name_bytes(name).len() + 3,
        name_bytes(name).len(),
        escape_bytes(&name_bytes(name)),
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.wat"), module).unwrap();
    program()
        .in_folder(folder.path())
        .args("--profile flamegraph,x.svg m.wat")
        .run()
        .expect_code(0);
    let svg = std::fs::read_to_string(folder.path().join("x.svg")).unwrap();
    assert!(!svg.contains("<script>alert"), "{svg}");
    let titles = titles(&svg);
    assert!(
        titles.iter().any(|title| title.contains("script")),
        "{titles:?}"
    );
    program()
        .in_folder(folder.path())
        .args("--profile guest,x.json m.wat")
        .run()
        .expect_code(0);
    let threads = read(&folder.path().join("x.json"));
    // A first sample may be of the start.
    let leaves = || threads[0].samples.iter().map(Sample::leaf);
    assert!(
        leaves().any(|leaf| leaf.starts_with("</title>")),
        "{:?}",
        summary(&threads)
    );
    assert!(leaves().all(|leaf| !leaf.contains('\u{202e}')));
}

/// `name`, with its escapes as bytes.
fn name_bytes(name: &str) -> Vec<u8> {
    let name = name
        .replace(r"\ff", "\u{ff}")
        .replace(r"\u{202e}", "\u{202e}");
    name.replace(r"\u{ffff}", "\u{ffff}").into_bytes()
}

fn escape_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// The stack is deeper than any sample. The innermost frames are there, with a mark that there were
/// more.
#[test]
fn a_deep_stack_is_cut_at_its_root() {
    let module = r#"(module (memory (export "memory") 1)
        (func $spin (local i32) (loop (br_if 0 (i32.lt_u
          (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 300000000)))))
        (func $deep (param i32)
          (if (local.get 0)
            (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
            (else (call $spin)))
          (drop (i32.load8_u (i32.const 0))))
        (func (export "_start") (call $deep (i32.const 2000))))"#;
    let folder = tempfile::tempdir().unwrap();
    program()
        .arg(format!(
            "--profile=guest,{}",
            folder.path().join("p").display()
        ))
        .on_stdin(module)
        .run()
        .expect_code(0);
    let threads = read(&folder.path().join("p"));
    let spins = |sample: &&Sample| sample.leaf() == "spin" && sample.has("deep");
    let sample = threads[0].samples.iter().find(spins);
    let sample = sample.unwrap_or_else(|| panic!("{:?}", summary(&threads)));
    assert_eq!(sample.stack.last().unwrap().0, "(deeper than is shown)");
    assert!(sample.stack.len() > 200, "{}", sample.stack.len());
}

/// Without the option no file is written, and a wrong option says what is right.
#[test]
fn what_cannot_be_profiled_is_said() {
    for (line, said) in [
        ("--profile guest,x,0s", "the interval is not a duration"),
        ("--profile flames", "it is one of `guest"),
        (
            "--profile guest,/no/such/folder/x",
            "the profile `/no/such/folder/x` cannot be written",
        ),
    ] {
        let run = program().args(line).guest(&Guest::wat("hello")).run();
        assert!(
            [1, 2].contains(&run.code()) && run.stderr.contains(said),
            "{run}"
        );
        assert_eq!(run.stdout, "");
    }
}
