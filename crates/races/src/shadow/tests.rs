use super::{Entry, Kind, PAGE, Piece, Shadow, piece};
use crate::clock::Epoch;
use crate::race::Place;

fn entry(slot: u16, kind: Kind, place: u32) -> impl Fn(u8) -> Entry {
    let place = Place::new(place).unwrap();
    move |mask| Entry::new(Epoch { slot, time: 1 }, kind, mask, place, 0)
}

/// All that was before comes before.
fn write(shadow: &mut Shadow, begin: u64, end: u64, place: u32) {
    shadow.add(begin, end, entry(1, Kind::Write, place), |_, _| true);
}

#[test]
fn pieces_are_bytes_of_cells() {
    for (at, end, cell, mask) in [
        (0, 8, 0, 0xff),
        (0, 1, 0, 1),
        (7, 8, 0, 0x80),
        (7, 9, 0, 0x80),
        (12, 14, 8, 0x30),
        (8, 4096, 8, 0xff),
    ] {
        assert_eq!(piece(at, end), Piece { cell, mask }, "{at} to {end}");
    }
}

#[test]
fn a_range_is_all_of_its_bytes_and_no_others() {
    for (begin, end) in [
        (0, 1),
        (3, 21),
        (PAGE - 3, PAGE + 5),
        (PAGE - 8, 3 * PAGE + 1),
        (0, 2 * PAGE),
        (u64::MAX - PAGE, u64::MAX),
    ] {
        let mut shadow = Shadow::new(1 << 20, 8);
        write(&mut shadow, begin, end, 7);
        let inside = [begin, end - 1, begin + (end - begin) / 2];
        let outside = [begin.checked_sub(1), Some(end)];
        for (address, expected) in inside
            .into_iter()
            .map(|address| (address, 1))
            .chain(outside.into_iter().flatten().map(|address| (address, 0)))
        {
            let bit = 1_u8 << (address % 8);
            let found = shadow.entries(address);
            let of_byte = found.iter().filter(|entry| entry.mask() & bit != 0);
            assert_eq!(
                of_byte.count(),
                expected,
                "{address:#x} in {begin:#x}..{end:#x}"
            );
        }
    }
}

#[test]
fn what_is_filled_as_a_whole_takes_little() {
    let mut shadow = Shadow::new(1 << 30, 8);
    let gibibyte = 1 << 30;
    write(&mut shadow, 0, gibibyte, 7);
    assert!(
        shadow.bytes() < gibibyte as usize / 25,
        "{}",
        shadow.bytes()
    );
    // In pieces, and as a whole again.
    let before = shadow.bytes();
    write(&mut shadow, 8, 12, 8);
    assert!(shadow.bytes() > before + 4 * PAGE as usize);
    write(&mut shadow, 0, PAGE, 9);
    assert_eq!(shadow.bytes(), before);
}

#[test]
fn memory_in_pieces_takes_five_times_its_size() {
    let mut shadow = Shadow::new(1 << 30, 8);
    for cell in 0..(1 << 20) / 8 {
        write(&mut shadow, cell * 8, cell * 8 + 4, 7);
    }
    let times = shadow.bytes() as f64 / f64::from(1 << 20);
    assert!((5.0..5.1).contains(&times), "{times}");
}

#[test]
fn the_bound_holds_and_what_is_used_stays() {
    let mut shadow = Shadow::new(1 << 20, 8);
    for number in 1..4000 {
        write(&mut shadow, 0, 4, 7);
        write(&mut shadow, number * PAGE, number * PAGE + 4, 7);
        assert!(shadow.bytes() <= 1 << 20, "{} at {number}", shadow.bytes());
    }
    assert_eq!(shadow.entries(0).len(), 1);
    assert!(shadow.pages_forgotten > 3900, "{}", shadow.pages_forgotten);
}

#[test]
fn readers_beyond_the_bound_are_forgotten_oldest_first() {
    let mut shadow = Shadow::new(1 << 20, 5);
    for slot in 0..10 {
        shadow.add(0, 4, entry(slot, Kind::Read, 7), |_, _| false);
    }
    let slots: Vec<u16> = shadow
        .entries(0)
        .iter()
        .map(|entry| entry.epoch().slot)
        .collect();
    assert_eq!(slots.len(), 5);
    assert_eq!(slots.last(), Some(&9));
    assert_eq!(shadow.accesses_forgotten, 5);
}

#[test]
fn what_is_forgotten_was_never_accessed() {
    let mut shadow = Shadow::new(1 << 20, 8);
    write(&mut shadow, 0, 16, 7);
    shadow.forget(4, 8);
    assert_eq!(shadow.entries(0)[0].mask(), 0x0f);
    shadow.forget(0, 4);
    assert!(shadow.entries(0).is_empty());
    assert_eq!(shadow.entries(8).len(), 1);
}

#[test]
fn a_repeated_access_is_kept_once_unless_others_may_race_with_it() {
    let mut shadow = Shadow::new(1 << 20, 8);
    let repeat = |shadow: &mut Shadow, slot, kind, from, to| {
        shadow.repeat(from, to, entry(slot, kind, u32::from(slot)))
    };
    let add = |shadow: &mut Shadow, slot, kind| {
        let kept = entry(slot, kind, u32::from(slot));
        shadow.add(16, 24, kept, |_, old| old.epoch().slot == slot);
    };
    assert!(!repeat(&mut shadow, 1, Kind::Read, 16, 24));
    add(&mut shadow, 1, Kind::Read);
    // All of its bytes, some of them, others, another kind, another place, another thread.
    for (slot, kind, from, to, known) in [
        (1, Kind::Read, 16, 24, true),
        (1, Kind::Read, 18, 20, true),
        (1, Kind::Read, 20, 28, false),
        (1, Kind::Read, 24, 32, false),
        (1, Kind::Write, 16, 24, false),
        (2, Kind::Read, 16, 24, false),
    ] {
        assert_eq!(
            repeat(&mut shadow, slot, kind, from, to),
            known,
            "{slot} {kind:?} {from} {to}"
        );
    }
    assert!(!shadow.repeat(16, 24, entry(1, Kind::Read, 9)));
    // Another reader does not matter, and a writer does.
    add(&mut shadow, 2, Kind::Read);
    for slot in [1, 2] {
        assert!(repeat(&mut shadow, slot, Kind::Read, 16, 24));
    }
    add(&mut shadow, 2, Kind::Write);
    assert_eq!(shadow.entries(16).len(), 2);
    assert!(!repeat(&mut shadow, 1, Kind::Read, 16, 24));
    assert!(!repeat(&mut shadow, 2, Kind::Write, 16, 24));
}
