//! Debug information and names of any kind, through the printer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasm_symbols::{Frame, Limits, Place, Printer, Symbols, Trace, escape};

use crate::input::Input;
use crate::plant::planted;

/// Sections by number.
const SECTIONS: [&str; 12] = [
    "name",
    ".debug_abbrev",
    ".debug_addr",
    ".debug_info",
    ".debug_line",
    ".debug_line_str",
    ".debug_ranges",
    ".debug_rnglists",
    ".debug_str",
    ".debug_str_offsets",
    "producers",
    "wasm-symbols.code",
];

/// Places that are looked up.
const PLACES: usize = 48;

/// Far more than [`Limits::steps`] below take, beside any load.
const SOON: Duration = Duration::from_secs(40);

/// What of a module is before its sections of debug information: two functions of 24 bytes.
fn front() -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(b"\x01\x04\x01\x60\0\0\x03\x03\x02\0\0");
    let body = [&[0][..], &[1; 22], &[0x0b]].concat();
    module.extend([0x0a, 2 * (body.len() as u8 + 1) + 1, 2]);
    for _ in 0..2 {
        module.push(body.len() as u8);
        module.extend(&body);
    }
    module
}

/// A module of sections: each has its number, its length in two bytes, and its bytes.
fn of_sections(input: &mut Input<'_>) -> Vec<u8> {
    let mut module = front();
    while !input.is_empty() {
        let name = SECTIONS[input.below(SECTIONS.len())];
        let length = input.u16();
        let data = input.bytes(length.into());
        module.push(0);
        leb(&mut module, 1 + name.len() + data.len());
        module.push(name.len() as u8);
        module.extend(name.as_bytes());
        module.extend(data);
    }
    module
}

/// The bytes of these sections, for a seed.
///
/// # Panics
///
/// If one has another name, or more than 65,535 bytes.
pub fn encode(sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, data) in sections {
        let number = SECTIONS.iter().position(|known| known == name);
        bytes.push(number.unwrap_or_else(|| panic!("{name}: no such section")) as u8);
        bytes.extend(
            u16::try_from(data.len())
                .expect("a short section")
                .to_le_bytes(),
        );
        bytes.extend(data);
    }
    bytes
}

fn leb(to: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Of a module as it is, if it begins like one; else of sections.
pub(crate) fn run(data: &[u8]) {
    let mut limits = Limits::default();
    limits.steps = 100_000;
    limits.time = Duration::from_secs(20);
    // Cut at its front and at its end.
    let most = limits.shown_chars + 6;
    let inlined = limits.inlined + 1;
    let printer = Printer::new(limits);
    let began = Instant::now();
    let module = match data.starts_with(b"\0asm") {
        true => data.to_vec(),
        false => of_sections(&mut Input::new(data)),
    };
    let kept = Symbols::keep(&module);
    assert!(kept.len() <= module.len() + 64, "what is kept is more");
    let mut shown = Vec::new();
    for bytes in [module, kept] {
        let symbols = Arc::new(Symbols::new(bytes));
        let place = |at: usize| {
            Place::new(at as u32 % 5)
                .offset(at + at / 24 * 100)
                .symbols(&symbols)
        };
        let trace = printer.look_up((0..PLACES).map(place).collect());
        assert_eq!(trace.frames().len(), PLACES);
        for frame in trace.frames() {
            check(frame, most, inlined);
        }
        let text = text(&trace);
        assert!(
            text.chars().all(|char| char == '\n' || !char.is_control()),
            "what is shown is not visible: {text:?}"
        );
        assert!(text.len() < 2 << 20);
        shown.push((text, trace.exceeded()));
    }
    if shown.iter().all(|(_, exceeded)| exceeded.is_none()) {
        assert_eq!(shown[0].0, shown[1].0, "what was kept says something else");
    }
    let text = String::from_utf8_lossy(data);
    let name = &text[..text.floor_char_boundary(400)];
    let trace = printer.look_up(vec![Place::new(0).function_name(name)]);
    check(&trace.frames()[0], most, inlined);
    assert!(escape(&text, 50).to_string().chars().count() <= 53);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

fn text(trace: &Trace) -> String {
    let text = trace.to_string();
    match planted("escape-shown") {
        true => text.replace(r"\u{1b}", "\u{1b}"),
        false => text,
    }
}

fn check(frame: &Frame, most: usize, inlined: usize) {
    let sources = frame.sources();
    let most_inlined = if planted("inlined-without-end") {
        2
    } else {
        inlined
    };
    assert!(sources.len() <= most_inlined, "{} inlined", sources.len());
    let texts = sources
        .iter()
        .flat_map(|source| [source.name(), source.file()]);
    for text in texts.chain([frame.function_name()]).flatten() {
        let length = text.chars().count();
        assert!(length <= most, "a text of {length} characters");
        assert!(!text.chars().any(char::is_control), "not visible: {text:?}");
    }
}
