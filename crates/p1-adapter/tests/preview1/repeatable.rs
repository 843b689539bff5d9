//! What a guest sees if the embedder wants it to depend on the host as little as possible.

use crate::dirs::{Entry, list_from};
use crate::guest::*;
use p1_adapter::P1CtxBuilder;
use std::fs;
use std::path::Path;
use wasmtime::Val;
use wasmtime_wasi::FsPerms;

/// A guest with `dir` as its only preopen.
fn guest_in(dir: &Path, set: impl FnOnce(&mut P1CtxBuilder)) -> Guest {
    let mut builder = P1CtxBuilder::new();
    set(&mut builder);
    builder.preopened_dir(dir, "/", FsPerms::ReadWrite).unwrap();
    Guest::new(&builder.build().unwrap())
}

/// A whole listing in the order in which it comes, `room` bytes at a time.
fn list(guest: &mut Guest, fd: i32, room: u32) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut cookie = 0;
    loop {
        let (entries, used) = list_from(guest, fd, room, cookie).unwrap();
        cookie = entries.last().map_or(cookie, |entry| entry.next);
        all.extend(entries);
        if used < room {
            return all;
        }
    }
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.name).collect()
}

/// Attributes as the guest has them: type, then inode, links, size and the three times.
#[derive(Debug, PartialEq)]
struct Stat {
    kind: u8,
    rest: [u64; 6],
}

impl Stat {
    fn at_out(guest: &Guest) -> Self {
        assert_eq!(guest.u64(OUT), 1, "the device");
        Self {
            kind: guest.read(OUT + 16, 1)[0],
            rest: [8, 24, 32, 40, 48, 56].map(|at| guest.u64(OUT + at)),
        }
    }

    fn file(ino: u64, links: u64, size: u64) -> Self {
        Self {
            kind: 4,
            rest: [ino, links, size, TIME, TIME, TIME],
        }
    }

    fn dir(ino: u64) -> Self {
        Self {
            kind: 3,
            rest: [ino, 1, 0, TIME, TIME, TIME],
        }
    }
}

const TIME: u64 = 1_700_000_000_000_000_000;

fn stat(guest: &mut Guest, path: &str) -> Stat {
    let [p, n] = guest.path(path);
    let args = [Val::I32(DIR), Val::I32(0), p, n, Val::I32(OUT as i32)];
    assert_eq!(guest.call("path_filestat_get", &args), OK, "{path}");
    Stat::at_out(guest)
}

fn stat_of(guest: &mut Guest, fd: i32) -> Stat {
    assert_eq!(guest.ask("fd_filestat_get", fd), OK);
    Stat::at_out(guest)
}

#[test]
fn ordered_listings_are_by_name_and_stay_as_they_began() {
    let dir = tempfile::tempdir().unwrap();
    for i in [7, 3, 12, 1, 9, 0] {
        fs::write(dir.path().join(format!("file-{i}")), b"").unwrap();
    }
    fs::create_dir(dir.path().join("Z")).unwrap();
    let mut guest = guest_in(dir.path(), |builder| {
        builder.ordered_listings(true);
    });
    let expected = [
        ".", "..", "Z", "file-0", "file-1", "file-12", "file-3", "file-7", "file-9",
    ];
    for room in [40, 64, 300, 60000] {
        let all = list(&mut guest, DIR, room);
        assert_eq!(names(&all), expected, "{room}");
        let cookies: Vec<_> = all.iter().map(|entry| entry.next).collect();
        assert_eq!(cookies, (1..=9).collect::<Vec<_>>());
    }
    // In the middle of a listing one name comes and one goes.
    let (begun, _) = list_from(&mut guest, DIR, 120, 0).unwrap();
    assert_eq!(names(&begun), [".", "..", "Z", "file-0"]);
    fs::write(dir.path().join("file-11"), b"").unwrap();
    fs::remove_file(dir.path().join("file-7")).unwrap();
    let (rest, _) = list_from(&mut guest, DIR, 4096, begun[3].next).unwrap();
    // Windows' listings have all that is known of an entry, so it is not looked for again.
    let mut expected = vec!["file-1", "file-12", "file-3", "file-7", "file-9"];
    if !cfg!(windows) {
        expected.remove(3);
    }
    assert_eq!(names(&rest), expected);
    let (rest, _) = list_from(&mut guest, DIR, 4096, begun[1].next).unwrap();
    assert_eq!(rest.len(), expected.len() + 2, "a cookie of before is good");
    for past in [9, 10, u64::MAX] {
        assert_eq!(list_from(&mut guest, DIR, 4096, past).unwrap().1, 0);
    }
    let all = list(&mut guest, DIR, 4096);
    assert_eq!(names(&all)[5..8], ["file-11", "file-12", "file-3"]);
    // Another descriptor begins in the middle: with a list of its own.
    let sub = guest.open("Z", DIRECTORY, READ | 1 << 14, 0).unwrap();
    let (rest, _) = list_from(&mut guest, sub, 4096, 1).unwrap();
    assert_eq!(names(&rest), [".."]);
}

#[test]
fn pinned_attributes_count_from_the_first_sight() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b"), b"four").unwrap();
    fs::hard_link(dir.path().join("b"), dir.path().join("other")).unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    let mut guest = guest_in(dir.path(), |builder| {
        builder.ordered_listings(true).pinned_metadata(TIME);
    });
    assert_eq!(stat(&mut guest, "d"), Stat::dir(1));
    let listed = list(&mut guest, DIR, 4096);
    let inodes: Vec<_> = listed.iter().map(|entry| entry.ino).collect();
    assert_eq!(names(&listed), [".", "..", "b", "d", "other"]);
    assert_eq!(inodes, [2, 2, 3, 1, 3]);
    assert_eq!(stat(&mut guest, "b"), Stat::file(3, 1, 4));
    let fd = guest.open("b", 0, READ | WRITE, 0).unwrap();
    assert_eq!(stat_of(&mut guest, fd), Stat::file(3, 1, 4));
    assert_eq!(stat_of(&mut guest, DIR), Stat::dir(2));

    let ([o, ol], [n, nl]) = guest.two_paths("b", "c");
    let args = [Val::I32(DIR), Val::I32(0), o, ol, Val::I32(DIR), n, nl];
    assert_eq!(guest.call("path_link", &args), OK);
    assert_eq!(stat(&mut guest, "c"), Stat::file(3, 2, 4));
    // Windows renames over no file that is open, and an unlinked one is there until it is closed.
    if cfg!(windows) {
        guest.close(fd);
    } else {
        // To a name of its own: nothing is removed.
        assert_eq!(guest.rename("b", "c"), OK);
        assert_eq!(stat(&mut guest, "b"), Stat::file(3, 2, 4));
    }
    for name in ["b", "c", "other"] {
        assert_eq!(guest.at("path_unlink_file", DIR, name), OK);
    }
    if !cfg!(windows) {
        assert_eq!(stat_of(&mut guest, fd), Stat::file(3, 0, 4));
        guest.close(fd);
    }

    // Whatever the file system does with the number, these are new files.
    for ino in 4..20 {
        let fd = guest.create("new");
        assert_eq!(stat_of(&mut guest, fd), Stat::file(ino, 1, 0));
        guest.close(fd);
        assert_eq!(guest.at("path_unlink_file", DIR, "new"), OK);
    }
    // Renamed over, and removed as a directory.
    for name in ["x", "y"] {
        let fd = guest.create(name);
        guest.close(fd);
    }
    assert_eq!(stat(&mut guest, "y"), Stat::file(20, 1, 0));
    assert_eq!(guest.rename("x", "y"), OK);
    assert_eq!(stat(&mut guest, "y"), Stat::file(21, 1, 0));
    assert_eq!(guest.at("path_remove_directory", DIR, "d"), OK);
    assert_eq!(guest.at("path_create_directory", DIR, "d"), OK);
    assert_eq!(stat(&mut guest, "d"), Stat::dir(22));
}

#[test]
fn pinned_times_are_those_that_the_guest_has_set() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = guest_in(dir.path(), |builder| {
        builder.pinned_metadata(TIME);
    });
    let fd = guest.create("f");
    let times = |stat: Stat| [stat.rest[3], stat.rest[4], stat.rest[5]];
    let set = |fd, flags| {
        [
            Val::I32(fd),
            Val::I64(1_000),
            Val::I64(2_000),
            Val::I32(flags),
        ]
    };
    assert_eq!(guest.call("fd_filestat_set_times", &set(fd, 1 | 4)), OK);
    assert_eq!(times(stat(&mut guest, "f")), [1_000, 2_000, TIME]);
    assert_eq!(times(stat_of(&mut guest, fd)), [1_000, 2_000, TIME]);
    guest.put(fd, b"x").unwrap();
    assert_eq!(times(stat_of(&mut guest, fd)), [1_000, TIME, TIME]);
    let [p, n] = guest.path("f");
    let now = [DIR, 0].map(Val::I32).into_iter().chain([p, n]);
    let now: Vec<_> = now.chain(set(0, 2 | 8)[1..].iter().copied()).collect();
    assert_eq!(guest.call("path_filestat_set_times", &now), OK);
    assert_eq!(times(stat(&mut guest, "f")), [TIME; 3]);
}
