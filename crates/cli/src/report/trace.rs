//! `--trace FILE`: a timeline, in the Trace Event Format that Perfetto and chrome://tracing open.
//!
//! One track per guest thread, under the thread's id: its life, its WASI calls, its waits. Arrows
//! lead from a spawn to the thread it started, and from a notify to the waits it ended.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Write};

use serde_json::{Value, json};
use wasi_threads::WaitEnd;

use crate::message::{say, warn};
use crate::output::Output;
use crate::report::events::{EventKind, Nanos, TraceEvent, thread_name};
use crate::report::recorder::{MOST_EVENTS, Recorder};

/// The process of all tracks: the smallest number that is no guest thread's id.
///
/// Viewers take the thread with its process's number for the main thread, and in Perfetto a thread
/// 0 shares that track. So the main thread's track has this number as well.
const PROCESS: u32 = 1 << 29;

/// The output of a trace. It is prepared before the program runs.
#[derive(Debug)]
pub(crate) struct TraceFile(Output);

impl TraceFile {
    /// A trace that goes to `output`, which is prepared.
    pub(crate) fn new(output: Output) -> Self {
        TraceFile(output)
    }

    /// Writes the events of the program `name`, or prints why the file cannot be written.
    pub(crate) fn write(self, recorder: &Recorder, name: &str) {
        let events = recorder.take_events();
        if let Err(error) = self.0.write(|out| write(out, name, &events)) {
            warn(what_failed(self.0.name()), &error);
            return;
        }
        match recorder.totals().lost {
            0 => {}
            lost => say(format_args!(
                "note: the trace holds {MOST_EVENTS} calls, waits and notifies: {lost} later ones are missing"
            )),
        }
    }
}

fn what_failed(name: &str) -> String {
    format!("the trace {name} cannot be written")
}

/// The number of a thread's track: the thread's id, or [`PROCESS`] for the main thread.
fn track(thread: u32) -> u32 {
    if thread == 0 { PROCESS } else { thread }
}

/// Microseconds, the unit of the format, whose numbers may have fractions.
fn micros(nanos: Nanos) -> f64 {
    nanos as f64 / 1000.0
}

fn write(out: &mut dyn Write, name: &str, events: &[TraceEvent]) -> io::Result<()> {
    let mut first = true;
    out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    let mut put = |value: &Value| {
        out.write_all(if first { b"\n" } else { b",\n" })?;
        first = false;
        serde_json::to_writer(&mut *out, value).map_err(io::Error::from)
    };
    put(
        &json!({"ph": "M", "pid": PROCESS, "tid": PROCESS, "name": "process_name", "args": {"name": name}}),
    )?;
    let threads: BTreeSet<u32> = events.iter().map(|event| event.thread).collect();
    for thread in threads {
        let name = thread_name(thread);
        put(
            &json!({"ph": "M", "pid": PROCESS, "tid": track(thread), "name": "thread_name", "args": {"name": name}}),
        )?;
        put(
            &json!({"ph": "M", "pid": PROCESS, "tid": track(thread), "name": "thread_sort_index", "args": {"sort_index": thread}}),
        )?;
    }
    let arrows = Arrows::of(events);
    let mut lives: HashMap<u32, usize> = HashMap::new();
    let mut spawns: HashMap<u32, usize> = HashMap::new();
    for event in events {
        put(&slice(event))?;
        match &event.what {
            // The n-th spawn of an id begins its n-th life, because an id is used again only after
            // its life has ended.
            EventKind::Spawn(child) => {
                let nth = count(&mut spawns, *child);
                if let Some(id) = arrows.spawned.get(&(*child, nth)) {
                    put(&arrow("s", "spawn", *id, event.thread, event.began))?;
                }
            }
            EventKind::Life => {
                let nth = count(&mut lives, event.thread);
                if let Some(id) = arrows.spawned.get(&(event.thread, nth)) {
                    put(&arrow("f", "spawn", *id, event.thread, event.began))?;
                }
            }
            EventKind::Notify { id, woken, .. } => {
                for thread in woken {
                    if let Some(id) = arrows.woken.get(&(*id, *thread)) {
                        put(&arrow("s", "wake", *id, event.thread, event.began))?;
                    }
                }
            }
            EventKind::Wait {
                end:
                    WaitEnd::Woken {
                        notify: Some(notify),
                        ..
                    },
                ..
            } if let Some(id) = arrows.woken.get(&(notify.get(), event.thread)) => {
                // Inside the wait, so that viewers bind the arrow to it.
                let at = event.ended.saturating_sub(1).max(event.began);
                put(&arrow("f", "wake", *id, event.thread, at))?;
            }
            _ => {}
        }
    }
    out.write_all(b"\n]}\n")
}

/// How often `key` was there before.
fn count(seen: &mut HashMap<u32, usize>, key: u32) -> usize {
    let times = seen.entry(key).or_default();
    *times += 1;
    *times - 1
}

/// The arrows with both ends: an event may have been lost, or its thread left behind. Each arrow
/// has a number, which is its id in the format; Perfetto takes only numbers.
struct Arrows {
    /// By a thread's id, and the number of its life.
    spawned: BTreeMap<(u32, usize), usize>,
    /// By a notify's id, and the thread it woke.
    woken: BTreeMap<(u32, u32), usize>,
}

impl Arrows {
    fn of(events: &[TraceEvent]) -> Self {
        let mut spawns: HashMap<u32, usize> = HashMap::new();
        let mut lives: HashMap<u32, usize> = HashMap::new();
        let mut notifies = HashSet::new();
        let mut wakes = HashSet::new();
        for event in events {
            match &event.what {
                EventKind::Spawn(child) => *spawns.entry(*child).or_default() += 1,
                EventKind::Life => *lives.entry(event.thread).or_default() += 1,
                EventKind::Notify { id, woken, .. } => {
                    notifies.extend(woken.iter().map(|thread| (*id, *thread)));
                }
                EventKind::Wait {
                    end:
                        WaitEnd::Woken {
                            notify: Some(notify),
                            ..
                        },
                    ..
                } => {
                    wakes.insert((notify.get(), event.thread));
                }
                _ => {}
            }
        }
        let mut numbers = 1..;
        let mut spawned = BTreeMap::new();
        for (thread, spawns) in spawns {
            let lives = lives.get(&thread).copied().unwrap_or(0);
            spawned.extend(
                (0..spawns.min(lives))
                    .map(|nth| (thread, nth))
                    .zip(&mut numbers),
            );
        }
        let woken = notifies.intersection(&wakes).copied();
        let woken = woken.zip(&mut numbers).collect();
        Arrows { spawned, woken }
    }
}

/// One end of an arrow: `s`, or `f`, which belongs to the slice around it.
fn arrow(phase: &str, name: &str, id: usize, thread: u32, at: Nanos) -> Value {
    let mut value = json!({
        "ph": phase, "pid": PROCESS, "tid": track(thread), "ts": micros(at),
        "name": name, "cat": name, "id": id,
    });
    if phase == "f" {
        value["bp"] = "e".into();
    }
    value
}

/// An event as a slice of its thread's track; the end as a mark across all tracks.
fn slice(event: &TraceEvent) -> Value {
    let hexadecimal = |address: u64| format!("{address:#x}");
    let (name, category, args) = match &event.what {
        EventKind::Life => (thread_name(event.thread), "thread", json!({})),
        EventKind::Call(name, errno) => ((*name).to_owned(), "wasi", json!({"errno": errno})),
        EventKind::Wait { address, end } => {
            let mut args = json!({"address": hexadecimal(*address)});
            args["end"] = match end {
                WaitEnd::Woken { by, notify } => {
                    args["by"] = json!(by.map(|by| thread_name(by.get())));
                    args["notify"] = json!(notify.map(|notify| notify.get()));
                    "woken"
                }
                WaitEnd::NotEqual => "another value",
                WaitEnd::TimedOut => "timed out",
                _ => "the program ended",
            }
            .into();
            ("wait".to_owned(), "wait", args)
        }
        EventKind::Notify { address, id, woken } => (
            "notify".to_owned(),
            "wait",
            json!({
                "address": hexadecimal(*address), "notify": id,
                "woken": woken.iter().copied().map(thread_name).collect::<Vec<_>>(),
            }),
        ),
        EventKind::Spawn(child) => (
            "spawn".to_owned(),
            "spawn",
            json!({"thread": thread_name(*child)}),
        ),
        EventKind::SpawnFailed(why) => ("spawn failed".to_owned(), "spawn", json!({"why": why})),
        EventKind::End(how) => {
            return json!({
                "ph": "i", "s": "p", "pid": PROCESS, "tid": track(event.thread), "ts": micros(event.began),
                "name": format!("the program ends: {how}"), "cat": "end",
            });
        }
    };
    json!({
        "ph": "X", "pid": PROCESS, "tid": track(event.thread),
        "ts": micros(event.began), "dur": micros(event.ended - event.began),
        "name": name, "cat": category, "args": args,
    })
}
