//! What must be alike: answers, memory, files.

use super::layout::RESULTS;
use super::table::Open;
use super::{Answers, Outcome, Twins};
use crate::known::{self, Kind};
use crate::side::Arg::{self, I};
use crate::side::Side;
use std::collections::BTreeMap;

impl Twins {
    /// One call, with the same arguments on both sides.
    pub(super) fn alike(&mut self, name: &'static str, args: &[Arg]) -> Result<Answers, String> {
        self.both(name, None, args, args)
    }

    /// One call on a descriptor, which goes first and has a number of its own on each side.
    pub(super) fn with(
        &mut self,
        name: &'static str,
        open: &Open,
        args: &[Arg],
    ) -> Result<Answers, String> {
        let ours = [&[I(open.ours)], args].concat();
        let theirs = [&[I(open.theirs)], args].concat();
        self.both(name, Some(open.kind), &ours, &theirs)
    }

    /// If the answers differ as intended, results in memory are not compared. They are made equal
    /// again, for the calls that follow. Ours must have written none if its answer is an error.
    pub(super) fn both(
        &mut self,
        name: &'static str,
        kind: Option<Kind>,
        ours: &[Arg],
        theirs: &[Arg],
    ) -> Result<Answers, String> {
        let before = results(&self.ours);
        let (ours, theirs) = (self.ours.call(name, ours), self.theirs.call(name, theirs));
        self.seen.call(name, ours == Some(0));
        if ours == theirs {
            return Ok((ours, theirs));
        }
        let Some(index) = known::find(name, kind, self.case, ours, theirs) else {
            return Err(format!(
                "{name} on {kind:?} answers {ours:?}, the peer {theirs:?} (none: trap)"
            ));
        };
        self.seen.known[index] += 1;
        let after = results(&self.ours);
        if ours != Some(0) && before != after {
            return Err(format!("{name} on {kind:?} fails and has written a result"));
        }
        for (range, bytes) in RESULTS.iter().zip(&after) {
            self.theirs.write(range.start, bytes);
        }
        Ok((ours, theirs))
    }

    pub(super) fn compare_memory(&self) -> Outcome {
        let (ours, theirs) = (self.ours.memory(), self.theirs.memory());
        if ours == theirs {
            return Ok(());
        }
        let at = ours
            .iter()
            .zip(theirs)
            .position(|(a, b)| a != b)
            .unwrap_or(0);
        let end = (at + 16).min(ours.len());
        Err(format!(
            "memory differs at {at:#x}: {:?}, the peer's {:?}",
            &ours[at..end],
            &theirs[at..end]
        ))
    }

    /// The files in the guest's directory.
    pub fn compare_files(&self) -> Outcome {
        let files = |side: &Side| -> std::io::Result<BTreeMap<_, _>> {
            std::fs::read_dir(side.dir.path())?
                .map(|entry| {
                    let entry = entry?;
                    Ok((entry.file_name(), std::fs::read(entry.path())?))
                })
                .collect()
        };
        let read = |side| files(side).map_err(|e| format!("the files cannot be read: {e}"));
        let (ours, theirs) = (read(&self.ours)?, read(&self.theirs)?);
        if ours == theirs {
            return Ok(());
        }
        Err(format!("files differ: {ours:?}\nthe peer's: {theirs:?}"))
    }
}

fn results(side: &Side) -> Vec<Vec<u8>> {
    let read = |range: &std::ops::Range<u32>| side.read(range.start, range.end - range.start);
    RESULTS.iter().map(|range| read(range).to_vec()).collect()
}
