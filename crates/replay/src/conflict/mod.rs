//! Accesses of memory that conflict, and in which order they came.
//!
//! Two accesses conflict if different threads make them, they have a byte in common, and one of
//! them writes. A schedule decides the order of these. The order of all others changes nothing.
//!
//! [`History`] keeps the last accesses of a run, to show those around a failure. [`Orders`] sums up
//! the order of all of them, to count how many different ones were tried.

mod history;
mod orders;
#[cfg(test)]
mod tests;

use crate::interface::ThreadId;

pub use history::{History, Line};
pub use orders::Orders;

/// How many words of one access are looked at: of a copy of more than 64 KiB, its first ones.
const MOST_OF_ONE: u64 = 1 << 13;

/// What a thread does to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The thread.
    pub thread: ThreadId,
    /// How many points it has passed.
    pub point: u64,
    /// Which memory, whatever the caller's numbers mean.
    pub memory: u32,
    /// The address of the first byte.
    pub address: u64,
    /// How many bytes. Of more than 64 KiB, the first ones are looked at.
    pub length: u64,
    /// Whether it may change them. A wait and a notify count as writes, because the order of the
    /// two matters.
    pub writes: bool,
}

/// Eight bytes of a memory.
type Word = (u32, u64);

impl Access {
    /// The words it is about, each with a bit for each of its bytes.
    fn words(&self) -> impl Iterator<Item = (Word, u8)> + use<> {
        let Self {
            memory,
            address,
            length,
            ..
        } = *self;
        let end = address.saturating_add(length);
        let words = match length {
            0 => 0..0,
            _ => address / 8..end.div_ceil(8),
        };
        words.take(MOST_OF_ONE as usize).map(move |word| {
            let first = word * 8;
            let from = address.saturating_sub(first).min(8);
            let to = (end - first).min(8);
            let mask = (0xff_u16 << from) & !(0xffff_u16 << to);
            ((memory, word), mask as u8)
        })
    }
}
