//! Several threads reading one stream.

use crate::subject::{NeverAgain, OneLock, Ours, ReadsAhead, Subject, subject};
use crate::support::{Check, PATIENCE, SETTLE, eventually, pipe, pty, rounds, sockets, soon};
use p1_adapter::blocking::{BlockingError, Deadline, Direction, EndSignal};
use rustix::fd::OwnedFd;
use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::Instant;

/// Eight readers share what one writer sends: nothing twice, nothing lost, and nothing hoarded by a
/// reader that has gone.
#[test]
fn readers_get_disjoint_bytes() {
    /// `first` of the `records` are there before anyone reads.
    fn check<S: Subject>(read: OwnedFd, write: OwnedFd, first: u64, records: u64) -> Check {
        let end = EndSignal::new().unwrap();
        for record in 0..first {
            rustix::io::write(&write, &record.to_le_bytes()).unwrap();
        }
        // Each reader has its own view of the one inherited description.
        let readers: Vec<_> = (0..8)
            .map(|_| {
                let stream = S::new(std::os::fd::AsFd::as_fd(&read));
                let end = end.clone();
                thread::spawn(move || {
                    let mut seen = Vec::new();
                    for _ in 0..records / 8 {
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
            rustix::io::write(&write, &record.to_le_bytes()).unwrap();
        }
        // Readers that others took bytes from never finish: release them.
        let _ = finished.recv_timeout(std::time::Duration::from_secs(2));
        end.raise();
        drop(write);
        match collector.join().unwrap() {
            Ok(count) if count == records => Ok(()),
            Ok(count) => Err(format!("{count} of {records} records")),
            Err(problem) => Err(problem),
        }
    }
    soon(|| {
        let (read, write) = pipe();
        check::<Ours>(read, write, 0, 20_000)
    })
    .unwrap();
    soon(|| {
        let (a, b) = sockets();
        check::<Ours>(a, b, 0, 20_000)
    })
    .unwrap();
    // What waits before anyone reads is what reading ahead is sure to take too much of.
    soon(|| {
        let (read, write) = pipe();
        check::<Ours>(read, write, 800, 800)
    })
    .unwrap();
    soon(|| {
        let (read, write) = pipe();
        check::<ReadsAhead>(read, write, 800, 800)
    })
    .unwrap_err();
}

/// While one thread is blocked in a read, others poll the same stream.
#[test]
fn a_blocked_read_does_not_delay_a_poll() {
    fn check<S: Subject>(fd: OwnedFd, peer: OwnedFd) -> Check {
        let stream = subject::<S>(&fd);
        let end = EndSignal::new().unwrap();
        let reader = {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || stream.read(&mut [0; 1], false, &end))
        };
        thread::sleep(SETTLE);
        let poller = {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || {
                let start = Instant::now();
                let found = stream.poll(Direction::Read, Deadline::after_nanos(1_000_000), &end);
                (start.elapsed(), found)
            })
        };
        let in_time = {
            let start = Instant::now();
            while !poller.is_finished() && start.elapsed() < PATIENCE {
                thread::sleep(std::time::Duration::from_millis(1));
            }
            poller.is_finished()
        };
        end.raise();
        drop(peer);
        let _ = reader.join().unwrap();
        let (took, found) = poller.join().unwrap();
        match (in_time, found) {
            (true, Ok(0)) => Ok(()),
            (_, found) => Err(format!("poll took {took:?} and found {found:?}")),
        }
    }
    for _ in 0..rounds(1) {
        for_each_pair(check::<Ours>).unwrap();
    }
    for_each_pair(check::<OneLock>).unwrap_err();
}

fn for_each_pair(check: fn(OwnedFd, OwnedFd) -> Check) -> Check {
    soon(move || {
        let (read, write) = pipe();
        check(read, write)?;
        let (a, b) = sockets();
        check(a, b)?;
        let (master, terminal) = pty();
        check(terminal, master)?;
        // Polls first: its read lock is not held while it waits.
        let (master, terminal) = pty();
        check(master, terminal)
    })
}

/// Data for a blocked reader arrives whichever kind of stream it is, and the end is the end.
#[test]
fn a_blocked_read_gets_what_arrives_and_then_the_end() {
    fn check(read: OwnedFd, write: OwnedFd) -> Check {
        let stream = subject::<Ours>(&read);
        let end = EndSignal::new().unwrap();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 64];
            let count = stream.read(&mut buffer, false, &end).unwrap();
            (buffer[..count].to_vec(), stream, end)
        });
        thread::sleep(SETTLE);
        assert!(!reader.is_finished());
        rustix::io::write(&write, b"hello\n").unwrap();
        assert!(eventually(|| reader.is_finished()));
        let (got, stream, end) = reader.join().unwrap();
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
    fn check<S: Subject>() -> Check {
        let (master, terminal) = pty();
        let (other_master, other_terminal) = pty();
        let ((pipe_in, pipe_out), (a, b)) = (pipe(), sockets());
        let pairs = [
            (pipe_in, pipe_out),
            (a, b),
            (terminal, master),
            (other_master, other_terminal),
        ];
        for (fd, peer) in pairs {
            let stream = subject::<S>(&fd);
            let end = EndSignal::new().unwrap();
            let reader = {
                let (stream, end) = (stream.clone(), end.clone());
                thread::spawn(move || stream.read(&mut [0; 8], true, &end))
            };
            let in_time = eventually_quick(|| reader.is_finished());
            end.raise();
            drop(peer);
            match (in_time, reader.join().unwrap()) {
                (true, Err(BlockingError::Io(e))) if e.kind() == io::ErrorKind::WouldBlock => {}
                (_, outcome) => return Err(format!("{outcome:?}")),
            }
        }
        Ok(())
    }
    soon(check::<Ours>).unwrap();
    soon(check::<NeverAgain>).unwrap_err();
}

fn eventually_quick(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(std::time::Duration::from_millis(1));
    }
    true
}
