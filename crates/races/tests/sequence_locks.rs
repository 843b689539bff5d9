//! Races that look like those of a sequence lock, and others.

use wasm_races::AccessKind::{self, AtomicRead, AtomicUpdate, AtomicWrite, Read, Write};
use wasm_races::{Access, Detector, Limits, Place};

const SEQUENCE: u64 = 128;
const OTHER: u64 = 136;
const DATA: u64 = 64;
const READER: u32 = 1;
const WRITER: u32 = 2;

/// Threads 1 and 2; each kind of access of a thread has a place.
struct Program {
    detector: Detector,
    number: u64,
}

impl Program {
    fn new() -> Self {
        let mut detector = Detector::new(Limits::default());
        detector.start(0).unwrap();
        for child in [READER, WRITER] {
            detector.spawn(0, child, Place::default(), 0).unwrap();
        }
        Self {
            detector,
            number: 0,
        }
    }

    fn does(&mut self, thread: u32, kind: AccessKind, address: u64) {
        self.number += 1;
        let access = Access {
            thread,
            address,
            size: 4,
            kind,
            place: place(thread, kind),
            number: self.number,
        };
        self.detector.access(&access).unwrap();
    }

    fn reads(&mut self, looks: [u64; 2]) {
        self.does(READER, AtomicRead, looks[0]);
        self.does(READER, Read, DATA);
        self.does(READER, AtomicRead, looks[1]);
    }

    fn writes(&mut self) {
        self.does(WRITER, AtomicUpdate, SEQUENCE);
        self.does(WRITER, Write, DATA);
        self.does(WRITER, AtomicWrite, SEQUENCE);
    }

    /// That of the race of the reader's plain read with the writer's plain write, which is there.
    fn word(&self) -> Option<u64> {
        let places = (place(READER, Read), place(WRITER, Write));
        assert!(self.detector.times(places) > 0);
        self.detector.sequence_lock(places)
    }
}

fn place(thread: u32, kind: AccessKind) -> Place {
    Place::new(thread * 8 + kind as u32).unwrap()
}

#[test]
fn a_read_before_the_write() {
    let mut program = Program::new();
    program.reads([SEQUENCE; 2]);
    program.writes();
    assert_eq!(program.word(), Some(SEQUENCE));
}

#[test]
fn a_read_while_it_is_written() {
    let mut program = Program::new();
    program.does(READER, AtomicRead, SEQUENCE);
    program.does(WRITER, AtomicUpdate, SEQUENCE);
    program.does(WRITER, Write, DATA);
    program.does(READER, Read, DATA);
    program.does(WRITER, AtomicWrite, SEQUENCE);
    program.does(READER, AtomicRead, SEQUENCE);
    // It tries once more.
    program.reads([SEQUENCE; 2]);
    program.writes();
    assert_eq!(program.word(), Some(SEQUENCE));
}

#[test]
fn a_reader_that_has_ended() {
    for looks in [1, 2] {
        let mut program = Program::new();
        program.does(READER, AtomicRead, SEQUENCE);
        program.does(READER, Read, DATA);
        for _ in 1..looks {
            program.does(READER, AtomicRead, SEQUENCE);
        }
        program.detector.end(READER).unwrap();
        program.writes();
        assert_eq!(program.word(), (looks == 2).then_some(SEQUENCE));
    }
}

#[test]
fn a_reader_that_does_not_look_again() {
    for next in [OTHER, SEQUENCE] {
        let mut program = Program::new();
        program.does(READER, AtomicRead, SEQUENCE);
        program.does(READER, Read, DATA);
        program.writes();
        assert_eq!(program.word(), Some(SEQUENCE));
        program.does(READER, AtomicRead, next);
        let expected = (next == SEQUENCE).then_some(SEQUENCE);
        assert_eq!(program.word(), expected);
    }
    let mut program = Program::new();
    program.does(READER, AtomicRead, SEQUENCE);
    program.does(READER, Read, DATA);
    program.writes();
    program.detector.end(READER).unwrap();
    assert_eq!(program.word(), None);
}

#[test]
fn a_reader_that_did_not_look() {
    let mut program = Program::new();
    program.does(READER, Read, DATA);
    program.writes();
    assert_eq!(program.word(), None);
    // One race of another kind is enough, whatever comes later.
    program.reads([SEQUENCE; 2]);
    program.writes();
    assert_eq!(program.word(), None);
}

#[test]
fn a_reader_that_looks_elsewhere() {
    for looks in [[OTHER, OTHER], [SEQUENCE, OTHER], [OTHER, SEQUENCE]] {
        let mut program = Program::new();
        program.reads(looks);
        program.writes();
        assert_eq!(program.word(), None);
    }
}

#[test]
fn a_writer_that_does_not_change_the_word_around_it() {
    for (before, after) in [
        (None, Some(AtomicWrite)),
        (Some(AtomicRead), Some(AtomicWrite)),
        (Some(AtomicUpdate), Some(AtomicRead)),
    ] {
        let mut program = Program::new();
        program.reads([SEQUENCE; 2]);
        if let Some(before) = before {
            program.does(WRITER, before, SEQUENCE);
        }
        program.does(WRITER, Write, DATA);
        if let Some(after) = after {
            program.does(WRITER, after, SEQUENCE);
        }
        assert_eq!(program.word(), None);
    }
}

#[test]
fn two_writers() {
    let mut program = Program::new();
    for thread in [READER, WRITER] {
        program.does(thread, AtomicWrite, SEQUENCE);
        program.does(thread, Write, DATA);
        program.does(thread, AtomicWrite, SEQUENCE);
    }
    let places = (place(READER, Write), place(WRITER, Write));
    assert_eq!(program.detector.times(places), 1);
    assert_eq!(program.detector.sequence_lock(places), None);
}

/// Of a reader that has made many atomics since, nothing is known, for or against.
#[test]
fn what_is_long_ago_says_nothing() {
    let mut program = Program::new();
    program.reads([SEQUENCE; 2]);
    for _ in 0..40 {
        program.does(READER, AtomicRead, OTHER);
    }
    program.writes();
    assert_eq!(program.word(), None);
    program.reads([SEQUENCE; 2]);
    program.writes();
    assert_eq!(program.word(), Some(SEQUENCE));
}
