//! The profile for the Firefox Profiler: its processed format.
//!
//! The library that writes it does not know files and lines. So each place in a function gets an
//! address of its own, in a library that stands for the program. Files and lines are filled in by
//! these addresses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use fxprof::debugid::DebugId;
use fxprof::{
    CategoryColor, CategoryHandle, CpuDelta, Frame, FrameFlags, FrameInfo, LibraryHandle,
    LibraryInfo, MarkerLocations, MarkerTiming, SamplingInterval, StackHandle, StaticSchemaMarker,
    StaticSchemaMarkerField, StringHandle, Symbol, SymbolTable, ThreadHandle, Timestamp,
};
use fxprof_processed_profile as fxprof;
use serde_json::{Value, json};
use wasi_threads::{Activity, Profile, Sample};

use crate::report::events::thread_name;
use crate::report::profile::named::{DEEPER, Function, Named, called};
use crate::report::profile::rate;

/// Writes the profile.
pub(super) fn write(
    out: &mut dyn Write,
    profile: &Profile,
    named: &Named,
    name: &str,
) -> io::Result<()> {
    let places = Places::of(named);
    let built = build(profile, named, name, &places);
    let mut value = serde_json::to_value(built)?;
    add_lines(&mut value, &places);
    value["meta"]["extra"] = json!([{
        "label": "Sampling",
        "entries": [
            {"label": "Processor time", "format": "string", "value": rate(profile)},
            {"label": "Lost samples", "format": "integer", "value": profile.lost},
            {"label": "Threads without a timer", "format": "integer", "value": profile.without_timer},
        ],
    }]);
    serde_json::to_writer(&mut *out, &value)?;
    out.write_all(b"\n")
}

/// Functions, and the places in them, by address. The addresses of a function are consecutive.
struct Places<'a> {
    functions: Vec<Vec<&'a Function>>,
    addresses: HashMap<&'a Function, u32>,
}

impl<'a> Places<'a> {
    fn of(named: &'a Named) -> Self {
        let mut by_name: BTreeMap<&str, BTreeSet<&Function>> = BTreeMap::new();
        for function in named.functions() {
            by_name.entry(&function.name).or_default().insert(function);
        }
        let functions = by_name
            .into_values()
            .map(|places| places.into_iter().collect());
        let functions: Vec<Vec<_>> = functions.collect();
        let all = functions.iter().flatten().copied();
        // Frames have numbers of 32 bits as well.
        let addresses = all.zip(0..).collect();
        Places {
            functions,
            addresses,
        }
    }

    fn symbols(&self) -> SymbolTable {
        let mut next = 0;
        let symbol = |places: &Vec<&Function>| {
            let size = places.len() as u32;
            let address = next;
            next += size;
            Symbol {
                address,
                size: Some(size),
                name: places[0].name.clone(),
            }
        };
        SymbolTable::new(self.functions.iter().map(symbol).collect())
    }

    /// The place at an address.
    fn at(&self) -> Vec<&'a Function> {
        self.functions.iter().flatten().copied().collect()
    }
}

/// The categories of frames, which have colours.
struct Categories {
    wasm: CategoryHandle,
    runtime: CategoryHandle,
    host: CategoryHandle,
    waiting: CategoryHandle,
}

impl Categories {
    fn of(&self, activity: Activity, blocked: bool) -> CategoryHandle {
        match activity {
            _ if blocked => self.waiting,
            Activity::Wasm => self.wasm,
            Activity::Runtime => self.runtime,
            _ => self.host,
        }
    }
}

fn build(profile: &Profile, named: &Named, name: &str, places: &Places<'_>) -> fxprof::Profile {
    // The interval as delivered: viewers take it for the time between two samples.
    let interval = profile
        .rate()
        .map_or(profile.interval, |rate| Duration::from_secs_f64(1.0 / rate));
    let interval = SamplingInterval::from_nanos(nanos(interval));
    let mut built = fxprof::Profile::new(name, profile.began.into(), interval);
    built.set_symbolicated(true);
    let categories = Categories {
        wasm: built.add_category("Wasm", CategoryColor::Blue),
        runtime: built.add_category("Runtime", CategoryColor::Orange),
        host: built.add_category("Host call", CategoryColor::Green),
        waiting: built.add_category("Waiting", CategoryColor::Gray),
    };
    let library = built.add_lib(LibraryInfo {
        name: name.to_owned(),
        debug_name: name.to_owned(),
        path: name.to_owned(),
        debug_path: name.to_owned(),
        debug_id: DebugId::nil(),
        code_id: None,
        arch: None,
        symbol_table: Some(Arc::new(places.symbols())),
    });
    let process = built.add_process(name, std::process::id(), at(Duration::ZERO));
    built.set_process_end_time(process, at(profile.lasted));
    let mut stacks = Stacks {
        profile,
        named,
        places,
        categories: &categories,
        library,
    };
    for of in &profile.threads {
        let id = of.thread.get();
        let thread = built.add_thread(process, id, at(of.began), id == 0);
        built.set_thread_name(thread, &thread_name(id));
        built.set_thread_end_time(thread, at(of.ended.unwrap_or(profile.lasted)));
        for sample in &of.samples {
            let stack = stacks.intern(&mut built, thread, sample);
            let ran = match sample.blocked {
                Some(_) => CpuDelta::ZERO,
                None => CpuDelta::from_nanos(nanos(profile.interval) * u64::from(sample.weight)),
            };
            let weight = i32::try_from(sample.weight).unwrap_or(i32::MAX);
            built.add_sample(thread, at(sample.at), stack, ran, weight);
            // Shorter waits are only samples, because there may be millions.
            if let Some(lasted) = sample.blocked
                && lasted >= profile.interval
            {
                let name = built.intern_string(called(sample.activity).unwrap_or_default());
                let began = at(sample.at.saturating_sub(lasted));
                let marker = built.add_marker(
                    thread,
                    MarkerTiming::Interval(began, at(sample.at)),
                    Blocked {
                        name,
                        category: categories.waiting,
                    },
                );
                built.set_marker_stack(thread, marker, stack);
            }
        }
    }
    built
}

/// Stacks in the format's form.
struct Stacks<'a> {
    profile: &'a Profile,
    named: &'a Named,
    places: &'a Places<'a>,
    categories: &'a Categories,
    library: LibraryHandle,
}

impl Stacks<'_> {
    fn intern(
        &mut self,
        built: &mut fxprof::Profile,
        thread: ThreadHandle,
        sample: &Sample,
    ) -> Option<StackHandle> {
        let frame = |frame, category: CategoryHandle| FrameInfo {
            frame,
            category_pair: category.into(),
            flags: FrameFlags::empty(),
        };
        let wasm = self.categories.wasm;
        let (cut, functions) = self.named.stack(self.profile, sample.stack);
        let mut frames = Vec::new();
        if cut {
            frames.push(frame(Frame::Label(built.intern_string(DEEPER)), wasm));
        }
        frames.extend(functions.filter_map(|function| {
            let address = *self.places.addresses.get(function)?;
            let place = Frame::RelativeAddressFromInstructionPointer(self.library, address);
            Some(frame(place, wasm))
        }));
        if let Some(name) = called(sample.activity) {
            let category = self
                .categories
                .of(sample.activity, sample.blocked.is_some());
            frames.push(frame(Frame::Label(built.intern_string(name)), category));
        }
        built.intern_stack_frames(thread, frames.into_iter())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn at(since: Duration) -> Timestamp {
    Timestamp::from_nanos_since_reference(nanos(since))
}

/// A wait or a host call that lasted long.
struct Blocked {
    name: StringHandle,
    category: CategoryHandle,
}

impl StaticSchemaMarker for Blocked {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "blocked";
    const LOCATIONS: MarkerLocations = MarkerLocations::MARKER_CHART
        .union(MarkerLocations::MARKER_TABLE)
        .union(MarkerLocations::TIMELINE_OVERVIEW);
    const FIELDS: &'static [StaticSchemaMarkerField] = &[];

    fn name(&self, _: &mut fxprof::Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _: &mut fxprof::Profile) -> CategoryHandle {
        self.category
    }

    fn string_field_value(&self, _: u32) -> StringHandle {
        self.name
    }

    fn number_field_value(&self, _: u32) -> f64 {
        0.0
    }
}

/// Fills in files and lines by address.
fn add_lines(value: &mut Value, places: &Places<'_>) {
    let by_address = places.at();
    let threads = value["threads"].as_array_mut();
    for thread in threads.into_iter().flatten() {
        let frames = &thread["frameTable"];
        let index = |column: &Value, row: usize| {
            let number = column[row].as_u64();
            number.and_then(|number| usize::try_from(number).ok())
        };
        let length = frames["length"].as_u64().unwrap_or(0) as usize;
        // -1 if there is none.
        let place = |row| by_address.get(index(&frames["address"], row)?).copied();
        let lines: Vec<_> = (0..length)
            .map(|row| place(row).and_then(|place| place.line))
            .collect();
        let mut strings: Vec<Value> = Vec::new();
        let mut files: HashMap<&str, usize> = HashMap::new();
        let known = thread["stringArray"].as_array().map_or(0, Vec::len);
        let mut file_of: HashMap<usize, usize> = HashMap::new();
        for row in 0..length {
            if let Some(file) = place(row).and_then(|place| place.file.as_deref())
                && let Some(function) = index(&frames["func"], row)
            {
                let string = *files.entry(file).or_insert_with(|| {
                    strings.push(file.into());
                    known + strings.len() - 1
                });
                file_of.insert(function, string);
            }
        }
        thread["frameTable"]["line"] = lines.into();
        for (function, string) in file_of {
            thread["funcTable"]["fileName"][function] = string.into();
        }
        if let Some(all) = thread["stringArray"].as_array_mut() {
            all.append(&mut strings);
        }
    }
}
