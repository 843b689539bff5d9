//! The code section with calls in the places of instructions.

use std::ops::Range;

use crate::encode::{LONGEST_U32, push_u32, push_u32_in, take_u32, u32_length};
use crate::offset_map::OffsetMap;

/// An instruction and what takes its place, which is no shorter.
pub(crate) struct Replacement {
    /// In the module.
    pub(crate) at: Range<usize>,
    pub(crate) by: Vec<u8>,
}

impl Replacement {
    fn growth(&self) -> usize {
        self.by.len() - self.at.len()
    }
}

/// What became of the contents of a code section.
pub(crate) struct Code {
    pub(crate) contents: Vec<u8>,
    /// Counted from the beginning of the contents, the old and the new ones.
    pub(crate) map: OffsetMap,
}

/// The contents `old`, which begin at `start` in the module, with the replacements in place and
/// `count` more functions. The replacements are in the order of the code. Numbers keep their
/// lengths if they can, so that nothing moves that need not.
pub(crate) fn replace(
    old: &[u8],
    start: usize,
    replacements: &[Replacement],
    count: u32,
    entries: &[u8],
) -> Code {
    let (before, rest) = take_u32(old).unwrap_or((0, old));
    let head = old.len() - rest.len();
    let grown: usize = replacements.iter().map(Replacement::growth).sum();
    let mut out = Writer {
        old,
        start,
        read: 0,
        out: Vec::with_capacity(old.len() + grown + entries.len() + LONGEST_U32),
        map: OffsetMap::default(),
    };
    out.number(head, before + count);
    if grown == 0 {
        for replacement in replacements {
            out.replacement(replacement);
        }
    } else {
        out.bodies(replacements);
    }
    out.copy_up_to(old.len());
    out.out.extend_from_slice(entries);
    Code {
        contents: out.out,
        map: out.map,
    }
}

struct Writer<'a> {
    old: &'a [u8],
    start: usize,
    /// How much of the old contents is dealt with.
    read: usize,
    out: Vec<u8>,
    map: OffsetMap,
}

impl Writer<'_> {
    /// The bodies with the replacements in place: each has its length before it.
    fn bodies(&mut self, mut replacements: &[Replacement]) {
        while let Some((size, rest)) = self.old.get(self.read..).and_then(take_u32) {
            let begin = self.old.len() - rest.len();
            let end = begin.saturating_add(size as usize).min(self.old.len());
            let within = replacements.partition_point(|one| one.at.start - self.start < end);
            let (here, later) = replacements.split_at(within);
            replacements = later;
            let grown: usize = here.iter().map(Replacement::growth).sum();
            self.number(begin - self.read, size + grown as u32);
            for replacement in here {
                self.replacement(replacement);
            }
            self.copy_up_to(end);
        }
    }

    /// A number in the place of one that has `length` bytes.
    fn number(&mut self, length: usize, value: u32) {
        let at = self.out.len() as u64;
        let fits = push_u32_in(&mut self.out, value, length);
        if !fits {
            push_u32(&mut self.out, value);
        }
        debug_assert!(fits || u32_length(value) > length);
        self.passed(length, at);
    }

    /// The old contents up to a replacement, and that.
    fn replacement(&mut self, replacement: &Replacement) {
        self.copy_up_to(replacement.at.start - self.start);
        let at = self.out.len() as u64;
        self.out.extend_from_slice(&replacement.by);
        self.passed(replacement.at.len(), at);
    }

    fn copy_up_to(&mut self, end: usize) {
        let at = self.out.len() as u64;
        self.out.extend_from_slice(&self.old[self.read..end]);
        self.passed(end - self.read, at);
    }

    /// The next `length` bytes of the old contents, or what replaces them, are at `at` now.
    fn passed(&mut self, length: usize, at: u64) {
        let original = self.read as u64..(self.read + length) as u64;
        self.map.push(original, at);
        self.read += length;
    }
}
