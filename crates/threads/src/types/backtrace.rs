//! Backtraces without the frames that are not the guest's.

use std::fmt;
use std::sync::Arc;

use wasmtime::{FrameInfo, Module, WasmBacktrace};

use crate::types::frames::Frame;

/// Which functions of a group's modules the rewrite appended: in each of these modules, all from this index on.
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

    fn has_guest(&self, frame: &Frame) -> bool {
        let same = |(module, _): &&(Module, u32)| Module::same(module, frame.module());
        let appended = self.0.iter().find(same);
        appended.is_none_or(|(_, first)| frame.func_index() < *first)
    }
}

/// Where a thread is, as the guest's program has it.
///
/// A wait or a bulk memory operation of a prepared module is a call of a function that the rewrite appended: its
/// frame, which stands before the guest's and has no name, is left out here.
#[derive(Clone, Debug)]
pub struct Backtrace {
    trace: Trace,
    appended: Arc<Appended>,
}

#[derive(Clone, Debug)]
enum Trace {
    Taken(Arc<WasmBacktrace>),
    /// It is in this error's context.
    InError(Arc<wasmtime::Error>),
    /// It was found on the thread's stack, from outside.
    Walked(Arc<Walk>),
}

#[derive(Debug)]
struct Walk {
    /// The guest's.
    frames: Vec<Frame>,
    /// The innermost was looked for on the stack: the thread was in host code.
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

    /// That of a trap, unless the engine takes none.
    pub(crate) fn of_error(error: &Arc<wasmtime::Error>, appended: &Arc<Appended>) -> Option<Self> {
        error.is::<WasmBacktrace>().then(|| Self {
            trace: Trace::InError(Arc::clone(error)),
            appended: Arc::clone(appended),
        })
    }

    /// One that was found on the thread's stack. `scanned`: its beginning was looked for; `cut`: there were more frames.
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

    /// The frames of the guest, the innermost first, where the thread's stack was read from outside; `None` where Wasmtime
    /// took them: [`frames`](Self::frames) has those.
    pub fn walked_frames(&self) -> Option<&[Frame]> {
        match &self.trace {
            Trace::Walked(walk) => Some(&walk.frames),
            Trace::Taken(_) | Trace::InError(_) => None,
        }
    }

    /// Whether its innermost frame was looked for on the stack, because the thread was in host code. It is right as far as
    /// anybody has seen, but not by construction.
    pub fn is_scanned(&self) -> bool {
        matches!(&self.trace, Trace::Walked(walk) if walk.scanned)
    }

    /// The frames of the guest, the innermost first; none of one that has [`walked_frames`](Self::walked_frames).
    pub fn frames(&self) -> impl Iterator<Item = &FrameInfo> {
        let all = self.whole().map_or(&[][..], WasmBacktrace::frames);
        all.iter().filter(|frame| self.appended.is_guest(frame))
    }

    /// As wasmtime took it, with all frames; `None` of one that has [`walked_frames`](Self::walked_frames).
    pub fn whole(&self) -> Option<&WasmBacktrace> {
        match &self.trace {
            Trace::Taken(trace) => Some(trace),
            Trace::InError(error) => error.downcast_ref(),
            Trace::Walked(_) => None,
        }
    }
}

impl fmt::Display for Backtrace {
    /// As wasmtime writes it, names made readable and with files and lines where they are known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Trace::Walked(walk) = &self.trace {
            f.write_str("wasm backtrace")?;
            if walk.scanned {
                f.write_str(", found on the stack")?;
            }
            f.write_str(":")?;
            for (index, frame) in walk.frames.iter().enumerate() {
                write!(f, "\n  {index:>3}: {frame}")?;
            }
            if walk.cut {
                f.write_str("\n  ...")?;
            }
            return Ok(());
        }
        let Some(whole) = self.whole() else {
            return Ok(());
        };
        let text = whole.to_string();
        let frames = whole.frames();
        let Some(blocks) = blocks(&text, frames.len()) else {
            return f.write_str(&text);
        };
        f.write_str("wasm backtrace:")?;
        let guests = frames.iter().zip(blocks);
        let guests = guests.filter(|(frame, _)| self.appended.is_guest(frame));
        for (index, (_, block)) in guests.enumerate() {
            write!(f, "\n  {index:>3}: {block}")?;
        }
        Ok(())
    }
}

/// The text of each frame, without its number: wasmtime has no way to write a single one. `None` when the text
/// does not look as expected.
fn blocks(text: &str, frames: usize) -> Option<Vec<&str>> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let number = format!("  {:>3}: ", starts.len());
        if line.starts_with(&number) {
            starts.push((at, at + number.len()));
        }
        at += line.len();
    }
    let end = |index: usize| {
        starts
            .get(index + 1)
            .map_or(text.len(), |(start, _)| *start)
    };
    (starts.len() == frames).then(|| {
        let block =
            |(index, (_, from)): (usize, &(usize, usize))| text[*from..end(index)].trim_end();
        starts.iter().enumerate().map(block).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn a_frame_ends_where_the_next_begins() {
        let text = "error while executing at wasm backtrace:\n    0:     0x5e - m!<wasm function 5>\n    \
                    1:     0x42 - m!f\n                    at a.c:3:4\n                - g\n    2: m!h";
        let found = blocks(text, 3).unwrap();
        assert_eq!(found[0], "    0x5e - m!<wasm function 5>");
        assert_eq!(
            found[1],
            "    0x42 - m!f\n                    at a.c:3:4\n                - g"
        );
        assert_eq!(found[2], "m!h");
        assert!(blocks(text, 2).is_none());
        assert!(blocks("", 0).unwrap().is_empty());
    }
}
