//! What instructions do to memory.

use std::fmt;

/// What an instruction does to the bytes that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AccessOp {
    /// A plain load, of a vector's lane as well.
    Load,
    /// A plain store.
    Store,
    /// An atomic load.
    AtomicLoad,
    /// An atomic store.
    AtomicStore,
    /// An atomic read-modify-write, an exchange included.
    AtomicRmw,
    /// An atomic compare and exchange that found what it expected: it reads and writes.
    AtomicCmpxchg,
    /// One that found something else: it only reads.
    AtomicCompare,
    /// A `memory.atomic.wait`: it reads the word, and may wait.
    Wait,
    /// A `memory.atomic.notify`: it neither reads nor writes.
    Notify,
    /// A `memory.fill`: it writes.
    Fill,
    /// The source of a `memory.copy`.
    CopyFrom,
    /// The destination of a `memory.copy`.
    CopyTo,
    /// A `memory.init`: it writes what is in a data segment.
    Init,
    /// A call of an imported function: it accesses nothing by itself, and is told before it is
    /// made. Its address and length are 0.
    HostCall,
    /// The allocator has given out these bytes. It is told behind the call.
    Allocate,
    /// The allocator takes back the block at this address. It is told before the call, with the
    /// length 0: the caller does not say how long the block is.
    Free,
}

impl AccessOp {
    /// Whether it reads the bytes.
    pub fn reads(self) -> bool {
        match self {
            Self::Load | Self::AtomicLoad | Self::AtomicRmw | Self::AtomicCmpxchg => true,
            Self::AtomicCompare | Self::Wait | Self::CopyFrom => true,
            Self::Store | Self::AtomicStore | Self::Notify => false,
            Self::Fill | Self::CopyTo | Self::Init => false,
            Self::HostCall | Self::Allocate | Self::Free => false,
        }
    }

    /// Whether it writes the bytes.
    pub fn writes(self) -> bool {
        match self {
            Self::Store | Self::AtomicStore | Self::AtomicRmw | Self::AtomicCmpxchg => true,
            Self::Fill | Self::CopyTo | Self::Init => true,
            Self::Load | Self::AtomicLoad | Self::AtomicCompare => false,
            Self::Wait | Self::Notify | Self::CopyFrom => false,
            Self::HostCall | Self::Allocate | Self::Free => false,
        }
    }

    /// Whether it is an atomic instruction, waits and notifies included.
    pub fn is_atomic(self) -> bool {
        match self {
            Self::AtomicLoad | Self::AtomicStore | Self::AtomicRmw | Self::AtomicCmpxchg => true,
            Self::AtomicCompare | Self::Wait | Self::Notify => true,
            Self::Load | Self::Store | Self::Fill => false,
            Self::CopyFrom | Self::CopyTo | Self::Init => false,
            Self::HostCall | Self::Allocate | Self::Free => false,
        }
    }
}

impl fmt::Display for AccessOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Store => "store",
            Self::AtomicLoad => "atomic load",
            Self::AtomicStore => "atomic store",
            Self::AtomicRmw => "atomic read-modify-write",
            Self::AtomicCmpxchg => "atomic compare-exchange",
            Self::AtomicCompare => "atomic compare-exchange that failed",
            Self::Wait => "wait",
            Self::Notify => "notify",
            Self::Fill => "memory.fill",
            Self::CopyFrom => "memory.copy from",
            Self::CopyTo => "memory.copy to",
            Self::Init => "memory.init",
            Self::HostCall => "call of the host",
            Self::Allocate => "allocation",
            Self::Free => "free",
        })
    }
}
