//! Looking up a trace on a thread of its own, within limits.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::demangle::demangle;
use crate::dwarf::{self, Known};
use crate::escape::escape;
use crate::frame::{Frame, Place, Source, Trace};
use crate::limits::{Bound, Budget, Limits, Stop};
use crate::sections::{Sections, Symbols};

/// The stack of the thread that looks: the demanglers recurse, some hundred levels deep.
const STACK: usize = 16 << 20;

/// How long the caller waits for the thread after its time. The thread looks at the clock itself,
/// but not while it demangles a name.
const PATIENCE: Duration = Duration::from_millis(200);

/// Looks traces up, each on a thread of its own that is waited for as long as [`Limits::time`]
/// says.
///
/// One printer is enough for a process, whatever the modules are, if a trace may wait for the
/// traces of other threads. A thread that must not wait has a printer of its own. A lookup that is
/// not done in time is left behind. While its thread exists no other is started, and traces have
/// only the names as they are in the module ([`Bound::Thread`]).
#[derive(Debug, Default)]
pub struct Printer {
    limits: Limits,
    /// A thread is there.
    busy: Arc<AtomicBool>,
    /// One trace after the other.
    turn: Mutex<()>,
}

/// Bytes that a frame takes beside its names, at most: its number, its offset, its index.
const FRAME: usize = 56;

/// Bytes that a function in it takes on a line of its own beside its name, where all is indented.
const SOURCE: usize = 24;

/// Those of the word for a function without a name.
const UNNAMED: usize = 18;

/// Those around a path: where it stands, line and column.
const FILE: usize = 48;

/// What debug information says of a place, and the function's name if there was none.
type OfPlace = (Arc<[Known]>, Option<String>);

/// What the thread tells.
enum Told {
    Places(Vec<OfPlace>),
    /// A name, and what it is demangled.
    Name(String, String),
    Done(Option<Bound>),
}

impl Printer {
    /// One that does no more than `limits` say.
    pub fn new(limits: Limits) -> Self {
        Printer {
            limits,
            ..Printer::default()
        }
    }

    /// Looks all `places` up, of one backtrace or of many: what is at the same place is looked up
    /// once.
    ///
    /// Blocks for at most [`Limits::time`] and a moment, after the calls of other threads that came
    /// first. Each place has a frame, with what was found in that time. No bytes of a module make
    /// it panic.
    pub fn look_up(&self, places: Vec<Place>) -> Trace {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let places: Arc<[Place]> = places.into();
        let mut answer = Answer::default();
        let mut exceeded = Some(Bound::Thread);
        if !self.busy.swap(true, Ordering::Acquire) {
            let (sender, receiver) = mpsc::channel();
            let until = Instant::now() + self.limits.time;
            let work = Work {
                places: Arc::clone(&places),
                limits: self.limits.clone(),
                until,
                sender,
                _busy: Busy(Arc::clone(&self.busy)),
            };
            let thread = thread::Builder::new().name("wasm-symbols".to_owned());
            if let Ok(thread) = thread.stack_size(STACK).spawn(move || work.run()) {
                match answer.receive(&receiver, until + PATIENCE) {
                    Ok(told) => {
                        exceeded = told;
                        // It has only to go.
                        let _ = thread.join();
                    }
                    Err(RecvTimeoutError::Timeout) => exceeded = Some(Bound::Time),
                    // It panicked: a fault of a dependency's.
                    Err(RecvTimeoutError::Disconnected) => {}
                }
            }
        }
        let mut shown = Shown {
            limits: &self.limits,
            names: &answer.names,
            left: self.limits.shown_bytes,
            exceeded,
        };
        let frames = shown.frames(&places, &answer.places);
        Trace {
            frames,
            exceeded: shown.exceeded,
        }
    }
}

/// What was told in time.
#[derive(Default)]
struct Answer {
    places: Vec<OfPlace>,
    names: HashMap<String, String>,
}

impl Answer {
    /// What was exceeded.
    fn receive(
        &mut self,
        from: &Receiver<Told>,
        until: Instant,
    ) -> Result<Option<Bound>, RecvTimeoutError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match from.recv_timeout(left)? {
                Told::Places(places) => self.places = places,
                Told::Name(name, demangled) => {
                    self.names.insert(name, demangled);
                }
                Told::Done(exceeded) => return Ok(exceeded),
            }
        }
    }
}

/// Says that a thread is there, until it is dropped.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What the thread has to do.
struct Work {
    places: Arc<[Place]>,
    limits: Limits,
    until: Instant,
    sender: Sender<Told>,
    _busy: Busy,
}

impl Work {
    fn run(self) {
        let mut budget = Budget::new(&self.limits, self.until);
        let (found, mut exceeded) = look_up(&self.places, &mut budget);
        let mut names = HashSet::new();
        for (place, (known, name)) in self.places.iter().zip(&found) {
            names.extend(place.function_name.iter().chain(name).cloned());
            names.extend(known.iter().filter_map(|known| known.name.clone()));
        }
        // The caller may have given up.
        let tell = |told| drop(self.sender.send(told));
        tell(Told::Places(found));
        for name in names {
            if name.len() > self.limits.mangled_bytes {
                continue;
            }
            if budget.in_time().is_err() {
                exceeded = exceeded.or(Some(Bound::Time));
                break;
            }
            let demangled = demangle(&name, self.limits.shown_chars);
            if demangled != name {
                tell(Told::Name(name, demangled));
            }
        }
        tell(Told::Done(exceeded));
    }
}

fn look_up(places: &[Place], budget: &mut Budget) -> (Vec<OfPlace>, Option<Bound>) {
    let of_others = places
        .iter()
        .map(|place| (Arc::from(&place.known[..]), None));
    let mut found: Vec<OfPlace> = of_others.collect();
    let mut of_module: HashMap<*const Symbols, Vec<usize>> = HashMap::new();
    for (index, place) in places.iter().enumerate() {
        if let Some(symbols) = place.symbols.as_ref().filter(|_| place.known.is_empty()) {
            of_module
                .entry(Arc::as_ptr(symbols))
                .or_default()
                .push(index);
        }
    }
    let mut exceeded = None;
    for indices in of_module.into_values() {
        match look_in_module(places, &indices, &mut found, budget) {
            Ok(bound) => exceeded = exceeded.or(bound),
            Err(Stop::Bound(bound)) => exceeded = exceeded.or(Some(bound)),
            Err(Stop::Wrong) => {}
        }
    }
    (found, exceeded)
}

/// Looks up those of the places that are in one module.
fn look_in_module(
    places: &[Place],
    indices: &[usize],
    found: &mut [OfPlace],
    budget: &mut Budget,
) -> Result<Option<Bound>, Stop> {
    let Some(symbols) = indices.first().and_then(|at| places[*at].symbols.as_ref()) else {
        return Ok(None);
    };
    let bytes = symbols.bytes();
    let sections = Sections::read(&bytes, budget)?;
    let mut unnamed: HashMap<u32, Vec<usize>> = HashMap::new();
    for index in indices {
        if places[*index].function_name.is_none() {
            unnamed
                .entry(places[*index].function)
                .or_default()
                .push(*index);
        }
    }
    if !unnamed.is_empty() {
        let most = budget.limits.mangled_bytes + 1;
        sections.names(
            budget,
            |function| unnamed.contains_key(&function),
            |function, name| {
                let name = &name[..name.floor_char_boundary(most)];
                for index in &unnamed[&function] {
                    found[*index].1.get_or_insert_with(|| name.to_owned());
                }
            },
        )?;
    }
    let Some(dwarf) = sections.dwarf(budget)? else {
        return Ok(None);
    };
    let at = |index: &usize| places[*index].offset?.checked_sub(sections.code);
    let mut wanted: Vec<u64> = indices.iter().filter_map(at).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let looked = dwarf::look_up(&dwarf, &wanted, budget);
    let known: Vec<Arc<[Known]>> = looked.known.into_iter().map(Arc::from).collect();
    for index in indices {
        if let Some(Ok(place)) = at(index).map(|at| wanted.binary_search(&at)) {
            found[*index].0 = Arc::clone(&known[place]);
        }
    }
    Ok(looked.exceeded)
}

/// Makes the text of frames, as much as is shown.
struct Shown<'a> {
    limits: &'a Limits,
    names: &'a HashMap<String, String>,
    left: usize,
    exceeded: Option<Bound>,
}

impl Shown<'_> {
    fn frames(&mut self, places: &[Place], found: &[OfPlace]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for (index, place) in places.iter().enumerate() {
            // Every frame is listed; beyond the bound, with its index alone.
            let _ = self.take(FRAME);
            let name = found.get(index).and_then(|(_, name)| name.as_ref());
            let name = place.function_name.as_ref().or(name);
            let module_name = place.module_name.as_ref();
            frames.push(Frame {
                function: place.function,
                offset: place.offset,
                module_name: module_name.and_then(|name| self.text(name)),
                function_name: name.and_then(|name| self.name(name)),
                sources: Arc::new([]),
            });
        }
        // A text that many frames share is made once. It is written for each of them, and counts
        // each time.
        let mut made: HashMap<*const Known, (Arc<[Source]>, usize)> = HashMap::new();
        for (frame, (known, _)) in frames.iter_mut().zip(found) {
            if known.is_empty() {
                continue;
            }
            if let Some((sources, bytes)) = made.get(&known.as_ptr()) {
                if self.take(*bytes).is_none() {
                    break;
                }
                frame.sources = Arc::clone(sources);
                continue;
            }
            let before = self.left;
            let sources: Option<Vec<_>> = known.iter().map(|known| self.source(known)).collect();
            let Some(sources) = sources else {
                break;
            };
            frame.sources = sources.into();
            let sources = Arc::clone(&frame.sources);
            made.insert(known.as_ptr(), (sources, before - self.left));
        }
        frames
    }

    /// `None` if that would be more than is shown.
    fn source(&mut self, known: &Known) -> Option<Source> {
        self.take(SOURCE)?;
        let name = match &known.name {
            Some(name) => Some(self.name(name)?),
            None => {
                self.take(UNNAMED)?;
                None
            }
        };
        let file = match &known.file {
            Some(file) => {
                self.take(FILE)?;
                Some(self.path(file)?)
            }
            None => None,
        };
        Some(Source {
            name,
            file,
            line: known.line,
            column: known.column,
        })
    }

    fn name(&mut self, name: &str) -> Option<String> {
        let names = self.names;
        self.text(names.get(name).map_or(name, String::as_str))
    }

    /// A path is cut at its front, because its end says more.
    fn path(&mut self, path: &str) -> Option<String> {
        let most = self.limits.shown_chars;
        let Some((begin, _)) = path.char_indices().rev().nth(most) else {
            return self.text(path);
        };
        let end = path[begin..].chars().skip(1).collect::<String>();
        self.text(&end)
            .map(|end| format!("{}{end}", crate::escape::CUT))
    }

    fn text(&mut self, text: &str) -> Option<String> {
        let text = escape(text, self.limits.shown_chars).to_string();
        self.take(text.len())?;
        Some(text)
    }

    /// Counts this many bytes as shown. `None` if that would be more than is shown; then nothing
    /// else is shown.
    fn take(&mut self, bytes: usize) -> Option<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Some(())
            }
            None => {
                self.left = 0;
                self.exceeded = self.exceeded.or(Some(Bound::ShownBytes));
                None
            }
        }
    }
}
