//! How much is done for a trace, and what is told when that was not enough.

use std::fmt;
use std::time::{Duration, Instant};

use crate::escape::NAME_CHARS;

/// Steps between two looks at the clock. A step takes some nanoseconds, in an unoptimised build ten
/// times as many.
const STEPS_A_LOOK: u64 = 2048;

/// How much [`Printer`](crate::Printer) does for one trace.
///
/// The defaults are for a program of any size: what they cost on real ones is in the crate's DESIGN
/// page. A step is one attribute of debug information, one row of a line table, one entry of a
/// list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a section of debug information. 1 GiB by default.
    pub section_bytes: usize,
    /// Compilation units. 100,000 by default.
    pub units: usize,
    /// Abbreviations that a unit declares, and their attributes. 400,000 by default.
    pub abbreviations: usize,
    /// Steps for all frames of a trace together. 200 million by default.
    pub steps: u64,
    /// Functions inlined into one another at one place. 256 by default.
    pub inlined: usize,
    /// Functions that are kept for the places that they are at, inlined ones included, for all
    /// frames together. 250,000 by default.
    pub items: usize,
    /// Bytes of names and paths that are taken from debug information, for all frames together. 4
    /// MiB by default.
    pub text_bytes: usize,
    /// Bytes of a mangled name: a longer one is shown as it is. 4 KiB by default.
    pub mangled_bytes: usize,
    /// Characters that are shown of a name or a path. [`NAME_CHARS`] by default.
    pub shown_chars: usize,
    /// Bytes that a trace shows, written as [`Trace`](crate::Trace) writes it: each frame and each
    /// [`Source`](crate::Source) in it counts, with a name or without. 1 MiB by default.
    pub shown_bytes: usize,
    /// How long a trace may take. 5 s by default.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            section_bytes: 1 << 30,
            units: 100_000,
            abbreviations: 400_000,
            steps: 200_000_000,
            inlined: 256,
            items: 250_000,
            text_bytes: 4 << 20,
            mangled_bytes: 4 << 10,
            shown_chars: NAME_CHARS,
            shown_bytes: 1 << 20,
            time: Duration::from_secs(5),
        }
    }
}

/// What was too large for [`Limits`], so that something is missing from a trace.
///
/// Written, it is a clause: "its debug information has more than ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// [`Limits::section_bytes`].
    SectionBytes,
    /// [`Limits::units`].
    Units,
    /// [`Limits::abbreviations`].
    Abbreviations,
    /// [`Limits::steps`].
    Steps,
    /// [`Limits::inlined`].
    Inlined,
    /// [`Limits::items`].
    Items,
    /// [`Limits::text_bytes`].
    TextBytes,
    /// [`Limits::shown_bytes`].
    ShownBytes,
    /// [`Limits::time`].
    Time,
    /// There was no thread for the lookup: the host has no more threads, an earlier trace still
    /// keeps the one there is, or it panicked.
    Thread,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::SectionBytes => "a section of its debug information is too large",
            Bound::Units => "its debug information has too many units",
            Bound::Abbreviations => "its debug information has too many abbreviations",
            Bound::Steps => "its debug information takes too many steps to read",
            Bound::Inlined => "its debug information nests too many inlined functions",
            Bound::Items => "its debug information has too many functions at these places",
            Bound::TextBytes => "its names are too long together",
            Bound::ShownBytes => "there is more to show than is printed",
            Bound::Time => "its debug information takes too long to read",
            Bound::Thread => "there is no thread to read its debug information",
        })
    }
}

/// Why a look-up ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Bound(Bound),
    /// The debug information is wrong. This frame is shown as if it had none.
    Wrong,
}

impl From<gimli::Error> for Stop {
    fn from(_: gimli::Error) -> Self {
        Stop::Wrong
    }
}

/// What is left of [`Limits`] while a trace is looked up.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    steps: u64,
    items: usize,
    text: usize,
    until: Instant,
    look_at: u64,
}

impl Budget {
    pub(crate) fn new(limits: &Limits, until: Instant) -> Self {
        Budget {
            steps: limits.steps,
            items: limits.items,
            text: limits.text_bytes,
            until,
            look_at: limits.steps,
            limits: limits.clone(),
        }
    }

    /// Takes so many steps.
    pub(crate) fn spend(&mut self, steps: u64) -> Result<(), Stop> {
        self.steps = match self.steps.checked_sub(steps) {
            Some(left) => left,
            None => return Err(Stop::Bound(Bound::Steps)),
        };
        if self.steps <= self.look_at {
            self.look_at = self.steps.saturating_sub(STEPS_A_LOOK);
            self.in_time()?;
        }
        Ok(())
    }

    /// Looks at the clock.
    pub(crate) fn in_time(&self) -> Result<(), Stop> {
        match Instant::now() < self.until {
            true => Ok(()),
            false => Err(Stop::Bound(Bound::Time)),
        }
    }

    /// Keeps a function for a place.
    pub(crate) fn keep_item(&mut self) -> Result<(), Stop> {
        self.items = match self.items.checked_sub(1) {
            Some(left) => left,
            None => return Err(Stop::Bound(Bound::Items)),
        };
        Ok(())
    }

    /// Keeps so many bytes of text.
    pub(crate) fn keep(&mut self, bytes: usize) -> Result<(), Stop> {
        self.text = match self.text.checked_sub(bytes) {
            Some(left) => left,
            None => return Err(Stop::Bound(Bound::TextBytes)),
        };
        Ok(())
    }
}
