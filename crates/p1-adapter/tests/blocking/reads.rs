//! Several threads reading one stream.

use crate::subject::{NeverAgain, OneLock, Ours, ReadsAhead, Subject, subject};
use crate::support::{
    CROWDS, Check, IMPATIENCE, PATIENCE, blocked, eventually, pipe, ptys, rounds, sockets, soon,
    within,
};
use p1_adapter::fd::{AsFd, OwnedFd};
use p1_adapter::test_hooks::{BlockingError, Deadline, Direction, EndSignal};
use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::Duration;

/// Readers share what one writer sends: nothing twice, nothing lost, and nothing hoarded by a
/// reader that has gone.
#[test]
fn readers_get_disjoint_bytes() {
    /// `first` of the `records` are there before any thread reads.
    fn check<S: Subject>(
        (read, write): (OwnedFd, OwnedFd),
        readers: u64,
        (first, records): (u64, u64),
        patience: Duration,
    ) -> Check {
        let end = EndSignal::new();
        for record in 0..first {
            crate::sys::write(&write, &record.to_le_bytes()).unwrap();
        }
        let count = readers;
        // Each reader has its own view of the one inherited description.
        let readers: Vec<_> = (0..readers)
            .map(|_| {
                let stream = S::new(read.as_fd());
                let end = end.clone();
                thread::spawn(move || {
                    let mut seen = Vec::new();
                    for _ in 0..records / count {
                        let mut record = [0; 8];
                        match stream.read(&mut record, false, &end) {
                            Ok(8) => seen.push(u64::from_le_bytes(record)),
                            other => panic!("{other:?}"),
                        }
                    }
                    seen
                })
            })
            .collect();
        let (done, finished) = std::sync::mpsc::channel();
        let collector = thread::spawn(move || {
            let mut all = BTreeSet::new();
            let mut problem = None;
            for reader in readers {
                match reader.join() {
                    Ok(seen) => {
                        for record in seen {
                            if !all.insert(record) {
                                problem = Some(format!("{record} came twice"));
                            }
                        }
                    }
                    Err(_) => problem = Some("a reader got nothing".to_owned()),
                }
            }
            let _ = done.send(());
            problem.map_or(Ok(all.len() as u64), Err)
        });
        for record in first..records {
            crate::sys::write(&write, &record.to_le_bytes()).unwrap();
        }
        // Readers that others took bytes from never finish: release them.
        let _ = finished.recv_timeout(patience);
        end.raise();
        drop(write);
        match collector.join().unwrap() {
            Ok(count) if count == records => Ok(()),
            Ok(count) => Err(format!("{count} of {records} records")),
            Err(problem) => Err(problem),
        }
    }
    for n in CROWDS {
        let n = n as u64;
        let some = (0, n * rounds(1000));
        soon(move || check::<Ours>(pipe(), n, some, PATIENCE)).unwrap();
        soon(move || check::<Ours>(sockets(), n, some, PATIENCE)).unwrap();
        // Bytes are there before any thread reads, so reading ahead certainly takes too many.
        let all = (800, 800);
        soon(move || check::<Ours>(pipe(), n, all, PATIENCE)).unwrap();
        soon(move || check::<ReadsAhead>(pipe(), n, all, IMPATIENCE)).unwrap_err();
    }
}

/// While one thread is blocked in a read, others poll the same stream.
#[test]
fn a_blocked_read_does_not_delay_a_poll() {
    fn check<S: Subject>((fd, peer): (OwnedFd, OwnedFd), n: usize, patience: Duration) -> Check {
        let stream = subject::<S>(&fd);
        let end = EndSignal::new();
        let reader = {
            let (stream, end) = (stream.clone(), end.clone());
            blocked(move || stream.read(&mut [0; 1], false, &end))
        };
        let pollers: Vec<_> = (1..n)
            .map(|_| {
                let (stream, end) = (stream.clone(), end.clone());
                thread::spawn(move || {
                    stream.poll(Direction::Read, Deadline::after_nanos(1_000_000), &end)
                })
            })
            .collect();
        let in_time = within(patience, || pollers.iter().all(|p| p.is_finished()));
        end.raise();
        drop(peer);
        let _ = reader.join().unwrap();
        let found: Vec<_> = pollers.into_iter().map(|p| p.join().unwrap()).collect();
        match in_time && found.iter().all(|found| matches!(found, Ok(0))) {
            true => Ok(()),
            false => Err(format!("in time: {in_time}, found {found:?}")),
        }
    }
    for n in CROWDS {
        for _ in 0..rounds(1) {
            for_each_pair(move |pair| check::<Ours>(pair, n, PATIENCE)).unwrap();
        }
        for_each_pair(move |pair| check::<OneLock>(pair, n, IMPATIENCE)).unwrap_err();
    }
}

fn for_each_pair(check: impl Fn((OwnedFd, OwnedFd)) -> Check + Send + 'static) -> Check {
    soon(move || {
        check(pipe())?;
        check(sockets())?;
        if let Some((master, terminal)) = ptys() {
            check((terminal, master))?;
        }
        // Polls first: its read lock is not held while it waits.
        ptys().map_or(Ok(()), &check)
    })
}

/// Data for a blocked reader arrives whichever kind of stream it is, and the end is the end.
#[test]
fn a_blocked_read_gets_what_arrives_and_then_the_end() {
    fn check((read, write): (OwnedFd, OwnedFd)) -> Check {
        let stream = subject::<Ours>(&read);
        let end = EndSignal::new();
        let reader = blocked(move || {
            let mut buffer = [0; 64];
            let count = stream.read(&mut buffer, false, &end).unwrap();
            (buffer[..count].to_vec(), stream, end)
        });
        assert!(!reader.is_finished());
        crate::sys::write(&write, b"hello\n").unwrap();
        assert!(eventually(|| reader.is_finished()));
        let (mut got, stream, end) = reader.join().unwrap();
        assert!(!got.is_empty());
        // A terminal's line end is passed on by itself, so it may come later.
        while !got.ends_with(b"\n") {
            let mut buffer = [0; 64];
            let count = stream.read(&mut buffer, false, &end).unwrap();
            got.extend_from_slice(&buffer[..count]);
        }
        // A pty's master sees the line end as carriage return and line feed.
        assert!(matches!(&got[..], b"hello\n" | b"hello\r\n"), "{got:?}");
        drop(write);
        match stream.read(&mut [0; 8], false, &end) {
            Ok(0) => Ok(()),
            // What Linux says on a pty whose other side has gone.
            Err(BlockingError::Io(error)) if error.raw_os_error() == Some(5) => Ok(()),
            other => Err(format!("after the end: {other:?}")),
        }
    }
    for _ in 0..rounds(1) {
        for_each_pair(check).unwrap();
    }
}

#[test]
fn a_guest_that_asked_not_to_wait_does_not() {
    fn check<S: Subject>(patience: Duration) -> Check {
        let mut pairs = vec![pipe(), sockets()];
        pairs.extend(ptys().map(|(master, terminal)| (terminal, master)));
        pairs.extend(ptys());
        for (fd, peer) in pairs {
            let stream = subject::<S>(&fd);
            let end = EndSignal::new();
            let reader = {
                let (stream, end) = (stream.clone(), end.clone());
                thread::spawn(move || stream.read(&mut [0; 8], true, &end))
            };
            let in_time = within(patience, || reader.is_finished());
            end.raise();
            drop(peer);
            match (in_time, reader.join().unwrap()) {
                (true, Err(BlockingError::Io(e))) if e.kind() == io::ErrorKind::WouldBlock => {}
                (_, outcome) => return Err(format!("{outcome:?}")),
            }
        }
        Ok(())
    }
    soon(|| (0..rounds(1)).try_for_each(|_| check::<Ours>(PATIENCE))).unwrap();
    soon(|| check::<NeverAgain>(IMPATIENCE)).unwrap_err();
}
