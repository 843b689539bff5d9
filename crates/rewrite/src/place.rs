//! Positions in a module. wasmparser has them as `usize` up to the version that Wasmtime 48 uses,
//! and later as `u64`. A module is in memory here, so each fits into a `usize`.

use std::ops::Range;

/// The position `at`.
pub(crate) fn place(at: impl TryInto<usize>) -> usize {
    // Nothing is there.
    at.try_into().unwrap_or(usize::MAX)
}

/// The positions from the first to the last of `range`.
pub(crate) fn places(range: Range<impl TryInto<usize>>) -> Range<usize> {
    place(range.start)..place(range.end)
}
