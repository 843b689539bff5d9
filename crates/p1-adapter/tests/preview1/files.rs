//! Reading and writing files.

use crate::guest::*;
use std::fs;
use wasmtime::Val;
use wasmtime_wasi::{FsPerms, OpenMode};

#[test]
fn what_is_written_is_read_back_at_one_cursor() {
    both(|guest, dir| {
        let fd = guest.create("a");
        assert_eq!(fd, 4, "the lowest free number");
        assert_eq!(guest.put(fd, b"hello"), Ok(5));
        assert_eq!(guest.put(fd, b", world"), Ok(7));
        assert_eq!(fs::read(dir.join("a")).unwrap(), b"hello, world");
        assert_eq!(guest.get(fd, 10).unwrap(), b"", "the cursor is at the end");
        assert_eq!(guest.seek(fd, 0, 0), Ok(0));
        assert_eq!(guest.get(fd, 5).unwrap(), b"hello");
        assert_eq!(guest.get(fd, 100).unwrap(), b", world");
        assert_eq!(guest.ask("fd_tell", fd), OK);
        assert_eq!(guest.u64(OUT), 12);
        assert_eq!(guest.close(fd), OK);
        assert_eq!(guest.close(fd), BADF);
        assert_eq!(guest.get(fd, 1), Err(BADF));
    });
}

/// Where the cursor is, asked twice: the second answer may be remembered.
fn told(guest: &mut Guest, fd: i32) -> u64 {
    assert_eq!(guest.ask("fd_tell", fd), OK);
    let first = guest.u64(OUT);
    assert_eq!(guest.ask("fd_tell", fd), OK);
    assert_eq!(guest.u64(OUT), first);
    first
}

#[test]
fn tell_is_right_after_whatever_moves_the_cursor() {
    both(|guest, _| {
        let fd = guest.create("t");
        assert_eq!(told(guest, fd), 0);
        assert_eq!(guest.put(fd, b"0123456789"), Ok(10));
        assert_eq!(told(guest, fd), 10);
        assert_eq!(guest.seek(fd, 2, 0), Ok(2));
        assert_eq!(told(guest, fd), 2);
        assert_eq!(guest.get(fd, 3).unwrap(), b"234");
        assert_eq!(told(guest, fd), 5);
        assert_eq!(guest.seek(fd, -1, 1), Ok(4));
        assert_eq!(told(guest, fd), 4);
        // These leave it where it is.
        assert_eq!(guest.put_at(fd, b"xx", 20), Ok(2));
        assert_eq!(guest.get_at(fd, 2, 20).unwrap(), b"xx");
        assert_eq!(guest.seek(fd, -1, 0), Err(INVAL));
        assert_eq!(told(guest, fd), 4);
        assert_eq!(guest.seek(fd, 0, 2), Ok(22));
        assert_eq!(told(guest, fd), 22);
        // Appending moves it to the end first.
        assert_eq!(guest.seek(fd, 1, 0), Ok(1));
        assert_eq!(told(guest, fd), 1);
        let flags = [Val::I32(fd), Val::I32(APPEND)];
        assert_eq!(guest.call("fd_fdstat_set_flags", &flags), OK);
        assert_eq!(guest.put(fd, b"end"), Ok(3));
        assert_eq!(told(guest, fd), 25);
        // The number does not matter.
        let other = guest.create("u");
        assert_eq!(told(guest, other), 0);
        let numbers = [Val::I32(fd), Val::I32(other)];
        assert_eq!(guest.call("fd_renumber", &numbers), OK);
        assert_eq!(told(guest, other), 25);
    });
}

#[test]
fn the_cursor_of_a_file_that_others_have_is_asked_for_every_time() {
    use std::io::Seek as _;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s"), b"0123456789").unwrap();
    let ctx = ctx_with(dir.path());
    let mut file = fs::File::open(dir.path().join("s")).unwrap();
    let theirs = file.try_clone().unwrap();
    let fd = ctx
        .push_file(theirs, FsPerms::ReadWrite, OpenMode::READ)
        .unwrap() as i32;
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.get(fd, 3).unwrap(), b"012");
    assert_eq!(told(&mut guest, fd), 3);
    file.seek(std::io::SeekFrom::Start(7)).unwrap();
    assert_eq!(told(&mut guest, fd), 7);
}

#[test]
fn every_buffer_of_a_list_takes_part_in_one_call() {
    both(|guest, dir| {
        let fd = guest.create("v");
        guest.write(DATA, b"onetwothree");
        // Empty buffers count for nothing, wherever they point.
        let list = [
            (DATA, 3),
            (u32::MAX, 0),
            (DATA + 3, 3),
            (0, 0),
            (DATA + 6, 5),
        ];
        let [list, count] = guest.iovs(&list);
        assert_eq!(
            guest.call(
                "fd_write",
                &[Val::I32(fd), list, count, Val::I32(OUT as i32)]
            ),
            OK
        );
        assert_eq!(guest.u32(OUT), 11);
        assert_eq!(fs::read(dir.join("v")).unwrap(), b"onetwothree");
        // Back, in another order and cut elsewhere.
        let list = [(DATA + 100, 4), (DATA + 50, 4), (DATA + 200, 100)];
        let [list, count] = guest.iovs(&list);
        let args = [Val::I32(fd), list, count, Val::I64(0), Val::I32(OUT as i32)];
        assert_eq!(guest.call("fd_pread", &args), OK);
        assert_eq!(guest.u32(OUT), 11);
        assert_eq!(guest.read(DATA + 100, 4), b"onet");
        assert_eq!(guest.read(DATA + 50, 4), b"woth");
        assert_eq!(guest.read(DATA + 200, 4), b"ree\0");
    });
}

#[test]
fn a_long_list_is_cut_at_what_the_system_takes() {
    both(|guest, dir| {
        let fd = guest.create("long");
        // The list lies where the data does: 1100 buffers of one byte.
        for i in 0..1100 {
            guest.write(DATA + i * 8, &(DATA + 0x8000 + i).to_le_bytes());
            guest.write(DATA + i * 8 + 4, &1u32.to_le_bytes());
        }
        guest.write(DATA + 0x8000, &[7; 1100]);
        let args = [
            Val::I32(fd),
            Val::I32(DATA as i32),
            Val::I32(1100),
            Val::I32(OUT as i32),
        ];
        assert_eq!(guest.call("fd_write", &args), OK);
        assert_eq!(guest.u32(OUT), 1024);
        assert_eq!(fs::read(dir.join("long")).unwrap(), [7; 1024]);
    });
}

#[test]
fn positioned_calls_leave_the_cursor_alone() {
    both(|guest, dir| {
        let fd = guest.create("p");
        guest.put(fd, b"0123456789").unwrap();
        guest.seek(fd, 2, 0).unwrap();
        assert_eq!(guest.get_at(fd, 3, 5).unwrap(), b"567");
        assert_eq!(guest.put_at(fd, b"XY", 8), Ok(2));
        assert_eq!(guest.get(fd, 3).unwrap(), b"234");
        assert_eq!(guest.get_at(fd, 3, 100).unwrap(), b"");
        assert_eq!(guest.get_at(fd, 3, -1), Err(INVAL));
        assert_eq!(fs::read(dir.join("p")).unwrap(), b"01234567XY");
    });
}

#[test]
fn seeking_before_the_start_or_in_the_wrong_way_fails() {
    both(|guest, _| {
        let fd = guest.create("s");
        guest.put(fd, b"abc").unwrap();
        assert_eq!(guest.seek(fd, -1, 0), Err(INVAL));
        assert_eq!(guest.seek(fd, -4, 2), Err(INVAL));
        assert_eq!(guest.seek(fd, -1, 2), Ok(2));
        assert_eq!(guest.seek(fd, 1, 1), Ok(3));
        assert_eq!(
            guest.seek(fd, 1 << 40, 0),
            Ok(1 << 40),
            "beyond the end is fine"
        );
        assert_eq!(guest.get(fd, 1).unwrap(), b"");
        assert_eq!(guest.seek(DIR, 0, 1), Err(BADF));
        assert_eq!(guest.seek(0, 0, 1), Err(SPIPE));
        assert_eq!(guest.seek(99, 0, 1), Err(BADF));
    });
}

#[test]
fn append_writes_at_the_end_whatever_the_cursor() {
    both(|guest, dir| {
        fs::write(dir.join("log"), b"one\n").unwrap();
        let fd = guest.open("log", 0, READ | WRITE, APPEND).unwrap();
        assert_eq!(guest.put(fd, b"two\n"), Ok(4));
        guest.seek(fd, 0, 0).unwrap();
        assert_eq!(guest.put(fd, b"three\n"), Ok(6));
        assert_eq!(
            guest.put_at(fd, b"four\n", 0),
            Ok(5),
            "even with an offset, as on Linux"
        );
        assert_eq!(
            fs::read(dir.join("log")).unwrap(),
            b"one\ntwo\nthree\nfour\n"
        );
        // The flag can be taken away, and given again.
        assert_eq!(
            guest.call("fd_fdstat_set_flags", &[Val::I32(fd), Val::I32(0)]),
            OK
        );
        guest.seek(fd, 0, 0).unwrap();
        guest.put(fd, b"ONE").unwrap();
        assert_eq!(&fs::read(dir.join("log")).unwrap()[..5], b"ONE\nt");
        assert_eq!(
            guest.call("fd_fdstat_set_flags", &[Val::I32(fd), Val::I32(APPEND)]),
            OK
        );
        guest.put(fd, b"five\n").unwrap();
        assert!(
            fs::read(dir.join("log"))
                .unwrap()
                .ends_with(b"four\nfive\n")
        );
    });
}

#[test]
fn a_descriptor_does_only_what_it_was_opened_for() {
    both(|guest, dir| {
        fs::write(dir.join("f"), b"data").unwrap();
        let reader = guest.open("f", 0, READ, 0).unwrap();
        assert_eq!(guest.put(reader, b"x"), Err(BADF));
        assert_eq!(guest.put_at(reader, b"x", 0), Err(BADF));
        let writer = guest.open("f", 0, WRITE, 0).unwrap();
        assert_eq!(guest.get(writer, 1), Err(BADF));
        assert_eq!(guest.get_at(writer, 1, 0), Err(BADF));
        assert_eq!(guest.get(DIR, 1), Err(ISDIR));
        assert_eq!(guest.get_at(DIR, 1, 0), Err(ISDIR));
        assert_eq!(guest.put(DIR, b"x"), Err(BADF));
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"data");
    });
}

#[test]
fn opening_honours_its_flags() {
    both(|guest, dir| {
        fs::write(dir.join("f"), b"data").unwrap();
        fs::create_dir(dir.join("d")).unwrap();
        assert_eq!(guest.open("none", 0, READ, 0), Err(NOENT));
        assert_eq!(guest.open("f", CREAT | EXCL, READ | WRITE, 0), Err(EXIST));
        assert_eq!(guest.open("f", DIRECTORY, READ, 0), Err(NOTDIR));
        assert_eq!(guest.open("d", 0, WRITE, 0), Err(ISDIR));
        assert_eq!(guest.open("d", CREAT | DIRECTORY, READ, 0), Err(INVAL));
        assert_eq!(guest.open("f/", 0, READ, 0), Err(NOTDIR));
        let fd = guest.open("f", TRUNC, WRITE, 0).unwrap();
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"");
        assert_eq!(guest.open_at(fd, "x", 0, READ, 0), Err(NOTDIR));
        assert_eq!(guest.open_at(0, "x", 0, READ, 0), Err(NOTDIR));
        assert_eq!(guest.open_at(77, "x", 0, READ, 0), Err(BADF));
        // Files on Windows are wasmtime-wasi's, which knows no such flag.
        assert_eq!(guest.open("f", 0, READ, 1 << 4).is_ok(), cfg!(unix), "SYNC");
        // Windows may say that there is nothing of that name.
        let long = guest.open(&"x".repeat(300), 0, READ, 0);
        assert!(long == Err(NAMETOOLONG) || cfg!(windows) && long == Err(NOENT));
    });
}

#[test]
fn numbers_are_lowest_first_and_limited() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = p1_adapter::P1CtxBuilder::new()
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .max_descriptors(70)
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    for expected in 4..70 {
        assert_eq!(guest.create("f"), expected);
    }
    assert_eq!(guest.open("f", 0, READ, 0), Err(MFILE));
    for fd in [66, 5, 0, 64] {
        assert_eq!(guest.close(fd), OK);
    }
    for expected in [0, 5, 64, 66] {
        assert_eq!(guest.create("f"), expected);
    }
    assert_eq!(guest.open("f", 0, READ, 0), Err(MFILE));
}

#[test]
fn renumbering_replaces_and_frees() {
    both(|guest, dir| {
        let (a, b) = (guest.create("a"), guest.create("b"));
        guest.put(a, b"from a").unwrap();
        let renumber = |guest: &mut Guest, from, to| {
            guest.call("fd_renumber", &[Val::I32(from), Val::I32(to)])
        };
        assert_eq!(renumber(guest, a, 99), BADF);
        assert_eq!(renumber(guest, 99, a), BADF);
        assert_eq!(renumber(guest, a, a), OK);
        assert_eq!(renumber(guest, a, b), OK);
        assert_eq!(guest.get(a, 1), Err(BADF));
        guest.put(b, b"!").unwrap();
        assert_eq!(fs::read(dir.join("a")).unwrap(), b"from a!");
        assert_eq!(fs::read(dir.join("b")).unwrap(), b"");
        assert_eq!(guest.create("c"), a, "the number is free again");
    });
}

/// (Windows has no list of what is open.)
#[test]
#[cfg(unix)]
fn a_renumbered_file_is_closed_when_nobody_uses_it_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&ctx_with(dir.path()));
    let open_here = || {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|e| fs::read_link(e.unwrap().path()).ok())
            .filter(|target| target.starts_with(dir.path()) && *target != dir.path())
            .count()
    };
    let (a, b) = (guest.create("a"), guest.create("b"));
    assert_eq!(open_here(), 2);
    for _ in 0..100 {
        assert_eq!(guest.call("fd_renumber", &[Val::I32(a), Val::I32(b)]), OK);
        assert_eq!(guest.create("a"), a);
    }
    assert_eq!(open_here(), 2);
    guest.close(a);
    guest.close(b);
    assert_eq!(open_here(), 0);
}
