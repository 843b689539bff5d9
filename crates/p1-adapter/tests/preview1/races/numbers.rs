//! Numbers are lowest-first and given out once. Closing and renumbering do not fail a call, and do
//! not give it another file.

use super::calls::{Calls, Corner, GivesOutTwice, LooksTwice, Ours, SecondLowest};
use super::waits::{blocked, stream};
use super::{CROWDS, Check, rounds, threads};
use crate::guest::*;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use wasmtime::Val;

/// All threads open at once, every other closes, and those open once more.
fn the_lowest_are_given_out(calls: &dyn Calls, n: u32) -> Check {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"").unwrap();
    let guest = Guest::shared(&ctx_with(dir.path()));
    let lowest: BTreeSet<i32> = (DIR + 1..=DIR + n as i32).collect();
    let all_closed = Barrier::new(n as usize);
    let numbers = threads(&guest, n, |i, guest| {
        let at = Corner::of(i);
        let first = calls.open(guest, at, "f").unwrap();
        all_closed.wait();
        // A number given out twice can be closed once.
        let closed = i % 2 == 0 && guest.close(first) == OK;
        all_closed.wait();
        let second = if closed {
            at.open(guest, "f", 0, READ, 0).unwrap()
        } else {
            first
        };
        (first, second)
    });
    for (when, numbers) in [
        ("at first", numbers.iter().map(|n| n.0).collect::<Vec<_>>()),
        ("again", numbers.iter().map(|n| n.1).collect()),
    ] {
        let set: BTreeSet<i32> = numbers.iter().copied().collect();
        if set != lowest || set.len() != numbers.len() {
            return Err(format!("{when}: {numbers:?}, not {lowest:?}"));
        }
    }
    Ok(())
}

#[test]
fn numbers_are_the_lowest() {
    for n in CROWDS {
        for _ in 0..rounds(10) {
            the_lowest_are_given_out(&Ours, n).unwrap();
        }
        let broken = SecondLowest(Barrier::new(n as usize));
        the_lowest_are_given_out(&broken, n).unwrap_err();
    }
}

fn each_is_given_out_once(calls: &dyn Calls, n: u32, each: u32) -> Check {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"").unwrap();
    let guest = Guest::shared(&ctx_with(dir.path()));
    let opened = threads(&guest, n, |i, guest| {
        let mut mine = BTreeSet::new();
        for round in 0..each {
            let fd = calls.open(guest, Corner::of(i), "f").unwrap();
            if !mine.insert(fd) {
                return Err(format!("{fd} was given out while it was open"));
            }
            // Some stay open, as long as that is bearable.
            if round % 3 == 1 || mine.len() > 100 {
                assert_eq!(guest.close(fd), OK);
                mine.remove(&fd);
            }
        }
        Ok(mine)
    });
    let opened = opened.into_iter().collect::<Result<Vec<_>, _>>()?;
    let count: usize = opened.iter().map(BTreeSet::len).sum();
    let all: BTreeSet<i32> = opened.into_iter().flatten().collect();
    if all.len() == count {
        Ok(())
    } else {
        Err("two threads have one number".to_owned())
    }
}

#[test]
fn numbers_are_given_out_once() {
    for n in CROWDS {
        each_is_given_out_once(&Ours, n, rounds(100)).unwrap();
        // The second call gets what the first has got and not closed.
        let broken = GivesOutTwice(Mutex::new(None));
        each_is_given_out_once(&broken, n, 1).unwrap_err();
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Close,
    Renumber,
}

/// Threads are inside a read of a pipe when its number comes to mean a file.
fn a_call_keeps_its_descriptor(calls: &dyn Calls, n: u32, change: Change) -> Check {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"stranger's bytes").unwrap();
    let ctx = ctx_with(dir.path());
    let (fd, mut writer) = stream(&ctx);
    let mut guest = Guest::shared(&ctx);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (1..n)
            .map(|i| {
                let mut guest = guest.thread();
                blocked(scope, move || calls.read(&mut guest, Corner::of(i), fd, 1))
            })
            .collect();
        let mut open = |expected| {
            let opened = guest.open("f", 0, READ, 0).unwrap();
            assert_eq!(opened, expected);
        };
        match change {
            Change::Renumber => {
                open(fd + 1);
                let numbers = [Val::I32(fd + 1), Val::I32(fd)];
                assert_eq!(guest.call("fd_renumber", &numbers), OK);
            }
            Change::Close => {
                assert_eq!(guest.close(fd), OK);
                let opened = guest.open("f", 0, READ, 0).unwrap();
                assert_eq!(opened, fd, "the lowest number is the one just closed");
            }
        }
        writer.write_all(&vec![b'p'; n as usize - 1]).unwrap();
        // A thread that looks for the pipe by its number reaches the end of the file at last, so
        // all threads come back.
        let got: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        match got.iter().find(|read| **read != Ok(b"p".to_vec())) {
            None => Ok(()),
            Some(wrong) => Err(format!("{change:?}: a read of the pipe got {wrong:?}")),
        }
    })
}

#[test]
fn a_call_keeps_the_descriptor_it_found() {
    for n in CROWDS {
        for change in [Change::Close, Change::Renumber] {
            for _ in 0..rounds(3) {
                a_call_keeps_its_descriptor(&Ours, n, change).unwrap();
            }
            a_call_keeps_its_descriptor(&LooksTwice, n, change).unwrap_err();
        }
    }
}

/// How many reads there have been; one that fails counts for many.
struct Reads(AtomicU64);

impl Reads {
    const MANY: u64 = 1 << 32;

    /// Waits until one of `n` threads has begun a read since now and ended it, or has failed and
    /// reads no more.
    fn one_more(&self, n: u32) {
        let count = || self.0.load(Ordering::SeqCst);
        let enough = (count() + u64::from(n)).min(Self::MANY);
        while count() < enough {
            std::thread::yield_now();
        }
    }
}

/// Runs `change` on one of `n` threads while the others read number `fd`, whose file has its name
/// as its only contents. Returns how many reads found something and how many did not.
fn while_in_use(
    n: u32,
    names: &[&str],
    change: impl Fn(&mut Guest, i32, &Reads) -> Check,
) -> Result<(u64, u64), String> {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(dir.path().join(name), name.as_bytes()).unwrap();
    }
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let fd = guest.open(names[0], 0, READ, 0).unwrap();
    let done = AtomicBool::new(false);
    let reads = Reads(AtomicU64::new(0));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (1..n)
            .map(|i| {
                let mut guest = guest.thread();
                let (done, reads) = (&done, &reads.0);
                scope.spawn(move || {
                    let (mut found, mut missed) = (0u64, 0u64);
                    while !done.load(Ordering::Relaxed) || found == 0 {
                        match Corner::of(i).pread(&mut guest, fd, 16, 0) {
                            Ok(bytes) if names.iter().any(|name| name.as_bytes() == bytes) => {
                                found += 1;
                            }
                            Err(BADF) => missed += 1,
                            other => {
                                reads.fetch_add(Reads::MANY, Ordering::SeqCst);
                                return Err(format!("a stranger's bytes, or an errno: {other:?}"));
                            }
                        }
                        reads.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok((found, missed))
                })
            })
            .collect();
        let mut changer = guest.thread();
        let changed = change(&mut changer, fd, &reads);
        done.store(true, Ordering::Relaxed);
        let mut all = (0, 0);
        for reader in readers {
            let (found, missed) = reader.join().unwrap()?;
            all = (all.0 + found, all.1 + missed);
        }
        changed.map(|()| all)
    })
}

#[test]
fn closing_and_reopening_under_readers() {
    for n in CROWDS {
        let (found, _) = while_in_use(n, &["mine-a", "mine-b"], |guest, fd, _| {
            for round in 0..rounds(1000) as usize {
                assert_eq!(guest.close(fd), OK);
                let opened = guest.open(["mine-a", "mine-b"][round % 2], 0, READ, 0);
                assert_eq!(opened, Ok(fd));
            }
            Ok(())
        })
        .unwrap();
        assert!(found > 0);
        // A stranger's file under the number.
        while_in_use(n, &["mine-a"], |guest, fd, reads| {
            let other = guest.open("stranger", CREAT, READ | WRITE, 0).unwrap();
            guest.put(other, b"stranger").unwrap();
            let numbers = [Val::I32(other), Val::I32(fd)];
            assert_eq!(guest.call("fd_renumber", &numbers), OK);
            reads.one_more(n);
            Ok(())
        })
        .unwrap_err();
    }
}

#[test]
fn a_number_that_is_renumbered_is_never_free() {
    for n in CROWDS {
        let (_, missed) = while_in_use(n, &["one", "two"], |guest, fd, _| {
            for round in 0..rounds(1000) as usize {
                let other = guest.open(["one", "two"][round % 2], 0, READ, 0).unwrap();
                assert_ne!(other, fd);
                let numbers = [Val::I32(other), Val::I32(fd)];
                assert_eq!(guest.call("fd_renumber", &numbers), OK);
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(
            missed, 0,
            "calls found nothing at a number that is never free"
        );
        // As if by close, then open: others find nothing in between.
        let (_, missed) = while_in_use(n, &["one", "two"], |guest, fd, reads| {
            assert_eq!(guest.close(fd), OK);
            reads.one_more(n);
            assert_eq!(guest.open("two", 0, READ, 0), Ok(fd));
            Ok(())
        })
        .unwrap();
        assert!(missed > 0);
    }
}
