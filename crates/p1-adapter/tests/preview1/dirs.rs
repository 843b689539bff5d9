//! Directories: making, listing, renaming, linking, removing.

use crate::guest::*;
use crate::sys::symlink;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use wasmtime::Val;

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) next: u64,
    pub(crate) ino: u64,
    kind: u8,
}

/// One `fd_readdir`; the entries that fit whole, and how many bytes came.
pub(crate) fn list_from(
    guest: &mut Guest,
    fd: i32,
    room: u32,
    cookie: u64,
) -> Result<(Vec<Entry>, u32), i32> {
    // What is in the buffer before must not shine through.
    guest.write(DATA, &vec![0xAA; room as usize]);
    let args = [
        Val::I32(fd),
        Val::I32(DATA as i32),
        Val::I32(room as i32),
        Val::I64(cookie as i64),
        Val::I32(OUT as i32),
    ];
    match guest.call("fd_readdir", &args) {
        OK => {}
        errno => return Err(errno),
    }
    let used = guest.u32(OUT);
    let bytes = guest.read(DATA, used);
    let mut entries = Vec::new();
    let mut rest = &bytes[..];
    while let Some((head, tail)) = rest.split_at_checked(24) {
        let n = u32::from_le_bytes(head[16..20].try_into().unwrap()) as usize;
        let Some((name, tail)) = tail.split_at_checked(n) else {
            break;
        };
        assert_eq!(head[21..24], [0; 3], "padding carries nothing");
        entries.push(Entry {
            name: String::from_utf8(name.to_vec()).unwrap(),
            next: u64::from_le_bytes(head[..8].try_into().unwrap()),
            ino: u64::from_le_bytes(head[8..16].try_into().unwrap()),
            kind: head[20],
        });
        rest = tail;
    }
    Ok((entries, used))
}

/// A whole listing, `room` bytes at a time.
fn list(guest: &mut Guest, fd: i32, room: u32) -> BTreeMap<String, Entry> {
    let mut all = BTreeMap::new();
    let mut cookie = 0;
    loop {
        let (entries, used) = list_from(guest, fd, room, cookie).unwrap();
        for entry in entries {
            cookie = entry.next;
            let name = entry.name.clone();
            assert!(all.insert(name, entry).is_none(), "listed twice");
        }
        if used < room {
            return all;
        }
    }
}

fn fill(dir: &Path, names: impl Iterator<Item = String>) -> BTreeSet<String> {
    names
        .inspect(|name| fs::write(dir.join(name), b"").unwrap())
        .collect()
}

#[test]
fn a_listing_names_everything_once_however_small_the_buffer() {
    both(|guest, dir| {
        let mut expected = fill(dir, (0..200).map(|i| format!("file-{i:03}")));
        fs::create_dir(dir.join("sub")).unwrap();
        let has_link = symlink("file-000", dir.join("link"));
        expected.extend(["sub", ".", ".."].map(String::from));
        expected.extend(has_link.then(|| "link".to_owned()));
        for room in [64, 300, 4096, 60000] {
            let all = list(guest, DIR, room);
            assert_eq!(
                all.keys().cloned().collect::<BTreeSet<_>>(),
                expected,
                "{room}"
            );
            assert_eq!(all["file-007"].kind, 4);
            assert_eq!(all["sub"].kind, 3);
            assert_eq!(all.get("link").map(|link| link.kind), has_link.then_some(7));
            assert_eq!(all["."].kind, 3);
        }
    });
}

#[test]
fn inode_numbers_agree_with_stat() {
    both(|guest, dir| {
        fill(dir, ["x".to_owned()].into_iter());
        let listed = list(guest, DIR, 4096);
        let [p, n] = guest.path("x");
        let args = [Val::I32(DIR), Val::I32(0), p, n, Val::I32(OUT as i32)];
        assert_eq!(guest.call("path_filestat_get", &args), OK);
        assert_eq!(guest.u64(OUT + 8), listed["x"].ino);
        let fd = guest.open("x", 0, READ, 0).unwrap();
        assert_eq!(guest.ask("fd_filestat_get", fd), OK);
        assert_eq!(guest.u64(OUT + 8), listed["x"].ino);
        assert_eq!(guest.ask("fd_filestat_get", DIR), OK);
        assert_eq!(guest.u64(OUT + 8), listed["."].ino);
        assert_eq!(
            listed[".."].ino, listed["."].ino,
            "nothing is said about what lies above"
        );
    });
}

/// Compares what a listing says of each entry with what its name says; how many there are.
#[cfg(unix)]
fn compare_with_names(guest: &mut Guest) -> usize {
    let listed = list(guest, DIR, 4096);
    let names = listed.values().filter(|entry| entry.name != "..");
    let mut compared = 0;
    for entry in names {
        let [p, n] = guest.path(&entry.name);
        let args = [Val::I32(DIR), Val::I32(0), p, n, Val::I32(OUT as i32)];
        // Others may have removed it meanwhile, from a folder that others use.
        if guest.call("path_filestat_get", &args) == NOENT {
            continue;
        }
        let kind = guest.read(OUT + 16, 1)[0];
        let found = (guest.u64(OUT + 8), kind);
        assert_eq!(found, (entry.ino, entry.kind), "{}", entry.name);
        compared += 1;
    }
    compared
}

/// Of links and FIFOs, too, which Windows has not.
#[test]
#[cfg(unix)]
fn a_listing_says_of_an_entry_what_its_name_says() {
    use rustix::fs::{CWD, Mode, mkfifoat};
    let mut folders = vec![tempfile::tempdir().unwrap()];
    // A file system of another kind, if there is one.
    folders.extend(tempfile::tempdir_in("/dev/shm").ok());
    for folder in &folders {
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), b"").unwrap();
        fs::hard_link(path("file"), path("again")).unwrap();
        fs::create_dir(path("sub")).unwrap();
        symlink("nowhere", path("link"));
        mkfifoat(CWD, path("fifo"), Mode::from_raw_mode(0o600)).unwrap();
        let mut guest = Guest::new(&ctx_with(folder.path()));
        assert_eq!(compare_with_names(&mut guest), 6);
        // What is known by now does not hide what changes.
        fs::remove_file(path("fifo")).unwrap();
        fs::rename(path("link"), path("file")).unwrap();
        assert_eq!(compare_with_names(&mut guest), 4);
    }
    // Something is mounted on directories here.
    let mut guest = Guest::new(&ctx_with(Path::new("/")));
    assert!(compare_with_names(&mut guest) > 2);
}

#[test]
fn cookies_stay_good_while_the_directory_changes() {
    both(|guest, dir| {
        let stay = fill(dir, (0..100).map(|i| format!("stay-{i:03}")));
        fill(dir, (0..100).map(|i| format!("go-{i:03}")));
        let mut seen = BTreeSet::new();
        let mut cookie = 0;
        let mut round = 0;
        loop {
            let (entries, used) = list_from(guest, DIR, 256, cookie).unwrap();
            for entry in &entries {
                cookie = entry.next;
                if entry.name.starts_with("stay") {
                    assert!(seen.insert(entry.name.clone()), "{} twice", entry.name);
                }
            }
            if used < 256 {
                break;
            }
            // Another descriptor's listing, removals and additions in between.
            list_from(guest, DIR, 4096, 0).unwrap();
            let _ = fs::remove_file(dir.join(format!("go-{round:03}")));
            fs::write(dir.join(format!("new-{round:03}")), b"").unwrap();
            round += 1;
            assert!(round < 1000);
        }
        assert_eq!(seen, stay);
    });
}

#[test]
fn a_truncated_entry_fills_the_buffer() {
    both(|guest, dir| {
        fill(dir, ["a-long-name-that-is-cut".to_owned()].into_iter());
        for room in 0..120 {
            let (_, used) = list_from(guest, DIR, room, 0).unwrap();
            let whole: u32 = 24 * 3 + 1 + 2 + 23;
            assert_eq!(used, room.min(whole), "{room}");
        }
        assert_eq!(
            list_from(guest, DIR, 100, 100),
            Ok((vec![], 0)),
            "past the end"
        );
        let fd = guest.create("f");
        assert_eq!(list_from(guest, fd, 100, 0), Err(NOTDIR));
        assert_eq!(list_from(guest, 1, 100, 0), Err(NOTDIR));
    });
}

/// With both open: on Windows what is open keeps its name, and a directory cannot be removed.
#[test]
#[cfg(unix)]
fn making_and_removing() {
    both(|guest, dir| {
        assert_eq!(guest.at("path_create_directory", DIR, "d"), OK);
        assert_eq!(guest.at("path_create_directory", DIR, "d"), EXIST);
        assert_eq!(guest.at("path_create_directory", DIR, "no/d"), NOENT);
        let sub = guest.open("d", DIRECTORY, READ, 0).unwrap();
        let fd = guest.open_at(sub, "f", CREAT, WRITE, 0).unwrap();
        guest.put(fd, b"in d").unwrap();
        assert_eq!(fs::read(dir.join("d/f")).unwrap(), b"in d");
        assert_eq!(guest.at("path_remove_directory", DIR, "d"), NOTEMPTY);
        assert_eq!(guest.at("path_remove_directory", DIR, "d/f"), NOTDIR);
        assert_eq!(guest.at("path_unlink_file", DIR, "d"), ISDIR);
        assert_eq!(guest.at("path_unlink_file", sub, "f"), OK);
        assert_eq!(guest.at("path_unlink_file", sub, "f"), NOENT);
        guest.put(fd, b", still open").unwrap();
        assert_eq!(guest.at("path_remove_directory", DIR, "d"), OK);
        assert!(!dir.join("d").exists());
        assert_eq!(guest.at("path_unlink_file", fd, "x"), NOTDIR);
    });
}

#[test]
fn making_and_removing_what_is_closed() {
    both(|guest, dir| {
        assert_eq!(guest.at("path_create_directory", DIR, "d"), OK);
        assert_eq!(guest.at("path_create_directory", DIR, "d"), EXIST);
        assert_eq!(guest.at("path_create_directory", DIR, "no/d"), NOENT);
        let fd = guest.open("d/f", CREAT, WRITE, 0).unwrap();
        guest.put(fd, b"in d").unwrap();
        assert_eq!(guest.close(fd), OK);
        assert_eq!(fs::read(dir.join("d/f")).unwrap(), b"in d");
        assert_eq!(guest.at("path_remove_directory", DIR, "d"), NOTEMPTY);
        assert_eq!(guest.at("path_remove_directory", DIR, "d/f"), NOTDIR);
        assert_ne!(guest.at("path_unlink_file", DIR, "d"), OK);
        assert_eq!(guest.at("path_unlink_file", DIR, "d/f"), OK);
        assert_eq!(guest.at("path_unlink_file", DIR, "d/f"), NOENT);
        assert_eq!(guest.at("path_remove_directory", DIR, "d"), OK);
        assert!(!dir.join("d").exists());
    });
}

/// What was removed is at its end, as POSIX has it; the system says that it is not there. (On
/// Windows a directory that is open cannot be removed.)
#[test]
#[cfg(unix)]
fn a_removed_directory_is_empty() {
    both(|guest, _| {
        assert_eq!(guest.at("path_create_directory", DIR, "d"), OK);
        let sub = guest.open("d", DIRECTORY, READ, 0).unwrap();
        assert_eq!(list(guest, sub, 4096).len(), 2);
        assert_eq!(guest.at("path_remove_directory", DIR, "d"), OK);
        assert_eq!(list_from(guest, sub, 4096, 0), Ok((Vec::new(), 0)));
    });
}

#[test]
fn renaming_and_linking() {
    both(|guest, dir| {
        fs::write(dir.join("a"), b"A").unwrap();
        assert_eq!(guest.rename("a", "b"), OK);
        assert_eq!(guest.rename("a", "b"), NOENT);
        assert_eq!(fs::read(dir.join("b")).unwrap(), b"A");
        let link = |guest: &mut Guest, follow, old: &str, new: &str| {
            let ([o, ol], [n, nl]) = guest.two_paths(old, new);
            guest.call(
                "path_link",
                &[Val::I32(DIR), Val::I32(follow), o, ol, Val::I32(DIR), n, nl],
            )
        };
        assert_eq!(link(guest, 0, "b", "c"), OK);
        assert_eq!(link(guest, 0, "b", "c"), EXIST);
        assert_eq!(
            link(guest, 1, "b", "d"),
            INVAL,
            "following is not supported by wasmtime-wasi"
        );
        fs::write(dir.join("c"), b"both").unwrap();
        assert_eq!(fs::read(dir.join("b")).unwrap(), b"both");
    });
}

/// (A program on Windows needs a privilege to make links.)
#[test]
#[cfg(unix)]
fn symbolic_links() {
    both(|guest, dir| {
        fs::write(dir.join("target"), b"T").unwrap();
        let ([o, ol], [n, nl]) = guest.two_paths("target", "link");
        assert_eq!(
            guest.call("path_symlink", &[o, ol, Val::I32(DIR), n, nl]),
            OK
        );
        assert_eq!(
            fs::read_link(dir.join("link")).unwrap(),
            Path::new("target")
        );
        let fd = guest.open("link", 0, READ, 0).unwrap();
        assert_eq!(guest.get(fd, 10).unwrap(), b"T");
        for (room, expected) in [(100, "target"), (3, "tar")] {
            let [p, n] = guest.path("link");
            let buf = Val::I32(DATA as i32);
            let args = [
                Val::I32(DIR),
                p,
                n,
                buf,
                Val::I32(room),
                Val::I32(OUT as i32),
            ];
            assert_eq!(guest.call("path_readlink", &args), OK);
            assert_eq!(guest.u32(OUT) as usize, expected.len());
            assert_eq!(guest.read(DATA, expected.len() as u32), expected.as_bytes());
        }
        let [p, n] = guest.path("target");
        let args = [
            Val::I32(DIR),
            p,
            n,
            Val::I32(DATA as i32),
            Val::I32(10),
            Val::I32(OUT as i32),
        ];
        assert_eq!(guest.call("path_readlink", &args), INVAL);
        // A link to itself.
        let ([o, ol], [n, nl]) = guest.two_paths("loop", "loop");
        assert_eq!(
            guest.call("path_symlink", &[o, ol, Val::I32(DIR), n, nl]),
            OK
        );
        assert_eq!(guest.open("loop", 0, READ, 0), Err(LOOP));
    });
}

#[test]
fn preopens_say_their_names() {
    both(|guest, dir| {
        fs::create_dir(dir.join("sub")).unwrap();
        let sub = guest.open("sub", DIRECTORY, READ, 0).unwrap();
        assert_eq!(guest.ask("fd_prestat_get", DIR), OK);
        assert_eq!(guest.read(OUT, 8), [0, 0, 0, 0, 1, 0, 0, 0]);
        let name = |guest: &mut Guest, fd, len| {
            guest.call(
                "fd_prestat_dir_name",
                &[Val::I32(fd), Val::I32(DATA as i32), Val::I32(len)],
            )
        };
        assert_eq!(name(guest, DIR, 1), OK);
        assert_eq!(guest.read(DATA, 2), b"/\0");
        assert_eq!(name(guest, DIR, 0), NAMETOOLONG);
        for fd in [0, 1, 2, sub, 99] {
            assert_eq!(guest.ask("fd_prestat_get", fd), BADF, "{fd}");
        }
        assert_eq!(name(guest, sub, 10), NOTDIR);
        assert_eq!(name(guest, 99, 10), BADF);
    });
}

/// An open does not have to say that it wants a directory, and whatever call comes first finds one.
/// It is one descriptor of the host's, as which it counts: it once became two.
#[test]
fn a_directory_is_one_however_it_was_opened() {
    type First = fn(&mut Guest, i32);
    let first: [(&str, First); 9] = [
        ("nothing", |_, _| {}),
        ("fdstat", |guest, fd| {
            assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
            assert_eq!(
                guest.read(OUT, 4),
                [3, 0, 0, 0],
                "a directory, without flags"
            );
        }),
        ("filestat", |guest, fd| {
            assert_eq!(guest.ask("fd_filestat_get", fd), OK);
            assert_eq!(guest.read(OUT + 16, 1), [3]);
        }),
        ("read", |guest, fd| assert_eq!(guest.get(fd, 1), Err(ISDIR))),
        ("pread", |guest, fd| {
            assert_eq!(guest.get_at(fd, 1, 0), Err(ISDIR))
        }),
        ("sync", |guest, fd| {
            assert_eq!(guest.call("fd_sync", &[Val::I32(fd)]), OK);
        }),
        ("flags", |guest, fd| {
            let args = [Val::I32(fd), Val::I32(NONBLOCK)];
            assert_eq!(guest.call("fd_fdstat_set_flags", &args), BADF);
        }),
        ("prestat", |guest, fd| {
            assert_eq!(guest.ask("fd_prestat_get", fd), BADF)
        }),
        ("open", |guest, fd| {
            let below = guest.open_at(fd, "x", 0, READ, 0).unwrap();
            assert_eq!(guest.close(below), OK);
        }),
    ];
    both(|guest, dir| {
        fs::create_dir(dir.join("sub")).unwrap();
        fill(&dir.join("sub"), ["x".to_owned()].into_iter());
        for flags in [0, NONBLOCK, APPEND] {
            for (what, first) in first {
                let fd = guest.open("sub", 0, READ, flags).unwrap();
                first(guest, fd);
                let names: Vec<_> = list(guest, fd, 4096).into_keys().collect();
                assert_eq!(names, [".", "..", "x"], "{what}, {flags}");
                #[cfg(target_os = "linux")]
                assert_eq!(host_descriptors(&dir.join("sub")), 1, "{what}, {flags}");
                assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
                assert_eq!(guest.read(OUT, 4), [3, 0, 0, 0], "{what}, {flags}");
                assert_eq!(guest.at("path_create_directory", fd, "new"), OK);
                assert_eq!(guest.at("path_remove_directory", fd, "new"), OK);
                assert_eq!(guest.close(fd), OK);
            }
        }
    });
}

/// How many descriptors of this process are of `path`.
#[cfg(target_os = "linux")]
fn host_descriptors(path: &Path) -> usize {
    let path = path.canonicalize().unwrap();
    let all = fs::read_dir("/proc/self/fd").unwrap();
    let links = all.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| *link == path).count()
}
