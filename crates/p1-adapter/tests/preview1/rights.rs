//! Rights, and giving them up.

use crate::guest::*;
use p1_adapter::{P1CtxBuilder, Rights, StreamAccess};
use std::fs;
use wasmtime::Val;
use wasmtime_wasi::{FsPerms, OpenMode};

const TELL: i64 = 1 << 5;
const SEEK: i64 = 1 << 2;

fn rights(guest: &mut Guest, fd: i32) -> (i64, i64) {
    assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
    (guest.u64(OUT + 8) as i64, guest.u64(OUT + 16) as i64)
}

fn set(guest: &mut Guest, fd: i32, base: i64, inheriting: i64) -> i32 {
    guest.call(
        "fd_fdstat_set_rights",
        &[Val::I32(fd), Val::I64(base), Val::I64(inheriting)],
    )
}

#[test]
fn fdstat_tells_type_flags_and_rights() {
    both(|guest, dir| {
        fs::write(dir.join("f"), b"").unwrap();
        fs::create_dir(dir.join("d")).unwrap();
        let reader = guest.open("f", 0, READ, NONBLOCK).unwrap();
        let both = guest.open("f", 0, READ | WRITE, APPEND).unwrap();
        let sub = guest.open("d", DIRECTORY, READ, 0).unwrap();
        assert_eq!(guest.ask("fd_fdstat_get", reader), OK);
        assert_eq!(guest.read(OUT, 8), [4, 0, NONBLOCK as u8, 0, 0, 0, 0, 0]);
        assert_eq!(guest.ask("fd_fdstat_get", both), OK);
        assert_eq!(guest.read(OUT, 8), [4, 0, APPEND as u8, 0, 0, 0, 0, 0]);
        assert_eq!(guest.ask("fd_fdstat_get", sub), OK);
        assert_eq!(guest.read(OUT, 1), [3]);
        assert_eq!(rights(guest, reader).0 & (READ | WRITE), READ);
        assert_eq!(rights(guest, both).0 & (READ | WRITE), READ | WRITE);
        assert_eq!(guest.ask("fd_fdstat_get", 99), BADF);
        for bad in [1 << 1, 1 << 3, 1 << 4] {
            assert_eq!(
                guest.call("fd_fdstat_set_flags", &[Val::I32(both), Val::I32(bad)]),
                INVAL
            );
        }
        assert_eq!(
            guest.call("fd_fdstat_set_flags", &[Val::I32(sub), Val::I32(0)]),
            BADF
        );
    });
}

#[test]
fn rights_given_up_are_gone_for_good() {
    both(|guest, _| {
        let fd = guest.create("f");
        guest.put(fd, b"abc").unwrap();
        guest.seek(fd, 0, 0).unwrap();
        let (base, inheriting) = rights(guest, fd);
        assert_eq!(set(guest, fd, base & !(WRITE | SEEK), inheriting), OK);
        assert_eq!(rights(guest, fd), (base & !(WRITE | SEEK), inheriting));
        assert_eq!(guest.put(fd, b"x"), Err(NOTCAPABLE));
        assert_eq!(guest.put_at(fd, b"x", 0), Err(NOTCAPABLE));
        assert_eq!(guest.seek(fd, 1, 0), Err(NOTCAPABLE));
        assert_eq!(
            guest.seek(fd, 0, 1),
            Ok(0),
            "asking where it is needs the right to tell only"
        );
        assert_eq!(guest.get(fd, 3).unwrap(), b"abc");
        assert_eq!(set(guest, fd, base, inheriting), NOTCAPABLE);
        assert_eq!(rights(guest, fd).0, base & !(WRITE | SEEK));
        assert_eq!(set(guest, fd, READ, 0), OK);
        assert_eq!(guest.ask("fd_tell", fd), NOTCAPABLE);
        assert_eq!(rights(guest, fd), (READ, 0));
        assert_eq!(rights(guest, fd).0 & TELL, 0);
        assert_eq!(set(guest, 99, 0, 0), BADF);
    });
}

#[test]
fn what_a_directory_no_longer_passes_on_its_files_do_not_get() {
    both(|guest, dir| {
        fs::write(dir.join("f"), b"abc").unwrap();
        let (base, inheriting) = rights(guest, DIR);
        assert_eq!(set(guest, DIR, base, inheriting & !(WRITE | SEEK)), OK);
        assert_eq!(guest.open("f", 0, READ | WRITE, 0), Err(NOTCAPABLE));
        let fd = guest.open("f", 0, READ, 0).unwrap();
        assert_eq!(guest.get(fd, 3).unwrap(), b"abc");
        assert_eq!(guest.seek(fd, 0, 0), Err(NOTCAPABLE));
        let unlink = 1 << 26;
        assert_eq!(
            set(guest, DIR, base & !unlink, inheriting & !(WRITE | SEEK)),
            OK
        );
        assert_eq!(guest.at("path_unlink_file", DIR, "f"), NOTCAPABLE);
        assert!(dir.join("f").exists());
    });
}

#[test]
fn what_is_pushed_has_the_rights_that_were_chosen() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"abc").unwrap();
    let ctx = P1CtxBuilder::new().build().unwrap();
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(dir.path().join("f"))
        .unwrap();
    let mode = OpenMode::READ | OpenMode::WRITE;
    let log = ctx
        .limited_to(Rights::FD_WRITE, Rights::empty())
        .push_file(file, FsPerms::ReadWrite, mode)
        .unwrap() as i32;
    let listed = ctx
        .limited_to(Rights::PATH_OPEN | Rights::FD_READDIR, Rights::FD_READ)
        .push_dir(crate::sys::open_dir(dir.path()), None, FsPerms::ReadWrite)
        .unwrap() as i32;
    let (reader, _writer) = std::io::pipe().unwrap();
    let pipe = ctx
        .limited_to(Rights::FD_READ, Rights::empty())
        .push_stream(reader, StreamAccess::Read)
        .unwrap() as i32;

    let mut guest = Guest::new(&ctx);
    assert_eq!(rights(&mut guest, log), (WRITE, 0));
    assert_eq!(guest.put(log, b"x"), Ok(1));
    assert_eq!(guest.get(log, 1), Err(NOTCAPABLE));
    assert_eq!(guest.seek(log, 0, 0), Err(NOTCAPABLE));
    assert_eq!(guest.seek(log, 0, 1), Err(NOTCAPABLE));
    assert_eq!(guest.ask("fd_filestat_get", log), NOTCAPABLE);

    let fd = guest.open_at(listed, "f", 0, READ, 0).unwrap();
    assert_eq!(guest.get(fd, 10), Ok(b"xbc".to_vec()));
    assert_eq!(guest.ask("fd_tell", fd), NOTCAPABLE, "not passed on");
    assert_eq!(
        guest.open_at(listed, "f", 0, READ | WRITE, 0),
        Err(NOTCAPABLE)
    );
    assert_eq!(guest.open_at(listed, "g", CREAT, READ, 0), Err(NOTCAPABLE));
    assert_eq!(guest.at("path_unlink_file", listed, "f"), NOTCAPABLE);

    let mut subscription = [0u8; 48];
    subscription[8] = 1;
    subscription[16..20].copy_from_slice(&pipe.to_le_bytes());
    guest.write(1024, &subscription);
    let poll = [1024, DATA as i32, 1, OUT as i32].map(Val::I32);
    assert_eq!(guest.call("poll_oneoff", &poll), NOTCAPABLE);
}

#[test]
fn the_right_to_seek_includes_the_right_to_tell() {
    both(|guest, _| {
        let fd = guest.create("f");
        assert_eq!(set(guest, fd, SEEK, 0), OK);
        assert_eq!(guest.ask("fd_tell", fd), OK);
        assert_eq!(guest.seek(fd, 0, 1), Ok(0));
        assert_eq!(guest.seek(fd, 3, 0), Ok(3));
        let other = guest.create("f");
        assert_eq!(set(guest, other, TELL, 0), OK);
        assert_eq!(guest.ask("fd_tell", other), OK);
        assert_eq!(guest.seek(other, 3, 0), Err(NOTCAPABLE));
        assert_eq!(set(guest, fd, 0, 0), OK);
        assert_eq!(guest.ask("fd_tell", fd), NOTCAPABLE);
    });
}

#[test]
fn a_position_takes_the_right_to_seek() {
    both(|guest, _| {
        let fd = guest.create("f");
        guest.put(fd, b"abc").unwrap();
        assert_eq!(set(guest, fd, READ | WRITE, 0), OK);
        assert_eq!(guest.get_at(fd, 3, 0), Err(NOTCAPABLE));
        assert_eq!(guest.put_at(fd, b"x", 0), Err(NOTCAPABLE));
        assert_eq!(guest.put(fd, b"d"), Ok(1));
    });
}

#[test]
fn what_may_not_be_read_may_not_be_waited_for() {
    const POLL: i64 = 1 << 27;
    both(|guest, _| {
        let fd = guest.create("f");
        assert_eq!(set(guest, fd, POLL | WRITE, 0), OK);
        let mut poll = |tag: u8| {
            let mut subscription = [0u8; 48];
            subscription[8] = tag;
            subscription[16..20].copy_from_slice(&fd.to_le_bytes());
            guest.write(1024, &subscription);
            let args = [1024, DATA as i32, 1, OUT as i32].map(Val::I32);
            guest.call("poll_oneoff", &args)
        };
        assert_eq!(poll(1), NOTCAPABLE);
        assert_eq!(poll(2), OK);
    });
}

#[test]
fn who_gave_up_writing_does_not_cut_files() {
    both(|guest, dir| {
        const PATH_OPEN: i64 = 1 << 13;
        const READDIR: i64 = 1 << 14;
        fs::write(dir.join("f"), b"precious").unwrap();
        assert_eq!(set(guest, DIR, PATH_OPEN | READDIR, READ), OK);
        assert_eq!(guest.open("f", TRUNC, READ, 0), Err(NOTCAPABLE));
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"precious");
        let fd = guest.open("f", 0, READ, 0).unwrap();
        assert_eq!(guest.get(fd, 8).unwrap(), b"precious");
    });
    // Giving up other rights does not change it.
    both(|guest, dir| {
        fs::write(dir.join("f"), b"waste").unwrap();
        let (base, inheriting) = rights(guest, DIR);
        let unlink = 1 << 26;
        assert_eq!(set(guest, DIR, base & !unlink, inheriting & !unlink), OK);
        assert!(guest.open("f", TRUNC, WRITE, 0).is_ok());
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"");
    });
}

#[test]
fn connections_get_what_their_listener_passes_on() {
    use std::net::{TcpListener, TcpStream};
    let ctx = P1CtxBuilder::new().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let limited = ctx
        .limited_to(Rights::SOCK_ACCEPT, Rights::FD_READ)
        .push_listener(listener.try_clone().unwrap())
        .unwrap() as i32;
    let whole = ctx.push_listener(listener).unwrap() as i32;
    let mut guest = Guest::new(&ctx);
    let accept = |guest: &mut Guest, listener: i32| {
        let client = TcpStream::connect(address).unwrap();
        let args = [listener, 0, OUT as i32].map(Val::I32);
        assert_eq!(guest.call("sock_accept", &args), OK);
        (guest.u32(OUT) as i32, client)
    };
    let (reader, _client) = accept(&mut guest, limited);
    assert_eq!(guest.put(reader, b"x"), Err(NOTCAPABLE));
    assert_eq!(rights(&mut guest, reader), (READ, READ));

    // What is passed on can be read, and given up.
    let (base, inheriting) = rights(&mut guest, whole);
    assert_eq!(inheriting & (READ | WRITE), READ | WRITE);
    let (connection, _client) = accept(&mut guest, whole);
    assert_eq!(guest.put(connection, b"x"), Ok(1));
    assert_eq!(rights(&mut guest, connection).0, inheriting);
    assert_eq!(set(&mut guest, whole, base, inheriting & !READ), OK);
    let (writer, _client) = accept(&mut guest, whole);
    assert_eq!(guest.put(writer, b"x"), Ok(1));
    assert_eq!(guest.get(writer, 1), Err(NOTCAPABLE));
}
