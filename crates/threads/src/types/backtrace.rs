//! Backtraces of the guest's frames alone.

use std::fmt;
use std::sync::Arc;

use wasmtime::{FrameInfo, Module, WasmBacktrace};

use crate::types::frames::Frame;

/// The functions that the rewrite appended to a group's modules: in each module, all from this
/// index on.
#[derive(Debug, Default)]
pub(crate) struct Appended(Vec<(Module, u32)>);

impl Appended {
    pub(crate) fn new(from: impl Iterator<Item = (Module, u32)>) -> Self {
        Self(from.collect())
    }

    fn is_guest(&self, frame: &FrameInfo) -> bool {
        let same = |(module, _): &&(Module, u32)| Module::same(module, frame.module());
        let appended = self.0.iter().find(same);
        appended.is_none_or(|(_, first)| frame.func_index() < *first)
    }

    pub(crate) fn has_guest(&self, frame: &Frame) -> bool {
        let same = |(module, _): &&(Module, u32)| Module::same(module, frame.module());
        let appended = self.0.iter().find(same);
        appended.is_none_or(|(_, first)| frame.func_index() < *first)
    }
}

/// Where a thread is in the guest's program.
///
/// A wait or a bulk memory operation of a prepared module is a call of a function that the rewrite
/// appended. The frame of that function has no name, and is left out here.
#[derive(Clone, Debug)]
pub struct Backtrace {
    trace: Trace,
    appended: Arc<Appended>,
}

#[derive(Clone, Debug)]
enum Trace {
    Taken(Arc<WasmBacktrace>),
    /// The one in this error's context.
    InError(Arc<wasmtime::Error>),
    /// One that was read from the thread's stack, from outside.
    Walked(Arc<Walk>),
}

#[derive(Debug)]
struct Walk {
    /// The guest's frames, the innermost first.
    frames: Vec<Frame>,
    /// Whether the innermost frame was searched for on the stack, because the thread was in host
    /// code.
    scanned: bool,
    cut: bool,
}

impl Backtrace {
    pub(crate) fn taken(trace: WasmBacktrace, appended: &Arc<Appended>) -> Self {
        Self {
            trace: Trace::Taken(Arc::new(trace)),
            appended: Arc::clone(appended),
        }
    }

    /// The backtrace of a trap; `None` if the engine takes none.
    pub(crate) fn of_error(error: &Arc<wasmtime::Error>, appended: &Arc<Appended>) -> Option<Self> {
        error.is::<WasmBacktrace>().then(|| Self {
            trace: Trace::InError(Arc::clone(error)),
            appended: Arc::clone(appended),
        })
    }

    /// A backtrace that was read from the thread's stack. `scanned`: its beginning was searched
    /// for. `cut`: there were more frames.
    pub(crate) fn walked(
        frames: Vec<Frame>,
        scanned: bool,
        cut: bool,
        appended: &Arc<Appended>,
    ) -> Self {
        let guests = frames.into_iter().filter(|frame| appended.has_guest(frame));
        Self {
            trace: Trace::Walked(Arc::new(Walk {
                frames: guests.collect(),
                scanned,
                cut,
            })),
            appended: Arc::clone(appended),
        }
    }

    /// The frames of the guest, the innermost first, if the thread's stack was read from outside.
    /// `None` if Wasmtime took them: [`frames`](Self::frames) has those.
    pub fn walked_frames(&self) -> Option<&[Frame]> {
        match &self.trace {
            Trace::Walked(walk) => Some(&walk.frames),
            Trace::Taken(_) | Trace::InError(_) => None,
        }
    }

    /// Whether the innermost frame was searched for on the stack, because the thread was in host
    /// code. Such a search was right in every case that was tried, but nothing guarantees that it
    /// is.
    pub fn is_scanned(&self) -> bool {
        matches!(&self.trace, Trace::Walked(walk) if walk.scanned)
    }

    /// The frames of the guest, the innermost first; none if it has
    /// [`walked_frames`](Self::walked_frames).
    pub fn frames(&self) -> impl Iterator<Item = &FrameInfo> {
        let all = self.whole().map_or(&[][..], WasmBacktrace::frames);
        all.iter().filter(|frame| self.appended.is_guest(frame))
    }

    /// The frames of the guest, the innermost first, from [`frames`](Self::frames) or
    /// [`walked_frames`](Self::walked_frames). Copies the names, so it is meant for printing:
    /// `wasm-symbols`, for instance, adds files and lines.
    pub fn to_frames(&self) -> Vec<Frame> {
        match &self.trace {
            Trace::Walked(walk) => walk.frames.clone(),
            Trace::Taken(_) | Trace::InError(_) => self.frames().map(Frame::taken).collect(),
        }
    }

    /// The backtrace with all frames, as Wasmtime took it; `None` if it has
    /// [`walked_frames`](Self::walked_frames).
    pub fn whole(&self) -> Option<&WasmBacktrace> {
        match &self.trace {
            Trace::Taken(trace) => Some(trace),
            Trace::InError(error) => error.downcast_ref(),
            Trace::Walked(_) => None,
        }
    }
}

impl Backtrace {
    /// The backtrace as text: a title, then the frames, numbered. `frames` has the text of each
    /// frame that [`to_frames`](Self::to_frames) gives.
    pub fn display_as(&self, frames: impl IntoIterator<Item = impl fmt::Display>) -> String {
        let mut text = String::from("wasm backtrace");
        if self.is_scanned() {
            text.push_str(", found on the stack");
        }
        text.push(':');
        for (index, frame) in frames.into_iter().enumerate() {
            text.push_str(&format!("\n  {index:>3}: {frame}"));
        }
        if matches!(&self.trace, Trace::Walked(walk) if walk.cut) {
            text.push_str("\n  ...");
        }
        text
    }
}

impl fmt::Display for Backtrace {
    /// As Wasmtime writes it, except that names are not demangled, and are cut and escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display_as(self.to_frames()))
    }
}
