//! Several threads on one descriptor, one number, one file.

use crate::guest::*;
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasmtime::Val;

fn threads<R: Send>(first: &Guest, n: u32, run: impl Fn(u32, &mut Guest) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..n)
            .map(|i| {
                let mut guest = first.thread();
                scope.spawn(move || run(i, &mut guest))
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// Each thread has its own corner of the memory: the helpers' fixed places would collide.
struct Corner(u32);

impl Corner {
    const SIZE: u32 = 0x2000;

    fn of(thread: u32) -> Self {
        Self(DATA + thread * Self::SIZE)
    }

    fn args(&self, guest: &mut Guest, fd: i32, len: u32) -> [Val; 4] {
        guest.write(self.0, &(self.0 + 64).to_le_bytes());
        guest.write(self.0 + 4, &len.to_le_bytes());
        [
            Val::I32(fd),
            Val::I32(self.0 as i32),
            Val::I32(1),
            Val::I32(self.0 as i32 + 16),
        ]
    }

    fn write(&self, guest: &mut Guest, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        guest.write(self.0 + 64, bytes);
        let args = self.args(guest, fd, bytes.len() as u32);
        match guest.call("fd_write", &args) {
            OK => Ok(guest.u32(self.0 + 16)),
            errno => Err(errno),
        }
    }

    fn read(&self, guest: &mut Guest, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        let args = self.args(guest, fd, len);
        match guest.call("fd_read", &args) {
            OK => Ok(guest.read(self.0 + 64, guest.u32(self.0 + 16))),
            errno => Err(errno),
        }
    }
}

#[test]
fn readers_of_one_descriptor_get_disjoint_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let numbers: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(dir.path().join("n"), &numbers).unwrap();
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let fd = guest.open("n", 0, READ, 0).unwrap();
    let seen = threads(&guest, 8, |i, guest| {
        let mut seen = Vec::new();
        loop {
            let bytes = Corner::of(i).read(guest, fd, 16).unwrap();
            if bytes.is_empty() {
                return seen;
            }
            assert_eq!(bytes.len(), 16);
            seen.extend(
                bytes
                    .chunks(4)
                    .map(|b| u32::from_le_bytes(b.try_into().unwrap())),
            );
        }
    });
    let mut all: Vec<u32> = seen.into_iter().flatten().collect();
    all.sort_unstable();
    assert!(
        all.iter().copied().eq(0..20_000),
        "a number was read twice or not at all"
    );
}

fn records_of_many(flags: i32, one_descriptor: bool) {
    const EACH: u32 = 1000;
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let shared = guest.open("log", CREAT, WRITE, flags).unwrap();
    let own: Vec<i32> = (0..8)
        .map(|_| guest.open("log", CREAT, WRITE, flags).unwrap())
        .collect();
    threads(&guest, 8, |i, guest| {
        let fd = if one_descriptor {
            shared
        } else {
            own[i as usize]
        };
        for n in 0..EACH {
            // Of several lengths, so that a torn or lost one shows.
            let record = format!("{i}:{n}:{}\n", "x".repeat((n % 50) as usize));
            assert_eq!(
                Corner::of(i).write(guest, fd, record.as_bytes()),
                Ok(record.len() as u32)
            );
        }
    });
    let text = fs::read_to_string(dir.path().join("log")).unwrap();
    let mut next = [0; 8];
    for line in text.lines() {
        let [thread, n, tail] = line.split(':').collect::<Vec<_>>()[..] else {
            panic!("torn: {line:?}")
        };
        let (thread, n): (usize, u32) = (thread.parse().unwrap(), n.parse().unwrap());
        assert_eq!(n, next[thread], "lost or out of order");
        assert_eq!(tail.len(), (n % 50) as usize);
        next[thread] += 1;
    }
    assert_eq!(next, [EACH; 8]);
}

#[test]
fn appending_through_own_descriptors_loses_nothing() {
    records_of_many(APPEND, false);
}

#[test]
fn appending_through_one_descriptor_loses_nothing() {
    records_of_many(APPEND, true);
}

#[test]
fn writing_at_one_cursor_loses_nothing() {
    records_of_many(0, true);
}

/// Runs `change` on one thread while others use number `fd`, whose file has its name as its only contents.
fn while_in_use(
    change: impl Fn(&mut Guest, i32, &AtomicBool) + Sync,
    fd_files: &[&str],
    may_be_closed: bool,
) {
    let dir = tempfile::tempdir().unwrap();
    for name in fd_files {
        fs::write(dir.path().join(name), name.as_bytes()).unwrap();
    }
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let fd = guest.open(fd_files[0], 0, READ, 0).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3u32)
            .map(|i| {
                let mut guest = guest.thread();
                let done = &done;
                scope.spawn(move || {
                    let corner = Corner::of(i + 1);
                    let (mut found, mut missed) = (0u64, 0u64);
                    while !done.load(Ordering::Relaxed) {
                        let [a, b, c, d] = corner.args(&mut guest, fd, 16);
                        match guest.call("fd_pread", &[a, b, c, Val::I64(0), d]) {
                            OK => {
                                let bytes = guest.read(corner.0 + 64, guest.u32(corner.0 + 16));
                                let text = String::from_utf8(bytes).unwrap();
                                assert!(fd_files.contains(&&*text), "a stranger's file: {text:?}");
                                found += 1;
                            }
                            BADF => missed += 1,
                            errno => panic!("errno {errno}"),
                        }
                    }
                    (found, missed)
                })
            })
            .collect();
        let mut changer = guest.thread();
        change(&mut changer, fd, &done);
        done.store(true, Ordering::Relaxed);
        let (found, missed) = readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        assert!(found > 0);
        assert!(
            may_be_closed || missed == 0,
            "{missed} calls found nothing at a number that is never free"
        );
    });
}

#[test]
fn closing_and_reopening_under_readers() {
    // Numbers above the one in use belong to a file that readers must never see through it.
    while_in_use(
        |guest, fd, _| {
            let stop = Instant::now() + Duration::from_secs(2);
            let mut rounds = 0;
            while rounds < 2000 || Instant::now() < stop && rounds < 20_000 {
                assert_eq!(guest.close(fd), OK);
                assert_eq!(
                    guest.open(["mine-a", "mine-b"][rounds % 2], 0, READ, 0),
                    Ok(fd)
                );
                rounds += 1;
            }
        },
        &["mine-a", "mine-b"],
        true,
    );
}

#[test]
fn a_number_that_is_renumbered_is_never_free() {
    while_in_use(
        |guest, fd, _| {
            for round in 0..3000 {
                let other = guest.open(["one", "two"][round % 2], 0, READ, 0).unwrap();
                assert_ne!(other, fd);
                assert_eq!(
                    guest.call("fd_renumber", &[Val::I32(other), Val::I32(fd)]),
                    OK
                );
            }
        },
        &["one", "two"],
        false,
    );
}

#[test]
fn numbers_are_given_out_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"").unwrap();
    let guest = Guest::shared(&ctx_with(dir.path()));
    let paths: Vec<u32> = (0..8).map(|i| Corner::of(i).0).collect();
    let opened = threads(&guest, 8, |i, guest| {
        let at = paths[i as usize];
        guest.write(at, b"f");
        let mut mine = BTreeSet::new();
        for round in 0..200u32 {
            let out = at + 8;
            let args = [
                Val::I32(DIR),
                Val::I32(0),
                Val::I32(at as i32),
                Val::I32(1),
                Val::I32(0),
                Val::I64(READ),
                Val::I64(0),
                Val::I32(0),
                Val::I32(out as i32),
            ];
            assert_eq!(guest.call("path_open", &args), OK);
            let fd = guest.u32(out);
            assert!(mine.insert(fd), "given out while it was open");
            if round % 3 == 0 {
                assert_eq!(guest.close(fd as i32), OK);
                mine.remove(&fd);
            }
        }
        mine
    });
    let count: usize = opened.iter().map(BTreeSet::len).sum();
    let all: BTreeSet<u32> = opened.into_iter().flatten().collect();
    assert_eq!(all.len(), count, "two threads have one number");
}

#[test]
fn files_of_many_threads_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::shared(&ctx_with(dir.path()));
    threads(&guest, 8, |i, guest| {
        let corner = Corner::of(i);
        let name = corner.0 + 0x1800;
        let out = corner.0 + 0x1900;
        for n in 0..100u32 {
            let path = format!("file-{i}-{n}");
            guest.write(name, path.as_bytes());
            let args = [
                Val::I32(DIR),
                Val::I32(0),
                Val::I32(name as i32),
                Val::I32(path.len() as i32),
                Val::I32(CREAT | EXCL),
                Val::I64(READ | WRITE),
                Val::I64(0),
                Val::I32(0),
                Val::I32(out as i32),
            ];
            assert_eq!(guest.call("path_open", &args), OK);
            let fd = guest.u32(out) as i32;
            assert_eq!(
                corner.write(guest, fd, path.as_bytes()),
                Ok(path.len() as u32)
            );
            let seek = [Val::I32(fd), Val::I64(0), Val::I32(0), Val::I32(out as i32)];
            assert_eq!(guest.call("fd_seek", &seek), OK);
            assert_eq!(corner.read(guest, fd, 64).unwrap(), path.as_bytes());
            assert_eq!(guest.close(fd), OK);
        }
    });
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            fs::read_to_string(entry.path()).unwrap(),
            entry.file_name().to_str().unwrap()
        );
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 800);
}
