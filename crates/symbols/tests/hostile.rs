//! Debug information and names that no compiler writes take little time and give little text, and
//! the trace says what is missing.

#![cfg(feature = "lookup")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use integration_tests::debug_info::{
    self, Section, TRAPS_AT, abbreviation, line_table, mangled_bomb, nested, ranged, trapping,
    unit, unnamed,
};
use wasm_symbols::{Bound, Limits, Place, Printer, Symbols, Trace};

/// Where the code of these modules begins, whatever their sections are.
const CODE: usize = 0x2e;

/// Far less than the limit, and far more than a lookup takes in an unoptimised build beside other
/// load.
const SOON: Duration = Duration::from_secs(4);

fn look_up(module: Vec<u8>) -> Trace {
    let symbols = Arc::new(Symbols::new(module));
    let place = Place::new(0)
        .offset(CODE + TRAPS_AT as usize)
        .symbols(&symbols);
    let began = Instant::now();
    let trace = Printer::new(Limits::default()).look_up(vec![place]);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(trace.to_string().len() < 600_000);
    trace
}

fn of_sections(sections: &[Section]) -> Trace {
    look_up(trapping("f", sections))
}

#[test]
fn some_inlined_functions_are_listed() {
    let trace = of_sections(&nested(200, true));
    assert_eq!(trace.exceeded(), None);
    let sources = trace.frames()[0].sources();
    assert_eq!(sources.len(), 201);
    assert_eq!(sources[0].name(), Some("inner"));
    assert_eq!(sources[1].line(), Some(7));
    assert_eq!(sources[200].name(), Some("outer"));
}

#[test]
fn functions_inlined_beyond_measure() {
    for depth in [257, 4_000, 100_000, 1_000_000] {
        let trace = of_sections(&nested(depth, true));
        assert_eq!(trace.exceeded(), Some(Bound::Inlined), "{depth}");
        assert_eq!(trace.to_string(), "    0:     0x31 - f", "{depth}");
    }
}

#[test]
fn entries_nested_beyond_measure() {
    for (depth, bound) in [(4_000, None), (1_000_000, Some(Bound::Inlined))] {
        let sections = nested(depth, false);
        if depth == 4_000 {
            assert!(trapping("f", &sections).len() < 8_400);
        }
        let trace = of_sections(&sections);
        assert_eq!(trace.exceeded(), bound, "{depth}");
    }
}

#[test]
fn a_long_folder_and_many_files() {
    let trace = of_sections(&line_table(1 << 20, 20_000));
    assert_eq!(trace.exceeded(), None);
    let [source] = trace.frames()[0].sources() else {
        panic!("{trace}");
    };
    let file = source.file().unwrap();
    assert!(file.starts_with("...d") && file.ends_with("dd/f"), "{file}");
    assert_eq!(file.len(), 1003);
    assert_eq!(source.line(), Some(8));
}

/// A list of version 5 that claims 2^63 files, which take no bytes.
#[test]
fn files_that_need_no_bytes() {
    let mut sections = line_table(1, 1);
    let mut table = b"\x05\0\x04\0".to_vec();
    let mut header = vec![1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
    let many = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
    // The form of a flag that is always there; or no form at all.
    for format in [&b"\x01\x01\x19"[..], b"\0"] {
        header.truncate(18);
        for _ in 0..2 {
            header.extend(format);
            header.extend(many);
        }
        table.truncate(4);
        table.extend((header.len() as u32).to_le_bytes());
        table.extend(&header);
        table.extend(b"\0\x05\x02\0\0\0\0\x01\x02\x04\0\x01\x01");
        sections[2].1 = debug_info::with_length(&table);
        let trace = of_sections(&sections);
        assert!(trace.frames()[0].sources().is_empty());
    }
}

#[test]
fn names_that_refer_to_one_another() {
    let mut abbreviations = Vec::new();
    abbreviation(&mut abbreviations, 1, 0x11, &[(0x11, 0x01), (0x12, 0x06)]);
    let of_function = [(0x31, 0x13), (0x11, 0x01), (0x12, 0x06)];
    abbreviation(&mut abbreviations, 2, 0x2e, &of_function);
    abbreviations.push(0);
    let range = b"\0\0\0\0\x04\0\0\0";
    // The entry refers to itself, which is at offset 20 of its unit.
    let entries = [b"\x01", &range[..], b"\x02\x14\0\0\0", range, b"\0\0"].concat();
    let trace = of_sections(&[
        (".debug_abbrev", abbreviations),
        (".debug_info", unit(&entries)),
    ]);
    assert_eq!(trace.frames()[0].sources()[0].name(), None);
    assert_eq!(trace.to_string(), "    0:     0x31 - f");
}

/// Units without end, each with all abbreviations.
#[test]
fn units_and_abbreviations_beyond_measure() {
    let mut abbreviations = Vec::new();
    abbreviation(&mut abbreviations, 1, 0x11, &[]);
    let units = unit(b"\x01\0").repeat(100_001);
    let sections = [
        (".debug_abbrev", abbreviations.clone()),
        (".debug_info", units),
    ];
    assert_eq!(of_sections(&sections).exceeded(), Some(Bound::Units));

    abbreviations.truncate(3);
    abbreviations.extend(b"\x03\x08".repeat(400_001));
    let sections = [
        (".debug_abbrev", abbreviations),
        (".debug_info", unit(b"\x01\0")),
    ];
    let trace = of_sections(&sections);
    assert_eq!(trace.exceeded(), Some(Bound::Abbreviations));
}

#[test]
fn a_section_that_is_too_large() {
    let sections = nested(1, true);
    let symbols = Arc::new(Symbols::new(trapping("f", &sections)));
    let mut limits = Limits::default();
    limits.section_bytes = 16;
    let place = Place::new(0).offset(CODE).symbols(&symbols);
    let trace = Printer::new(limits).look_up(vec![place]);
    assert_eq!(trace.exceeded(), Some(Bound::SectionBytes));
    assert_eq!(trace.frames()[0].function_name(), Some("f"));
}

#[test]
fn a_name_that_becomes_too_long() {
    let name = mangled_bomb();
    assert!(name.len() < 320);
    let trace = look_up(trapping(&name, &[]));
    let shown = trace.frames()[0].function_name().unwrap().to_owned();
    assert!(shown.starts_with("void f<a<int, int>, a<a<int, int>, a<int, int> >"));
    assert!(shown.ends_with("..."));
    assert_eq!(shown.len(), 1003);
    // A mangled name beyond what is demangled.
    let long = format!("_ZN20000{}E", "x".repeat(20_000));
    let trace = look_up(trapping(&long, &[]));
    assert_eq!(trace.frames()[0].function_name().map(str::len), Some(1003));
}

#[test]
fn names_that_are_not_for_terminals() {
    let name = "\u{1b}]0;owned\u{7}\r\n\u{202e}evil\u{200b}";
    let visible = r"\u{1b}]0;owned\u{7}\r\n\u{202e}evil\u{200b}";
    let mut sections = line_table(0, 1);
    // A folder of that name, one character after the other.
    let entries = &mut sections[1].1;
    entries.truncate(12);
    entries.extend(name.as_bytes());
    entries.extend([0; 9]);
    entries.extend(b"\x04\0\0\0\0");
    sections[1].1 = debug_info::with_length(&entries[4..]);
    let trace = look_up(trapping(name, &sections));
    let expected = format!("    0:     0x31 - {visible}\n                    at {visible}/f:8:0");
    assert_eq!(trace.to_string(), expected);
}

#[test]
fn all_frames_share_what_is_shown() {
    let symbols = Arc::new(Symbols::new(trapping(&"n".repeat(900), &nested(100, true))));
    let place = |at: usize| Place::new(0).offset(CODE + at % 4).symbols(&symbols);
    let trace = Printer::default().look_up((0..5000).map(place).collect());
    assert_eq!(trace.frames().len(), 5000);
    assert_eq!(trace.exceeded(), Some(Bound::ShownBytes));
    assert!(trace.to_string().len() < 2 << 20);
    assert!(trace.frames()[0].function_name().is_some());
}

/// Functions without a name cost nothing to keep, and a line each to write.
#[test]
fn functions_without_a_name_count() {
    let symbols = Arc::new(Symbols::new(trapping("f", &unnamed(255, 64))));
    let place = |at: usize| Place::new(0).offset(CODE + at % 64).symbols(&symbols);
    for threads in [1, 100] {
        let trace = Printer::default().look_up((0..64 * threads).map(place).collect());
        assert_eq!(trace.frames().len(), 64 * threads);
        let bytes = trace.to_string().len();
        let few = threads == 1;
        assert_eq!(trace.exceeded().is_none(), few, "{threads}");
        assert!(few || trace.exceeded() == Some(Bound::ShownBytes));
        // As much as there is room for, and no more.
        assert!((500_000..=1 << 20).contains(&bytes), "{bytes} bytes");
        assert_eq!(trace.frames()[0].sources().len(), 256);
    }
}

/// Frames count, too, though all of them are there.
#[test]
fn frames_count() {
    let mut limits = Limits::default();
    limits.shown_bytes = 10_000;
    let places = (0..1000).map(|at| Place::new(u32::MAX).offset(at).function_name("f"));
    let trace = Printer::new(limits).look_up(places.collect());
    assert_eq!(trace.exceeded(), Some(Bound::ShownBytes));
    assert_eq!(trace.frames().len(), 1000);
    let named = |frame: &wasm_symbols::Frame| frame.function_name().is_some();
    let names = trace.frames().iter().filter(|frame| named(frame)).count();
    assert!((100..200).contains(&names), "{names}");
}

#[test]
fn what_is_kept_of_places_is_counted() {
    let look_up = |sections: &[Section], items: usize| {
        let symbols = Arc::new(Symbols::new(trapping("f", sections)));
        let place = |at: usize| Place::new(0).offset(CODE + 100_000 + at).symbols(&symbols);
        let mut limits = Limits::default();
        (limits.items, limits.time) = (items, Duration::from_secs(60));
        let trace = Printer::new(limits).look_up((0..600).map(place).collect());
        trace.exceeded()
    };
    let default = Limits::default().items;
    // A place that a function has a thousand times is kept once.
    assert_eq!(look_up(&ranged(1, 1000), 600), None);
    assert_eq!(look_up(&ranged(1, 1000), 599), Some(Bound::Items));
    assert_eq!(look_up(&ranged(400, 1), default), None);
    assert_eq!(look_up(&ranged(2_000, 1), default), Some(Bound::Items));
    // So are inlined functions.
    assert_eq!(
        look_up(&unnamed(100, 200_000), 60_600),
        Some(Bound::ShownBytes)
    );
    assert_eq!(look_up(&unnamed(100, 200_000), 60_599), Some(Bound::Items));
}

#[test]
fn steps_are_counted() {
    let symbols = Arc::new(Symbols::new(trapping("f", &nested(200, true))));
    let place = || vec![Place::new(0).offset(CODE).symbols(&symbols)];
    let with = |steps: u64, time: Duration| {
        let mut limits = Limits::default();
        (limits.steps, limits.time) = (steps, time);
        Printer::new(limits).look_up(place())
    };
    let second = Duration::from_secs(60);
    assert_eq!(with(2000, second).exceeded(), None);
    for steps in 0..400 {
        let trace = with(steps, second);
        assert_eq!(trace.exceeded(), Some(Bound::Steps), "{steps}");
        assert_eq!(trace.frames().len(), 1);
    }
    let late = with(1 << 20, Duration::ZERO);
    assert_eq!(late.exceeded(), Some(Bound::Time));
}

/// A printer goes on after a trace that took too long; while that is looked up, there are names.
#[test]
fn a_thread_that_is_late_is_left_behind() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let slow = Arc::new(Symbols::fetched(move || {
        released.lock().unwrap().recv().ok()?;
        Some(trapping("slow", &[]))
    }));
    let mut limits = Limits::default();
    limits.time = Duration::from_millis(50);
    let printer = Printer::new(limits);
    let symbols = Arc::new(Symbols::new(trapping("f", &[])));
    let trace = printer.look_up(vec![Place::new(0).function_name("a").symbols(&slow)]);
    assert_eq!(trace.exceeded(), Some(Bound::Time));
    assert_eq!(trace.to_string(), "    0: a");
    let place = || vec![Place::new(0).function_name("_ZN1a1bEv").symbols(&symbols)];
    let trace = printer.look_up(place());
    assert_eq!(trace.exceeded(), Some(Bound::Thread));
    assert_eq!(trace.to_string(), "    0: _ZN1a1bEv");
    release.send(()).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while printer.look_up(place()).to_string() != "    0: a::b()" {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
}
