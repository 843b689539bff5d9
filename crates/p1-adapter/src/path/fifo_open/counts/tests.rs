//! The protocol of [`fifo_open`](super::super), with a directory and the notes of a store as one
//! bit each.

use super::*;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64 as LoomWord, Ordering};

/// A directory with one name in it, and one opener.
struct Directory {
    counts: Counts<LoomWord>,
    /// Whether the FIFO lies there. Kernel calls are ordered among themselves.
    there: AtomicBool,
    noted: AtomicBool,
    pinned: AtomicBool,
}

impl Directory {
    /// Opens the FIFO; whether it waits in a plain open of it.
    fn open(&self) -> bool {
        self.note();
        let moving = self.counts.open();
        self.waits(moving)
    }

    fn note(&self) {
        self.noted.store(true, Ordering::Relaxed);
    }

    fn waits(&self, moving: bool) -> bool {
        // Through a descriptor: freed whatever becomes of the name.
        if moving && self.there.load(Ordering::SeqCst) {
            return false;
        }
        self.there.load(Ordering::SeqCst)
    }

    fn remove(&self) {
        if self.counts.begin_move() {
            self.pin();
        }
        self.there.store(false, Ordering::SeqCst);
        self.counts.end_move();
    }

    fn pin(&self) {
        if self.noted.load(Ordering::Relaxed) && self.there.load(Ordering::SeqCst) {
            self.pinned.store(true, Ordering::Relaxed);
        }
    }
}

fn model_of(open: fn(&Directory) -> bool, remove: fn(&Directory)) {
    loom::model(move || {
        let directory = Arc::new(Directory {
            counts: Counts(LoomWord::new(0)),
            there: AtomicBool::new(true),
            noted: AtomicBool::new(false),
            pinned: AtomicBool::new(false),
        });
        let other = Arc::clone(&directory);
        let mover = loom::thread::spawn(move || remove(&other));
        let waits = open(&directory);
        mover.join().unwrap();
        assert!(
            !waits || directory.pinned.load(Ordering::Relaxed),
            "nobody can free it"
        );
    });
}

#[test]
fn model() {
    model_of(Directory::open, Directory::remove);
}

#[test]
#[should_panic(expected = "nobody can free it")]
fn model_finds_a_mover_that_does_not_look_at_the_opens_under_way() {
    model_of(Directory::open, |directory| {
        directory.counts.begin_move();
        directory.there.store(false, Ordering::SeqCst);
        directory.counts.end_move();
    });
}

#[test]
#[should_panic(expected = "nobody can free it")]
fn model_finds_an_opener_that_does_not_look_at_the_moves_under_way() {
    let open = |directory: &Directory| {
        directory.note();
        directory.counts.open();
        directory.waits(false)
    };
    model_of(open, Directory::remove);
}

#[test]
#[should_panic(expected = "nobody can free it")]
fn model_finds_an_opener_that_counts_itself_before_it_notes_what_it_opens() {
    let open = |directory: &Directory| {
        let moving = directory.counts.open();
        directory.note();
        directory.waits(moving)
    };
    model_of(open, Directory::remove);
}
