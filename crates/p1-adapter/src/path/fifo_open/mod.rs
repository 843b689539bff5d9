//! What each thread is opening, so that an open that waits for a FIFO's other side can be freed.
//!
//! A thread notes what it is about to open ([`OpenInProgress`]). When the signal is raised while it
//! is in there, a helper thread asks wasmtime-wasi what lies at that path. If it is a FIFO, the
//! helper is the other side until the open has returned.
//!
//! By then another thread of the guest's may have moved the FIFO, or a directory on the way to it.
//! Then nothing lies at that path, or another FIFO. So a thread that is about to move or remove a
//! name first *pins* the FIFOs of the opens under way ([`Opens`]). The helper frees pinned FIFOs,
//! too.
//!
//! # Protocol
//!
//! One word has two counts, of opens under way and of moves under way; all changes of it are
//! read-modify-writes, so they have one order.
//!
//! * An opener notes the path, *then* counts itself. If a move is under way, it may have missed the
//!   opener. Then the opener looks for a FIFO first and opens it through a descriptor, where names
//!   do not matter.
//! * A mover counts itself. If opens are under way, it pins the FIFOs at their paths, *then* moves.
//!
//! The list of stores and what one has noted are locked one at a time, each for a moment; paths are
//! looked up with neither held.
//!
//! So an opener sees the mover, or the mover sees the opener. `counts::tests::model` runs this
//! through loom.
//!
//! These opens are not freed:
//!
//! - of a FIFO that another process, or a thread outside this context, moved or removed while the
//!   thread waited in its open;
//! - of a FIFO that came to its place and left it again by two moves that were both under way when
//!   the open began;
//! - of a FIFO of which this process may open only the side that does not help;
//! - anything outside Linux (there is no `O_PATH`).
//!
//! Such a thread stays until a real peer comes.

mod counts;

use super::find_fifo::find_fifo;
use super::operations::WasiPaths;
use crate::abi::error::Result;
use crate::blocking::{EndSignal, Fifo, FifoAccess, Hook};
use crate::descriptor::Dir;
use crate::lock::lock;
use crate::sys::fd::OwnedFd;
use counts::Counts;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::PathFlags;

/// What the helper waits before it looks once more, while names are being moved.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The open a store's thread is in, for others to see.
#[derive(Default)]
pub(crate) struct OpenInProgress {
    noted: Arc<Mutex<Noted>>,
    /// Made by the first open, so that a store that opens nothing costs nothing.
    hook: Option<Hook>,
}

#[derive(Default)]
struct Noted {
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

impl OpenInProgress {
    /// Notes what is about to be opened, and for what. As long as the result is held, raising the
    /// signal frees the open.
    pub(super) fn enter<'a>(
        &'a mut self,
        (dir, follow, path): (&Dir, PathFlags, &String),
        access: FifoAccess,
        paths: &WasiPaths,
        opens: &'a Arc<Opens>,
    ) -> Result<Entered<'a>> {
        if self.hook.is_none() {
            self.hook = Some(self.register(paths, opens)?);
        }
        {
            let mut noted = lock(&self.noted);
            noted.path.clone_from(path);
            noted.number += 1;
            noted.pending = Some(Pending {
                dir: dir.inner.clone(),
                follow,
                access,
            });
        }
        let entered = Entered {
            names_move: opens.counts.open(),
            noted: &self.noted,
            opens,
        };
        // The hook locks the note after the signal is raised. So it has seen what was just noted,
        // or this sees the signal.
        opens.end.check()?;
        Ok(entered)
    }

    #[cold]
    fn register(&self, paths: &WasiPaths, opens: &Arc<Opens>) -> Result<Hook> {
        opens.register(&self.noted);
        let (noted, opens, paths) = (Arc::clone(&self.noted), Arc::clone(opens), paths.another());
        let end = opens.end.clone();
        Ok(end.on_raise(move || free(noted, opens, paths))?)
    }
}

/// An open that has been noted.
pub(super) struct Entered<'a> {
    /// Whether names are being moved by a thread that may not have seen the note.
    pub(super) names_move: bool,
    noted: &'a Mutex<Noted>,
    opens: &'a Opens,
}

impl Entered<'_> {
    /// Ends the open. If the helper let it through, there was no real peer, so the result is an
    /// error.
    pub(super) fn leave(self) -> Result<()> {
        let end = &self.opens.end;
        drop(self);
        Ok(end.check()?)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.opens.counts.opened();
        let mut noted = lock(self.noted);
        let left = (
            noted.pending.take(),
            std::mem::take(&mut noted.pinned),
            std::mem::take(&mut noted.freed),
        );
        // Closing what was held may take a while.
        drop(noted);
        drop(left);
    }
}

/// An open that was seen to be under way.
struct Seen {
    number: u64,
    pending: Pending,
    path: String,
}

impl Noted {
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
    fn find(&self, paths: &mut WasiPaths) -> Option<Fifo> {
        let dir = Dir::unnamed(self.pending.dir.clone());
        let found = find_fifo(paths, &dir, self.pending.follow, self.path.clone());
        found.ok().flatten().map(|(fifo, _)| fifo)
    }
}

/// Frees the open noted in `noted`, if there is one. Looking a path up may wait for a file system,
/// so it is done on a thread of its own and not on the one that raises the signal.
fn free(noted: Arc<Mutex<Noted>>, opens: Arc<Opens>, mut paths: WasiPaths) {
    let Some(seen) = lock(&noted).seen() else {
        return;
    };
    let look = move || {
        loop {
            // No new call begins any more, so this comes to an end with those that are under way.
            let moving = opens.counts.moving();
            let found = seen.find(&mut paths);
            let mut noted = lock(&noted);
            if !noted.is_in(&seen) {
                return;
            }
            // What lay there before and was moved meanwhile has been pinned.
            let fifos = std::mem::take(&mut noted.pinned).into_iter().chain(found);
            for fifo in fifos {
                noted.freed.extend(fifo.other_side(seen.pending.access));
            }
            if !moving {
                return;
            }
            drop(noted);
            std::thread::sleep(LOOK_AGAIN);
        }
    };
    // Without a thread for this the open stays blocked, like the open of a FIFO that cannot be
    // found.
    let _ = std::thread::Builder::new()
        .name("wasi-free-open".to_owned())
        .spawn(look);
}

/// The opens and the moves of names that the threads of one context have under way.
pub(crate) struct Opens {
    /// What frees the opens.
    end: EndSignal,
    counts: Counts,
    stores: Mutex<AllNoted>,
}

/// What the stores that have opened something have noted.
#[derive(Default)]
struct AllNoted {
    all: Vec<Weak<Mutex<Noted>>>,
    /// When to look next for notes of stores that have gone.
    clean_at: usize,
}

impl Opens {
    /// None yet; `end` frees those to come.
    pub(crate) fn new(end: EndSignal) -> Self {
        Self {
            end,
            counts: Counts::default(),
            stores: Mutex::default(),
        }
    }

    fn register(&self, noted: &Arc<Mutex<Noted>>) {
        let mut stores = lock(&self.stores);
        if stores.all.len() >= stores.clean_at {
            stores.all.retain(|noted| noted.strong_count() > 0);
            stores.clean_at = (2 * stores.all.len()).max(16);
        }
        stores.all.push(Arc::downgrade(noted));
    }

    pub(super) fn end_signal(&self) -> &EndSignal {
        &self.end
    }

    /// From here until the guard is dropped the caller may move or remove names.
    #[inline]
    pub(crate) fn moving(&self, paths: &mut WasiPaths) -> NameMove<'_> {
        let moving = NameMove(self);
        if self.counts.begin_move() {
            self.pin(paths);
        }
        moving
    }

    /// Pins what the opens under way are of.
    #[cold]
    fn pin(&self, paths: &mut WasiPaths) {
        let stores: Vec<_> = {
            let stores = lock(&self.stores);
            stores.all.iter().filter_map(Weak::upgrade).collect()
        };
        for noted in stores {
            let Some(seen) = lock(&noted).seen() else {
                continue;
            };
            let Some(fifo) = seen.find(paths) else {
                continue;
            };
            let mut noted = lock(&noted);
            if noted.is_in(&seen) && !noted.pinned.iter().any(|pinned| pinned.is_same(&fifo)) {
                noted.pinned.push(fifo);
            }
        }
    }
}

/// Names may be moving.
pub(crate) struct NameMove<'a>(&'a Opens);

impl Drop for NameMove<'_> {
    fn drop(&mut self) {
        self.0.counts.end_move();
    }
}

#[cfg(test)]
mod tests;
