//! Descriptor numbers: which number means which descriptor.
//!
//! A lookup takes no lock. What changes the table (opening, closing, renumbering) holds one mutex
//! for a few instructions; no system call is made and no descriptor is dropped under it.
//!
//! A call keeps the descriptor it has found: closing or renumbering detaches the number, and the
//! descriptor goes with the last call that uses it. A later lookup finds nothing or a new one.
//!
//! The limit is on numbers taken and on what is open: closed ones count while calls hold them.

use crate::abi::types::Errno;
use crate::descriptor::Descriptor;
use crate::lock::lock;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use table_sync::{Error, Handle, SharedGuard, Table};

/// Numbers below this one live in the table's own allocation.
const FIRST: u32 = 64;
const SEGMENTS: usize = 26;

/// Where a number keeps the handle of its descriptor; 0 for none.
type HandleCell = AtomicU64;

/// What the table holds. The count lets a call keep a descriptor beyond its guard, across a wait.
pub(crate) type HeldDescriptor = Arc<Counted>;

/// A descriptor that counts for the limit until it is dropped.
pub(crate) struct Counted {
    descriptor: Descriptor,
    _open: OpenCount,
}

impl Deref for Counted {
    type Target = Descriptor;

    #[inline]
    fn deref(&self) -> &Descriptor {
        &self.descriptor
    }
}

/// One of the open descriptors: as many as others have the `Arc` of [`Fds::open`]. The count grows
/// only with the lock held, and falls at any time.
type OpenCount = Arc<()>;

/// One context's descriptor numbers.
pub(crate) struct Fds {
    /// The descriptors. A handle never names another, however often its slot is used again.
    table: Table,
    first: Box<[HandleCell]>,
    /// Segment `i` holds the numbers `FIRST << i` up to twice that, and is made when first needed.
    more: [OnceLock<Box<[HandleCell]>>; SEGMENTS],
    free: Mutex<Free>,
    /// Shared by all that count for the limit.
    open: OpenCount,
    limit: u32,
}

/// A number taken and meaning nothing yet: no lookup finds it. Dropped, it is free again.
pub(crate) struct Reserved<'a> {
    // Given back first, so that a thread that finds the number free may open something.
    open: OpenCount,
    number: TakenNumber<'a>,
}

/// A number that is not free, until this is dropped.
struct TakenNumber<'a> {
    fds: &'a Fds,
    number: u32,
}

/// Which numbers are free: those in the heap, each once, lowest on top, and all from `next` on.
#[derive(Default)]
struct Free {
    below: BinaryHeap<Reverse<u32>>,
    next: u32,
}

/// A descriptor looked up for the time of one call.
pub(crate) enum FoundDescriptor<'a> {
    /// Held in the table.
    Found(SharedGuard<'a, HeldDescriptor>),
    /// Found by an earlier attempt of the same call, and held by itself.
    Kept(HeldDescriptor),
}

impl Deref for FoundDescriptor<'_> {
    type Target = Descriptor;

    #[inline]
    fn deref(&self) -> &Descriptor {
        match self {
            Self::Found(guard) => guard,
            Self::Kept(held) => held,
        }
    }
}

impl FoundDescriptor<'_> {
    /// A hold on the descriptor that may outlast the lookup.
    pub(crate) fn keep(&self) -> HeldDescriptor {
        match self {
            Self::Found(guard) => Arc::clone(guard),
            Self::Kept(held) => Arc::clone(held),
        }
    }
}

fn segment_of(number: u32) -> (usize, usize) {
    let segment = (number / FIRST).ilog2();
    (segment as usize, (number - (FIRST << segment)) as usize)
}

fn empty_cells(count: u32) -> Box<[HandleCell]> {
    (0..count).map(|_| HandleCell::new(0)).collect()
}

impl Fds {
    /// An empty table of at most `limit` numbers.
    pub(crate) fn new(limit: u32) -> Self {
        let table = Table::new();
        // The limit is kept here.
        table.set_max_capacity(usize::MAX);
        Self {
            table,
            first: empty_cells(FIRST),
            more: [const { OnceLock::new() }; SEGMENTS],
            free: Mutex::default(),
            open: OpenCount::default(),
            limit: limit.min(FIRST << (SEGMENTS - 1)),
        }
    }

    /// How many may be open at once.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    #[inline]
    fn cell(&self, number: u32) -> Option<&HandleCell> {
        if number < FIRST {
            return self.first.get(number as usize);
        }
        let (segment, index) = segment_of(number);
        self.more.get(segment)?.get()?.get(index)
    }

    /// The cell of a number below the limit, made if need be.
    fn make_cell(&self, number: u32) -> &HandleCell {
        if number < FIRST {
            return &self.first[number as usize];
        }
        let (segment, index) = segment_of(number);
        &self.more[segment].get_or_init(|| empty_cells(FIRST << segment))[index]
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        lock(&self.free)
    }

    /// The descriptor `number` means now; `badf` when it means none.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Result<FoundDescriptor<'_>, Errno> {
        let cell = self.cell(number).ok_or(Errno::Badf)?;
        let mut raw = cell.load(Ordering::Acquire);
        loop {
            let handle = Handle::<HeldDescriptor>::from_raw(raw).ok_or(Errno::Badf)?;
            // No call ever asks for exclusive access, so this neither waits nor is refused.
            match self.table.try_get(&handle) {
                Ok(guard) => return Ok(FoundDescriptor::Found(guard)),
                Err(Error::NotPresent) => {}
                Err(_) => return Err(Errno::Busy),
            }
            // A cell changes before its old descriptor is detached, so it does not name that now.
            let now = cell.load(Ordering::Acquire);
            if now == raw {
                return Err(Errno::Badf);
            }
            raw = now;
        }
    }

    /// Gives `descriptor` the lowest free number; `mfile` at the limit.
    pub(crate) fn push(&self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.reserve()?.fill(descriptor)
    }

    /// Takes the lowest free number, for a descriptor that is still to be made; `mfile` at the
    /// limit. What cannot be undone (making or cutting a file, accepting a connection) comes only
    /// after this.
    pub(crate) fn reserve(&self) -> Result<Reserved<'_>, Errno> {
        let mut free = self.lock();
        // One is `self`'s own. Each number that is taken has a descriptor or is reserved.
        if Arc::strong_count(&self.open) > self.limit as usize {
            return Err(Errno::Mfile);
        }
        let number = match free.below.pop() {
            Some(Reverse(number)) => number,
            None if free.next < self.limit => {
                free.next += 1;
                free.next - 1
            }
            None => return Err(Errno::Mfile),
        };
        let open = Arc::clone(&self.open);
        Ok(Reserved {
            open,
            number: TakenNumber { fds: self, number },
        })
    }

    /// Makes `number` mean `descriptor`, whatever it meant before: as `dup2`, in one step for every
    /// lookup. `mfile` at the limit, `busy` while a call opens something that gets this number.
    pub(crate) fn insert(&self, number: u32, descriptor: Descriptor) -> Result<(), Errno> {
        if number >= self.limit {
            return Err(Errno::Mfile);
        }
        let free = self.lock();
        if Arc::strong_count(&self.open) > self.limit as usize {
            return Err(Errno::Mfile);
        }
        let open = Arc::clone(&self.open);
        drop(free);
        let counted = Counted {
            descriptor,
            _open: open,
        };
        let handle = (self.table.push(Arc::new(counted))).map_err(|_| Errno::Nfile)?;
        let mut free = self.lock();
        let cell = self.make_cell(number);
        let replaced = cell.load(Ordering::Acquire);
        let taken = replaced != 0 || free.take(number);
        if taken {
            cell.store(handle.to_raw(), Ordering::Release);
        }
        drop(free);
        if !taken {
            self.detach(handle);
            return Err(Errno::Busy);
        }
        if let Some(replaced) = Handle::from_raw(replaced) {
            self.detach(replaced);
        }
        Ok(())
    }

    /// Whether the limit lets no more be opened: a failure to is then the guest's own.
    pub(crate) fn is_full(&self) -> bool {
        let free = self.lock();
        Arc::strong_count(&self.open) > self.limit as usize
            || (free.below.is_empty() && free.next >= self.limit)
    }

    /// Detaches `number`. The descriptor is dropped without the lock, or by the last call on it.
    pub(crate) fn close(&self, number: u32) -> Result<(), Errno> {
        let cell = self.cell(number).ok_or(Errno::Badf)?;
        let mut free = self.lock();
        let handle = Handle::from_raw(cell.swap(0, Ordering::AcqRel)).ok_or(Errno::Badf)?;
        free.below.push(Reverse(number));
        drop(free);
        self.detach(handle);
        Ok(())
    }

    /// Makes `to` mean what `from` means and frees `from`, in one step: a lookup of `to` finds the
    /// old descriptor or the new one. Both must be open (`badf`); twice the same changes nothing.
    pub(crate) fn renumber(&self, from: u32, to: u32) -> Result<(), Errno> {
        let source = self.cell(from).ok_or(Errno::Badf)?;
        let target = self.cell(to).ok_or(Errno::Badf)?;
        let mut free = self.lock();
        // Cells that name something change only under the lock. A reserved one may be filled
        // meanwhile: then this call came before that.
        let moved = source.load(Ordering::Acquire);
        let replaced = target.load(Ordering::Acquire);
        let replaced = Handle::from_raw(replaced)
            .filter(|_| moved != 0)
            .ok_or(Errno::Badf)?;
        if from == to {
            return Ok(());
        }
        target.store(moved, Ordering::Release);
        source.store(0, Ordering::Release);
        free.below.push(Reverse(from));
        drop(free);
        self.detach(replaced);
        Ok(())
    }

    /// Takes a descriptor that no cell names any more out of the table.
    fn detach(&self, handle: Handle<HeldDescriptor>) {
        let detached = self.table.detach(handle);
        debug_assert_eq!(
            detached,
            Ok(()),
            "only what was taken out of a cell is detached, once"
        );
    }
}

impl Free {
    /// Takes this very number; false if it is not free.
    fn take(&mut self, number: u32) -> bool {
        if number >= self.next {
            self.below.extend((self.next..number).map(Reverse));
            self.next = number + 1;
            return true;
        }
        let before = self.below.len();
        self.below.retain(|Reverse(free)| *free != number);
        self.below.len() < before
    }
}

impl Reserved<'_> {
    /// Makes the number mean `descriptor`.
    pub(crate) fn fill(self, descriptor: Descriptor) -> Result<u32, Errno> {
        let counted = Counted {
            descriptor,
            _open: self.open,
        };
        let fds = self.number.fds;
        // Fails if handles have run out; then the number is free again.
        let handle = (fds.table.push(Arc::new(counted))).map_err(|_| Errno::Nfile)?;
        let number = self.number.keep();
        // No other thread stores to a cell that is reserved, so this takes no lock.
        fds.make_cell(number)
            .store(handle.to_raw(), Ordering::Release);
        Ok(number)
    }
}

impl TakenNumber<'_> {
    /// The number, which stays taken.
    fn keep(self) -> u32 {
        ManuallyDrop::new(self).number
    }
}

impl Drop for TakenNumber<'_> {
    fn drop(&mut self) {
        self.fds.lock().below.push(Reverse(self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::stream::{GuestStream, Source};

    #[test]
    fn the_limit_is_the_one_that_was_asked_for() {
        for limit in [0, 1, 1 << 20, 2_000_000] {
            let fds = Fds::new(limit);
            assert_eq!(fds.limit(), limit);
            assert!(fds.table.max_capacity() > limit as usize);
        }
        assert_eq!(Fds::new(0).reserve().err(), Some(Errno::Mfile));
    }

    /// The numbers that a chosen one leaves free are given out, lowest first, and it is not.
    #[test]
    fn a_chosen_number_is_taken_and_no_other() {
        let fds = Fds::new(100);
        let nothing = || Descriptor::stream(GuestStream::input(Source::Null));
        fds.insert(3, nothing()).unwrap();
        assert_eq!(fds.insert(100, nothing()).err(), Some(Errno::Mfile));
        for number in [0, 1, 2, 4] {
            assert_eq!(fds.push(nothing()), Ok(number));
        }
        // What is open is replaced, what was closed is taken, what is being opened stays.
        fds.insert(1, nothing()).unwrap();
        fds.close(2).unwrap();
        fds.insert(2, nothing()).unwrap();
        let reserved = fds.reserve().unwrap();
        assert_eq!(reserved.number.number, 5);
        assert_eq!(fds.insert(5, nothing()).err(), Some(Errno::Busy));
        drop(reserved);
        fds.insert(5, nothing()).unwrap();
        // Six are open, and each counts once.
        assert_eq!(Arc::strong_count(&fds.open), 7);
        assert_eq!(fds.push(nothing()), Ok(6));
    }

    #[test]
    fn a_number_given_back_is_the_next_one_given_out() {
        let fds = Fds::new(2);
        let (first, second) = (fds.reserve().unwrap(), fds.reserve().unwrap());
        assert_eq!((first.number.number, second.number.number), (0, 1));
        assert!(fds.reserve().is_err());
        drop(first);
        assert!(matches!(fds.get(0), Err(Errno::Badf)));
        assert!(matches!(fds.close(1), Err(Errno::Badf)));
        assert_eq!(fds.reserve().unwrap().number.number, 0);
    }
}
