//! Typed and untyped handles, 64 bits each: a generation above an index.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU64;

/// Index bits kept by [`AnyHandle::to_rep`].
const REP_INDEX_BITS: u32 = 24;

/// Names one entry of one [`Table`](crate::Table), of whatever type.
///
/// The low 32 bits are the slot's index, the high 32 bits its generation, which is never zero:
/// `Option<AnyHandle>` takes 64 bits and a raw value of 0 names nothing. A slot gets a new
/// generation each time it is reused, and is retired when it has none left. So a stale handle stays
/// stale for the life of its table. Handles do not say which table they belong to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct AnyHandle(NonZeroU64);

impl AnyHandle {
    /// Joins the two halves; `None` for generation 0.
    pub(crate) fn new(index: u32, generation: u32) -> Option<Self> {
        if generation == 0 {
            return None;
        }
        NonZeroU64::new(u64::from(generation) << 32 | u64::from(index)).map(Self)
    }

    /// The handle as a number, never 0: for storage in an atomic or on the far side of an FFI.
    pub fn to_raw(self) -> u64 {
        self.0.get()
    }

    /// The handle with this number; `None` if its generation is 0, which no entry has. Any other
    /// number is safe to use: a table looks it up and answers
    /// [`NotPresent`](crate::Error::NotPresent) if it names nothing there.
    pub fn from_raw(raw: u64) -> Option<Self> {
        Self::new(raw as u32, (raw >> 32) as u32)
    }

    /// The index of the slot: the low half. With one thread, indices are dense: a table that never
    /// has more than `n` entries uses indices below `n` (plus one for each slot retired). With
    /// several threads, a push may take a new slot while another thread is using the list that has
    /// a free one.
    pub fn index(self) -> u32 {
        self.to_raw() as u32
    }

    /// The generation of the slot, the high half.
    pub fn generation(self) -> u32 {
        (self.to_raw() >> 32) as u32
    }

    /// The same name with a type claimed for it. The claim is checked when the handle is used.
    pub fn typed<T>(self) -> Handle<T> {
        Handle(self, PhantomData)
    }

    /// The handle cut down to 32 bits, as a component-model `rep` has: 24 bits of index and the
    /// low 8 bits of the generation. `None` if the index does not fit.
    ///
    /// What is lost: a `rep` kept after its entry went is told from the slot's later entries only
    /// until the slot has been reused 256 times. After that it may name a later entry. A handle of
    /// 64 bits never does. [`Table::handle_of_rep`](crate::Table::handle_of_rep) is the way back.
    pub fn to_rep(self) -> Option<u32> {
        (self.index() < 1 << REP_INDEX_BITS)
            .then(|| self.index() | self.generation() << REP_INDEX_BITS)
    }

    /// The index and the low bits of the generation in a `rep`.
    pub(crate) fn split_rep(rep: u32) -> (u32, u8) {
        (
            rep & ((1 << REP_INDEX_BITS) - 1),
            (rep >> REP_INDEX_BITS) as u8,
        )
    }
}

impl fmt::Debug for AnyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index(), self.generation())
    }
}

/// Types are looked up by their id, so `T` must not be swapped for a subtype, which has another id.
pub(crate) type Invariant<T> = fn(T) -> T;

/// Names one entry of type `T` of one [`Table`](crate::Table).
///
/// A plain number ([`AnyHandle`]) with a type claimed for it: `Copy`, `Send` and `Sync` whatever
/// `T` is, and checked at each use. It owns nothing: dropping it leaves the entry where it is.
#[repr(transparent)]
pub struct Handle<T>(AnyHandle, PhantomData<Invariant<T>>);

impl<T> Handle<T> {
    /// The same name without the type.
    pub fn any(&self) -> AnyHandle {
        self.0
    }

    /// See [`AnyHandle::to_raw`].
    pub fn to_raw(&self) -> u64 {
        self.0.to_raw()
    }

    /// See [`AnyHandle::from_raw`].
    pub fn from_raw(raw: u64) -> Option<Self> {
        AnyHandle::from_raw(raw).map(AnyHandle::typed)
    }

    /// See [`AnyHandle::index`].
    pub fn index(&self) -> u32 {
        self.0.index()
    }

    /// See [`AnyHandle::generation`].
    pub fn generation(&self) -> u32 {
        self.0.generation()
    }
}

// Derives would ask the same of `T`.
impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Handle<T> {}
impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Handle<T> {}
impl<T> PartialOrd for Handle<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Handle<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> Hash for Handle<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl<T> From<Handle<T>> for AnyHandle {
    fn from(handle: Handle<T>) -> Self {
        handle.0
    }
}
