//! Backtraces as text. Names, files and lines are looked up only for what is printed, when it is
//! printed.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use wasi_threads::rewrite::AccessSite;
use wasi_threads::{Backtrace, Deadlock, Frame, Report, ThreadModule};
#[cfg(feature = "profile")]
use wasm_symbols::Trace;
use wasm_symbols::{Bound, Limits, Place, Printer, Symbols};
use wasmtime::Module;

use crate::report::{own_frame, whose_access};

/// How many of the innermost frames are searched for one of the program's own.
const INNERMOST: usize = 16;

/// A place in a module whose name, file and line are to be looked up.
#[derive(Clone, Debug)]
pub(crate) enum Spot {
    /// A frame of a backtrace.
    Frame(Frame),
    /// An offset in a function of the program's prepared module.
    Prepared(u32, Option<usize>),
    /// An instruction of the program's module.
    Site(AccessSite),
}

/// Turns the backtraces of a run into text.
#[derive(Debug)]
pub(crate) struct Backtraces {
    /// For the end, which must not wait for a report on demand: that may take seconds.
    at_end: Printer,
    /// For reports while the program runs.
    on_demand: Printer,
    modules: Vec<(ThreadModule, Option<Arc<Symbols>>)>,
    /// The names of the functions of the program's own module, once they are needed.
    names: OnceLock<HashMap<u32, String>>,
}

impl Backtraces {
    /// For a run of these modules, each with its debug information.
    pub(crate) fn new(modules: impl Iterator<Item = (ThreadModule, Option<Arc<Symbols>>)>) -> Self {
        Backtraces {
            at_end: Printer::new(Limits::default()),
            on_demand: Printer::new(Limits::default()),
            modules: modules.collect(),
            names: OnceLock::new(),
        }
    }

    /// The text of a backtrace, with notes: which frame is the program's own, beneath those of a
    /// panic, and what is missing.
    pub(crate) fn text(&self, backtrace: &Backtrace) -> String {
        let frames = backtrace.to_frames();
        let looked_up = self
            .at_end
            .look_up(frames.iter().map(|at| self.place(at)).collect());
        let mut text = backtrace.display_as(looked_up.frames().iter());
        if let Some(own) = own_frame::note(looked_up.frames()) {
            text.push('\n');
            text.push_str(&own);
        }
        noted(text, looked_up.exceeded())
    }

    /// The text of a report while the program runs. Blocks while another such report is made.
    pub(crate) fn on_demand(&self, report: &Report) -> String {
        self.report(report, &self.on_demand)
    }

    /// The text of a report at the program's end.
    pub(crate) fn at_end(&self, report: &Report) -> String {
        self.report(report, &self.at_end)
    }

    fn report(&self, report: &Report, printer: &Printer) -> String {
        let (mut texts, exceeded) = self.texts(report.backtraces(), printer);
        noted(
            report.display_with(|_| texts.next().unwrap_or_default()),
            exceeded,
        )
    }

    /// The text of a deadlock.
    pub(crate) fn deadlock(&self, deadlock: &Deadlock) -> String {
        let (mut texts, exceeded) = self.texts(deadlock.backtraces(), &self.at_end);
        noted(
            deadlock.display_with(|_| texts.next().unwrap_or_default()),
            exceeded,
        )
    }

    /// Names, files and lines of the frames of a profile, which are many more than those of a
    /// backtrace.
    #[cfg(feature = "profile")]
    pub(crate) fn look_up(&self, frames: &[Frame]) -> Trace {
        of_many().look_up(frames.iter().map(|at| self.place(at)).collect())
    }

    /// Looks up all at once: threads are at the same places, and share the bound on the work.
    fn texts<'a>(
        &self,
        backtraces: impl Iterator<Item = &'a Backtrace>,
        printer: &Printer,
    ) -> (std::vec::IntoIter<String>, Option<Bound>) {
        let traces: Vec<_> = backtraces.map(|trace| (trace, trace.to_frames())).collect();
        let places = traces.iter().flat_map(|(_, frames)| frames);
        let looked_up = printer.look_up(places.map(|at| self.place(at)).collect());
        let mut known = looked_up.frames().iter();
        let texts: Vec<_> = traces
            .iter()
            .map(|(trace, frames)| trace.display_as(known.by_ref().take(frames.len())))
            .collect();
        (texts.into_iter(), looked_up.exceeded())
    }

    /// For each access, the first function of the program's own, with its file and line. Without a
    /// backtrace only the function of the instruction is known.
    pub(crate) fn own_places<'a>(
        &self,
        of: impl Iterator<Item = (Option<&'a Backtrace>, &'a AccessSite)>,
    ) -> Vec<String> {
        let places = |(backtrace, site): (Option<&Backtrace>, &AccessSite)| match backtrace {
            Some(backtrace) => {
                let frames = backtrace.to_frames();
                let innermost = frames.iter().take(INNERMOST);
                innermost.map(|at| self.place(at)).collect::<Vec<_>>()
            }
            None => vec![self.place_of(site)],
        };
        let traces: Vec<_> = of.map(places).collect();
        let looked_up = of_many().look_up(traces.iter().flatten().cloned().collect());
        let mut known = looked_up.frames();
        let mut own = |trace: &Vec<Place>| {
            let (these, rest) = known.split_at(trace.len());
            known = rest;
            own_frame::place(these)
        };
        traces.iter().map(&mut own).collect()
    }

    /// For each access, whether the program makes it (and not a library for itself).
    pub(crate) fn are_own<'a>(
        &self,
        of: impl Iterator<Item = (Option<&'a Backtrace>, &'a AccessSite)>,
    ) -> Vec<bool> {
        let of: Vec<_> = of.collect();
        let of_site = |site: &AccessSite| (site.function, Some(site.offset));
        let sites = of
            .iter()
            .map(|(_, site)| (of_site(site), self.place_of(site)));
        let sites = self.whose(sites.collect());
        // In a function of a library's that serves its callers, these decide.
        let undecided = |site: &AccessSite| sites.get(&of_site(site)).copied().flatten().is_none();
        let frames = |backtrace: &Backtrace| {
            let frames = backtrace.to_frames();
            frames.into_iter().take(INNERMOST).collect::<Vec<_>>()
        };
        let of_frame = |frame: &Frame| {
            let offset = frame.module_offset().map(|offset| offset as u64);
            (frame.func_index(), offset)
        };
        let called = of.iter().map(|(backtrace, site)| match backtrace {
            Some(backtrace) if undecided(site) => frames(backtrace),
            _ => Vec::new(),
        });
        let called: Vec<_> = called.collect();
        let places = called.iter().flatten();
        let places = places.map(|frame| (of_frame(frame), self.place(frame)));
        let callers = self.whose(places.collect());
        let own = |((_, site), frames): (&(_, &AccessSite), &Vec<Frame>)| {
            let by_site = sites.get(&of_site(site)).copied().flatten();
            let mut by_callers = frames.iter().map(|frame| callers.get(&of_frame(frame)));
            let by_callers = || by_callers.find_map(|whose| whose.copied().flatten());
            // Not known.
            by_site.or_else(by_callers).unwrap_or(true)
        };
        of.iter().zip(&called).map(own).collect()
    }

    /// For each place, whether an access there is the program's. `None` if that depends on a
    /// caller.
    fn whose<K: Ord>(&self, places: BTreeMap<K, Place>) -> BTreeMap<K, Option<bool>> {
        let (keys, places): (Vec<_>, Vec<_>) = places.into_iter().unzip();
        let looked_up = of_many().look_up(places);
        let whose = looked_up.frames().iter().map(whose_access::is_own);
        keys.into_iter().zip(whose).collect()
    }

    /// The place of an instruction of the program's own module, which is the last one.
    fn place_of(&self, site: &AccessSite) -> Place {
        self.place_in_main(site.function, usize::try_from(site.offset).ok())
    }

    /// Names, files and lines of stacks.
    pub(crate) fn frames_of(&self, stacks: &[&[Spot]]) -> Vec<Vec<wasm_symbols::Frame>> {
        let places = stacks.iter().flat_map(|stack| stack.iter());
        let looked_up = self
            .at_end
            .look_up(places.map(|spot| self.spot(spot)).collect());
        let mut frames = looked_up.frames().iter().cloned();
        let mut of = |stack: &&[Spot]| frames.by_ref().take(stack.len()).collect();
        stacks.iter().map(&mut of).collect()
    }

    fn spot(&self, spot: &Spot) -> Place {
        match spot {
            Spot::Frame(frame) => self.place(frame),
            Spot::Site(site) => self.place_of(site),
            Spot::Prepared(function, offset) => {
                let main = self.modules.last().map(|(module, _)| module);
                let original = |offset| main.map_or(offset, |main| main.original_offset(offset));
                self.place_in_main(*function, offset.map(original))
            }
        }
    }

    /// The place of an offset in a function of the program's own module.
    fn place_in_main(&self, function: u32, offset: Option<usize>) -> Place {
        let mut place = Place::new(function);
        if let Some(name) = self.names().get(&function) {
            place = place.function_name(name);
        }
        if let Some(offset) = offset {
            place = place.offset(offset);
        }
        match self.modules.last() {
            Some((_, Some(symbols))) => place.symbols(symbols),
            _ => place,
        }
    }

    fn names(&self) -> &HashMap<u32, String> {
        self.names.get_or_init(|| {
            let main = self.modules.last();
            let functions = main
                .into_iter()
                .flat_map(|(main, _)| main.module().functions());
            functions
                .filter_map(|function| Some((function.index.as_u32(), function.name?)))
                .collect()
        })
    }

    fn place(&self, frame: &Frame) -> Place {
        let mut place = Place::new(frame.func_index());
        if let Some(name) = frame.module_name() {
            place = place.module_name(name);
        }
        if let Some(name) = frame.func_name() {
            place = place.function_name(name);
        }
        let mut modules = self.modules.iter();
        let known = modules.find(|(known, _)| Module::same(known.module(), frame.module()));
        if let Some(offset) = frame.module_offset() {
            // The offset in the user's file.
            let original = known.map(|(module, _)| module.original_offset(offset));
            place = place.offset(original.unwrap_or(offset));
        }
        if let Some((_, Some(symbols))) = known {
            place = place.symbols(symbols);
        }
        for at in frame.sources() {
            place = place.source(at.name.as_deref(), at.file.as_deref(), at.line, at.column);
        }
        place
    }
}

/// A printer for more frames than some backtraces have.
fn of_many() -> Printer {
    let mut limits = Limits::default();
    limits.steps *= 5;
    limits.text_bytes *= 16;
    limits.shown_bytes *= 64;
    limits.time *= 4;
    Printer::new(limits)
}

/// The text, with a note if something is missing.
fn noted(mut text: String, exceeded: Option<Bound>) -> String {
    if let Some(bound) = exceeded {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\nnote: functions, files or lines are missing here: {bound}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, mpsc};
    use std::time::{Duration, Instant};

    use wasi_threads::{ThreadGroup, prepare};
    use wasmtime::{Config, Engine, Linker};

    use super::*;

    /// The end does not wait for a report that is still being looked up.
    #[test]
    fn the_end_does_not_wait_for_a_report() {
        let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true));
        let engine = engine.unwrap();
        let text = r#"(module (memory (import "env" "memory") 1 1 shared)
            (func $park (export "_start")
              (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"#;
        let bytes = wat::parse_str(text).unwrap();
        let module = prepare(&engine, &bytes).unwrap();
        let group = ThreadGroup::builder(&engine, &module, Linker::<()>::new(&engine))
            .state(|_| ())
            .build()
            .unwrap();
        let handle = group.handle();
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (released, first) = (Mutex::new(released), AtomicBool::new(true));
        let symbols = Symbols::fetched(move || {
            if first.swap(false, Ordering::AcqRel) {
                begun.send(()).ok()?;
                // Until the end has its text, or the test has failed.
                let _ = released.lock().ok()?.recv();
            }
            Some(bytes.clone())
        });
        let backtraces = Backtraces::new(std::iter::once((module, Some(Arc::new(symbols)))));
        std::thread::scope(|scope| {
            scope.spawn(|| group.run("_start").unwrap());
            let until = Instant::now() + Duration::from_secs(60);
            let report = loop {
                let report = handle.report(Duration::from_secs(10));
                if report.backtraces().next().is_some() || Instant::now() > until {
                    break report;
                }
            };
            handle.cancel();
            let (texts, asked) = (&backtraces, report.clone());
            scope.spawn(move || texts.on_demand(&asked));
            has_begun.recv().unwrap();
            let said = backtraces.at_end(&report);
            drop(release);
            assert!(said.contains("park") && !said.contains("note:"), "{said}");
        });
    }
}
