//! What the host's process has open for a guest, and does not give to any other process.

use crate::alone::alone;
use crate::guest::emulated::left_out;
use crate::guest::*;
use p1_adapter::{P1CtxBuilder, StreamAccess};
use rustix::fd::OwnedFd;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use wasmtime::Val::I32;
use wasmtime_wasi::FsPerms;

/// The descriptors of this process but the standard streams; which of them a program that it starts
/// would get.
fn open_descriptors() -> (usize, Vec<String>) {
    let (mut count, mut passed_on) = (0, Vec::new());
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let number = entry.unwrap().file_name().into_string().unwrap();
        let Ok(info) = fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else {
            continue;
        };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        count += 1;
        if flags & 0o2_000_000 == 0 && number.parse::<u32>().unwrap() > 2 {
            let what = fs::read_link(format!("/proc/self/fd/{number}"));
            passed_on.push(format!("{number}: {what:?}"));
        }
    }
    (count, passed_on)
}

/// The outer side of a terminal, and the name of the inner one below `/dev/pts`.
fn terminal() -> (OwnedFd, String) {
    let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&outer).unwrap();
    unlockpt(&outer).unwrap();
    let path = ptsname(&outer, []).unwrap().into_string().unwrap();
    let name = path.strip_prefix("/dev/pts/").unwrap().to_owned();
    (outer, name)
}

#[test]
fn no_program_that_the_host_starts_gets_them() {
    const NAME: &str = "host_descriptors::no_program_that_the_host_starts_gets_them";
    alone(NAME, || {
        // What this process itself was started with.
        let (_, inherited) = open_descriptors();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/file"), "").unwrap();
        symlink("sub/file", dir.path().join("link")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("fifo"), mode).unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let _client = UnixStream::connect(dir.path().join("socket")).unwrap();
        let (outer, terminal) = terminal();
        let (input, _output) = std::io::pipe().unwrap();
        let ctx = P1CtxBuilder::new()
            .inherit_stdio()
            .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
            .unwrap()
            .preopened_dir("/dev", "/dev", FsPerms::ReadWrite)
            .unwrap()
            .preopened_dir("/dev/pts", "/dev/pts", FsPerms::ReadWrite)
            .unwrap()
            .build()
            .unwrap();
        let pipe = ctx.push_stream(input, StreamAccess::Read).unwrap() as i32;
        let listener = ctx.push_listener(listener).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        let (before, _) = open_descriptors();
        let both = READ | WRITE;
        for (folder, path, how, rights, flags) in [
            (DIR, "new", CREAT, both, 0),
            (DIR, "sub/file", 0, both, 0),
            (DIR, "link", 0, READ, 0),
            (DIR, "sub", DIRECTORY, READ, 0),
            (DIR, "sub/../sub", DIRECTORY, READ, 0),
            (DIR, "fifo", 0, READ, NONBLOCK),
            (DIR, "fifo", 0, WRITE, 0),
            (DIR, "fifo", 0, both, 0),
            (DIR + 1, "null", 0, both, 0),
            (DIR + 2, &terminal, 0, both, 0),
        ] {
            let fd = guest.open_at(folder, path, how, rights, flags).unwrap();
            // What it is is asked, and a stream gets a descriptor of its own.
            assert_eq!(guest.ask("fd_fdstat_get", fd), OK, "{path}");
        }
        let args = [I32(listener), I32(0), I32(OUT as i32)];
        assert_eq!(guest.call("sock_accept", &args), OK);
        assert_eq!(guest.ask("fd_fdstat_get", pipe), OK);
        let (after, passed_on) = open_descriptors();
        assert!(after >= before + 11, "{before}, then {after}");
        assert_eq!(passed_on, inherited);
        // It can tell.
        let copy = rustix::io::dup(&outer).unwrap();
        let found = open_descriptors().1.len();
        assert_eq!(found, inherited.len() + 1, "{copy:?}");
    });
}

/// The number of the terminal that controls this process; 0 for none.
fn controlling_terminal() -> i32 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may have anything in it: state, parent, group, session, terminal.
    let fields = stat.rsplit_once(") ").unwrap().1;
    fields.split(' ').nth(4).unwrap().parse().unwrap()
}

#[test]
fn a_terminal_that_a_guest_opens_does_not_control_the_host() {
    if left_out("its `/proc/self/stat` names no terminal") {
        return;
    }
    const NAME: &str = "host_descriptors::a_terminal_that_a_guest_opens_does_not_control_the_host";
    alone(NAME, || {
        // As a service does: it leads a session that has no terminal.
        rustix::process::setsid().unwrap();
        let (outer, name) = terminal();
        let ctx = P1CtxBuilder::new()
            .preopened_dir("/dev/pts", "/dev/pts", FsPerms::ReadWrite)
            .unwrap()
            .build()
            .unwrap();
        let mut guest = Guest::new(&ctx);
        for flags in [0, NONBLOCK] {
            let fd = guest.open(&name, 0, READ | WRITE, flags).unwrap();
            assert_eq!(guest.put(fd, b"here"), Ok(4));
            assert_eq!(controlling_terminal(), 0);
        }
        // It would have, without the flag; and end this process when it is hung up.
        fs::File::open(format!("/dev/pts/{name}")).unwrap();
        assert_ne!(controlling_terminal(), 0);
        std::mem::forget(outer);
    });
}
