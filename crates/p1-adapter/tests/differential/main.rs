//! Random sequences of calls on this adapter and on `wasmtime_wasi::p1`, in twin directories. Every
//! call must give the same errno or trap and the same bytes in memory, and the files at the end
//! must be the same.
//!
//! Both have a memory of their own, or both a shared one. Results, structures and buffers lie where
//! nothing else does, or unaligned, over one another, at the end of the memory and beyond it.
//!
//! `P1_DIFFERENTIAL_CASES` sets how many sequences are run (default: 2,000). What is meant to
//! differ is not generated, or is taken out before comparing; each place says why:
//!
//! * Descriptor numbers: this adapter gives out the lowest, the peer the last freed. The test maps
//!   them ([`twins`]).
//! * Several buffers per call: the peer transfers the first that is not empty, this adapter all.
//!   One is generated.
//! * A buffer out of bounds is a trap here, whatever the call would have done. The peer looks at
//!   the descriptor first, and does not look at a buffer that it has nothing to put into. It reads
//!   a file before it traps, which changes the time of access.
//! * To poll a file for reading there reads it, which changes the time of access.
//! * A file opened with `CREAT` or `TRUNC` and not to be written can be written there and not here.
//!   So the test always opens such files to be written.
//! * An empty write with `APPEND` leaves the system's cursor where it is and moves the peer's to
//!   the end.
//! * Directory cookies and order: the peer counts entries, this adapter uses the system's
//!   positions. Whole listings are compared as sets of names and types. One that has been removed
//!   is empty here, as POSIX has it, and has `.` and `..` there.
//! * Inode numbers and the times of real events differ between twin files.
//! * A FIFO or a device that was opened is a stream here and a file with a cursor there. There,
//!   reading, writing and polling a FIFO answers as a file would (`spipe`). Here, a stream has no
//!   size, no place, no end to append to, nothing below it, no use for advice (`spipe` or `badf`),
//!   nor a file's rights. Everything else about them is compared, and what devices are read to.
//!   (The test holds both sides of the FIFOs, so no open of one waits.)
//! * What a call that trapped has written before it found out: the fields of a structure that goes
//!   beyond the end of the memory.
//! * `args_get` and `environ_get` with the pointers and the strings in one place: the peer writes
//!   string by string, this adapter all strings first.
//! * Points in which the peer differs from POSIX: the list in [`known`]. The peer is given no slash
//!   behind a directory that is to be removed, and follows a link with a slash behind it. Neither
//!   what an opened directory passes on nor the rights to set the times of a preopen are compared.
//! * Arguments with values that the interface does not have: `inval` here, a trap there.
//! * Opening with the synchronising flags, and reading a link into no room: the peer does not do
//!   the one, and does the other.
//! * `fd_allocate`, `fd_fdstat_set_rights`, `proc_raise`, CPU-time clocks, sockets, flags of
//!   streams: not supported by the peer.
//! * `proc_exit` above 125: the peer refuses it.
//! * A poll in which one of several subscriptions is at fault: the peer fails, this adapter reports
//!   it beside the others. Of several that are ready the peer reports some, this adapter all: only
//!   the errno is compared.
//! * The `nbytes` of a poll: the peer always says 1; and it says that a file at its end has been
//!   hung up.

mod compare;
#[path = "../guest/mod.rs"]
mod guest;
mod known;
mod op;
mod run;
mod side;
#[path = "../sys/mod.rs"]
mod sys;
mod twins;

use op::Op;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use side::Manner;
use twins::Twins;

fn cases() -> u32 {
    match std::env::var("P1_DIFFERENTIAL_CASES") {
        Ok(n) => n.parse().expect("P1_DIFFERENTIAL_CASES is a number"),
        Err(_) => 2000,
    }
}

#[test]
fn both_adapters_answer_alike() {
    compare(false);
}

#[test]
fn the_async_linker_answers_alike_too() {
    compare(true);
}

fn compare(asynchronous: bool) {
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    runner
        .run(
            &(any::<bool>(), prop::collection::vec(op::any_op(), 1..40)),
            |(shared, ops): (bool, Vec<Op>)| {
                let mut twins = Twins::new(Manner {
                    asynchronous,
                    shared,
                });
                for (i, op) in ops.iter().enumerate() {
                    // What Windows' clocks count in is asked of it here, and guessed there.
                    if cfg!(windows) && matches!(op, Op::Resolution(..)) {
                        continue;
                    }
                    if let Err(difference) = twins.run(op) {
                        return Err(TestCaseError::fail(format!(
                            "call {i}, {op:?}: {difference}"
                        )));
                    }
                }
                twins.compare_files().map_err(TestCaseError::fail)
            },
        )
        .unwrap_or_else(|e| panic!("{e}"));
}

/// Times of access that only a poll has changed there, a standard input at its end under another
/// number, and what is in a directory that has been removed.
#[test]
fn what_the_peer_has_of_its_own_is_taken_out() {
    let file = op::Fd::Open(2);
    let open = Op::Open {
        dir: op::PREOPEN,
        path: op::path("file"),
        follow: true,
        how: 0,
        rights: op::Rights {
            base: 1 << 1,
            inheriting: 0,
        },
        flags: 0,
        out: op::OUT,
    };
    const ATIM_AND_MTIM_NOW: u8 = 1 | 8;
    let poll = |fd, and| Op::PollFd {
        fd,
        write: false,
        and,
    };
    let stdin = [op::Fd::Stdio(0), op::Fd::Stdio(2)];
    for ops in [
        vec![
            open,
            Op::SetTimes(file, 0, 0, ATIM_AND_MTIM_NOW),
            poll(file, None),
            Op::Filestat(file, op::OUT),
        ],
        vec![
            Op::Renumber(stdin[0], stdin[1]),
            poll(op::PREOPEN, Some((stdin[1], false))),
        ],
        vec![
            Op::Open {
                dir: op::PREOPEN,
                path: op::path("dir"),
                follow: true,
                how: 0,
                rights: op::Rights {
                    base: 0,
                    inheriting: 0,
                },
                flags: 0,
                out: op::OUT,
            },
            Op::Unlink {
                dir: op::PREOPEN,
                path: op::path("dir/inner"),
            },
            Op::Rmdir {
                dir: op::PREOPEN,
                path: op::path("dir"),
            },
            Op::List(op::Fd::Open(2), op::OUT),
        ],
    ] {
        for shared in [false, true] {
            let mut twins = Twins::new(Manner {
                asynchronous: false,
                shared,
            });
            for op in &ops {
                assert_eq!(twins.run(op), Ok(()), "{op:?}");
            }
        }
    }
}

/// Each known difference, and that it still is one. (Most are about what both ask of Unix. On
/// Windows both ask wasmtime-wasi.)
#[test]
#[cfg(unix)]
fn every_known_difference_is_met() {
    use op::{Fd, PREOPEN, path};
    let open = |name, how, follow| Op::Open {
        dir: PREOPEN,
        path: path(name),
        follow,
        how,
        rights: op::Rights {
            base: 1 << 1,
            inheriting: 0,
        },
        flags: 0,
        out: op::OUT,
    };
    let [unlink, rmdir] = [
        |name| Op::Unlink {
            dir: PREOPEN,
            path: path(name),
        },
        |name| Op::Rmdir {
            dir: PREOPEN,
            path: path(name),
        },
    ];
    let symlink = |target, name| Op::Symlink {
        target: path(target),
        dir: PREOPEN,
        path: path(name),
    };
    let link = |old, new| Op::Link {
        dir: PREOPEN,
        old: path(old),
        to: PREOPEN,
        new: path(new),
        follow: false,
    };
    let io = op::Io {
        buf: op::Buf { at: 0x6000, len: 8 },
        list: op::LIST,
        out: op::OUT,
    };
    let poll = Op::PollFd {
        fd: PREOPEN,
        write: false,
        and: None,
    };
    let (file, standard) = (Fd::Open(2), Fd::Stdio(1));
    let below_file = Op::Mkdir {
        dir: file,
        path: path("new"),
    };
    let sequences = [
        vec![open("file", 0, true), below_file, Op::List(file, op::OUT)],
        vec![Op::Read(PREOPEN, io), Op::Pread(PREOPEN, io, 0), poll],
        vec![Op::Sync(PREOPEN), Op::Sync(standard)],
        vec![Op::SetSize(PREOPEN, 0), Op::Advise(standard, 0, 0, 0)],
        vec![rmdir("dir/.."), open("link", 2, false)],
        vec![unlink("dir/"), unlink("file/"), symlink("file", "dir/")],
        vec![
            symlink("file", "file/"),
            link("file", "dir/"),
            link("file", "file/"),
        ],
    ];
    // And with a link in place of the directory.
    let links = ["file", "new", "loop", "out", ".", ".."].map(|target| {
        let mut ops = vec![unlink("dir/inner"), rmdir("dir"), symlink(target, "dir")];
        ops.extend([
            symlink("file", "dir/"),
            link("file", "dir/"),
            unlink("dir/"),
        ]);
        ops
    });
    for ops in sequences.into_iter().chain(links) {
        let mut twins = Twins::new(Manner {
            asynchronous: false,
            shared: false,
        });
        for op in &ops {
            assert_eq!(twins.run(op), Ok(()), "{op:?}");
        }
        assert_eq!(twins.compare_files(), Ok(()), "{ops:?}");
    }
    known::check_met();
}

/// The comparison itself must be able to fail.
#[test]
fn a_difference_is_found() {
    let mut twins = Twins::new(Manner {
        asynchronous: false,
        shared: false,
    });
    assert_eq!(
        twins.run(&Op::Unlink {
            dir: op::PREOPEN,
            path: op::path("file")
        }),
        Ok(())
    );
    twins.ours.spoil();
    let stat = Op::PathStat {
        dir: op::PREOPEN,
        path: op::path("other"),
        follow: false,
        out: op::OUT,
    };
    assert!(twins.run(&stat).is_err());
    assert!(twins.compare_files().is_err());
}
