//! What is told of a race.

use std::fmt;

/// Where in the program an access is: a number of the caller's, below 2^24 ([`Place::new`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(u32);

impl Place {
    /// The most that an entry has bits for.
    pub const MAX: u32 = (1 << 24) - 1;

    /// The place with this number; `None` above [`MAX`](Self::MAX).
    pub fn new(number: u32) -> Option<Self> {
        (number <= Self::MAX).then_some(Self(number))
    }

    /// Its number.
    pub fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn of_bits(bits: u64) -> Self {
        Self((bits as u32) & Self::MAX)
    }
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessKind {
    /// It reads, and is not atomic.
    Read,
    /// It writes, and is not atomic.
    Write,
    /// An atomic load, the comparison of a wait, or a compare-exchange that fails.
    AtomicRead,
    /// An atomic store.
    AtomicWrite,
    /// An atomic read-modify-write. A compare-exchange that fails is none: it only reads.
    AtomicUpdate,
    /// A block is given back: a write of all of it that is not atomic
    /// ([`Detector::free`](crate::Detector::free)).
    Free,
}

impl AccessKind {
    /// Whether it is atomic.
    pub fn is_atomic(self) -> bool {
        matches!(
            self,
            Self::AtomicRead | Self::AtomicWrite | Self::AtomicUpdate
        )
    }

    /// Whether it writes.
    pub fn writes(self) -> bool {
        match self {
            Self::Write | Self::AtomicWrite | Self::AtomicUpdate | Self::Free => true,
            Self::Read | Self::AtomicRead => false,
        }
    }

    /// Whether it may learn what an atomic write has released.
    pub(crate) fn acquires(self) -> bool {
        matches!(self, Self::AtomicRead | Self::AtomicUpdate)
    }
}

impl fmt::Display for AccessKind {
    /// `read`, `atomic write`, and so on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::AtomicRead => "atomic read",
            Self::AtomicWrite => "atomic write",
            Self::AtomicUpdate => "atomic update",
            Self::Free => "free",
        })
    }
}

/// An access that a thread makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The thread.
    pub thread: u32,
    /// Where it begins. A host with several memories gives each a range of its own.
    pub address: u64,
    /// Its bytes; with 0, nothing is accessed. An atomic one has 1, 2, 4 or 8, at a multiple of
    /// that.
    pub size: u64,
    /// What it does.
    pub kind: AccessKind,
    /// Where in the program.
    pub place: Place,
    /// A number by which the caller finds this access, such as a count of the thread's accesses; 40
    /// bits are kept. A thread's numbers must grow, or sequence locks are not recognised
    /// ([`Detector::sequence_lock`](crate::Detector::sequence_lock)).
    pub number: u64,
}

/// A thread, named for as long as there are reports of it. The caller's number alone is not enough:
/// several threads can have it, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadInfo {
    /// The caller's number.
    pub id: u32,
    /// The how many-th thread it is; the first is 0. No other has it.
    pub serial: u64,
    /// The thread that created it, as number and serial. `None` for those that
    /// [`start`](crate::Detector::start) made.
    pub parent: Option<(u32, u64)>,
    /// Where, and the caller's number for that ([`Access::number`]).
    pub created: Option<(Place, u64)>,
}

/// One of the two accesses of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// The thread.
    pub thread: ThreadInfo,
    /// What it did.
    pub kind: AccessKind,
    /// Where in the program.
    pub place: Place,
    /// The caller's number for it. If a place accessed neighbouring bytes several times and its
    /// thread released nothing in between, this is the number of the last access.
    pub number: u64,
    /// Where its bytes begin, among the 8 that the race is in.
    pub address: u64,
    /// How many they are, of these 8.
    pub size: u8,
}

/// Two accesses that nothing orders, of which one writes and one is not atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// The later one, in this run.
    pub current: Side,
    /// The earlier one.
    pub previous: Side,
    /// Where the bytes begin that both accessed. For a race of many bytes, the first that was
    /// found.
    pub address: u64,
    /// How many they are, among 8.
    pub size: u8,
    /// The block that these bytes were in, if one is known: see
    /// [`Detector::allocate`](crate::Detector::allocate).
    pub block: Option<Block>,
}

/// A block of memory that an allocator has given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
    /// Where it was allocated.
    pub allocated: Origin,
    /// Where it was given back, if it was.
    pub freed: Option<Origin>,
}

/// Something that a thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The thread.
    pub thread: ThreadInfo,
    /// Where in the program.
    pub place: Place,
    /// The caller's number for it: [`Access::number`].
    pub number: u64,
}

impl Race {
    /// The pair of places that it is known by, whichever came first.
    pub fn places(&self) -> (Place, Place) {
        let (one, other) = (self.current.place, self.previous.place);
        (one.min(other), one.max(other))
    }
}

/// What was forgotten, and what was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Accesses that were checked.
    pub accesses: u64,
    /// Races that were found. Each pair of accesses counts once for each 8 bytes, or for each 4 KiB
    /// that were accessed as a whole.
    pub races: u64,
    /// Pairs of places that raced beyond [`Limits::races`](crate::Limits::races).
    pub races_not_kept: u64,
    /// Pages of 4 KiB whose accesses were forgotten:
    /// [`Limits::shadow_bytes`](crate::Limits::shadow_bytes).
    pub pages_forgotten: u64,
    /// Blocks that were allocated beyond [`Limits::blocks`](crate::Limits::blocks).
    pub blocks_not_kept: u64,
    /// Accesses that were forgotten: [`Limits::accesses`](crate::Limits::accesses).
    pub accesses_forgotten: u64,
    /// Atomics on words that were taken for one:
    /// [`Limits::order_bytes`](crate::Limits::order_bytes).
    pub words_merged: u64,
    /// Threads that took the place of another too early:
    /// [`Limits::threads`](crate::Limits::threads).
    pub threads_merged: u64,
}
