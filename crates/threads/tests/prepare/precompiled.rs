//! A prepared module is the same after it was a file.
// `Module::deserialize` is unsafe: it trusts the bytes, here its own.
#![allow(unsafe_code)]

use wasi_threads::rewrite::{Points, Recorded, RewriteOptions};
use wasi_threads::{
    DeserializeError, Stamp, StampError, Stamped, ThreadModule, prepare, prepare_with,
};
use wasmtime::Module;

#[cfg(target_os = "linux")]
use super::emulated::left_out;
use super::{engine, load, wat};

const EVERYTHING: &str = "(module
    (import \"env\" \"memory\" (memory 1 2 shared))
    (memory $own 1 1 shared)
    (data (i32.const 0) \"active\")
    (func (result i32) (memory.atomic.notify (i32.const 0) (i32.const 0)))
    (func (result i32) (memory.atomic.wait32 $own (i32.const 0) (i32.const 0) (i64.const 0)))
    (func (result i32) (memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const 0)))
    (func $free (param i32))
    (func (call $free (i32.load (i32.const 8))))
    (func $start) (start $start))";

#[test]
fn what_was_found_is_found_again() {
    let engine = engine();
    let texts = [EVERYTHING, "(module)", "(module (func $f) (start $f))"];
    let points = [
        None,
        Some(Points::Atomics),
        Some(Points::Accesses),
        Some(Points::Loops),
    ];
    // With the points.
    let recorded = [Recorded::Races, Recorded::Atomics, Recorded::Accesses].map(Some);
    let all = points
        .into_iter()
        .zip(std::iter::once(None).chain(recorded));
    let all = texts
        .into_iter()
        .flat_map(|text| all.clone().map(move |options| (text, options)));
    for (text, (points, recorded)) in all {
        let mut options = RewriteOptions::default();
        (options.points, options.recorded) = (points, recorded);
        let before = prepare_with(&engine, &wat(text), &options).expect("a module to prepare");
        assert_eq!((before.points(), before.recorded()), (points, recorded));
        let bytes = before.serialize().expect("bytes");
        let stamped = Stamped::parse(&bytes).expect("a stamp");
        let module = load(&engine, stamped.compiled());
        let after = stamped.into_module(module).expect("a stamp that fits");
        // Everything that can be seen of it.
        let shown = |module: &ThreadModule| {
            format!("{module:?}")
                .split_once(" entry:")
                .map(|(_, rest)| rest.to_owned())
        };
        assert!(shown(&before).is_some_and(|text| text.contains("code_map")));
        assert_eq!(shown(&before), shown(&after));
        assert_eq!(before.start_export(), after.start_export());
        assert_eq!(before.access_sites(), after.access_sites());
        // And it can be serialized again, also if the stamp was loaded with the code, as from a
        // mapped file.
        assert!(after.serialize().expect("bytes") == bytes);
        let stamp = Stamp::read(&mut std::io::Cursor::new(&bytes)).expect("a stamp");
        assert!(stamp.attached().is_empty());
        let mapped = stamp.into_module(load(&engine, &bytes));
        assert!(mapped.expect("it fits").serialize().expect("bytes") == bytes);
        // Attached bytes are behind the code, and are not serialized again.
        let more = before.serialize_with(b"symbols").expect("bytes");
        let stamp = Stamp::read(&mut std::io::Cursor::new(&more)).expect("a stamp");
        let (from, to) = (
            stamp.attached().start as usize,
            stamp.attached().end as usize,
        );
        assert_eq!(more[from..to], *b"symbols");
        let stamped = Stamped::parse(&more).expect("a stamp");
        assert!(stamped.compiled() == &bytes[..from]);
        let again = stamped.into_module(load(&engine, &more)).expect("it fits");
        assert!(again.serialize().expect("bytes") == bytes);
    }
}

#[test]
fn a_foreign_compiled_module_has_no_stamp() {
    let engine = engine();
    let bytes = engine
        .precompile_module(&wat("(module)"))
        .expect("a module that compiles");
    assert!(matches!(Stamped::parse(&bytes), Err(StampError::Missing)));
    assert!(matches!(Stamped::parse(b""), Err(StampError::Missing)));
    let unprepared = ThreadModule::from_unprepared(load(&engine, &bytes));
    let bytes = unprepared.serialize().expect("bytes");
    assert!(matches!(Stamped::parse(&bytes), Err(StampError::Missing)));
}

/// A file that was cut short or extended once counted as foreign, and ran without its start
/// function and with waits that were not bound.
#[test]
fn a_damaged_file_is_told_from_a_foreign_one() {
    let engine = engine();
    for text in [EVERYTHING, "(module)"] {
        let module = prepare(&engine, &wat(text)).expect("a module to prepare");
        let bytes = module.serialize_with(b"attached").expect("bytes");
        let compiled = Stamped::parse(&bytes).expect("a stamp").compiled().len();
        let damaged = |bytes: &[u8]| matches!(Stamped::parse(bytes), Err(StampError::Damaged));
        // Every length of the stamp and the footer, and some of what is before them.
        let cuts = (compiled - 64..bytes.len()).chain([16, 17, 100, compiled / 2]);
        for length in cuts {
            assert!(damaged(&bytes[..length]), "{length} of {}", bytes.len());
        }
        for more in ["\0", "\n", "wasi-threads:7\0\0"] {
            assert!(damaged(&[&bytes, more.as_bytes()].concat()), "{more:?}");
        }
        // The front is missing.
        assert!(damaged(&bytes[16..]));
        // Every byte of the stamp and of the footer, some of the code, and none twice.
        for at in (compiled..bytes.len()).chain((64..compiled).step_by(997)) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            assert!(
                matches!(
                    Stamped::parse(&changed),
                    Err(StampError::Damaged | StampError::Version)
                ),
                "byte {at} changed"
            );
        }
        // Another format: by the number at the front, and the one that had no mark there.
        let mut other = bytes.clone();
        other[15] = b'2';
        assert!(matches!(Stamped::parse(&other), Err(StampError::Version)));
        let mut first = bytes.clone();
        first[9..16].fill(0);
        let end = first.len() - 16;
        first[end..].copy_from_slice(b"wasi-threads:1\0\0");
        assert!(matches!(Stamped::parse(&first), Err(StampError::Version)));
    }
}

/// The stamp is read without reading the file into memory, and the file can be mapped.
#[test]
fn a_file_is_mapped() {
    use std::io::Write as _;
    let engine = engine();
    let module = prepare(&engine, &wat(EVERYTHING)).expect("a module to prepare");
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&module.serialize().expect("bytes"))
        .expect("room");
    let stamp = Stamp::read(&mut file).expect("a stamp");
    // SAFETY: as in `load`; the file has no name, so no other process can open it.
    let compiled = unsafe { Module::deserialize_open_file(&engine, file) };
    let after = stamp
        .into_module(compiled.expect("a module wasmtime wrote"))
        .expect("a stamp that fits");
    assert_eq!(module.start_export(), after.start_export());
    assert!(after.waits_reach_group());
}

#[test]
fn a_stamp_of_another_module_is_refused() {
    let engine = engine();
    let module = prepare(&engine, &wat(EVERYTHING)).expect("a module to prepare");
    let bytes = module.serialize().expect("bytes");
    for other in [
        "(module)",
        "(module (table (export \"wasi-threads:waits\") 3 funcref))",
        "(module (table (export \"wasi-threads:waits\") 2 funcref)
           (memory (export \"wasi-threads:memory-0\") 1 1 shared)
           (memory (export \"wasi-threads:memory-1\") 1 1)
           (func (export \"wasi-threads:start\")))",
        "(module (table (export \"wasi-threads:waits\") 3 funcref)
           (memory (export \"wasi-threads:memory-0\") 1 1 shared)
           (memory (export \"wasi-threads:memory-1\") 1 1 shared)
           (func (export \"wasi-threads:start\") (param i32)))",
    ] {
        let stamped = Stamped::parse(&bytes).expect("a stamp");
        let module = Module::new(&engine, other).expect("a module that compiles");
        let result = stamped.into_module(module);
        assert!(matches!(result, Err(StampError::Foreign(_))), "{other}");
    }
}

#[test]
fn a_file_becomes_the_module_that_it_was() {
    let engine = engine();
    let before = prepare(&engine, &wat(EVERYTHING)).expect("a module to prepare");
    let bytes = before.serialize_with(b"attached").expect("bytes");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("module.cwasm");
    std::fs::write(&path, &bytes).expect("a file");
    // SAFETY: the bytes are those that were written above.
    let modules = unsafe {
        [
            ThreadModule::deserialize(&engine, &bytes),
            ThreadModule::deserialize_file(&engine, &path),
        ]
    };
    for module in modules {
        let module = module.expect("a module");
        assert_eq!(module.start_export(), before.start_export());
        assert!(module.is_prepared() && module.waits_reach_group());
    }
    let foreign = before.module().serialize().expect("bytes");
    // SAFETY: as above; nothing is loaded from the others.
    let refused = unsafe {
        [
            ThreadModule::deserialize(&engine, &foreign),
            ThreadModule::deserialize(&engine, &bytes[..bytes.len() - 1]),
            ThreadModule::deserialize_file(&engine, folder.path().join("none")),
            ThreadModule::deserialize(&wasmtime::Engine::default(), &bytes),
        ]
    };
    let [missing, damaged, unread, other] = refused.map(|module| module.expect_err("a refusal"));
    assert!(matches!(
        missing,
        DeserializeError::Stamp(StampError::Missing)
    ));
    assert!(matches!(
        damaged,
        DeserializeError::Stamp(StampError::Damaged)
    ));
    assert!(matches!(
        unread,
        DeserializeError::Stamp(StampError::Read(_))
    ));
    assert!(matches!(other, DeserializeError::Module(_)));
}

/// The folder, in the process that has it on a file system of its own.
#[cfg(target_os = "linux")]
const NOEXEC: &str = "WASI_THREADS_TEST_NOEXEC";

/// The file system may not execute anything, so no code can be mapped from it.
#[test]
#[cfg(target_os = "linux")]
fn a_file_whose_code_cannot_be_mapped_is_copied() {
    if left_out("the kernel is asked for no code") {
        return;
    }
    let engine = engine();
    if let Some(folder) = std::env::var_os(NOEXEC) {
        let path = std::path::Path::new(&folder).join("module.cwasm");
        let before = prepare(&engine, &wat(EVERYTHING)).expect("a module to prepare");
        std::fs::write(&path, before.serialize().expect("bytes")).expect("a file");
        let open = std::fs::File::open(&path).expect("the file");
        // SAFETY: the bytes are those that were written above.
        let mapped = unsafe { Module::deserialize_open_file(&engine, open) };
        assert!(mapped.is_err(), "code was mapped");
        // SAFETY: as above.
        let module = unsafe { ThreadModule::deserialize_file(&engine, &path) };
        let module = module.expect("a module");
        assert_eq!(module.start_export(), before.start_export());
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let unshare = |options: &str, command: &[&str]| {
        std::process::Command::new("unshare")
            .arg(options)
            .args(command)
            .env(NOEXEC, folder.path())
            .output()
    };
    let has_mounts = |options: &&str| unshare(options, &["true"]).is_ok_and(|o| o.status.success());
    let Some(options) = ["-m", "-rm"].into_iter().find(has_mounts) else {
        eprintln!("no mount namespaces here: left out");
        return;
    };
    let line = format!("mount -t tmpfs -o noexec none \"${NOEXEC}\" && exec \"$0\" \"$@\"");
    let this = std::env::current_exe().expect("this program");
    let this = this.to_str().expect("its name");
    let name = "precompiled::a_file_whose_code_cannot_be_mapped_is_copied";
    let ran = unshare(options, &["sh", "-c", &line, this, "--exact", name]);
    let ran = ran.expect("a process");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{ran:?}");
}
