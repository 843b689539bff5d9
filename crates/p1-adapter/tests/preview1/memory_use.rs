//! What an embedder is told of the memory that calls use.

use crate::guest::*;
use p1_adapter::{MemoryUse, P1CtxBuilder};
use std::sync::{Arc, Mutex};
use wasmtime::Val::{self, I32, I64};
use wasmtime_wasi::FsPerms;

type Seen = (&'static str, u32, u32, bool);

/// A guest on a folder, and what is told of it.
fn watched() -> (Guest, Arc<Mutex<Vec<Seen>>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let ctx = P1CtxBuilder::new()
        .on_memory_use(move |used: &MemoryUse| {
            let told_of = (used.function, used.address, used.length, used.writes);
            told.lock().unwrap().push(told_of);
        })
        .preopened_dir(folder.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap();
    (Guest::shared(&ctx), seen, folder)
}

#[test]
fn reads_and_writes_tell_what_they_moved() {
    let (mut guest, seen, _folder) = watched();
    let all = || std::mem::take(&mut *seen.lock().unwrap());
    let file = guest.create("f");
    assert_eq!(all(), [("path", PATH, 1, false)]);

    let [list, count] = guest.iovs(&[(DATA, 3), (DATA + 100, 0), (DATA + 200, 4)]);
    let args: [Val; 4] = [I32(file), list, count, I32(OUT as i32)];
    assert_eq!(guest.call("fd_write", &args), OK);
    let moved = |name, writes| {
        [
            (name, LIST, 24, false),
            (name, DATA, 3, writes),
            (name, DATA + 200, 4, writes),
        ]
    };
    assert_eq!(all(), moved("fd_write", false));

    // Less comes than there is room for: the rest is not touched.
    let args = |list: Val, count: Val| [I32(file), list, count, I64(2), I32(OUT as i32)];
    let [list, count] = guest.iovs(&[(DATA, 3), (DATA + 200, 40)]);
    assert_eq!(guest.call("fd_pread", &args(list, count)), OK);
    assert_eq!(
        all(),
        [
            ("fd_pread", LIST, 16, false),
            ("fd_pread", DATA, 3, true),
            ("fd_pread", DATA + 200, 2, true),
        ]
    );
    let [list, count] = guest.iovs(&[(DATA, 3)]);
    assert_eq!(guest.call("fd_pwrite", &args(list, count)), OK);
    assert_eq!(
        all(),
        [("fd_pwrite", LIST, 8, false), ("fd_pwrite", DATA, 3, false)]
    );

    // At the end nothing does.
    let [list, count] = guest.iovs(&[(DATA, 3)]);
    let args = [I32(file), list, count, I64(100), I32(OUT as i32)];
    assert_eq!(guest.call("fd_pread", &args), OK);
    assert_eq!(all(), [("fd_pread", LIST, 8, false)]);
}

#[test]
fn what_fails_moves_nothing() {
    let (mut guest, seen, _folder) = watched();
    let [list, count] = guest.iovs(&[(DATA, 3)]);
    let args = [I32(99), list, count, I32(OUT as i32)];
    assert_eq!(guest.call("fd_read", &args), BADF);
    assert_eq!(*seen.lock().unwrap(), []);
}

#[test]
fn random_bytes_and_listings_are_told() {
    let (mut guest, seen, _folder) = watched();
    guest.create("f");
    seen.lock().unwrap().clear();
    let args = [I32(DATA as i32), I32(33)];
    assert_eq!(guest.call("random_get", &args), OK);
    let args = [
        I32(DIR),
        I32(DATA as i32),
        I32(500),
        I64(0),
        I32(OUT as i32),
    ];
    assert_eq!(guest.call("fd_readdir", &args), OK);
    let written = guest.u32(OUT);
    assert!(written > 24);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            ("random_get", DATA, 33, true),
            ("fd_readdir", DATA, written, true),
        ]
    );
}
