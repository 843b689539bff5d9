//! `wasi_unstable`: the same, but for four functions.

use crate::guest::{
    DATA, FUNCTIONS, Guest, INVAL, NOENT, NOMEM, OK, OUT, WORLD, ctx_with, text_of,
};
use p1_adapter::{P1State, add_unstable_to_linker_async, add_unstable_to_linker_sync};
use std::fs;
use std::path::Path;
use wasmtime::{Linker, Module, Store, Val};

fn guest(dir: &Path) -> Guest {
    let text = text_of("wasi_unstable", r#"(memory (export "memory") 4)"#);
    let module = Module::new(&WORLD.engine, text).unwrap();
    let mut linker = Linker::new(&WORLD.engine);
    add_unstable_to_linker_sync(&mut linker, |state| state).unwrap();
    let mut store = Store::new(&WORLD.engine, P1State::new(ctx_with(dir)));
    let instance = linker.instantiate(&mut store, &module).unwrap();
    Guest::of(store, instance)
}

fn i(n: u32) -> Val {
    Val::I32(n as i32)
}

/// A guest with `f`, ten bytes and two links, open.
fn with_file() -> (tempfile::TempDir, Guest, Val) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"0123456789").unwrap();
    fs::hard_link(dir.path().join("f"), dir.path().join("g")).unwrap();
    let mut guest = guest(dir.path());
    guest.write(DATA, b"f");
    let (rights, zero) = (Val::I64((1 << 29) - 1), i(0));
    let args = [
        i(3),
        zero,
        i(DATA),
        i(1),
        zero,
        rights,
        rights,
        zero,
        i(OUT),
    ];
    // All rights: more than a plain read; the file may be written.
    assert_eq!(guest.call("path_open", &args), OK);
    let fd = i(guest.u32(OUT));
    (dir, guest, fd)
}

#[test]
fn whence_has_its_old_order() {
    let (_dir, mut guest, fd) = with_file();
    for (offset, whence, expected) in [(4, 2, 4u64), (2, 0, 6), (-1, 1, 9)] {
        let args = [fd, Val::I64(offset), i(whence), i(OUT)];
        assert_eq!(guest.call("fd_seek", &args), OK);
        assert_eq!(guest.u64(OUT), expected);
    }
}

#[test]
fn a_link_count_has_32_bits() {
    let (_dir, mut guest, fd) = with_file();
    let check = |guest: &mut Guest, name: &str, args: &[Val]| {
        guest.write(OUT, &[0xAA; 64]);
        assert_eq!(guest.call(name, args), OK);
        assert_eq!(guest.read(OUT + 16, 1), [4], "regular file");
        assert_eq!(guest.u32(OUT + 20), 2, "links");
        assert_eq!(guest.u64(OUT + 24), 10, "size");
        assert!(guest.u64(OUT + 40) > 1_600_000_000_000_000_000);
        assert_eq!(guest.read(OUT + 56, 8), [0xAA; 8], "and nothing behind it");
    };
    check(&mut guest, "fd_filestat_get", &[fd, i(OUT)]);
    let args = [i(3), i(0), i(DATA), i(1), i(OUT)];
    check(&mut guest, "path_filestat_get", &args);
    guest.write(DATA, b"x");
    assert_eq!(guest.call("path_filestat_get", &args), NOENT);
}

#[test]
fn subscriptions_have_56_bytes() {
    let (_dir, mut guest, fd) = with_file();
    let mut bytes = [0u8; 112];
    bytes[..8].copy_from_slice(&7u64.to_le_bytes());
    bytes[16..24].copy_from_slice(&[0xFF; 8]);
    bytes[24] = 1;
    bytes[32..40].copy_from_slice(&5_000_000u64.to_le_bytes());
    bytes[56] = 8;
    bytes[64] = 1;
    bytes[72..76].copy_from_slice(&(fd.unwrap_i32() as u32).to_le_bytes());
    guest.write(DATA, &bytes);
    let poll = |guest: &mut Guest, count| {
        guest.call("poll_oneoff", &[i(DATA), i(DATA + 1024), i(count), i(OUT)])
    };
    assert_eq!(poll(&mut guest, 1), OK);
    assert_eq!(guest.u64(DATA + 1024), 7, "the clock");
    assert_eq!(poll(&mut guest, 2), OK);
    assert_eq!(guest.u32(OUT), 1);
    assert_eq!(guest.u64(DATA + 1024), 8, "the file");
    assert_eq!(poll(&mut guest, 0), INVAL);
}

#[test]
fn sock_accept_is_not_there_and_all_else_is() {
    type Add = fn(&mut Linker<P1State>);
    let adds: [Add; 2] = [
        |linker| add_unstable_to_linker_sync(linker, |state| state).unwrap(),
        |linker| add_unstable_to_linker_async(linker, |state| state).unwrap(),
    ];
    for add in adds {
        let mut linker = Linker::new(&WORLD.engine);
        add(&mut linker);
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(&WORLD.engine, P1State::new(ctx_with(dir.path())));
        for (name, _) in FUNCTIONS {
            let found = linker.get(&mut store, "wasi_unstable", name).is_ok();
            assert_eq!(found, name != "sock_accept", "{name}");
        }
    }
}

#[test]
fn polling_costs_fuel() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = guest(dir.path());
    guest.store.set_hostcall_fuel(500);
    guest.write(DATA, &[0; 56 * 3]);
    let mut poll =
        |count: u32| guest.call("poll_oneoff", &[i(DATA), i(DATA + 512), i(count), i(OUT)]);
    assert_eq!(poll(1), OK);
    assert_eq!(poll(3), NOMEM);
    assert_eq!(poll(u32::MAX), NOMEM);
}
