//! How much a detector keeps.

/// How much a [`Detector`](crate::Detector) keeps. What is beyond a limit is forgotten and counted
/// ([`Counts`](crate::Counts)). That can make a report missing, but never wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of shadow memory: which thread has accessed what. By default 1 GiB.
    ///
    /// Memory that is accessed piece by piece takes five times its size, in pages of 4 KiB. Memory
    /// that was filled, copied or read into as a whole takes about 3 % of its size. So the default
    /// covers some 200 MiB that are accessed; for 1 GiB, all of it accessed piece by piece, it
    /// takes 5 GiB. Beyond it, a page that was not used for long is forgotten.
    pub shadow_bytes: usize,
    /// Bytes of what atomics order: each word of 8 bytes that was the target of an atomic takes
    /// about 100 and 8 for each thread. By default 256 MiB. Beyond it, all further words are taken
    /// for one.
    pub order_bytes: usize,
    /// Threads that are told apart: those that run, and those that have ended and whose end some
    /// others do not know of. At most, and by default, 16,383. Beyond it, a new thread takes the
    /// place of one that has ended.
    pub threads: u16,
    /// Accesses that are kept for 8 bytes: readers, for the most part. By default 256, at least 4.
    /// Beyond it, the oldest is forgotten.
    pub accesses: usize,
    /// Blocks of an allocator's that are known at once, those that were given back included. By
    /// default 1,048,576, of about 100 bytes each. Beyond it, a new one is not known.
    pub blocks: usize,
    /// Races that are kept, each pair of places once. By default 1,000. Beyond it, they are
    /// counted.
    pub races: usize,
}

/// The most threads that an entry has bits for.
pub(crate) const MOST_THREADS: u16 = (1 << 14) - 1;

impl Default for Limits {
    fn default() -> Self {
        Self {
            shadow_bytes: 1 << 30,
            order_bytes: 1 << 28,
            threads: MOST_THREADS,
            accesses: 256,
            blocks: 1 << 20,
            races: 1000,
        }
    }
}
