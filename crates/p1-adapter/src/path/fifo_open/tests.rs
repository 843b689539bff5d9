use super::*;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64 as Loom};

impl Word for Loom {
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

/// A step left out, which the model must find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Careless {
    Nobody,
    /// Moves without a look at the opens under way.
    Mover,
    /// Opens without a look at the moves under way.
    Opener,
    /// Counts itself before it notes what it opens.
    Early,
}

/// A directory with one name in it, and one opener.
struct Model {
    counts: Counts<Loom>,
    /// Whether the FIFO lies there. Kernel calls are ordered among themselves.
    there: AtomicBool,
    noted: AtomicBool,
    pinned: AtomicBool,
}

impl Model {
    /// Whether it waits in a plain open of the FIFO.
    fn open(&self, careless: Careless) -> bool {
        if careless != Careless::Early {
            self.noted.store(true, Ordering::Relaxed);
        }
        let moving = self.counts.open() && careless != Careless::Opener;
        if careless == Careless::Early {
            self.noted.store(true, Ordering::Relaxed);
        }
        // Through a descriptor: freed whatever becomes of the name.
        if moving && self.there.load(Ordering::SeqCst) {
            return false;
        }
        self.there.load(Ordering::SeqCst)
    }

    fn remove(&self, careless: Careless) {
        let opening = self.counts.begin_move() && careless != Careless::Mover;
        if opening && self.noted.load(Ordering::Relaxed) && self.there.load(Ordering::SeqCst) {
            self.pinned.store(true, Ordering::Relaxed);
        }
        self.there.store(false, Ordering::SeqCst);
        self.counts.end_move();
    }
}

fn run(careless: Careless) {
    loom::model(move || {
        let model = Arc::new(Model {
            counts: Counts(Loom::new(0)),
            there: AtomicBool::new(true),
            noted: AtomicBool::new(false),
            pinned: AtomicBool::new(false),
        });
        let other = Arc::clone(&model);
        let mover = loom::thread::spawn(move || other.remove(careless));
        let waits = model.open(careless);
        mover.join().unwrap();
        assert!(
            !waits || model.pinned.load(Ordering::Relaxed),
            "nobody can free it"
        );
    });
}

#[test]
fn model() {
    run(Careless::Nobody);
}

#[test]
#[should_panic(expected = "nobody can free it")]
fn model_finds_a_mover_that_does_not_look() {
    run(Careless::Mover);
}

#[test]
#[should_panic(expected = "nobody can free it")]
fn model_finds_an_opener_that_does_not_look() {
    run(Careless::Opener);
}

#[test]
#[should_panic(expected = "nobody can free it")]
fn model_finds_an_opener_that_notes_too_late() {
    run(Careless::Early);
}

/// Slots of stores that have gone are not kept.
#[test]
fn slots_go_with_their_stores() {
    let opens = Opens::default();
    let kept = Watch::default();
    opens.register(&kept.slot);
    for _ in 0..1000 {
        opens.register(&Watch::default().slot);
    }
    let slots = lock(&opens.slots);
    assert!(slots.all.len() <= 32, "{}", slots.all.len());
    let alive = |slot: &&Weak<Mutex<Slot>>| slot.strong_count() > 0;
    assert_eq!(slots.all.iter().filter(alive).count(), 1);
}
