//! The detector: events in, races out.

mod check;

use std::collections::HashMap;

use crate::blocks::{Blocks, Kept};
use crate::bytes::word_of;
use crate::error::EventError;
use crate::limits::Limits;
use crate::order::Order;
use crate::race::{Access, AccessKind, Counts, Place, Race};
use crate::sequence::Sequences;
use crate::shadow::Shadow;
use crate::threads::Threads;

/// Finds races among the accesses that it is told of. They are told in the order in which they are
/// made.
///
/// It is exact as long as nothing had to be forgotten ([`counts`](Self::counts)): an access is
/// found to race if and only if it conflicts with one before it, and nothing orders the two. Of
/// several races of one access at least one is found. Of each pair of [places](Race::places) the
/// first race is reported.
///
/// It locks nothing. A host whose threads make accesses at once puts it behind a lock. Such a host
/// also makes each access under that lock, or takes [`parallel`](Self::parallel).
///
/// Source: Flanagan and Freund, "FastTrack: efficient and precise dynamic race detection",
/// PLDI 2009. `DESIGN.md` says what is different here.
#[derive(Debug)]
pub struct Detector {
    threads: Threads,
    order: Order,
    shadow: Shadow,
    /// The pairs of places that are known to race, and how often.
    known: HashMap<(Place, Place), u64>,
    races: Vec<Race>,
    sequences: Sequences,
    blocks: Blocks,
    counts: Counts,
    limits: Limits,
    /// Whether others run between an event and what it tells of.
    parallel: bool,
}

impl Detector {
    /// One that has been told of nothing.
    pub fn new(limits: Limits) -> Self {
        Self::with(limits, false)
    }

    /// Makes a detector for threads that run at once. Each tells an event under one lock, and does
    /// it after that. Others may tell and do theirs in between.
    ///
    /// It does not know which of two atomic writes of a word came last. So an atomic read learns
    /// what all writes of its bytes have released that were told before the reader's next event.
    /// Each report is a race, but some races are missing that [`new`](Self::new) would find in the
    /// same run.
    pub fn parallel(limits: Limits) -> Self {
        Self::with(limits, true)
    }

    fn with(limits: Limits, parallel: bool) -> Self {
        Self {
            parallel,
            sequences: Sequences::default(),
            threads: Threads::new(limits.threads),
            order: Order::new(limits.order_bytes, parallel),
            shadow: Shadow::new(limits.shadow_bytes, limits.accesses),
            blocks: Blocks::new(limits.blocks),
            known: HashMap::new(),
            races: Vec::new(),
            counts: Counts::default(),
            limits,
        }
    }

    /// Starts a thread that no other has created: main. What ended threads did comes before it.
    ///
    /// # Errors
    ///
    /// [`EventError::RunsAlready`], [`EventError::TooManyThreads`].
    pub fn start(&mut self, thread: u32) -> Result<(), EventError> {
        self.threads.start(thread, None)
    }

    /// `parent` creates `child`: what it has done comes before what the child does. `place` and
    /// `number` are where, as in an [`Access`]. The number of a thread that has ended can be used
    /// again.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); [`EventError::UnknownThread`].
    pub fn spawn(
        &mut self,
        parent: u32,
        child: u32,
        place: Place,
        number: u64,
    ) -> Result<(), EventError> {
        self.settle(parent)?;
        self.threads.start(child, Some((parent, place, number)))
    }

    /// A thread has ended. That orders nothing: a thread that joins it learns of its end by an
    /// atomic or a wait, or is told by [`join`](Self::join).
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownThread`].
    pub fn end(&mut self, thread: u32) -> Result<(), EventError> {
        self.settle(thread)?;
        let open = self.threads.get(thread)?.atomics.end();
        self.sequences.refuse(open);
        self.threads.end(thread)
    }

    /// Orders all that ended threads did before what `thread` does from now on: the host told it.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownThread`].
    pub fn join(&mut self, thread: u32) -> Result<(), EventError> {
        self.threads.join_ended(thread)
    }

    /// Tells of an access. Returns the races that are new: each is the first one of its pair of
    /// places.
    ///
    /// An atomic read learns what the last atomic write of each of its bytes has released; an
    /// atomic write releases; an update does both. A plain read that races learns, too. So one race
    /// is not followed by reports of all that it would have ordered.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownThread`], [`EventError::OutOfRange`], [`EventError::NotAtomic`].
    pub fn access(&mut self, access: &Access) -> Result<&[Race], EventError> {
        let (begin, size) = (access.address, access.size);
        let end = begin.checked_add(size).ok_or(EventError::OutOfRange {
            address: begin,
            size,
        })?;
        let atomic = access.kind.is_atomic();
        if atomic && (!matches!(size, 1 | 2 | 4 | 8) || begin % size != 0) {
            return Err(EventError::NotAtomic {
                address: begin,
                size,
            });
        }
        if self.repeats(access, end)? {
            self.counts.accesses += 1;
            return Ok(&[]);
        }
        self.settle(access.thread)?;
        self.counts.accesses += 1;
        let known_before = self.races.len();
        let (word, mask) = self.word_of(begin, size);
        if access.kind.acquires() {
            let thread = self.threads.get(access.thread)?;
            self.order.acquire(word, mask, &mut thread.clock);
            // What others release before it is done, it may learn as well.
            thread.reads = self.parallel.then_some((word, mask));
        }
        let raced = self.check(access, end)?;
        if raced && access.kind == AccessKind::Read && size <= 8 {
            let mut at = begin;
            while at < end {
                let (word, mask) = self.word_of(at, (end - at).min(8 - at % 8));
                let thread = self.threads.get(access.thread)?;
                self.order.acquire(word, mask, &mut thread.clock);
                at = (word + 8).min(end);
            }
        }
        if atomic && access.kind.writes() {
            let thread = self.threads.get(access.thread)?;
            self.order
                .release(word, mask, thread.epoch(), &thread.clock);
            thread.advance();
        }
        if atomic {
            let thread = self.threads.get(access.thread)?;
            let others = thread.atomics.push(access.number, begin, access.kind);
            self.sequences.refuse(others);
        }
        Ok(&self.races[known_before..])
    }

    /// A thread begins to wait on the word at `address`, after it has compared it. It is in the
    /// queue of the word until its next event. The comparison is an access of its own
    /// ([`AccessKind::AtomicRead`]).
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownThread`].
    pub fn wait(&mut self, thread: u32, address: u64) -> Result<(), EventError> {
        self.settle(thread)?;
        self.pass_queue(thread, address)?;
        self.threads.get(thread)?.waits_on = Some(address);
        Ok(())
    }

    /// A thread wakes those that wait on the word at `address`, whether there are any or not: what
    /// it has done comes before what they do next.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownThread`].
    pub fn notify(&mut self, thread: u32, address: u64) -> Result<(), EventError> {
        self.settle(thread)?;
        self.pass_queue(thread, address)?;
        if self.parallel {
            // A thread that begins to wait before this is done may be woken by it.
            self.threads.get(thread)?.waits_on = Some(address);
        }
        Ok(())
    }

    /// An allocator has given these bytes to a thread. That is no access: if another thread had
    /// them before, the allocator orders what it did. It only says which block a race is in. Blocks
    /// that were in the place of this one are forgotten.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownThread`], [`EventError::OutOfRange`].
    pub fn allocate(
        &mut self,
        thread: u32,
        (address, size): (u64, u64),
        place: Place,
        number: u64,
    ) -> Result<(), EventError> {
        self.settle(thread)?;
        let end = address.checked_add(size);
        end.ok_or(EventError::OutOfRange { address, size })?;
        let epoch = self.threads.get(thread)?.epoch();
        let at = Kept::new(epoch, place, number);
        self.blocks.allocate(address, size, at);
        Ok(())
    }

    /// A thread gives the block at `address` back: it writes all of it, without an atomic
    /// ([`AccessKind::Free`]). Told before it is done, since the allocator may give the block to
    /// another thread right away. A block that is not known is not looked at. Returns the races
    /// that are new.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownThread`].
    pub fn free(
        &mut self,
        thread: u32,
        address: u64,
        place: Place,
        number: u64,
    ) -> Result<&[Race], EventError> {
        let epoch = self.threads.get(thread)?.epoch();
        let at = Kept::new(epoch, place, number);
        let size = self.blocks.free(address, at).unwrap_or(0);
        self.access(&Access {
            thread,
            address,
            size,
            kind: AccessKind::Free,
            place,
            number,
        })
    }

    /// Forgets all accesses of these bytes, since other memory is there now. It is not needed for
    /// memory that grows, nor for allocations that are given back and made again under the
    /// allocator's lock.
    ///
    /// # Errors
    ///
    /// [`EventError::OutOfRange`].
    pub fn forget(&mut self, address: u64, size: u64) -> Result<(), EventError> {
        let end = address.checked_add(size);
        let end = end.ok_or(EventError::OutOfRange { address, size })?;
        self.shadow.forget(address, end);
        // Words that are in it as a whole.
        let (from, to) = (address.div_ceil(8).saturating_mul(8), end / 8 * 8);
        if from < to {
            self.order.forget(from, to);
        }
        Ok(())
    }

    /// The races, each pair of places once, in the order in which they were found.
    pub fn races(&self) -> &[Race] {
        &self.races
    }

    /// How often a pair of places raced.
    pub fn times(&self, places: (Place, Place)) -> u64 {
        self.known.get(&places).copied().unwrap_or(0)
    }

    /// The word of the sequence lock that a pair of places seems to belong to. Each time that the
    /// pair raced, one thread only read, and the other wrote. The reader's atomics right before and
    /// right after were reads of this word, and the writer's were writes of it. Such a reader
    /// discards what was written meanwhile, if it compares the two values of the word; accesses do
    /// not show whether it does. `None` for a pair that raced in another way, and where the atomics
    /// are not known any more.
    pub fn sequence_lock(&self, places: (Place, Place)) -> Option<u64> {
        self.sequences.word(places)
    }

    /// What was counted, and what was forgotten.
    pub fn counts(&self) -> Counts {
        Counts {
            pages_forgotten: self.shadow.pages_forgotten,
            accesses_forgotten: self.shadow.accesses_forgotten,
            words_merged: self.order.merged,
            threads_merged: self.threads.merged,
            blocks_not_kept: self.blocks.not_kept,
            ..self.counts
        }
    }

    /// Bytes that shadow memory and the order of atomics take, about.
    pub fn bytes(&self) -> usize {
        self.shadow.bytes() + self.order.bytes()
    }

    /// A thread goes on, so its last event is done. If it waited, it has left the queue.
    fn settle(&mut self, thread: u32) -> Result<(), EventError> {
        let running = self.threads.get(thread)?;
        let waited = running.waits_on.take();
        if let Some((word, mask)) = running.reads.take() {
            self.order.acquire(word, mask, &mut running.clock);
        }
        waited.map_or(Ok(()), |address| self.pass_queue(thread, address))
    }

    /// The word in which an access begins, and the bytes of it that an acquisition or a release is
    /// about. Where threads run at once these are all: an update that is told, and not done yet,
    /// carries what others release for some of its bytes to readers of its other bytes.
    fn word_of(&self, address: u64, size: u64) -> (u64, u8) {
        let (word, mask) = word_of(address, size);
        (word, if self.parallel { 0xff } else { mask })
    }

    fn pass_queue(&mut self, thread: u32, address: u64) -> Result<(), EventError> {
        let thread = self.threads.get(thread)?;
        self.order.pass_queue(address / 8 * 8, &mut thread.clock);
        thread.advance();
        Ok(())
    }
}
