//! A run as a file.
//!
//! Text, a JSON object a line: first a [`Header`] with what the run depends on, then a line for
//! each [`Decision`], last how the run ended ([`End`]).
//!
//! ```text
//! {"replay":1,"tool":"host 48.0.0","schedule":"random:17","hashes":{"module":"2c26b4..."}}
//! {"decision":1,"thread":1,"point":12,"why":"atomic","next":2,"early":false}
//! {"end":"thread 1 trapped: unreachable","status":134,"points":61,"trace":"5f1d7a84db00d2fe"}
//! ```
//!
//! A file is read strictly: an unknown or missing field, a decision out of its order, a missing
//! last line are errors that name the line ([`ReadError`]). Nothing is guessed, because a replay of
//! almost the same run is useless.

mod format;
mod read;

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::keyed::Decision;

pub use read::{Fault, LONGEST_LINE, ReadError};

/// The version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// What a run depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The program that ran it, with its version.
    pub tool: String,
    /// How the run was found: the policy and its seed.
    pub schedule: String,
    /// Hashes of what went into the run, by name: the module, its arguments, ...
    pub hashes: BTreeMap<String, String>,
}

impl Header {
    /// A header without hashes.
    #[must_use]
    pub fn new(tool: impl Into<String>, schedule: impl Into<String>) -> Self {
        Self {
            tool: tool.into(),
            schedule: schedule.into(),
            hashes: BTreeMap::new(),
        }
    }

    /// The names of what differs from `now`: `tool`, and the hashes that differ or that only one of
    /// the two has.
    #[must_use]
    pub fn differences(&self, now: &Header) -> Vec<String> {
        let tool = (self.tool != now.tool).then(|| "tool".to_owned());
        let names = self.hashes.keys().chain(now.hashes.keys());
        let other = names.filter(|name| self.hashes.get(*name) != now.hashes.get(*name));
        let mut names: Vec<_> = other.cloned().collect();
        names.sort();
        names.dedup();
        tool.into_iter().chain(names).collect()
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// In words, on one line.
    pub outcome: String,
    /// The exit status.
    pub status: u8,
    /// How many points all threads had passed when the turn last moved.
    pub points: u64,
    /// A hash of the moves of the turn: [`Recording::moves`](crate::keyed::Recording::moves).
    pub trace: u64,
}

impl End {
    /// How a run ended.
    #[must_use]
    pub fn new(outcome: impl Into<String>, status: u8, points: u64, trace: u64) -> Self {
        Self {
            outcome: outcome.into(),
            status,
            points,
            trace,
        }
    }
}

/// All of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replay {
    /// The first line.
    pub header: Header,
    /// The lines between.
    pub decisions: Vec<Decision>,
    /// The last line.
    pub end: End,
}

impl Replay {
    /// What is to be written.
    #[must_use]
    pub fn new(header: Header, decisions: Vec<Decision>, end: End) -> Self {
        Self {
            header,
            decisions,
            end,
        }
    }

    /// Writes all lines. The same replay is the same bytes.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        format::write_header(&self.header, &mut to)?;
        for (n, decision) in self.decisions.iter().enumerate() {
            format::write_decision(n + 1, decision, &mut to)?;
        }
        format::write_end(&self.end, &mut to)
    }

    /// Reads all lines.
    ///
    /// # Errors
    ///
    /// [`ReadError`] with the line and its fault. Lines are at most [`LONGEST_LINE`] bytes, and
    /// decisions at most [`MOST_DECISIONS`](crate::keyed::MOST_DECISIONS), so a file of another
    /// kind cannot take all memory.
    pub fn read(from: impl io::BufRead) -> Result<Self, ReadError> {
        read::read(from)
    }
}

#[cfg(test)]
mod tests;
