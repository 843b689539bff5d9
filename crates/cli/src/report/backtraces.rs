//! Backtraces as text: names, files and lines, looked up for what is said, when it is said.

use std::fmt::Write as _;
use std::sync::Arc;

use wasi_threads::{Backtrace, Deadlock, Frame, Report, ThreadModule};
#[cfg(feature = "profile")]
use wasm_symbols::Trace;
use wasm_symbols::{Bound, Limits, Place, Printer, Symbols};
use wasmtime::Module;

use crate::report::own_frame;

/// Makes text of the backtraces of a run.
#[derive(Debug)]
pub(crate) struct Backtraces {
    printer: Printer,
    modules: Vec<(ThreadModule, Option<Arc<Symbols>>)>,
}

impl Backtraces {
    /// Of a run of these modules, each with its debug information.
    pub(crate) fn new(modules: impl Iterator<Item = (ThreadModule, Option<Arc<Symbols>>)>) -> Self {
        Backtraces {
            printer: Printer::new(Limits::default()),
            modules: modules.collect(),
        }
    }

    /// A backtrace, a note of which frame is the program's own under those of a panic, and one if something is missing.
    pub(crate) fn text(&self, backtrace: &Backtrace) -> String {
        let frames = backtrace.to_frames();
        let looked_up = self
            .printer
            .look_up(frames.iter().map(|at| self.place(at)).collect());
        let mut text = backtrace.display_as(looked_up.frames().iter());
        if let Some(own) = own_frame::note(looked_up.frames()) {
            text.push('\n');
            text.push_str(&own);
        }
        noted(text, looked_up.exceeded())
    }

    /// What threads do, with their backtraces.
    pub(crate) fn report(&self, report: &Report) -> String {
        let (mut texts, exceeded) = self.texts(report.backtraces());
        noted(
            report.display_with(|_| texts.next().unwrap_or_default()),
            exceeded,
        )
    }

    /// Where the threads wait that are stuck.
    pub(crate) fn deadlock(&self, deadlock: &Deadlock) -> String {
        let (mut texts, exceeded) = self.texts(deadlock.backtraces());
        noted(
            deadlock.display_with(|_| texts.next().unwrap_or_default()),
            exceeded,
        )
    }

    /// Names, files and lines of many frames: those of a profile, which are more than those of a backtrace.
    #[cfg(feature = "profile")]
    pub(crate) fn look_up(&self, frames: &[Frame]) -> Trace {
        let mut limits = Limits::default();
        limits.steps *= 5;
        limits.text_bytes *= 16;
        limits.shown_bytes *= 64;
        limits.time *= 4;
        Printer::new(limits).look_up(frames.iter().map(|at| self.place(at)).collect())
    }

    /// Looks all up at once: threads are at the same places, and share what may be done for them.
    fn texts<'a>(
        &self,
        backtraces: impl Iterator<Item = &'a Backtrace>,
    ) -> (std::vec::IntoIter<String>, Option<Bound>) {
        let traces: Vec<_> = backtraces.map(|trace| (trace, trace.to_frames())).collect();
        let places = traces.iter().flat_map(|(_, frames)| frames);
        let looked_up = self
            .printer
            .look_up(places.map(|at| self.place(at)).collect());
        let mut known = looked_up.frames().iter();
        let texts: Vec<_> = traces
            .iter()
            .map(|(trace, frames)| trace.display_as(known.by_ref().take(frames.len())))
            .collect();
        (texts.into_iter(), looked_up.exceeded())
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
            // In the file that the user has.
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

/// The text, and what is missing.
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
