//! One call of `fd_write` is one write, appending never overwrites, and readers of one descriptor
//! share what there is.

use super::calls::{
    Calls, Corner, GivesOutTwice, InPieces, LoadsAndStores, Ours, Remembers, SeeksTheEnd,
};
use super::{CROWDS, Check, rounds, threads};
use crate::guest::*;
use std::fs;
use std::sync::{Barrier, Mutex};

/// Whether every record of every thread is in `text`, whole and in the order of its thread.
fn all_there(text: &str, writers: u32, each: u32) -> Check {
    let mut next = vec![0; writers as usize];
    for line in text.lines() {
        let torn = || format!("torn: {line:?}");
        let [writer, n, tail] = line.split(':').collect::<Vec<_>>()[..] else {
            return Err(torn());
        };
        let writer: usize = writer.parse().map_err(|_| torn())?;
        let n: u32 = n.parse().map_err(|_| torn())?;
        let next = next.get_mut(writer).ok_or_else(torn)?;
        if n != *next || tail != "x".repeat((n % 50) as usize) {
            return Err(format!("lost, torn or out of order: {line:?}, not {next}"));
        }
        *next += 1;
    }
    match next.iter().position(|n| *n != each) {
        None => Ok(()),
        Some(writer) => Err(format!("records of {writer} are lost")),
    }
}

fn record(writer: u32, n: u32) -> String {
    // Of several lengths, so that a torn or lost one shows.
    format!("{writer}:{n}:{}\n", "x".repeat((n % 50) as usize))
}

fn records_stay_whole(calls: &dyn Calls, writers: u32, each: u32) -> Check {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let fd = guest.open("log", CREAT, WRITE, 0).unwrap();
    threads(&guest, writers, |i, guest| {
        for n in 0..each {
            let record = record(i, n);
            let count = calls.write(guest, Corner::of(i), fd, record.as_bytes());
            assert_eq!(count, Ok(record.len() as u32));
        }
    });
    all_there(
        &fs::read_to_string(dir.path().join("log")).unwrap(),
        writers,
        each,
    )
}

#[test]
fn one_write_is_one_write() {
    for n in CROWDS {
        records_stay_whole(&Ours, n, rounds(100)).unwrap();
        let barrier = || Barrier::new(n as usize);
        records_stay_whole(&InPieces(barrier()), n, 3).unwrap_err();
        records_stay_whole(&LoadsAndStores(barrier()), n, 3).unwrap_err();
    }
}

fn appending_overwrites_nothing(calls: &dyn Calls, writers: u32, each: u32, one: bool) -> Check {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let mut open = || {
        guest
            .open("log", CREAT, READ | WRITE, calls.append_flag())
            .unwrap()
    };
    let fds: Vec<i32> = match (one, open()) {
        (true, fd) => vec![fd; writers as usize],
        (false, _) => (0..writers).map(|_| open()).collect(),
    };
    threads(&guest, writers, |i, guest| {
        for n in 0..each {
            let record = record(i, n);
            let count = calls.append(guest, Corner::of(i), fds[i as usize], record.as_bytes());
            assert_eq!(count, Ok(record.len() as u32));
        }
    });
    all_there(
        &fs::read_to_string(dir.path().join("log")).unwrap(),
        writers,
        each,
    )
}

#[test]
fn appending_never_overwrites() {
    for n in CROWDS {
        for one in [true, false] {
            appending_overwrites_nothing(&Ours, n, rounds(100), one).unwrap();
            let broken = SeeksTheEnd(Barrier::new(n as usize));
            appending_overwrites_nothing(&broken, n, 3, one).unwrap_err();
        }
    }
}

fn bytes_are_disjoint(calls: &dyn Calls, readers: u32, each: u32) -> Check {
    let count = readers * each * 4;
    let dir = tempfile::tempdir().unwrap();
    let numbers: Vec<u8> = (0..count).flat_map(u32::to_le_bytes).collect();
    fs::write(dir.path().join("n"), &numbers).unwrap();
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let fd = guest.open("n", 0, READ, 0).unwrap();
    let seen = threads(&guest, readers, |i, guest| {
        let mut seen = Vec::new();
        for _ in 0..each {
            let bytes = calls.read(guest, Corner::of(i), fd, 16).unwrap();
            let numbers = bytes.chunks(4);
            seen.extend(numbers.map(|b| u32::from_le_bytes(b.try_into().unwrap())));
        }
        seen
    });
    let mut all: Vec<u32> = seen.into_iter().flatten().collect();
    all.sort_unstable();
    if all.iter().copied().eq(0..count) {
        Ok(())
    } else {
        Err("a number was read twice or not at all".to_owned())
    }
}

#[test]
fn readers_of_one_descriptor_get_disjoint_bytes() {
    for n in CROWDS {
        bytes_are_disjoint(&Ours, n, rounds(300)).unwrap();
        let broken = LoadsAndStores(Barrier::new(n as usize));
        bytes_are_disjoint(&broken, n, 3).unwrap_err();
    }
}

fn positions_are_of_now(calls: &dyn Calls, readers: u32, each: u32) -> Check {
    let dir = tempfile::tempdir().unwrap();
    let len = u64::from(readers * each * 4);
    fs::write(dir.path().join("n"), vec![0; len as usize]).unwrap();
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let fd = guest.open("n", 0, READ, 0).unwrap();
    let told = threads(&guest, readers, |i, guest| {
        let at = Corner::of(i);
        let mut last = 0;
        for n in 1..=u64::from(each) {
            calls.read(guest, at, fd, 4).unwrap();
            // Twice: the second may be remembered.
            for _ in 0..2 {
                let told = calls.tell(guest, at, fd);
                if told < last || told < 4 * n || told > len {
                    return Err(format!("told {told} after {last} and {n} reads of 4"));
                }
                last = told;
            }
        }
        Ok(())
    });
    told.into_iter().collect::<Check>()?;
    let told = calls.tell(&mut guest, Corner::of(0), fd);
    if told == len {
        Ok(())
    } else {
        Err(format!("told {told} at the end of {len}"))
    }
}

#[test]
fn a_position_told_is_never_of_before() {
    for n in CROWDS {
        positions_are_of_now(&Ours, n, rounds(300)).unwrap();
        positions_are_of_now(&Remembers::default(), n, 3).unwrap_err();
    }
}

fn files_do_not_mix(calls: &dyn Calls, n: u32, each: u32) -> Check {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::shared(&ctx_with(dir.path()));
    let seen = threads(&guest, n, |i, guest| {
        let corner = Corner::of(i);
        for n in 0..each {
            let path = format!("file-{i}-{n}");
            let fd = calls.create(guest, corner, &path)?;
            corner.write(guest, fd, path.as_bytes())?;
            let text = corner.pread(guest, fd, 64, 0)?;
            if text != path.as_bytes() || guest.close(fd) != OK {
                return Ok::<_, i32>(Some(path));
            }
        }
        Ok(None)
    });
    match seen.iter().find(|seen| **seen != Ok(None)) {
        None => {}
        Some(wrong) => return Err(format!("not whose it should be, or an errno: {wrong:?}")),
    }
    let mut count = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        if entry.file_name().to_str() != Some(&text) {
            return Err(format!("{entry:?} holds {text}"));
        }
        count += 1;
    }
    match count == n * each {
        true => Ok(()),
        false => Err(format!("{count} files")),
    }
}

#[test]
fn files_of_many_threads_do_not_mix() {
    for n in CROWDS {
        files_do_not_mix(&Ours, n, rounds(100)).unwrap();
        files_do_not_mix(&GivesOutTwice(Mutex::new(None)), n, 1).unwrap_err();
    }
}
