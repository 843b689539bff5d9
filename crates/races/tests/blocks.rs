//! Blocks of memory: which one a race is in, and accesses of one that was given back.

use wasm_races::AccessKind::{AtomicUpdate, Free, Read, Write};
use wasm_races::{Access, AccessKind, Detector, EventError, Limits, Place, Race};

const LOCK: u64 = 8;
const BLOCK: (u64, u64) = (4096 - 16, 48);

fn place(number: u32) -> Place {
    Place::new(number).unwrap()
}

/// Main, 0, with threads 1 and 2. What a thread does is at the place with its number.
fn detector(limits: Limits) -> Detector {
    let mut detector = Detector::new(limits);
    detector.start(0).unwrap();
    for thread in [1, 2] {
        detector.spawn(0, thread, place(9), 0).unwrap();
    }
    detector
}

fn does(detector: &mut Detector, thread: u32, kind: AccessKind, address: u64) -> Vec<Race> {
    let access = Access {
        thread,
        address,
        size: 4,
        kind,
        place: place(thread),
        number: 7,
    };
    detector.access(&access).unwrap().to_vec()
}

fn locked(detector: &mut Detector, thread: u32) {
    assert_eq!(does(detector, thread, AtomicUpdate, LOCK), []);
}

#[test]
fn an_access_that_nothing_orders_races_with_the_free() {
    for kind in [Read, Write] {
        // Whichever comes first.
        for free_first in [true, false] {
            let mut detector = detector(Limits::default());
            detector.allocate(1, BLOCK, place(20), 5).unwrap();
            // In the second page of the block.
            let at = BLOCK.0 + 20;
            if !free_first {
                assert_eq!(does(&mut detector, 2, kind, at), []);
            }
            let told = detector.free(1, BLOCK.0, place(21), 6).unwrap().len();
            assert_eq!(told, usize::from(!free_first));
            if free_first {
                assert_eq!(does(&mut detector, 2, kind, at).len(), 1);
            }
            let race = detector.races()[0];
            assert_eq!(race.places(), (place(2), place(21)));
            assert_eq!((race.address, race.size), (at, 4));
            let kinds = [race.current.kind, race.previous.kind];
            assert_eq!(
                kinds,
                if free_first {
                    [kind, Free]
                } else {
                    [Free, kind]
                }
            );
            let block = race.block.unwrap();
            assert_eq!((block.address, block.size), BLOCK);
            assert_eq!((block.allocated.thread.id, block.allocated.number), (1, 5));
            let freed = block.freed.unwrap();
            assert_eq!(
                (freed.thread.id, freed.place, freed.number),
                (1, place(21), 6)
            );
        }
    }
}

#[test]
fn what_a_lock_orders_is_no_race_with_a_free() {
    let mut detector = detector(Limits::default());
    detector.allocate(1, BLOCK, place(20), 0).unwrap();
    does(&mut detector, 2, Write, BLOCK.0);
    locked(&mut detector, 2);
    locked(&mut detector, 1);
    assert_eq!(detector.free(1, BLOCK.0, place(21), 0).unwrap(), []);
    // The allocator's lock, and the next owner.
    locked(&mut detector, 1);
    locked(&mut detector, 2);
    detector.allocate(2, BLOCK, place(22), 0).unwrap();
    assert_eq!(does(&mut detector, 2, Write, BLOCK.0), []);
    // It was never given back: the race is in the new block.
    let races = does(&mut detector, 1, Read, BLOCK.0);
    assert_eq!(races.len(), 1);
    let block = races[0].block.unwrap();
    assert_eq!((block.allocated.thread.id, block.freed), (2, None));
}

#[test]
fn a_block_is_given_back_twice() {
    let mut detector = detector(Limits::default());
    detector.allocate(0, BLOCK, place(20), 0).unwrap();
    assert_eq!(detector.free(1, BLOCK.0, place(21), 0).unwrap(), []);
    let races = detector.free(2, BLOCK.0, place(22), 0).unwrap();
    assert_eq!(races.len(), 1);
    assert_eq!(
        (races[0].current.kind, races[0].previous.kind),
        (Free, Free)
    );
    assert_eq!(races[0].block.unwrap().freed.unwrap().thread.id, 1);
}

#[test]
fn what_is_no_block_is_not_looked_at() {
    let mut limits = Limits::default();
    limits.blocks = 1;
    let mut detector = detector(limits);
    detector.allocate(1, BLOCK, place(20), 0).unwrap();
    detector.allocate(1, (64, 8), place(20), 0).unwrap();
    assert_eq!(detector.counts().blocks_not_kept, 1);
    does(&mut detector, 2, Write, 64);
    for unknown in [64, BLOCK.0 + 8] {
        assert_eq!(detector.free(1, unknown, place(21), 0).unwrap(), []);
    }
    let races = does(&mut detector, 1, Write, 64);
    assert_eq!((races.len(), races[0].block), (1, None));
    let range = detector.allocate(1, (u64::MAX, 2), place(20), 0);
    assert!(matches!(range, Err(EventError::OutOfRange { .. })));
    let thread = detector.allocate(5, BLOCK, place(20), 0);
    assert_eq!(thread, Err(EventError::UnknownThread(5)));
}
