//! Where each byte of a module's code went.

use std::ops::Range;

/// Where the code of a module is after the rewrite, and where it was before, in bytes from the
/// beginning of each file.
///
/// Code mostly keeps its bytes and moves in one piece, by what is put in before its section. If an
/// instruction has no room for what replaces it, all that comes after it moves further. So the map
/// is a list of [`Run`]s, each of bytes that moved equally far. A lookup is a binary search. It
/// locks nothing and never panics.
///
/// DWARF counts from the beginning of the code section's contents: take off
/// [`original_start`](Self::original_start), or [`rewritten_start`](Self::rewritten_start).
///
/// ```
/// let text = r#"(module (memory 1) (func (param i32)
///     (memory.fill (i32.const 0) (i32.const 1) (local.get 0)) (unreachable)))"#;
/// let module = wat::parse_str(text).expect("valid text");
/// let rewritten = interruptible_wasm::rewrite(&module)?;
/// let unreachable = module.len() - 2;
/// assert_eq!(module[unreachable], 0x00);
/// let now = rewritten.code_map.rewritten(unreachable as u64).expect("a place in the code");
/// assert_eq!(rewritten.bytes[now as usize], 0x00);
/// assert_eq!(rewritten.code_map.original(now), Some(unreachable as u64));
/// // The bytes of the appended function were nowhere.
/// let appended = rewritten.bytes.len() as u64 - 1;
/// assert_eq!(rewritten.code_map.original(appended), None);
/// # Ok::<(), interruptible_wasm::RewriteError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OffsetMap {
    /// Without gaps in the original, ascending in both files; none where the whole file is as it
    /// was.
    runs: Vec<Run>,
}

/// Bytes of the code that moved equally far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// Where they were: not empty.
    pub original: Range<u64>,
    /// Where the first of them is now.
    pub rewritten: u64,
}

impl Run {
    fn rewritten_end(&self) -> Option<u64> {
        let length = self.original.end.checked_sub(self.original.start)?;
        self.rewritten.checked_add(length)
    }
}

impl OffsetMap {
    /// A map of these runs, as [`runs`](Self::runs) gave them. The runs must follow each other
    /// without a gap in the original, and must not overlap in the rewritten file; otherwise `None`.
    pub fn from_runs(runs: impl IntoIterator<Item = Run>) -> Option<Self> {
        let runs: Vec<Run> = runs.into_iter().collect();
        let fits =
            |run: &Run| run.original.start < run.original.end && run.rewritten_end().is_some();
        let follow = |pair: &[Run]| {
            let (one, next) = (&pair[0], &pair[1]);
            one.original.end == next.original.start
                && one.rewritten_end().is_some_and(|end| end <= next.rewritten)
        };
        (runs.iter().all(fits) && runs.windows(2).all(follow)).then_some(Self { runs })
    }

    /// The runs, in their order; none where the whole file is as it was.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Where the byte at `original` is now; `None` if it is not in the contents of the code
    /// section. Where the whole file is as it was, every byte is where it was.
    pub fn rewritten(&self, original: u64) -> Option<u64> {
        if self.runs.is_empty() {
            return Some(original);
        }
        let after = self
            .runs
            .partition_point(|run| run.original.start <= original);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let into = original - run.original.start;
        run.original
            .contains(&original)
            .then(|| run.rewritten + into)
    }

    /// Where the byte at `rewritten` was. `None` if it was not there: it is outside the contents of
    /// the code section, or in something that was appended to them. If an instruction became
    /// longer, an added byte counts as the byte before it, which is of that instruction. If the
    /// whole file is as it was, every byte was where it is.
    pub fn original(&self, rewritten: u64) -> Option<u64> {
        if self.runs.is_empty() {
            return Some(rewritten);
        }
        let after = self.runs.partition_point(|run| run.rewritten <= rewritten);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let original = run.original.start + (rewritten - run.rewritten);
        match original < run.original.end {
            true => Some(original),
            // Between this run and the next.
            false => (after < self.runs.len()).then(|| run.original.end - 1),
        }
    }

    /// Where the contents of the code section began; 0 where the whole file is as it was.
    pub fn original_start(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.original.start)
    }

    /// Where they begin now; 0 where the whole file is as it was. (Their first bytes are the count
    /// of functions, which has changed.)
    pub fn rewritten_start(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.rewritten)
    }

    /// Whether all of the code moved equally far, so that every offset counted from the beginning
    /// of the code section's contents is what it was.
    pub fn is_one_run(&self) -> bool {
        self.runs.len() < 2
    }

    /// Says that the byte at `original`, and what comes after it, is at `rewritten`.
    pub(crate) fn push(&mut self, original: Range<u64>, rewritten: u64) {
        if original.is_empty() {
            return;
        }
        if let Some(last) = self.runs.last_mut()
            && last.rewritten_end() == Some(rewritten)
        {
            last.original.end = original.end;
            return;
        }
        self.runs.push(Run {
            original,
            rewritten,
        });
    }

    /// The same of files in which the sections' contents begin here.
    pub(crate) fn moved(mut self, original: u64, rewritten: u64) -> Self {
        for run in &mut self.runs {
            run.original.start += original;
            run.original.end += original;
            run.rewritten += rewritten;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(original: Range<u64>, rewritten: u64) -> Run {
        Run {
            original,
            rewritten,
        }
    }

    #[test]
    fn bytes_are_found_both_ways() {
        let map = OffsetMap::from_runs([run(10..14, 20), run(14..18, 25), run(18..20, 29)]);
        let map = map.unwrap();
        for (original, rewritten) in [(10, 20), (13, 23), (14, 25), (17, 28), (18, 29), (19, 30)] {
            assert_eq!(map.rewritten(original), Some(rewritten));
            assert_eq!(map.original(rewritten), Some(original));
        }
        // The byte that was put in.
        assert_eq!(map.original(24), Some(13));
        for outside in [0, 9, 20, u64::MAX] {
            assert_eq!(map.rewritten(outside), None, "{outside}");
        }
        for outside in [0, 19, 31, u64::MAX] {
            assert_eq!(map.original(outside), None, "{outside}");
        }
        assert_eq!((map.original_start(), map.rewritten_start()), (10, 20));
        assert!(!map.is_one_run());
        assert_eq!(OffsetMap::from_runs(map.runs().to_vec()), Some(map));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for runs in [
            vec![run(1..1, 1)],
            vec![Run {
                original: Range { start: 2, end: 1 },
                rewritten: 1,
            }],
            vec![run(1..2, 1), run(3..4, 9)],
            vec![run(1..3, 1), run(3..4, 2)],
            vec![run(1..3, u64::MAX)],
        ] {
            assert_eq!(OffsetMap::from_runs(runs.clone()), None, "{runs:?}");
        }
        let same = OffsetMap::from_runs([]).unwrap();
        assert_eq!((same.original(7), same.rewritten(7)), (Some(7), Some(7)));
    }
}
