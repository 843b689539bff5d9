//! What a folder of the system does not have: bounds, threads that meet, other implementations,
//! listings that stay.

use crate::guest::*;
use p1_adapter::made::{
    MadeEntry, MadeFile, MadeFolder, MadeKind, MadeMetadata, MadeNode, MemoryFolder,
};
use p1_adapter::{FsPerms, OpenMode, P1Ctx, P1CtxBuilder};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wasmtime::Val::{I32, I64};

const NOSPC: i32 = 51;
const ROFS: i32 = 69;
const XDEV: i32 = 75;

fn ctx(folder: impl MadeFolder) -> P1Ctx {
    P1CtxBuilder::new()
        .made_folder(folder, "/made", FsPerms::ReadWrite)
        .build()
        .unwrap()
}

#[test]
fn it_is_a_preopen_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = P1CtxBuilder::new()
        .made_folder(MemoryFolder::new(1000), "/made", FsPerms::ReadOnly)
        .preopened_dir(dir.path(), "/real", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    // Behind the host's own, whichever was named first.
    for (fd, name) in [(3, "/real"), (4, "/made")] {
        assert_eq!(guest.ask("fd_prestat_get", fd), OK);
        assert_eq!(guest.u32(OUT + 4) as usize, name.len());
        let args = [I32(fd), I32(DATA as i32), I32(name.len() as i32)];
        assert_eq!(guest.call("fd_prestat_dir_name", &args), OK);
        assert_eq!(guest.read(DATA, name.len() as u32), name.as_bytes());
    }
    assert_eq!(guest.open_at(4, "new", CREAT, WRITE, 0), Err(PERM));
    // Between the two nothing is moved or linked.
    guest.open_at(3, "file", CREAT, WRITE, 0).unwrap();
    let ([old, old_len], [new, new_len]) = guest.two_paths("file", "file");
    for (name, first) in [
        ("path_rename", &[I32(3)][..]),
        ("path_link", &[I32(3), I32(0)]),
    ] {
        let args = [first, &[old, old_len, I32(4), new, new_len]].concat();
        assert_eq!(guest.call(name, &args), XDEV, "{name}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_given_back() {
    let folder = MemoryFolder::new(10_000);
    let mut guest = Guest::new(&ctx(folder.clone()));
    let file = guest.create("file");
    assert_eq!(guest.put(file, &[7; 9000]), Ok(9000));
    assert_eq!(guest.put(file, &[7; 9000]), Err(NOSPC));
    for size in [9_489, i64::MAX] {
        let args = [I32(file), I64(size)];
        assert_eq!(guest.call("fd_filestat_set_size", &args), NOSPC, "{size}");
        let args = [I32(file), I64(0), I64(size)];
        assert_eq!(guest.call("fd_allocate", &args), NOSPC, "{size}");
    }
    assert_eq!(guest.put_at(file, b"x", i64::MAX - 1), Err(NOSPC));
    assert_eq!(guest.at("path_create_directory", DIR, "dir"), NOSPC);
    assert_eq!(folder.read("file").unwrap(), [7; 9000]);
    // A file that has no name any more keeps its bytes until it is closed.
    assert_eq!(guest.at("path_unlink_file", DIR, "file"), OK);
    assert_eq!(guest.at("path_create_directory", DIR, "dir"), OK);
    assert!(folder.write("other", &[0; 5000]).is_err());
    assert_eq!(guest.get_at(file, 2, 8_999), Ok(vec![7]));
    assert_eq!(guest.close(file), OK);
    folder.write("other", &[0; 5000]).unwrap();
    // Names as well, as often as they are given and taken.
    for _ in 0..100 {
        assert_eq!(guest.rename("other", "another"), OK);
        assert_eq!(guest.rename("another", "other"), OK);
        let made = guest.open("dir/file", CREAT, WRITE, 0).unwrap();
        assert_eq!(guest.put(made, &[1; 2000]), Ok(2000));
        assert_eq!(guest.close(made), OK);
        assert_eq!(guest.rename("dir/file", "file"), OK);
        assert_eq!(guest.at("path_unlink_file", DIR, "file"), OK);
    }
    let mut names = 0;
    while guest.at("path_create_directory", DIR, &format!("dir{names}")) == OK {
        names += 1;
    }
    // 10,000 less 5,000 and two names.
    assert_eq!(names, (10_000 - 5_000 - 2 * 512) / 512);
}

#[test]
fn the_deepest_tree_is_dropped() {
    let folder = MemoryFolder::new(1 << 30);
    let mut deepest = folder.clone();
    for _ in 0..200_000 {
        deepest = deepest.create("d").unwrap();
    }
    drop(deepest);
    drop(folder);
}

/// Each of forty links could once make the host keep as many names as a path has bytes.
#[test]
fn a_link_is_as_long_as_the_systems() {
    let dir = tempfile::tempdir().unwrap();
    let folder = MemoryFolder::new(1 << 20);
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path(), "/real", FsPerms::ReadWrite)
        .unwrap()
        .made_folder(folder.clone(), "/made", FsPerms::ReadWrite)
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    // A program on Windows needs a privilege to make links.
    let folders = if cfg!(unix) { 3..=4 } else { 4..=4 };
    for fd in folders {
        for (bytes, came) in [(4095, OK), (4096, NAMETOOLONG), (8000, NAMETOOLONG)] {
            let name = format!("link-{bytes}");
            let ([to, to_len], [at, len]) = guest.two_paths(&"x".repeat(bytes), &name);
            let args = [to, to_len, I32(fd), at, len];
            assert_eq!(guest.call("path_symlink", &args), came, "{fd} {bytes}");
        }
    }
    // An embedder's may be longer, and is not followed.
    folder.create_link("long", &"long/".repeat(1000)).unwrap();
    assert_eq!(guest.open_at(4, "long/x", 0, READ, 0), Err(NAMETOOLONG));
    folder.create_link("short", &"short/".repeat(600)).unwrap();
    assert_eq!(guest.open_at(4, "short/x", 0, READ, 0), Err(LOOP));
}

#[test]
fn a_folder_does_not_get_into_itself() {
    let folder = MemoryFolder::new(1 << 20);
    folder
        .create("a")
        .unwrap()
        .create("b")
        .unwrap()
        .create("c")
        .unwrap();
    let mut guest = Guest::new(&ctx(folder.clone()));
    for into in ["a/b/c/d", "a/d", "a/b/d"] {
        assert_eq!(guest.rename("a", into), INVAL, "{into}");
    }
    assert_eq!(guest.rename("a/b/c", "c"), OK);
    assert_eq!(guest.rename("a", "c/a"), OK);
    assert_eq!(folder.names(), ["c"]);
    // `..` leads where the path came from, and no further up than the descriptor.
    let below = guest.open("c/a", DIRECTORY, READ, 0).unwrap();
    assert_eq!(
        guest.open_at(below, "b/..", DIRECTORY, READ, 0),
        Ok(below + 1)
    );
    assert_eq!(guest.open_at(below, "..", DIRECTORY, READ, 0), Err(PERM));
}

/// Threads that read one descriptor have disjoint bytes, those that append lose none.
#[test]
fn threads_meet_at_one_descriptor() {
    const THREADS: usize = 4;
    const RECORDS: usize = 500;
    let folder = MemoryFolder::new(1 << 20);
    let mut main = Guest::shared(&ctx(folder.clone()));
    let log = main.open("log", CREAT, READ | WRITE, APPEND).unwrap();
    let guests: Vec<Guest> = (0..THREADS)
        .map(|_| Guest::new(main.store.data().ctx()))
        .collect();
    std::thread::scope(|scope| {
        for (number, mut guest) in guests.into_iter().enumerate() {
            scope.spawn(move || {
                for record in 0..RECORDS {
                    let bytes = [number as u8, (record / 256) as u8, (record % 256) as u8, 9];
                    assert_eq!(guest.put(log, &bytes), Ok(4));
                }
            });
        }
    });
    let all = folder.read("log").unwrap();
    assert_eq!(all.len(), THREADS * RECORDS * 4);
    let mut records: Vec<&[u8]> = all.chunks(4).collect();
    records.sort_unstable();
    records.dedup();
    assert_eq!(records.len(), THREADS * RECORDS);

    assert_eq!(main.seek(log, 0, 0), Ok(0));
    let guests: Vec<Guest> = (0..THREADS)
        .map(|_| Guest::new(main.store.data().ctx()))
        .collect();
    let found: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let readers: Vec<_> = guests
            .into_iter()
            .map(|mut guest| {
                scope.spawn(move || {
                    let mut found = Vec::new();
                    loop {
                        match guest.get(log, 4).unwrap() {
                            bytes if bytes.is_empty() => return found,
                            bytes => found.push(bytes),
                        }
                    }
                })
            })
            .collect();
        let found = readers.into_iter().map(|reader| reader.join().unwrap());
        found.flatten().collect()
    });
    let mut found = found;
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), THREADS * RECORDS);
}

/// Names of one folder change hands among threads, and none is lost or doubled.
#[test]
fn threads_rename_across_folders() {
    let folder = MemoryFolder::new(1 << 20);
    for name in ["a", "b"] {
        folder.create(name).unwrap();
    }
    for number in 0..20 {
        folder
            .folder("a")
            .unwrap()
            .write(&format!("{number}"), b"x")
            .unwrap();
    }
    let ctx = ctx(folder.clone());
    std::thread::scope(|scope| {
        for from in ["a", "b"] {
            let mut guest = Guest::new(&ctx);
            let to = if from == "a" { "b" } else { "a" };
            scope.spawn(move || {
                for round in 0..2000 {
                    let number = round % 20;
                    let moved =
                        guest.rename(&format!("{from}/{number}"), &format!("{to}/{number}"));
                    assert!(moved == OK || moved == NOENT, "{moved}");
                }
            });
        }
    });
    let count = |name| folder.folder(name).unwrap().names().len();
    assert_eq!(count("a") + count("b"), 20);
}

#[test]
fn times_are_the_guests_to_set() {
    let folder = MemoryFolder::new(1 << 20);
    folder.write("file", b"x").unwrap();
    folder.create_link("link", "file").unwrap();
    let mut guest = Guest::new(&ctx(folder.clone()));
    // The standard library's times have steps of 100 ns on Windows.
    for (follow, path) in [(1, "link"), (0, "link"), (0, ".")] {
        let [at, len] = guest.path(path);
        let (accessed, modified, both) = (I64(1_000_000_100), I64(2_000_000_200), I32(5));
        let args = [I32(DIR), I32(follow), at, len, accessed, modified, both];
        assert_eq!(guest.call("path_filestat_set_times", &args), OK, "{path}");
        let args = [I32(DIR), I32(follow), at, len, I32(OUT as i32)];
        assert_eq!(guest.call("path_filestat_get", &args), OK);
        assert_eq!(guest.u64(OUT + 40), 1_000_000_100, "{path}");
        assert_eq!(guest.u64(OUT + 48), 2_000_000_200, "{path}");
    }
    let found = folder.file("file").unwrap().metadata().unwrap();
    let set = SystemTime::UNIX_EPOCH + Duration::from_nanos(2_000_000_200);
    assert_eq!(found.modified, set);
    // A write changes one of them.
    let file = guest.open("file", 0, WRITE, 0).unwrap();
    assert_eq!(guest.put(file, b"y"), Ok(1));
    assert!(folder.file("file").unwrap().metadata().unwrap().modified > set);
}

/// A listing goes on where it was, whatever happened to the names meanwhile.
#[test]
fn a_listing_is_of_when_it_began() {
    let folder = MemoryFolder::new(1 << 20);
    for name in ["a", "b", "c"] {
        folder.write(name, b"").unwrap();
    }
    let mut guest = Guest::new(&ctx(folder.clone()));
    /// Entries of names with one letter have 25 bytes, but for the dots.
    fn list(guest: &mut Guest, cookie: i64) -> u32 {
        let room = [I32(DATA as i32), I32(1000)];
        let args = [&[I32(DIR)], &room[..], &[I64(cookie), I32(OUT as i32)]].concat();
        assert_eq!(guest.call("fd_readdir", &args), OK);
        guest.u32(OUT)
    }
    let dots = 24 + 1 + 24 + 2;
    assert_eq!(list(&mut guest, 0), dots + 3 * 25);
    folder.remove_file("b").unwrap();
    folder.write("d", b"").unwrap();
    folder.write("e", b"").unwrap();
    assert_eq!(list(&mut guest, 2), 3 * 25);
    assert_eq!(list(&mut guest, 0), dots + 4 * 25);
    assert_eq!(list(&mut guest, -1), 0);
}

/// The smallest implementation: it can only be read, whatever the permissions are, and may lie
/// about what it has read.
struct Least;

impl MadeFolder for Least {
    fn find(&self, name: &str) -> io::Result<MadeNode> {
        match name {
            "file" => Ok(MadeNode::File(Arc::new(Least))),
            "folder" => Ok(MadeNode::Folder(Arc::new(Least))),
            "busy" => Err(ErrorKind::ResourceBusy.into()),
            _ => Err(io::Error::from_raw_os_error(2)),
        }
    }

    fn list(&self) -> io::Result<Vec<MadeEntry>> {
        Ok(vec![MadeEntry::new("file", MadeKind::File, 1)])
    }

    fn metadata(&self) -> io::Result<MadeMetadata> {
        Ok(MadeMetadata::new(1))
    }
}

impl MadeFile for Least {
    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        to.fill(offset as u8);
        Ok(to.len() + 100)
    }

    fn metadata(&self) -> io::Result<MadeMetadata> {
        Ok(MadeMetadata::new(2))
    }
}

#[test]
fn what_is_not_implemented_is_for_reading() {
    let mut guest = Guest::new(&ctx(Least));
    assert_eq!(guest.open("new", CREAT, WRITE, 0), Err(ROFS));
    assert_eq!(guest.at("path_create_directory", DIR, "new"), ROFS);
    assert_eq!(guest.at("path_unlink_file", DIR, "file"), ROFS);
    assert_eq!(guest.at("path_remove_directory", DIR, "folder"), ROFS);
    assert_eq!(guest.rename("file", "new"), ROFS);
    assert_eq!(guest.at("path_create_directory", DIR, "busy/new"), 10);
    let file = guest
        .open("folder/folder/file", 0, READ | WRITE, 0)
        .unwrap();
    assert_eq!(guest.put(file, b"x"), Err(ROFS));
    assert_eq!(guest.get(file, 3), Ok(vec![0; 3]));
    assert_eq!(guest.get(file, 3), Ok(vec![3; 3]));
    assert_eq!(guest.ask("fd_filestat_get", file), OK);
    assert_eq!(guest.call("fd_sync", &[I32(file)]), OK);
}

#[test]
fn a_file_and_a_folder_are_pushed() {
    let folder = MemoryFolder::new(1 << 20);
    folder.write("file", b"abc").unwrap();
    let ctx = P1CtxBuilder::new().build().unwrap();
    let file = Arc::new(folder.file("file").unwrap());
    let read = ctx.push_made_file(file, FsPerms::ReadOnly, OpenMode::READ);
    let pushed = ctx.push_made_folder(Arc::new(folder), None, FsPerms::ReadOnly);
    assert_eq!((read.unwrap(), pushed.unwrap()), (3, 4));
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.get(3, 9), Ok(b"abc".to_vec()));
    assert_eq!(guest.put(3, b"x"), Err(BADF));
    assert_eq!(guest.ask("fd_prestat_get", 4), BADF);
    let found = guest.open_at(4, "file", 0, READ, 0).unwrap();
    assert_eq!(guest.get(found, 9), Ok(b"abc".to_vec()));
}
