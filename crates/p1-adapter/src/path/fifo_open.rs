//! Who is opening what, so that an open that waits for a FIFO's other side can be freed.
//!
//! A thread notes what it is about to open ([`Watch`]); when the signal is raised while it is in there, a helper thread asks
//! wasmtime-wasi what lies at that path and, if it is a FIFO, is the other side until the open has returned.
//!
//! By then another thread of the guest's may have moved the FIFO, or a directory on the way to it, so that nothing lies at that
//! path, or another FIFO. So who is about to move or remove a name first *pins* what the opens under way are of ([`Opens`]):
//! the helper frees what was pinned, too.
//!
//! # Protocol
//!
//! One word has two counts, of opens under way and of moves under way; all changes of it are read-modify-writes, so they have
//! one order.
//!
//! * An opener notes the path, *then* counts itself. If a move is under way, which may have missed it, it looks for a FIFO
//!   first and opens that through a descriptor, where names do not matter.
//! * A mover counts itself. If opens are under way, it pins the FIFOs at their paths, *then* moves.
//!
//! The list of slots and a slot are locked one at a time, each for a moment; paths are looked up with neither held.
//!
//! So of an opener and a mover one sees the other. `tests::model` runs this through loom.
//!
//! Not freed are: a FIFO that somebody else than this context's threads moved or removed while the thread waited in its open; one
//! that came to its place, and left it again, by two moves that were both under way already when the open began; one of
//! which this process may open one side only and that the wrong one; and anything outside Linux (there is no `O_PATH`). Such a
//! thread stays until a real peer comes.

use crate::abi::error::Result;
use crate::blocking::{EndSignal, Fifo, FifoAccess, Hook};
use crate::ctx::Shared;
use crate::descriptor::Dir;
use crate::path::open::find;
use crate::path::operations::Scratch;
use rustix::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx};
use wasmtime_wasi::p2::bindings::filesystem::types::PathFlags;

/// What the helper waits before it looks once more, while names are being moved.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The open a store's thread is in, for others to see.
#[derive(Default)]
pub(crate) struct Watch {
    slot: Arc<Mutex<Slot>>,
    /// Made by the first open, so that a store that opens nothing costs nothing.
    hook: Option<Hook>,
}

#[derive(Default)]
struct Slot {
    pending: Option<Pending>,
    /// Tells one open from the next.
    number: u64,
    /// What is pending. Its allocation is used again by the next open.
    path: String,
    /// FIFOs that were there when names were about to be moved.
    pinned: Vec<Fifo>,
    /// The other sides, held for as long as `pending` is there.
    freed: Vec<OwnedFd>,
}

#[derive(Clone)]
struct Pending {
    dir: Descriptor,
    follow: PathFlags,
    access: FifoAccess,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Notes what is about to be opened, and for what; whether names are being moved by somebody who may not have
    /// seen it. From here to `leave`, raising the signal frees the open.
    pub(crate) fn enter(
        &mut self,
        (dir, follow, path): (&Dir, PathFlags, &String),
        access: FifoAccess,
        fs: &WasiFilesystemCtx,
        shared: &Shared,
    ) -> Result<bool> {
        if self.hook.is_none() {
            self.hook = Some(self.register(fs, &shared.opens, &shared.end)?);
        }
        {
            let mut slot = lock(&self.slot);
            slot.path.clone_from(path);
            slot.number += 1;
            slot.pending = Some(Pending {
                dir: dir.inner.clone(),
                follow,
                access,
            });
        }
        let moving = shared.opens.counts.open();
        // The hook locks the slot after the signal is raised: it has seen what was just noted, or else this sees
        // the signal.
        if shared.end.is_raised() {
            self.leave(shared);
            shared.end.check()?;
        }
        Ok(moving)
    }

    #[cold]
    fn register(
        &self,
        fs: &WasiFilesystemCtx,
        opens: &Arc<Opens>,
        end: &EndSignal,
    ) -> Result<Hook> {
        opens.register(&self.slot);
        let (slot, opens, fs) = (Arc::clone(&self.slot), Arc::clone(opens), fs.clone());
        Ok(end.on_raise(move || free(slot, opens, fs))?)
    }

    pub(crate) fn leave(&self, shared: &Shared) {
        shared.opens.counts.opened();
        let mut slot = lock(&self.slot);
        let left = (
            slot.pending.take(),
            std::mem::take(&mut slot.pinned),
            std::mem::take(&mut slot.freed),
        );
        // Closing what was held may take a while.
        drop(slot);
        drop(left);
    }
}

/// An open that was seen to be under way.
struct Seen {
    number: u64,
    pending: Pending,
    path: String,
}

impl Slot {
    fn seen(&self) -> Option<Seen> {
        self.pending.as_ref().map(|pending| Seen {
            number: self.number,
            pending: pending.clone(),
            path: self.path.clone(),
        })
    }

    fn is_in(&self, seen: &Seen) -> bool {
        self.pending.is_some() && self.number == seen.number
    }
}

impl Seen {
    /// The FIFO that the open is of, if it comes to its path now.
    fn find(&self, scratch: &mut Scratch) -> Option<Fifo> {
        let dir = Dir::unnamed(self.pending.dir.clone());
        let found = find(scratch, &dir, self.pending.follow, self.path.clone());
        found.ok().flatten().map(|(fifo, _)| fifo)
    }
}

/// Frees the open noted in `slot`, if there is one. Looking a path up may wait for a file system, so it is done on a
/// thread of its own and not on the one that raises the signal.
fn free(slot: Arc<Mutex<Slot>>, opens: Arc<Opens>, fs: WasiFilesystemCtx) {
    let Some(seen) = lock(&slot).seen() else {
        return;
    };
    let look = move || {
        let mut scratch = Scratch::new(fs);
        loop {
            // No new call begins any more, so this comes to an end with those that are under way.
            let moving = opens.counts.moving();
            let found = seen.find(&mut scratch);
            let mut slot = lock(&slot);
            if !slot.is_in(&seen) {
                return;
            }
            // What lay there before and was moved meanwhile has been pinned.
            let fifos = std::mem::take(&mut slot.pinned).into_iter().chain(found);
            for fifo in fifos {
                slot.freed.extend(fifo.other_side(seen.pending.access));
            }
            if !moving {
                return;
            }
            drop(slot);
            std::thread::sleep(LOOK_AGAIN);
        }
    };
    // Without a thread to do it the open stays where it is, like one of a FIFO that cannot be found.
    let _ = std::thread::Builder::new()
        .name("wasi-free-open".to_owned())
        .spawn(look);
}

/// The opens and the moves of names that the threads of one context have under way.
#[derive(Default)]
pub(crate) struct Opens {
    counts: Counts,
    slots: Mutex<Slots>,
}

/// The slots of the stores that have opened something.
#[derive(Default)]
struct Slots {
    all: Vec<Weak<Mutex<Slot>>>,
    /// When to look for those whose store has gone.
    clean_at: usize,
}

impl Opens {
    fn register(&self, slot: &Arc<Mutex<Slot>>) {
        let mut slots = lock(&self.slots);
        if slots.all.len() >= slots.clean_at {
            slots.all.retain(|slot| slot.strong_count() > 0);
            slots.clean_at = (2 * slots.all.len()).max(16);
        }
        slots.all.push(Arc::downgrade(slot));
    }

    /// From here until the guard is dropped the caller may move or remove names.
    #[inline]
    pub(crate) fn moving(&self, scratch: &mut Scratch) -> Moving<'_> {
        let moving = Moving(self);
        if self.counts.begin_move() {
            self.pin(scratch);
        }
        moving
    }

    /// Pins what the opens under way are of.
    #[cold]
    fn pin(&self, scratch: &mut Scratch) {
        let slots: Vec<_> = {
            let slots = lock(&self.slots);
            slots.all.iter().filter_map(Weak::upgrade).collect()
        };
        for slot in slots {
            let Some(seen) = lock(&slot).seen() else {
                continue;
            };
            let Some(fifo) = seen.find(scratch) else {
                continue;
            };
            let mut slot = lock(&slot);
            if slot.is_in(&seen) && !slot.pinned.iter().any(|pinned| pinned.is_same(&fifo)) {
                slot.pinned.push(fifo);
            }
        }
    }
}

/// Names may be moving.
pub(crate) struct Moving<'a>(&'a Opens);

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.counts.end_move();
    }
}

const OPEN: u64 = 1;
const MOVE: u64 = 1 << 32;

/// Opens under way in the lower half, moves in the upper.
struct Counts<W: Word = AtomicU64>(W);

impl Default for Counts {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl<W: Word> Counts<W> {
    /// One more open; whether moves are under way.
    fn open(&self) -> bool {
        self.0.add(OPEN) >= MOVE
    }

    fn opened(&self) {
        self.0.sub(OPEN);
    }

    /// One more move; whether opens are under way.
    fn begin_move(&self) -> bool {
        !self.0.add(MOVE).is_multiple_of(MOVE)
    }

    fn end_move(&self) {
        self.0.sub(MOVE);
    }

    fn moving(&self) -> bool {
        self.0.load() >= MOVE
    }
}

/// The word, so that loom can stand in for the hardware. What was there before is returned.
///
/// Acquire and release: who comes later in the order of the word sees what was noted, or done, before.
trait Word {
    fn add(&self, what: u64) -> u64;
    fn sub(&self, what: u64);
    fn load(&self) -> u64;
}

impl Word for AtomicU64 {
    fn add(&self, what: u64) -> u64 {
        self.fetch_add(what, Ordering::AcqRel)
    }

    fn sub(&self, what: u64) {
        self.fetch_sub(what, Ordering::Release);
    }

    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
