//! Visible readers: where a thread says which entries it reads, in a cache line of its own.
//!
//! Each thread that reads a biased entry has a [`ReaderRecord`] of a few cells. To read, it writes
//! the entry's id into a free cell; when done, it clears the cell. A thread that needs the entry
//! free of readers first stops new ones, then looks through the cells of all threads. Each side has
//! two steps, and [`asymmetric`] barriers order them.
//!
//! Cells hold ids that are compared and never followed, so nothing here can dangle. Records are
//! never freed. A thread that ends leaves its record to the next that needs one, so there are as
//! many records as threads ever read at the same time.

use crate::mutants::mutant;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, asymmetric, lock};
use std::cell::Cell;

/// How many biased entries one thread can hold shared guards of at a time. One more and the
/// reader is counted in the entry instead.
#[cfg(not(loom))]
const CELLS: usize = 7;
#[cfg(loom)]
const CELLS: usize = 1;

/// The cells of one thread. Two lines: the adjacent-line prefetcher pulls in pairs.
#[repr(align(128))]
struct ReaderRecord {
    cells: [AtomicU64; CELLS],
    #[cfg(not(loom))]
    next: std::sync::OnceLock<&'static ReaderRecord>,
}

impl ReaderRecord {
    fn new() -> Self {
        Self {
            cells: std::array::from_fn(|_| AtomicU64::new(0)),
            #[cfg(not(loom))]
            next: std::sync::OnceLock::new(),
        }
    }
}

#[cfg(not(loom))]
mod registry {
    use super::{Mutex, ReaderRecord, lock};
    use std::sync::OnceLock;

    /// All records, chained, and those without a thread.
    pub(super) struct Registry {
        first: OnceLock<&'static ReaderRecord>,
        pool: Mutex<Pool>,
    }

    struct Pool {
        free: Vec<&'static ReaderRecord>,
        last: Option<&'static ReaderRecord>,
    }

    pub(super) static REGISTRY: Registry = Registry {
        first: OnceLock::new(),
        pool: Mutex::new(Pool {
            free: Vec::new(),
            last: None,
        }),
    };

    impl Registry {
        pub(super) fn checkout(&self) -> &'static ReaderRecord {
            let mut pool = lock(&self.pool);
            if let Some(record) = pool.free.pop() {
                return record;
            }
            let record: &'static ReaderRecord = Box::leak(Box::new(ReaderRecord::new()));
            let link = match pool.last {
                Some(last) => &last.next,
                None => &self.first,
            };
            let linked = link.set(record);
            debug_assert!(linked.is_ok(), "the link after the last record was set");
            pool.last = Some(record);
            record
        }

        pub(super) fn give_back(&self, record: &'static ReaderRecord) {
            lock(&self.pool).free.push(record);
        }

        /// A record linked too late to be seen here belongs to a reader that publishes itself
        /// too late: the barrier that orders the cell's store orders the link before it.
        pub(super) fn records(&self) -> impl Iterator<Item = &'static ReaderRecord> {
            std::iter::successors(self.first.get().copied(), |record| {
                record.next.get().copied()
            })
        }
    }
}

/// Loom does not see what `OnceLock` orders, and models have a fixed number of threads.
#[cfg(loom)]
mod registry {
    use super::{Mutex, ReaderRecord, lock};

    pub(super) struct Registry {
        records: [&'static ReaderRecord; 3],
        unused: Mutex<Vec<&'static ReaderRecord>>,
    }

    loom::lazy_static! {
        pub(super) static ref REGISTRY: Registry = Registry::new();
    }

    impl Registry {
        fn new() -> Self {
            let records = std::array::from_fn(|_| &*Box::leak(Box::new(ReaderRecord::new())));
            Self {
                records,
                unused: Mutex::new(Vec::from(records)),
            }
        }

        pub(super) fn checkout(&self) -> &'static ReaderRecord {
            lock(&self.unused).pop().expect("a model has 3 threads")
        }

        pub(super) fn records(&self) -> impl Iterator<Item = &'static ReaderRecord> {
            self.records.into_iter()
        }
    }
}

use registry::REGISTRY;

// This thread's record, once it has one. There are two values: the standard library has to check a
// value that is dropped with its thread at each access, and the first of these needs no drop.
#[cfg(not(loom))]
thread_local! {
    static RECORD: Cell<Option<&'static ReaderRecord>> = const { Cell::new(None) };
    static RECORD_LEASE: RecordLease = const { RecordLease(Cell::new(None)) };
}
#[cfg(loom)]
loom::thread_local! {
    static RECORD: Cell<Option<&'static ReaderRecord>> = Cell::new(None);
    static RECORD_LEASE: RecordLease = RecordLease(Cell::new(None));
}

/// Gives a thread's record back when the thread ends.
struct RecordLease(Cell<Option<&'static ReaderRecord>>);

impl Drop for RecordLease {
    fn drop(&mut self) {
        // Cells of guards that were leaked, or that outlive this value in other thread-local
        // storage, stay taken: the next owner of the record uses the others.
        // (A model's first thread ends after the registry.)
        #[cfg(not(loom))]
        if let Some(record) = self.0.take() {
            RECORD.set(None);
            REGISTRY.give_back(record);
        }
    }
}

/// A thread's first record; `None` if the thread is ending and must not have one any more.
#[cold]
fn checkout() -> Option<&'static ReaderRecord> {
    RECORD_LEASE
        .try_with(|lease| {
            let record = REGISTRY.checkout();
            lease.0.set(Some(record));
            RECORD.with(|it| it.set(Some(record)));
            record
        })
        .ok()
}

/// A reader made visible. Goes away only by [`retract`](Self::retract), once.
pub(crate) struct Published(&'static AtomicU64);

impl Published {
    /// Makes the reader invisible. Its reads happen before an [`any`] that no longer finds it. If
    /// the entry's word asks readers that leave to look at it, the caller's next load of the word
    /// sees that.
    #[inline]
    pub(crate) fn retract(&self) {
        let order = Ordering::Release;
        mutant!(RetractRelaxed: let order = Relaxed);
        self.0.store(0, order);
        mutant!(RetractWithoutBarrier: return);
        asymmetric::light();
    }
}

/// Makes the calling thread visible as a reader of entry `id`. If an [`any`] missed it, what it
/// loads afterwards is not older than what that thread had stored before. `None` if all cells of
/// the thread are taken, or if the thread is ending and has none any more.
#[inline]
pub(crate) fn publish(id: u64) -> Option<Published> {
    let record = match RECORD.with(Cell::get) {
        Some(record) => record,
        None => checkout()?,
    };
    // Only this thread takes cells of its record, so one seen free stays free.
    //
    // Acquire here and release below, as in `retract`: a scan that finds this id where an earlier
    // one stood must still be ordered after the earlier guard's reads. That guard may have been
    // another thread's, if it outlived the `RecordLease` of the record's owner before.
    let cell = match &record.cells[0] {
        first if first.load(Ordering::Acquire) == 0 => first,
        _ => free_cell(record)?,
    };
    cell.store(id, Ordering::Release);
    mutant!(PublishWithoutBarrier: return Some(Published(cell)));
    asymmetric::light();
    Some(Published(cell))
}

#[inline(never)]
fn free_cell(record: &'static ReaderRecord) -> Option<&'static AtomicU64> {
    let mut cells = record.cells.iter();
    cells.find(|cell| cell.load(Ordering::Acquire) == 0)
}

/// Whether some thread is visible as a reader of entry `id`. The caller has stopped new readers
/// of `id` before; those that come too late see that and retract.
#[cold]
pub(crate) fn any(id: u64) -> bool {
    mutant!(ScanWithoutBarrier: return is_in_a_cell(id));
    asymmetric::heavy();
    is_in_a_cell(id)
}

fn is_in_a_cell(id: u64) -> bool {
    REGISTRY.records().any(|record| {
        let mut cells = record.cells.iter();
        // Acquire pairs with the release in `retract` and `publish`.
        cells.any(|cell| cell.load(Ordering::Acquire) == id)
    })
}
