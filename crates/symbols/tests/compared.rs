//! For what compilers write, frames are those of addr2line, which Wasmtime prints: compared at
//! every address of guests in C, C++ and Rust.

#![cfg(feature = "lookup")]
#![allow(
    clippy::print_stdout,
    reason = "what was compared, and what is left out"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gimli::{EndianSlice, LittleEndian};
use integration_tests::{Guest, has_rust_target, repository, rustc};
use wasm_symbols::{Limits, Place, Printer, Symbols};
use wasmparser::{Parser, Payload};

/// Where debug information has no name.
const UNNAMED: &str = "<wasm function 0>";

type Context<'a> = addr2line::Context<EndianSlice<'a, LittleEndian>>;

/// As `WasmBacktrace` writes a frame without its number, of a function that has no name.
fn expected(context: &Context<'_>, code: u64, address: u64) -> String {
    let mut text = format!("{:#8x} - ", code + address);
    let mut frames = context
        .find_frames(address)
        .skip_all_loads()
        .expect("what a compiler wrote");
    let mut index = 0;
    while let Some(frame) = frames.next().expect("what a compiler wrote") {
        if index > 0 {
            text.push_str("\n                - ");
        }
        let name = frame.function.as_ref().map(|name| name.raw_name().unwrap());
        match name {
            Some(name) => text.push_str(&demangled(&name)),
            None if index == 0 => text.push_str(UNNAMED),
            None => text.push_str("<inlined function>"),
        }
        if let Some(location) = frame.location
            && let Some(file) = location.file
        {
            write!(text, "\n                    at {file}").unwrap();
            if let Some(line) = location.line {
                write!(text, ":{line}").unwrap();
                if let Some(column) = location.column {
                    write!(text, ":{column}").unwrap();
                }
            }
        }
        index += 1;
    }
    if index == 0 {
        text.push_str(UNNAMED);
    }
    text
}

fn demangled(name: &str) -> String {
    if let Ok(name) = rustc_demangle::try_demangle(name) {
        return name.to_string();
    }
    // Wasmtime demangles `f`, too: it writes `float`.
    let mangled = Some(name).filter(|name| name.starts_with('_'));
    let symbol = mangled.and_then(|name| cpp_demangle::Symbol::new(name).ok());
    let demangled = symbol.and_then(|symbol| symbol.demangle().ok());
    demangled.unwrap_or_else(|| name.to_owned())
}

/// Compares at `most` addresses, and returns how many of them have inlined functions.
fn compare(module: &[u8], what: &str, most: usize) -> usize {
    let mut sections = Vec::new();
    let mut code = 0..0;
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("a module") {
            Payload::CustomSection(custom) => sections.push((custom.name(), custom.data())),
            Payload::CodeSectionStart { range, .. } => code = range.start as u64..range.end as u64,
            _ => {}
        }
    }
    let section = |id: gimli::SectionId| {
        let found = sections.iter().find(|(name, _)| *name == id.name());
        let data = found.map_or(&[][..], |(_, data)| data);
        Ok::<_, gimli::Error>(EndianSlice::new(data, LittleEndian))
    };
    let dwarf = gimli::Dwarf::load(section).expect("debug information");
    let context = Context::from_dwarf(dwarf).expect("debug information");

    let kept = Symbols::keep(module);
    let symbols = Arc::new(Symbols::new(kept));
    // A prime, so that no alignment of functions gets in step with it.
    let mut step = (code.end - code.start) as usize / most + 1;
    while (2..step).any(|part| step.is_multiple_of(part)) {
        step += 1;
    }
    let addresses = (0..code.end - code.start).step_by(step);
    let places = addresses.clone().map(|address| {
        let place = Place::new(0).offset((code.start + address) as usize);
        place.function_name(UNNAMED).symbols(&symbols)
    });
    let mut limits = Limits::default();
    limits.text_bytes = usize::MAX;
    limits.shown_bytes = usize::MAX;
    limits.shown_chars = usize::MAX;
    limits.time = std::time::Duration::from_secs(300);
    let trace = Printer::new(limits).look_up(places.collect());
    assert_eq!(trace.exceeded(), None, "{what}");
    let (mut inlined, mut known) = (0, 0);
    for (address, frame) in addresses.zip(trace.frames()) {
        let shown = frame.to_string();
        let expected = expected(&context, code.start, address);
        assert_eq!(shown, expected, "{what}, at {address:#x}");
        inlined += usize::from(frame.sources().len() > 1);
        known += usize::from(!frame.sources().is_empty());
    }
    println!(
        "{what}: {} places, {known} known, {inlined} with inlined functions",
        trace.frames().len()
    );
    assert!(known > trace.frames().len() / 4, "{what}: {known}");
    inlined
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compared");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{name}.{}.wasm", std::process::id()))
}

/// What a compiler makes of a source, in a file that is gone afterwards; `None` without the
/// compiler.
fn compiled(mut compiler: Command, args: &str, source: &str, name: &str) -> Option<Vec<u8>> {
    let out = scratch(name);
    let command = compiler
        .args(args.split_whitespace())
        .arg(repository().join(source))
        .arg("-o")
        .arg(&out)
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&command.stderr).into_owned();
    assert!(command.status.success(), "{compiler:?}: {errors}");
    let module = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    Some(module)
}

#[test]
fn c() {
    for name in ["ending", "files", "mutex_condvar", "spawns"] {
        let module = std::fs::read(Guest::c(name).path()).unwrap();
        compare(&module, name, 10_000);
    }
}

#[test]
fn cpp() {
    let mut inlined = 0;
    for (optimised, version) in [("O0", 5), ("O1", 4), ("O2", 5), ("O2", 4)] {
        let args = format!(
            "--target=wasm32 -{optimised} -gdwarf-{version} -ffreestanding -nostdlib \
             -fno-exceptions -fno-rtti -Wl,--no-entry,--export-memory"
        );
        let name = format!("shapes-{optimised}-{version}");
        let module = compiled(
            Command::new("clang++-19"),
            &args,
            "tests/guests/cpp/shapes.cpp",
            &name,
        );
        let module = module.expect("clang++-19: install the packages clang-19 and lld-19");
        inlined += compare(&module, &name, 10_000);
    }
    assert!(inlined > 500, "{inlined}");
}

#[test]
fn rust() {
    if !has_rust_target() {
        return;
    }
    for options in [
        "-C debuginfo=2",
        "-C debuginfo=2 -C opt-level=3",
        "-C debuginfo=1 -C opt-level=2 -C symbol-mangling-version=v0",
        "-C debuginfo=2 -C opt-level=s -C lto=fat -C codegen-units=1",
    ] {
        let args = format!("--edition 2024 {options}");
        let name = format!("threads{}", options.replace([' ', '='], ""));
        let module = compiled(rustc(), &args, "tests/guests/rust/threads.rs", &name);
        let inlined = compare(&module.expect("rustc"), options, 3_000);
        assert!(inlined > 100, "{options}: {inlined}");
    }
}
