//! What POSIX and Linux say where wasmtime-wasi says otherwise. The suite `probes` compares
//! everything; these are the cases on which programs have failed.

use crate::guest::*;
use crate::sys::MEMORY;
#[cfg(unix)]
use crate::sys::symlink;
use p1_adapter::P1CtxBuilder;
#[cfg(unix)]
use std::ffi::OsStr;
use std::fs;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt as _;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt as _;
#[cfg(unix)]
use std::time::{Duration, Instant};
use wasmtime::Val;
use wasmtime_wasi::FsPerms;
#[cfg(unix)]
use wasmtime_wasi::OpenMode;

/// A name of 24 bytes and more of entries, one each: cookie and name.
fn entries(listing: &[u8]) -> Vec<(u64, String)> {
    let mut rest = listing;
    let mut all = Vec::new();
    while let Some((head, tail)) = rest.split_at_checked(24) {
        let number = |range: std::ops::Range<usize>| {
            let mut bytes = [0; 8];
            bytes[..range.len()].copy_from_slice(&head[range]);
            u64::from_le_bytes(bytes)
        };
        let Some((name, tail)) = tail.split_at_checked(number(16..20) as usize) else {
            break;
        };
        all.push((number(0..8), String::from_utf8(name.to_vec()).unwrap()));
        rest = tail;
    }
    all
}

fn list(guest: &mut Guest, fd: i32, cookie: u64) -> Vec<(u64, String)> {
    try_list(guest, fd, cookie).unwrap()
}

fn try_list(guest: &mut Guest, fd: i32, cookie: u64) -> Result<Vec<(u64, String)>, i32> {
    const AT: u32 = 0x4000;
    const LEN: u32 = 0x2000;
    let args = [
        Val::I32(fd),
        Val::I32(AT as i32),
        Val::I32(LEN as i32),
        Val::I64(cookie as i64),
        Val::I32(OUT as i32),
    ];
    match guest.call("fd_readdir", &args) {
        OK => {}
        errno => return Err(errno),
    }
    let used = guest.u32(OUT);
    Ok(entries(&guest.read(AT, used)))
}

#[test]
fn cookies_fit_a_guests_long_and_stay_good() {
    both(|guest, dir| {
        for n in 0..50 {
            fs::write(dir.join(format!("entry{n}")), b"").unwrap();
        }
        let all = list(guest, DIR, 0);
        assert_eq!(all.len(), 52);
        for (n, (cookie, _)) in all.iter().enumerate() {
            assert_eq!(*cookie, n as u64 + 1, "small numbers, in order");
            assert_eq!(list(guest, DIR, *cookie), all[n + 1..]);
        }
        assert_eq!(list(guest, DIR, 53), [], "past the end");
        // Positions on Windows are counts, which shift with that.
        if cfg!(windows) {
            return;
        }
        // Others come and go; a position keeps its number, and never reads as the end.
        for n in 0..25 {
            fs::remove_file(dir.join(format!("entry{n}"))).unwrap();
            fs::write(dir.join(format!("new{n}")), b"").unwrap();
        }
        let (middle, _) = all[20];
        let left: Vec<_> = list(guest, DIR, middle)
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        for (_, name) in all[21..].iter().filter(|(_, name)| dir.join(name).exists()) {
            assert_eq!(
                left.iter().filter(|found| *found == name).count(),
                1,
                "{name}"
            );
        }
    });
}

/// More entries than small numbers. A C library keeps the lower half of a cookie and gives it back
/// with its sign, or without. On ext4 that once led behind the last entry: the call succeeded and
/// said "end" where there was none.
#[test]
fn a_folder_of_any_size_has_no_false_end() {
    // On Windows positions are counts, so they are small; and for each the system lists all entries
    // before it again, so that so many would take minutes.
    const ENTRIES: usize = if cfg!(windows) { 2_000 } else { 70_000 };
    for place in [env!("CARGO_TARGET_TMPDIR"), MEMORY] {
        // Not every machine has another file system.
        let Ok(dir) = tempfile::tempdir_in(place) else {
            continue;
        };
        for n in 0..ENTRIES {
            fs::File::create(dir.path().join(n.to_string())).unwrap();
        }
        let mut guest = Guest::new(&ctx_with(dir.path()));
        let mut all: Vec<(u64, String)> = Vec::new();
        loop {
            let last = all.last().map_or(0, |(cookie, _)| *cookie);
            match list(&mut guest, DIR, last) {
                more if more.is_empty() => break,
                more => all.extend(more),
            }
        }
        assert_eq!(all.len(), ENTRIES + 2, "{place}: each once, by the cookies");
        let places = (0..all.len() - 1).filter(|n| n % 997 == 0 || n + 100 > all.len());
        for n in places {
            let (cookie, next) = (all[n].0, &all[n + 1].1);
            let low = cookie as u32;
            for told in [cookie, i64::from(low as i32) as u64, low.into()] {
                let found = try_list(&mut guest, DIR, told);
                if told == cookie || n < 1 << 16 {
                    assert_eq!(&found.as_ref().unwrap()[0].1, next, "{place}: {cookie:x}");
                }
                match found {
                    Ok(found) => assert_eq!(&found[0].1, next, "{place}: {cookie:x} as {told:x}"),
                    Err(errno) => assert_eq!(errno, INVAL),
                }
            }
        }
        assert_eq!(
            try_list(&mut guest, DIR, 1 << 20),
            Err(INVAL),
            "never given out"
        );
    }
}

/// Flags of a description that two numbers, or two processes, have. Our own copy of the flags once
/// sent a write to the wrong place. (On Windows each number that has a handle keeps its own flag.)
#[test]
#[cfg(unix)]
fn the_flags_of_a_shared_file_are_the_systems() {
    both(|guest, dir| {
        fs::write(dir.join("f"), "0123456789").unwrap();
        let file = || {
            fs::File::options()
                .read(true)
                .write(true)
                .open(dir.join("f"))
        };
        let file = file().unwrap();
        let share = || {
            let (perms, mode) = (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE);
            let ctx = guest.store.data().ctx();
            ctx.push_file(file.try_clone().unwrap(), perms, mode)
                .unwrap() as i32
        };
        let (first, second) = (share(), share());
        let mut set = |fd: i32, flags: i32| {
            let set = [Val::I32(fd), Val::I32(flags)];
            assert_eq!(guest.call("fd_fdstat_set_flags", &set), OK);
            [first, second].map(|fd| {
                assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
                guest.u32(OUT) >> 16
            })
        };
        assert_eq!(set(first, APPEND), [1, 1]);
        assert_eq!(set(second, APPEND), [1, 1]);
        assert_eq!(set(second, 0), [0, 0]);
        assert_eq!(guest.put_at(first, b"X", 5), Ok(1));
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"01234X6789");
        // Another process, so to speak.
        rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::APPEND).unwrap();
        assert_eq!(guest.put_at(first, b"Y", 5), Ok(1));
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"01234X6789Y");
    });
}

/// Two threads list one descriptor, each with cookies of its own.
#[test]
fn two_listers_of_one_descriptor_each_find_all() {
    both(|guest, dir| {
        for n in 0..500 {
            fs::write(dir.join(format!("entry{n}")), b"").unwrap();
        }
        let (mut first, mut second) = (Vec::new(), Vec::new());
        loop {
            let mut more = false;
            for found in [&mut first, &mut second] {
                let last: Option<&(u64, String)> = found.last();
                let listed = list(guest, DIR, last.map_or(0, |(cookie, _)| *cookie));
                more |= !listed.is_empty();
                // One of them goes on by less than it was told.
                let taken = if found.len() % 2 == 0 { 7 } else { 100 };
                found.extend(listed.into_iter().take(taken));
            }
            if !more {
                break;
            }
        }
        assert_eq!(first.len(), 502);
        assert_eq!(first, second);
    });
}

/// (On Windows it is refused: files are wasmtime-wasi's, which knows no such flag.)
#[test]
#[cfg(unix)]
fn what_is_synchronised_is_opened_and_says_so() {
    const DSYNC: i32 = 2;
    const SYNC: i32 = 16;
    const ALL: i32 = 2 | 8 | 16;
    both(|guest, dir| {
        fs::create_dir(dir.join("d")).unwrap();
        symlink("made", dir.join("d/link"));
        for path in ["made", "./made too", "d/made", "d/link"] {
            for (asked, told) in [(DSYNC, DSYNC), (SYNC, ALL), (SYNC | APPEND, ALL | APPEND)] {
                let fd = guest.open(path, CREAT, READ | WRITE, asked).unwrap();
                assert_eq!(guest.put(fd, b"x"), Ok(1));
                assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
                assert_eq!(guest.u32(OUT) >> 16, told as u32, "{path}: {asked}");
                // As `fcntl(F_SETFL)` of a C library, which gives back what it was told.
                let set = [Val::I32(fd), Val::I32(told | NONBLOCK)];
                assert_eq!(guest.call("fd_fdstat_set_flags", &set), OK);
                assert_eq!(guest.close(fd), OK);
            }
        }
        let fd = guest.open("made", 0, READ, 0).unwrap();
        let set = [Val::I32(fd), Val::I32(SYNC)];
        assert_eq!(guest.call("fd_fdstat_set_flags", &set), INVAL);
    });
}

/// Values that the interface does not have were once traps: `lseek(fd, 0, 9)` ended the program.
#[test]
fn odd_arguments_are_refused() {
    both(|guest, _| {
        let fd = guest.create("f");
        let (fd, zero, out) = (Val::I32(fd), Val::I64(0), Val::I32(OUT as i32));
        assert_eq!(guest.call("fd_seek", &[fd, zero, Val::I32(9), out]), INVAL);
        assert_eq!(
            guest.call("fd_seek", &[fd, zero, Val::I32(300), out]),
            INVAL
        );
        let advise = [fd, zero, zero, Val::I32(77)];
        assert_eq!(guest.call("fd_advise", &advise), INVAL);
        let flags = [fd, Val::I32(0x8000)];
        assert_eq!(guest.call("fd_fdstat_set_flags", &flags), INVAL);
        assert_eq!(guest.call("clock_res_get", &[Val::I32(77), out]), INVAL);
        let shutdown = [Val::I32(0), Val::I32(0x40)];
        assert_eq!(guest.call("sock_shutdown", &shutdown), INVAL);
        // A pointer beyond the memory stays a trap.
        let beyond = [fd, zero, Val::I32(0), Val::I32(-8)];
        assert!(guest.try_call("fd_seek", &beyond).is_err());
    });
}

/// (A program on Windows needs a privilege to make links.)
#[test]
#[cfg(unix)]
fn a_link_is_read_as_linux_reads_it() {
    both(|guest, dir| {
        symlink("target", dir.join("link"));
        symlink("/target", dir.join("absolute"));
        symlink(OsStr::from_bytes(b"n\xff"), dir.join("odd"));
        fs::write(dir.join("file"), b"").unwrap();
        let read = |guest: &mut Guest, path: &str, len: i32| {
            let [p, n] = guest.path(path);
            let (buf, out) = (Val::I32(DATA as i32), Val::I32(OUT as i32));
            guest.call(
                "path_readlink",
                &[Val::I32(DIR), p, n, buf, Val::I32(len), out],
            )
        };
        for before in ["", "./"] {
            let at = |name: &str| format!("{before}{name}");
            assert_eq!(read(guest, &at("link"), 4), OK);
            assert_eq!((guest.u32(OUT), &*guest.read(DATA, 4)), (4, &b"targ"[..]));
            assert_eq!(read(guest, &at("link"), 0), INVAL);
            assert_eq!(read(guest, &at("absolute"), 9), PERM, "the sandbox");
            assert_eq!(read(guest, &at("odd"), 9), ILSEQ);
            assert_eq!(read(guest, &at("file"), 9), INVAL);
            assert_eq!(read(guest, &at("missing"), 9), NOENT);
        }
    });
}

/// (Names on Windows are of other units.)
#[test]
#[cfg(unix)]
fn a_name_that_is_no_string_is_left_out() {
    both(|guest, dir| {
        fs::write(dir.join(OsStr::from_bytes(b"n\xff")), b"").unwrap();
        fs::write(dir.join("plain"), b"").unwrap();
        let mut names: Vec<_> = list(guest, DIR, 0)
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        names.sort();
        assert_eq!(names, [".", "..", "plain"]);
    });
}

/// (On Windows paths are wasmtime-wasi's to the last slash.)
#[test]
#[cfg(unix)]
fn slashes_behind_names_are_linuxs() {
    both(|guest, dir| {
        fs::write(dir.join("f"), b"").unwrap();
        symlink("f", dir.join("link"));
        for path in ["d/", "d//", "./d/"] {
            fs::create_dir(dir.join("d")).unwrap();
            symlink("d", dir.join("to d"));
            assert_eq!(guest.at("path_remove_directory", DIR, "to d/"), NOTDIR);
            assert_eq!(guest.at("path_remove_directory", DIR, "d/.."), NOTEMPTY);
            assert_eq!(guest.at("path_unlink_file", DIR, path), ISDIR);
            assert_eq!(guest.at("path_remove_directory", DIR, path), OK, "{path}");
            fs::remove_file(dir.join("to d")).unwrap();
        }
        assert_eq!(guest.at("path_remove_directory", DIR, "f/"), NOTDIR);
        assert_eq!(guest.at("path_unlink_file", DIR, "link/"), NOTDIR);
        assert!(dir.join("link").is_symlink());
        let stat = |guest: &mut Guest, path: &str| {
            let [p, n] = guest.path(path);
            let args = [Val::I32(DIR), Val::I32(0), p, n, Val::I32(OUT as i32)];
            guest.call("path_filestat_get", &args)
        };
        assert_eq!(stat(guest, "link"), OK);
        assert_eq!(
            stat(guest, "link/"),
            NOTDIR,
            "the file, which is no directory"
        );
        assert_eq!(stat(guest, "link//"), NOTDIR);
    });
}

#[test]
fn a_preopen_has_times_to_set() {
    both(|guest, dir| {
        let times = [
            Val::I32(DIR),
            Val::I64(1_000),
            Val::I64(2_000_000_000_000),
            Val::I32(1 | 4),
        ];
        assert_eq!(guest.call("fd_filestat_set_times", &times), OK);
        let set = fs::metadata(dir).unwrap().modified().unwrap();
        let since = set.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), 2_000);
    });
}

#[test]
fn what_is_opened_below_an_opened_folder_can_be_written() {
    both(|guest, dir| {
        fs::create_dir(dir.join("d")).unwrap();
        let sub = guest.open("d", DIRECTORY, READ, 0).unwrap();
        assert_eq!(guest.ask("fd_fdstat_get", sub), OK);
        let passes_on = guest.u64(OUT + 16);
        assert_ne!(
            passes_on & WRITE as u64,
            0,
            "C libraries ask for no more than this"
        );
        assert_eq!(guest.u64(OUT + 8) & WRITE as u64, 0);
    });
}

/// (No process on Windows opens a program that runs.)
#[test]
#[cfg(unix)]
fn a_file_that_is_there_is_opened_as_asked_for() {
    both(|guest, dir| {
        // A program that runs: no other way to open it for writing fails for every user.
        fs::copy("/bin/sleep", dir.join("busy")).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.join("busy"), mode).unwrap();
        let Ok(mut busy) = std::process::Command::new(dir.join("busy"))
            .arg("60")
            .spawn()
        else {
            return;
        };
        const TXTBSY: i32 = 74;
        // An emulator says that it has started before it runs.
        let begun = Instant::now();
        let exe = format!("/proc/{}/exe", busy.id());
        let runs = |exe| exe == fs::canonicalize(dir.join("busy")).unwrap();
        while fs::read_link(&exe).is_ok_and(|exe| !runs(exe)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not run");
        }
        let tried = ["busy", "./busy"].map(|path| {
            let read = guest.open(path, CREAT, READ, 0);
            (
                read.map(|fd| guest.close(fd)),
                guest.open(path, 0, WRITE, 0),
            )
        });
        busy.kill().unwrap();
        busy.wait().unwrap();
        assert_eq!(tried, [(Ok(OK), Err(TXTBSY)), (Ok(OK), Err(TXTBSY))]);
        // And made if it is not there.
        assert!(guest.open("made", CREAT, READ, 0).is_ok());
        assert!(guest.open("./made too", CREAT, READ, 0).is_ok());
        assert!(dir.join("made too").exists());
    });
}

#[test]
fn a_path_that_cannot_be_paid_for_is_not_measured() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = P1CtxBuilder::new()
        .max_path_length(100)
        .hostcall_fuel(1_000)
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.open(&"x".repeat(500), 0, READ, 0), Err(NAMETOOLONG));
    assert_eq!(
        guest.open(&"x".repeat(1_500), 0, READ, 0),
        Err(NOMEM),
        "as wasmtime 48"
    );
}

/// The calls of wasmtime 48's program about fuel, with its answers, except for the data of a read
/// or a write, which the kernel copies.
#[test]
fn fuel_is_for_what_the_host_keeps() {
    const FUEL: usize = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let ctx = P1CtxBuilder::new()
        .hostcall_fuel(FUEL)
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    let file = guest.create("file");
    let long = "long ".repeat(FUEL / 5 + 1);
    for change in ["path_create_directory", "path_unlink_file"] {
        assert_eq!(guest.at(change, DIR, &long), NOMEM, "{change}");
    }
    // A list costs what its elements take, whatever they are.
    let [list, count] = guest.iovs(&vec![(DATA, 0); FUEL / 8 + 1]);
    let (fd, out) = (Val::I32(file), Val::I32(OUT as i32));
    for (name, at) in [
        ("fd_read", None),
        ("fd_write", None),
        ("fd_pread", Some(0)),
        ("fd_pwrite", Some(0)),
    ] {
        let at = at.map(Val::I64);
        let args: Vec<Val> = [fd, list, count]
            .into_iter()
            .chain(at)
            .chain([out])
            .collect();
        assert_eq!(guest.call(name, &args), NOMEM, "{name}");
    }
    let polls = [
        Val::I32(LIST as i32),
        Val::I32(LIST as i32),
        Val::I32(1_000),
        out,
    ];
    assert_eq!(guest.call("poll_oneoff", &polls), NOMEM);
    let data = vec![b'd'; 2 * FUEL];
    assert_eq!(guest.put(file, &data), Ok(2 * FUEL as u32));
    assert_eq!(guest.put_at(file, &data, 0), Ok(2 * FUEL as u32));
    assert_eq!(guest.get_at(file, 2 * FUEL as u32, 0), Ok(data));
}
