//! A thread waits in opening a FIFO, and another moves the FIFO or its directory. The signal still
//! frees the first.

use crate::guest::{DIR, Guest, OK, READ, WRITE, ctx_with};
use crate::support::{Check, SETTLE, blocked, eventually, fifo, rounds, soon};
use p1_adapter::Interrupted;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use wasmtime::Val::I32;

/// Takes one name away, or gives it another.
#[derive(Clone, Copy, Debug)]
enum Move {
    Unlink(&'static str),
    Rmdir(&'static str),
    Rename(&'static str, &'static str),
}

/// What is opened, and the move after which it cannot be found there.
const MOVES: [(&str, Move); 6] = [
    ("fifo", Move::Unlink("fifo")),
    ("fifo", Move::Rename("fifo", "elsewhere")),
    // Another takes its place.
    ("fifo", Move::Rename("second", "fifo")),
    ("sub/inner", Move::Rename("sub", "moved")),
    ("empty/../fifo", Move::Rmdir("empty")),
    ("link", Move::Unlink("link")),
];

fn populate(dir: &Path) {
    fs::create_dir(dir.join("sub")).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    for name in ["second", "sub/inner"] {
        mkfifoat(CWD, dir.join(name), Mode::from_raw_mode(0o600)).unwrap();
    }
    std::os::unix::fs::symlink("sub/inner", dir.join("link")).unwrap();
}

fn by_guest(guest: &mut Guest, what: Move) {
    const FROM: u32 = 0x5000;
    const TO: u32 = 0x5100;
    let mut name = |at: u32, name: &str| {
        guest.write(at, name.as_bytes());
        [I32(3), I32(at as i32), I32(name.len() as i32)]
    };
    let (function, args) = match what {
        Move::Unlink(path) => ("path_unlink_file", name(FROM, path).to_vec()),
        Move::Rmdir(path) => ("path_remove_directory", name(FROM, path).to_vec()),
        Move::Rename(from, to) => {
            let args = [name(FROM, from), name(TO, to)].concat();
            ("path_rename", args)
        }
    };
    assert_eq!(guest.call(function, &args), OK, "{what:?}");
}

fn by_host(dir: &Path, what: Move) {
    match what {
        Move::Unlink(path) => fs::remove_file(dir.join(path)),
        Move::Rmdir(path) => fs::remove_dir(dir.join(path)),
        Move::Rename(from, to) => fs::rename(dir.join(from), dir.join(to)),
    }
    .unwrap();
}

/// Opens and waits, moves, raises: `Err` if the open is still there then. `guest`: whether the
/// guest moves, or the test.
fn check(path: &'static str, what: Move, rights: i64, guest: bool) -> Check {
    let (dir, _) = fifo();
    populate(dir.path());
    // Under whatever name: to be a real peer in the end.
    let held = ["fifo", "second", "sub/inner"].map(|name| {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        open(dir.path().join(name), flags, Mode::empty()).unwrap()
    });
    let ctx = ctx_with(dir.path());
    let mut opener = Guest::shared(&ctx);
    let mut mover = Guest::shared(&ctx);
    let opening = blocked(move || {
        let args = opener.open_args(DIR, path, 0, rights, 0);
        opener.try_call("path_open", &args)
    });
    assert!(!opening.is_finished(), "{path}");
    match guest {
        true => by_guest(&mut mover, what),
        false => by_host(dir.path(), what),
    }
    assert!(!opening.is_finished(), "{path} {what:?}");
    ctx.end_signal().raise();
    let ended = match guest {
        true => eventually(|| opening.is_finished()),
        false => {
            thread::sleep(10 * SETTLE);
            opening.is_finished()
        }
    };
    let peers = held.map(|fifo| {
        let path = format!("/proc/self/fd/{}", fifo.as_raw_fd());
        OpenOptions::new().read(true).write(true).open(path)
    });
    let error = opening.join().unwrap().unwrap_err();
    drop(peers);
    assert!(error.is::<Interrupted>(), "{error:?}");
    match ended {
        true => Ok(()),
        false => Err(format!("{path} is still being opened after {what:?}")),
    }
}

#[test]
fn an_open_is_freed_though_another_thread_moved_the_fifo() {
    soon(|| {
        for (path, what) in MOVES {
            for rights in [READ, WRITE] {
                check(path, what, rights, true).unwrap();
            }
        }
    });
}

/// The context does not know what others move. That is documented, and it shows that the check
/// above can fail.
#[test]
fn an_open_is_not_freed_where_the_host_moved_the_fifo() {
    soon(|| {
        let moved = |(path, what)| check(path, what, READ, false).is_err();
        assert!(moved(MOVES[0]) && moved(MOVES[3]));
    });
}

/// The same at once: openers, movers and the signal in whatever order.
#[test]
fn openers_movers_and_the_signal_race() {
    soon(|| {
        for round in 0..rounds(20) {
            let (path, what) = MOVES[round as usize % MOVES.len()];
            let (dir, _) = fifo();
            populate(dir.path());
            let ctx = ctx_with(dir.path());
            let begin = Arc::new(Barrier::new(4));
            let opening = [READ, WRITE].map(|rights| {
                let (mut opener, begin) = (Guest::shared(&ctx), Arc::clone(&begin));
                thread::spawn(move || {
                    let args = opener.open_args(DIR, path, 0, rights, 0);
                    begin.wait();
                    // What has been moved is not there; both sides may have met; or the signal
                    // came.
                    let _ = opener.try_call("path_open", &args);
                })
            });
            let moving = {
                let (mut mover, begin) = (Guest::shared(&ctx), Arc::clone(&begin));
                thread::spawn(move || {
                    begin.wait();
                    for _ in 0..round % 7 {
                        thread::yield_now();
                    }
                    by_guest(&mut mover, what);
                })
            };
            begin.wait();
            for _ in 0..round % 5 {
                thread::yield_now();
            }
            moving.join().unwrap();
            ctx.end_signal().raise();
            for opener in opening {
                assert!(
                    eventually(|| opener.is_finished()),
                    "round {round}: {path} {what:?}"
                );
                opener.join().unwrap();
            }
        }
    });
}
