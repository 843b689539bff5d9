//! Opening a FIFO: waits for the other side as POSIX says, and ends with the signal.

use crate::ends::{ends, looks_then_sleeps, races};
use crate::guest::emulated::less;
use crate::guest::{DIR, Guest, READ, WRITE, ctx_with};
use crate::subject::read_once;
use crate::support::{CROWDS, Check, IMPATIENCE, blocked, bound, eventually, fifo, rounds, soon};
use p1_adapter::test_hooks::{BlockingError, EndSignal, Fifo, FifoAccess, StreamKind};
use p1_adapter::{Interrupted, P1CtxBuilder};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use wasmtime_wasi::FsPerms;

fn find(dir: &Path) -> Fifo {
    let dir = File::open(dir).unwrap();
    Fifo::find(dir.as_fd(), OsStr::new("fifo"))
        .unwrap()
        .unwrap()
}

#[test]
fn opening_a_fifo_ends() {
    type Open = fn(&Path, FifoAccess, &EndSignal) -> Result<(), BlockingError>;
    fn check(open: Open, threads: usize, limit: Duration) -> Check {
        for access in [FifoAccess::Read, FifoAccess::Write] {
            let (dir, path) = fifo();
            let at = dir.path().to_owned();
            ends(
                &format!("opening a FIFO, {access:?}"),
                threads,
                limit,
                move |end| open(&at, access, end).map(|()| 0),
                move || drop(OpenOptions::new().read(true).write(true).open(path)),
            )?;
        }
        Ok(())
    }
    fn ours(dir: &Path, access: FifoAccess, end: &EndSignal) -> Result<(), BlockingError> {
        find(dir).open(access, false, end).map(drop)
    }
    fn plain(dir: &Path, access: FifoAccess, _: &EndSignal) -> Result<(), BlockingError> {
        OpenOptions::new()
            .read(access == FifoAccess::Read)
            .write(access == FifoAccess::Write)
            .open(dir.join("fifo"))?;
        Ok(())
    }
    soon(move || {
        for n in CROWDS {
            for _ in 0..rounds(1) {
                check(ours, n, bound()).unwrap();
            }
            check(plain, n, IMPATIENCE).unwrap_err();
        }
    });
}

/// A directory with a FIFO for this round only. (The helper that frees an open is the other side
/// for a moment. That may last into the next round, and would let an open of the same FIFO
/// through.)
fn fifo_of(round: u64, dir: &Path) -> PathBuf {
    let at = dir.join(round.to_string());
    // Of two threads, one makes them.
    let _ = std::fs::create_dir(&at);
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let _ = rustix::fs::mkfifoat(rustix::fs::CWD, at.join("fifo"), mode);
    at
}

/// The signal comes at any moment of the open.
#[test]
fn opening_a_fifo_races_with_the_signal() {
    soon(|| {
        let dir = tempfile::tempdir().unwrap();
        let open = move |round: u64, end: &EndSignal| {
            let at = fifo_of(round, dir.path());
            let access = [FifoAccess::Read, FifoAccess::Write][round as usize % 2];
            find(&at).open(access, false, end).map(drop)
        };
        races(rounds(500), open, EndSignal::raise)
    })
    .unwrap();
    soon(looks_then_sleeps).unwrap_err();
}

#[test]
fn the_other_side_lets_an_open_through() {
    soon(|| {
        let (dir, path) = fifo();
        let fifo = find(dir.path());
        let end = EndSignal::new();
        let reader = {
            let (fifo, end) = (fifo.clone(), end.clone());
            blocked(move || {
                let stream = fifo.open(FifoAccess::Read, false, &end).unwrap();
                assert_eq!(stream.kind(), StreamKind::Pipe);
                let mut buffer = [0; 16];
                let count = stream
                    .read(false, &end, |fd, manner| read_once(fd, manner, &mut buffer))
                    .unwrap();
                let after = stream
                    .read(false, &end, |fd, manner| {
                        read_once(fd, manner, &mut [0; 16])
                    })
                    .unwrap();
                (buffer[..count].to_vec(), after)
            })
        };
        assert!(
            !reader.is_finished(),
            "an open for reading waits for a writer"
        );
        std::fs::write(&path, "through").unwrap();
        assert_eq!(reader.join().unwrap(), (b"through".to_vec(), 0));

        let writer = blocked(move || {
            let stream = fifo.open(FifoAccess::Write, false, &end).unwrap();
            stream
                .write(4, false, &end, |fd, manner, range| {
                    crate::subject::write_once(fd, manner, &b"back"[range])
                })
                .unwrap()
        });
        assert!(
            !writer.is_finished(),
            "an open for writing waits for a reader"
        );
        let mut got = String::new();
        File::open(&path).unwrap().read_to_string(&mut got).unwrap();
        assert_eq!((writer.join().unwrap(), got.as_str()), (4, "back"));
    });
}

#[test]
fn not_waiting_is_as_posix_has_it() {
    soon(|| {
        let (dir, _) = fifo();
        let fifo = find(dir.path());
        let end = EndSignal::new();
        match fifo.open(FifoAccess::Write, true, &end) {
            Err(BlockingError::Io(e)) => assert_eq!(e.raw_os_error(), Some(6), "ENXIO"),
            other => panic!("{other:?}"),
        }
        let reader = fifo.open(FifoAccess::Read, true, &end).unwrap();
        let none = reader.read(true, &end, |fd, manner| read_once(fd, manner, &mut [0]));
        assert_eq!(none.unwrap(), 0);
        fifo.open(FifoAccess::Write, true, &end).unwrap();
        fifo.open(FifoAccess::ReadWrite, false, &end).unwrap();
    });
}

#[test]
fn only_a_fifo_is_one() {
    let (dir, _) = fifo();
    let at = File::open(dir.path()).unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("fifo", dir.path().join("link")).unwrap();
    for name in ["file", "link"] {
        assert!(Fifo::find(at.as_fd(), OsStr::new(name)).unwrap().is_none());
    }
    for name in ["", ".", "..", "../x", "a/b", "/fifo", "absent"] {
        assert!(
            Fifo::find(at.as_fd(), OsStr::new(name)).is_err(),
            "{name:?}"
        );
    }
}

/// The same through `path_open`: directly, below a directory, and behind links.
#[test]
fn a_guest_blocked_on_a_fifo_ends() {
    soon(|| {
        let (dir, _) = fifo();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::os::unix::fs::symlink("../fifo", dir.path().join("sub/link")).unwrap();
        std::os::unix::fs::symlink("sub/link", dir.path().join("twice")).unwrap();
        for path in ["fifo", "sub/../fifo", "sub/link", "twice"] {
            for rights in [READ, WRITE] {
                let ctx = ctx_with(dir.path());
                let end = ctx.end_signal().clone();
                let mut guest = Guest::shared(&ctx);
                let blocked = blocked(move || {
                    let args = guest.open_args(DIR, path, 0, rights, 0);
                    let error = guest.try_call("path_open", &args).unwrap_err();
                    (Instant::now(), error)
                });
                assert!(!blocked.is_finished(), "{path}");
                let raised = Instant::now();
                end.raise();
                assert!(eventually(|| blocked.is_finished()), "{path}");
                let (at, error) = blocked.join().unwrap();
                assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
                let late = at.saturating_duration_since(raised);
                eprintln!("path_open of {path}: ended {late:?} after the signal");
                assert!(late < bound(), "{path}: {late:?}");
            }
        }
    });
}

/// Flags that make no sense for a FIFO. If links are followed, the system refuses `DIRECTORY`; if
/// they are not, the open waits in wasmtime-wasi. `EXCL` without `CREAT` means nothing. The signal
/// once reached neither open.
#[test]
fn a_guests_open_of_a_fifo_with_odd_flags_ends() {
    const NOTDIR: i32 = 54;
    const DIRECTORY: i32 = 2;
    const EXCL: i32 = 4;
    soon(|| {
        let (dir, _) = fifo();
        for (how, follow, waits) in [
            (DIRECTORY, 1, false),
            (DIRECTORY, 0, false),
            (EXCL, 1, true),
            (EXCL, 0, true),
        ] {
            let ctx = ctx_with(dir.path());
            let end = ctx.end_signal().clone();
            let mut guest = Guest::shared(&ctx);
            let opening = blocked(move || {
                let mut args = guest.open_args(DIR, "fifo", how, READ, 0);
                args[1] = wasmtime::Val::I32(follow);
                guest.try_call("path_open", &args)
            });
            if waits {
                assert!(!opening.is_finished(), "{how} {follow}");
                end.raise();
            }
            assert!(eventually(|| opening.is_finished()), "{how} {follow}");
            match opening.join().unwrap() {
                Ok(errno) => assert!(!waits && errno == NOTDIR, "{how} {follow}: {errno}"),
                Err(error) => assert!(waits && error.is::<Interrupted>(), "{error:?}"),
            }
        }
        // Without waiting for another side it is no directory either.
        let mut guest = Guest::shared(&ctx_with(dir.path()));
        for follow in [0, 1] {
            let mut args = guest.open_args(DIR, "fifo", DIRECTORY, READ | WRITE, 0);
            args[1] = wasmtime::Val::I32(follow);
            args[7] = wasmtime::Val::I32(crate::guest::NONBLOCK);
            assert_eq!(guest.call("path_open", &args), NOTDIR);
        }
    });
}

/// A guest reads what a writer sends through a FIFO, waits in the read, and ends there too.
#[test]
fn a_guest_reads_a_fifo_and_ends_in_the_read() {
    soon(|| {
        let (dir, path) = fifo();
        let ctx = ctx_with(dir.path());
        let end = ctx.end_signal().clone();
        let writer = thread::spawn(move || {
            use std::io::Write as _;
            let mut fifo = OpenOptions::new().write(true).open(path).unwrap();
            fifo.write_all(b"hello").unwrap();
            fifo
        });
        let mut guest = Guest::shared(&ctx);
        let fd = guest.open("fifo", 0, READ, 0).unwrap();
        assert_eq!(guest.get(fd, 64), Ok(b"hello".to_vec()));
        let fifo = writer.join().unwrap();
        let blocked = blocked(move || {
            let [list, count] = guest.iovs(&[(0x10000, 8)]);
            let args = [wasmtime::Val::I32(fd), list, count, wasmtime::Val::I32(64)];
            guest.try_call("fd_read", &args).unwrap_err()
        });
        assert!(!blocked.is_finished());
        end.raise();
        assert!(eventually(|| blocked.is_finished()));
        let error = blocked.join().unwrap();
        assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
        drop(fifo);
    });
}

/// The signal comes at any moment of a guest's open.
#[test]
fn a_guests_open_of_a_fifo_races_with_the_signal() {
    soon(|| {
        let dir = tempfile::tempdir().unwrap();
        let open = move |round: u64, end: &EndSignal| {
            let at = fifo_of(round, dir.path());
            let ctx = P1CtxBuilder::new()
                .preopened_dir(at, "/", FsPerms::ReadWrite)
                .unwrap()
                .end_signal(end.clone())
                .build()
                .unwrap();
            let mut guest = Guest::shared(&ctx);
            let args = guest.open_args(DIR, "fifo", 0, [READ, WRITE][round as usize % 2], 0);
            match guest.try_call("path_open", &args) {
                Err(error) if error.is::<Interrupted>() => Err(Interrupted.into()),
                other => panic!("round {round}: {other:?}"),
            }
        };
        // What a guest has reserved stays in use in qemu.
        races(less(rounds(300), 20), open, EndSignal::raise)
    })
    .unwrap();
}

/// `NONBLOCK` in `path_open`: for reading at once, for writing an error.
#[test]
fn a_guest_opens_a_fifo_without_waiting() {
    const NXIO: i32 = 60;
    soon(|| {
        let (dir, _) = fifo();
        let ctx = ctx_with(dir.path());
        let mut guest = Guest::shared(&ctx);
        let mut open = |rights| {
            let mut args = guest.open_args(DIR, "fifo", 0, rights, 0);
            args[7] = wasmtime::Val::I32(crate::guest::NONBLOCK);
            guest.call("path_open", &args)
        };
        assert_eq!(open(WRITE), NXIO);
        assert_eq!(open(READ), 0);
        assert_eq!(open(WRITE), 0);
        assert_eq!(guest.put(5, b"x"), Ok(1));
        assert_eq!(guest.get(4, 8), Ok(b"x".to_vec()));
        assert_eq!(guest.get(4, 8), Err(crate::guest::AGAIN));
        // Both sides at once never wait, and are a stream too.
        let fd = guest.open("fifo", 0, READ | WRITE, 0).unwrap();
        assert_eq!(guest.put(fd, b"y"), Ok(1));
        assert_eq!(guest.get(4, 8), Ok(b"y".to_vec()));
        assert_eq!(guest.seek(fd, 0, 0), Err(70), "ESPIPE");
    });
}

/// wasmtime-wasi opens what a path leads to, to set its times, and would wait for the other side of
/// a FIFO where no signal reaches it.
#[test]
fn times_of_a_fifo_are_set_without_opening_it() {
    const SET_BOTH: i32 = 1 | 4;
    soon(|| {
        let (dir, path) = fifo();
        std::os::unix::fs::symlink("fifo", dir.path().join("link")).unwrap();
        let mut guest = Guest::shared(&ctx_with(dir.path()));
        for (name, follow, seconds) in [("fifo", 0, 1), ("fifo", 1, 2), ("link", 1, 3)] {
            let [fd, _, at, len, ..] = guest.open_args(DIR, name, 0, 0, 0);
            let time = wasmtime::Val::I64(seconds * 1_000_000_000);
            let (follow, set) = (wasmtime::Val::I32(follow), wasmtime::Val::I32(SET_BOTH));
            let args = [fd, follow, at, len, time, time, set];
            assert_eq!(guest.call("path_filestat_set_times", &args), 0, "{name}");
            let found = std::fs::metadata(&path).unwrap();
            let modified = found
                .modified()
                .unwrap()
                .duration_since(std::time::UNIX_EPOCH);
            assert_eq!(modified.unwrap().as_secs(), seconds as u64, "{name}");
        }
    });
}
