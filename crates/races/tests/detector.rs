//! What orders accesses, and what is told where nothing does.

use wasm_races::AccessKind::{AtomicRead, AtomicUpdate, AtomicWrite, Read, Write};
use wasm_races::{Access, AccessKind, Detector, EventError, Limits, Place, Race};

const DATA: u64 = 64;
const FLAG: u64 = 128;
const LOCK: u64 = 136;

/// Main, 0, with threads 1 and 2; each access is at a place of its own.
struct Program {
    detector: Detector,
    places: u32,
}

impl Program {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self::of(Detector::new(limits))
    }

    fn parallel() -> Self {
        Self::of(Detector::parallel(Limits::default()))
    }

    fn of(detector: Detector) -> Self {
        let mut program = Self {
            detector,
            places: 0,
        };
        program.detector.start(0).unwrap();
        program.spawn(0, 1);
        program.spawn(0, 2);
        program
    }

    fn place(&mut self) -> Place {
        self.places += 1;
        Place::new(self.places).unwrap()
    }

    fn spawn(&mut self, parent: u32, child: u32) {
        let place = self.place();
        self.detector.spawn(parent, child, place, 9).unwrap();
    }

    fn does(&mut self, thread: u32, kind: AccessKind, address: u64, size: u64) -> Vec<Race> {
        let place = self.place();
        let access = Access {
            thread,
            address,
            size,
            kind,
            place,
            number: u64::from(place.get()),
        };
        self.detector.access(&access).unwrap().to_vec()
    }

    fn told(&mut self, thread: u32, kind: AccessKind, address: u64) -> usize {
        self.does(thread, kind, address, 4).len()
    }

    fn lock(&mut self, thread: u32, lock: u64) {
        assert_eq!(self.told(thread, AtomicUpdate, lock), 0);
    }

    fn unlock(&mut self, thread: u32, lock: u64) {
        assert_eq!(self.told(thread, AtomicWrite, lock), 0);
    }
}

#[test]
fn nothing_orders_two_threads() {
    for (one, other, races) in [
        (Read, Read, 0),
        (Read, Write, 1),
        (Write, Read, 1),
        (Write, Write, 1),
        (AtomicRead, Read, 0),
        (AtomicRead, Write, 1),
        (AtomicWrite, Read, 1),
        (AtomicUpdate, Write, 1),
        (Write, AtomicRead, 1),
        (AtomicWrite, AtomicWrite, 0),
        (AtomicUpdate, AtomicRead, 0),
    ] {
        let mut program = Program::new();
        assert_eq!(program.told(1, one, DATA), 0);
        assert_eq!(program.told(2, other, DATA), races, "{one}, then {other}");
    }
}

#[test]
fn a_lock_orders_and_another_lock_does_not() {
    let mut program = Program::new();
    for thread in [1, 2, 1, 0] {
        program.lock(thread, LOCK);
        assert_eq!(program.told(thread, Write, DATA), 0);
        program.unlock(thread, LOCK);
    }
    program.lock(2, LOCK + 8);
    assert_eq!(program.told(2, Write, DATA), 1);
}

#[test]
fn a_flag_publishes_what_came_before_it_and_not_after() {
    let mut program = Program::new();
    program.told(1, Write, DATA);
    program.told(1, AtomicWrite, FLAG);
    program.told(1, Write, DATA + 4);
    assert_eq!(program.told(2, AtomicRead, FLAG), 0);
    assert_eq!(program.told(2, Read, DATA), 0);
    assert_eq!(program.told(2, Read, DATA + 4), 1);
}

#[test]
fn a_reader_that_nobody_waited_for_is_found() {
    let mut program = Program::new();
    program.told(1, AtomicWrite, FLAG);
    assert_eq!(program.told(2, AtomicRead, FLAG), 0);
    assert_eq!(program.told(2, Read, DATA), 0);
    // A store at the same flag learns nothing of its readers.
    assert_eq!(program.told(1, AtomicWrite, FLAG), 0);
    assert_eq!(program.told(1, Write, DATA), 1);
}

#[test]
fn a_store_hides_what_others_released_at_the_word() {
    let mut program = Program::new();
    program.told(1, Write, DATA);
    program.told(1, AtomicWrite, FLAG);
    program.told(2, AtomicWrite, FLAG);
    program.told(0, AtomicRead, FLAG);
    assert_eq!(program.told(0, Read, DATA), 1);
    // An update goes on from it.
    let mut program = Program::new();
    program.told(1, Write, DATA);
    program.told(1, AtomicWrite, FLAG);
    program.told(2, AtomicUpdate, FLAG);
    program.told(0, AtomicRead, FLAG);
    assert_eq!(program.told(0, Read, DATA), 0);
}

#[test]
fn a_spawn_orders_and_an_end_does_not() {
    let mut program = Program::new();
    program.told(0, Write, DATA);
    program.spawn(0, 3);
    program.told(0, Write, DATA + 4);
    assert_eq!(program.told(3, Write, DATA), 0);
    assert_eq!(program.told(3, Write, DATA + 4), 1);
    program.detector.end(3).unwrap();
    assert_eq!(program.told(0, Read, DATA), 1);
    program.detector.join(0).unwrap();
    assert_eq!(program.told(0, Write, DATA), 0);
}

#[test]
fn a_wake_orders_what_came_before_it() {
    let mut program = Program::new();
    program.told(1, AtomicRead, FLAG);
    program.told(1, Write, DATA + 8);
    program.detector.wait(1, FLAG).unwrap();
    program.told(2, Write, DATA);
    program.detector.notify(2, FLAG).unwrap();
    program.told(2, Write, DATA + 4);
    assert_eq!(program.told(1, Read, DATA), 0);
    assert_eq!(program.told(1, Read, DATA + 4), 1);
    // The waker knows what the waiter did before the wait.
    assert_eq!(program.told(2, Read, DATA + 8), 0);
}

#[test]
fn bytes_that_are_not_shared_do_not_race() {
    let mut program = Program::new();
    program.does(1, Write, DATA, 1);
    assert!(program.does(2, Write, DATA + 1, 1).is_empty());
    assert!(program.does(2, Write, DATA + 2, 6).is_empty());
    let race = program.does(0, Read, DATA - 3, 8);
    let bytes = |race: &Race| (race.previous.thread.id, race.address, race.size);
    assert_eq!(
        race.iter().map(bytes).collect::<Vec<_>>(),
        [(1, DATA, 1), (2, DATA + 1, 1), (2, DATA + 2, 3)]
    );
}

#[test]
fn a_race_says_who_where_and_what() {
    let mut program = Program::new();
    program.does(1, Write, DATA + 2, 4);
    let race = program.does(2, Read, DATA, 4)[0];
    assert_eq!((race.address, race.size), (DATA + 2, 2));
    let (current, previous) = (race.current, race.previous);
    assert_eq!((current.address, current.size), (DATA, 4));
    assert_eq!((previous.address, previous.size), (DATA + 2, 4));
    assert_eq!((current.kind, previous.kind), (Read, Write));
    assert_eq!((current.number, previous.number), (4, 3));
    assert_eq!(previous.thread.parent, Some((0, 0)));
    assert_eq!(
        previous.thread.created.map(|(place, _)| place.get()),
        Some(1)
    );
    assert_eq!(
        race.places(),
        (Place::new(3).unwrap(), Place::new(4).unwrap())
    );
}

#[test]
fn each_pair_of_places_is_told_once_and_counted() {
    let mut program = Program::new();
    let place = |number| Place::new(number).unwrap();
    let mut told = 0;
    for round in 0..10 {
        for thread in [1, 2] {
            let access = Access {
                thread,
                address: DATA + 8 * (round % 3),
                size: 4,
                kind: Write,
                place: place(thread),
                number: round,
            };
            told += program.detector.access(&access).unwrap().len();
        }
    }
    assert_eq!(told, 1);
    assert_eq!(program.detector.races().len(), 1);
    assert!(program.detector.times((place(1), place(2))) > 10);
}

#[test]
fn one_race_at_a_flag_is_not_followed_by_all_that_it_would_have_ordered() {
    let mut program = Program::new();
    program.told(1, Write, DATA);
    program.told(1, AtomicWrite, FLAG);
    assert_eq!(program.told(2, Read, FLAG), 1);
    assert_eq!(program.told(2, Read, DATA), 0);
}

#[test]
fn a_number_is_used_again_and_is_another_thread() {
    let mut program = Program::new();
    program.told(1, Write, DATA);
    program.detector.end(1).unwrap();
    program.spawn(0, 1);
    let race = program.told(1, Write, DATA);
    assert_eq!(race, 1);
    let race = program.detector.races()[0];
    assert_eq!((race.current.thread.id, race.previous.thread.id), (1, 1));
    assert_ne!(race.current.thread.serial, race.previous.thread.serial);
}

#[test]
fn a_thousand_threads_that_are_joined_take_the_place_of_one() {
    let mut limits = Limits::default();
    limits.threads = 4;
    let mut program = Program::with(limits);
    for _ in 0..1000 {
        program.spawn(0, 3);
        assert_eq!(program.told(3, Write, DATA), 0);
        program.told(3, AtomicWrite, FLAG);
        program.detector.end(3).unwrap();
        program.told(0, AtomicRead, FLAG);
        assert_eq!(program.told(0, Write, DATA), 0);
        // All others have to know of it, too.
        for other in [1, 2] {
            program.told(other, AtomicRead, FLAG);
        }
    }
    assert_eq!(program.detector.counts().threads_merged, 0);
    assert_eq!(program.detector.races(), []);
}

/// A thread does something behind its last release, as libraries do when a thread ends.
#[test]
fn threads_that_are_joined_do_not_fill_the_clocks() {
    let mut program = Program::new();
    for round in 0..5000 {
        program.spawn(0, 3);
        assert_eq!(program.told(3, Write, DATA), 0);
        program.told(3, AtomicWrite, FLAG);
        // Of its own.
        program.told(3, Write, DATA + 64 * (1 + round % 8));
        program.detector.end(3).unwrap();
        for other in [0, 1, 2] {
            program.told(other, AtomicRead, FLAG);
        }
        program.told(0, AtomicRead, FLAG);
    }
    assert_eq!(program.detector.counts().threads_merged, 0);
    // Each word that an atomic was made on has as many numbers as there are slots.
    assert!(
        program.detector.bytes() < 30_000,
        "{}",
        program.detector.bytes()
    );
}

#[test]
fn a_range_races_once_with_each_place() {
    let mut program = Program::new();
    program.does(1, Write, 4090, 9000);
    let races = program.does(2, Read, 0, 1 << 16);
    assert_eq!(races.len(), 1);
    assert_eq!((races[0].address, races[0].size), (4090, 6));
    assert!(program.detector.counts().races > 100);
}

#[test]
fn what_is_forgotten_is_new_memory() {
    let mut program = Program::new();
    program.told(1, Write, DATA);
    program.detector.forget(DATA, 4).unwrap();
    assert_eq!(program.told(2, Write, DATA), 0);
}

#[test]
fn races_beyond_the_bound_are_counted() {
    let mut limits = Limits::default();
    limits.races = 2;
    let mut program = Program::with(limits);
    for address in 0..5 {
        program.told(1, Write, address * 8);
        program.told(2, Write, address * 8);
    }
    assert_eq!(program.detector.races().len(), 2);
    assert_eq!(program.detector.counts().races_not_kept, 3);
}

#[test]
fn events_that_cannot_be_are_refused_and_change_nothing() {
    let mut program = Program::new();
    let place = Place::new(1).unwrap();
    assert_eq!(program.detector.start(1), Err(EventError::RunsAlready(1)));
    assert_eq!(program.detector.end(7), Err(EventError::UnknownThread(7)));
    let spawned = program.detector.spawn(7, 8, place, 0);
    assert_eq!(spawned, Err(EventError::UnknownThread(7)));
    let access = |thread, address, size, kind| Access {
        thread,
        address,
        size,
        kind,
        place,
        number: 0,
    };
    for (access, error) in [
        (access(8, 0, 4, Read), EventError::UnknownThread(8)),
        (
            access(1, u64::MAX, 4, Read),
            EventError::OutOfRange {
                address: u64::MAX,
                size: 4,
            },
        ),
        (
            access(1, 2, 4, AtomicRead),
            EventError::NotAtomic {
                address: 2,
                size: 4,
            },
        ),
        (
            access(1, 0, 3, AtomicWrite),
            EventError::NotAtomic {
                address: 0,
                size: 3,
            },
        ),
    ] {
        assert_eq!(program.detector.access(&access), Err(error));
    }
    let none = program.detector.access(&access(1, u64::MAX - 1, 1, Write));
    assert_eq!(none, Ok(&[][..]));
    assert_eq!(Place::new(1 << 24), None);
}

#[test]
fn more_threads_than_are_told_apart_are_refused() {
    let mut limits = Limits::default();
    limits.threads = 3;
    let mut program = Program::with(limits);
    let place = Place::new(1).unwrap();
    let spawned = program.detector.spawn(0, 3, place, 0);
    assert_eq!(spawned, Err(EventError::TooManyThreads(3)));
    // One that has ended makes room, at a cost.
    program.told(1, Write, DATA);
    program.detector.end(1).unwrap();
    program.spawn(0, 3);
    assert_eq!(program.detector.counts().threads_merged, 1);
    assert_eq!(program.told(3, Write, DATA), 0);
    assert_eq!(program.told(2, Write, DATA), 1);
}

/// A thread is about to read a flag, another one sets it, and then it is read.
#[test]
fn in_parallel_a_read_learns_what_is_released_before_it_is_done() {
    for (mut program, races) in [(Program::parallel(), 0), (Program::new(), 1)] {
        program.told(2, AtomicRead, FLAG);
        program.told(1, Write, DATA);
        program.told(1, AtomicWrite, FLAG);
        assert_eq!(program.told(2, Read, DATA), races);
        // No more than once.
        program.told(1, Write, DATA);
        program.told(1, AtomicWrite, FLAG);
        assert_eq!(program.told(2, Read, DATA), 1);
    }
}

/// It is not known whose write came last.
#[test]
fn in_parallel_a_write_hides_no_other() {
    for (mut program, races) in [(Program::parallel(), 0), (Program::new(), 1)] {
        program.told(1, Write, DATA);
        program.told(1, AtomicWrite, FLAG);
        program.told(2, AtomicWrite, FLAG);
        program.told(0, AtomicRead, FLAG);
        assert_eq!(program.told(0, Read, DATA), races);
        // The writer has not read.
        assert_eq!(program.told(2, Read, DATA), 1);
    }
}

/// A thread that notifies, and one that has begun to wait before that is done.
#[test]
fn in_parallel_a_notify_learns_of_who_waits() {
    let mut program = Program::parallel();
    program.detector.notify(1, FLAG).unwrap();
    program.told(2, Write, DATA);
    program.detector.wait(2, FLAG).unwrap();
    assert_eq!(program.told(1, Read, DATA), 0);
    assert_eq!(program.told(0, Read, DATA), 1);
}

/// What a thread has learned is its child's.
#[test]
fn a_thread_that_was_woken_tells_its_child() {
    let mut program = Program::new();
    program.detector.wait(2, FLAG).unwrap();
    program.told(1, Write, DATA);
    program.detector.notify(1, FLAG).unwrap();
    program.spawn(2, 3);
    assert_eq!(program.told(3, Read, DATA), 0);
}
