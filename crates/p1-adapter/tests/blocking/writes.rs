//! One write is one write, and delays nothing but other writes.

use crate::subject::{NeverAgain, NoTurn, OneLock, Ours, Subject, subject};
use crate::support::{
    Check, PATIENCE, SETTLE, fails_at_last, pipe, pty, rounds, sockets, soon, tcp,
};
use p1_adapter::blocking::{BlockingError, Deadline, Direction, EndSignal, StreamKind};
use rustix::fd::OwnedFd;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Sixteen threads write records larger than any buffer; each must arrive in one piece.
fn records_stay_whole<S: Subject>(to: OwnedFd, from: OwnedFd, rounds: usize) -> Check {
    const RECORD: usize = 100_000;
    const WRITERS: usize = 16;
    let stream = subject::<S>(&to);
    let end = EndSignal::new().unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || {
                let record = vec![b'a' + writer as u8; RECORD];
                for _ in 0..rounds {
                    assert_eq!(stream.write(&record, false, &end).unwrap(), RECORD);
                }
            })
        })
        .collect();
    let mut run = (0, 0);
    let mut broken = 0;
    let mut buffer = vec![0; 1 << 16];
    let mut left = RECORD * WRITERS * rounds;
    while left > 0 {
        let count = rustix::io::read(&from, &mut buffer[..]).unwrap();
        left -= count;
        for &byte in &buffer[..count] {
            if byte != run.0 || run.1 == RECORD {
                broken += usize::from(run.1 % RECORD != 0);
                run = (byte, 0);
            }
            run.1 += 1;
        }
    }
    for writer in writers {
        writer.join().unwrap();
    }
    if broken > 0 {
        return Err(format!("{broken} records were broken up"));
    }
    Ok(())
}

#[test]
fn records_of_several_writers_stay_whole() {
    fn check<S: Subject>(rounds: usize) -> Check {
        let (read, write) = pipe();
        records_stay_whole::<S>(write, read, rounds)?;
        let (a, b) = sockets();
        records_stay_whole::<S>(a, b, rounds)?;
        let (a, b) = tcp();
        records_stay_whole::<S>(a, b, rounds)
    }
    soon(|| check::<Ours>(rounds(10) as usize)).unwrap();
    fails_at_last(|| soon(|| check::<NoTurn>(10)));
}

/// With a writer stuck on a full stream, the others go about their business.
#[test]
fn a_blocked_write_delays_no_read_poll_or_close() {
    fn check<S: Subject>(fd: OwnedFd, peer: OwnedFd) -> Check {
        let stream = subject::<S>(&fd);
        let end = EndSignal::new().unwrap();
        let writer = {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || stream.write(&vec![b'x'; 16 << 20], false, &end))
        };
        thread::sleep(SETTLE);
        assert!(!writer.is_finished());
        rustix::io::write(&peer, b"ping\n").unwrap();
        let other = {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || {
                let readable = stream.poll(Direction::Read, Deadline::NEVER, &end).unwrap();
                let count = stream.read(&mut [0; 64], false, &end).unwrap();
                // How full a socket must be to count as full is its own affair: only that it answers.
                stream
                    .poll(Direction::Write, Deadline::after_nanos(1_000_000), &end)
                    .unwrap();
                (readable, count)
            })
        };
        let start = Instant::now();
        while !other.is_finished() && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
        let in_time = other.is_finished();
        // A close drops the table's reference; the writer keeps its own.
        drop(stream);
        let closed = start.elapsed();
        end.raise();
        let _ = writer.join().unwrap();
        let seen = other.join().ok();
        drop(peer);
        if !in_time || seen != Some((1, 5)) || closed > PATIENCE * 2 {
            return Err(format!(
                "in time: {in_time}, saw {seen:?}, closed after {closed:?}"
            ));
        }
        Ok(())
    }
    fn all<S: Subject>() -> Check {
        let (a, b) = sockets();
        check::<S>(a, b)?;
        let (a, b) = tcp();
        check::<S>(a, b)?;
        let (master, terminal) = pty();
        check::<S>(terminal, master)
    }
    for _ in 0..rounds(1) {
        soon(all::<Ours>).unwrap();
    }
    soon(all::<OneLock>).unwrap_err();
}

/// A full stream, and a stream that another thread is writing to.
#[test]
fn a_guest_that_asked_not_to_wait_is_told_so() {
    fn check<S: Subject>() -> Check {
        let (read, write) = pipe();
        let stream = subject::<S>(&write);
        let end = EndSignal::new().unwrap();
        let whole = vec![b'x'; 1 << 20];
        let outcome = {
            let (stream, end, whole) = (stream.clone(), end.clone(), whole.clone());
            let first = thread::spawn(move || {
                let partial = stream.write(&whole, true, &end);
                let full = stream.write(&whole, true, &end);
                (partial, full)
            });
            let start = Instant::now();
            while !first.is_finished() && start.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(1));
            }
            let in_time = first.is_finished();
            if !in_time {
                drop(read);
                let _ = first.join();
                return Err("the write waited".to_owned());
            }
            first.join().unwrap()
        };
        match outcome {
            (Ok(partial), Err(BlockingError::Io(full)))
                if partial > 0
                    && partial < whole.len()
                    && full.kind() == io::ErrorKind::WouldBlock => {}
            other => return Err(format!("{other:?}")),
        }
        // Room, but not this thread's turn.
        let writer = {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || stream.write(&whole, false, &end))
        };
        thread::sleep(SETTLE);
        let busy = stream.write(b"x", true, &end);
        end.raise();
        let _ = writer.join();
        match busy {
            Err(BlockingError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => Err(format!("while another writes: {other:?}")),
        }
    }
    soon(check::<Ours>).unwrap();
    soon(check::<NeverAgain>).unwrap_err();
}

/// Readers that have gone: `EPIPE`, even where the write end can no longer be reopened.
#[test]
fn a_write_nobody_will_read_fails() {
    soon(|| {
        let end = EndSignal::new().unwrap();
        for gone_first in [true, false] {
            let (read, write) = pipe();
            let mut read = Some(read);
            if gone_first {
                read = None;
            }
            let stream = subject::<Ours>(&write);
            assert_eq!(stream.0.kind(), StreamKind::Pipe);
            drop(read);
            match stream.write(b"x", false, &end) {
                Err(BlockingError::Io(e)) => assert_eq!(e.kind(), io::ErrorKind::BrokenPipe),
                other => panic!("{other:?}"),
            }
        }
    });
}

/// A reader that leaves while the writer is blocked: the bytes written so far, then `EPIPE`.
#[test]
fn a_write_cut_short_says_how_much_was_written() {
    soon(|| {
        let (read, write) = pipe();
        let stream = subject::<Ours>(&write);
        let end = EndSignal::new().unwrap();
        let writer = {
            let (stream, end) = (stream.clone(), end.clone());
            thread::spawn(move || stream.write(&vec![0; 1 << 20], false, &end))
        };
        thread::sleep(SETTLE);
        drop(read);
        let count = writer.join().unwrap().unwrap();
        assert!(count > 0 && count < 1 << 20, "{count}");
        match stream.write(b"x", false, &end) {
            Err(BlockingError::Io(e)) => assert_eq!(e.kind(), io::ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
    });
}

/// The last resort for writing: a pty master takes a few bytes at a time.
#[test]
fn a_write_that_polls_first_arrives_whole() {
    soon(|| {
        let (master, terminal) = pty();
        let stream = subject::<Ours>(&master);
        assert_eq!(stream.0.kind(), StreamKind::Other);
        let end = EndSignal::new().unwrap();
        let line: Vec<u8> = (0..3_000)
            .map(|i| b'a' + (i % 26) as u8)
            .chain([b'\n'])
            .collect();
        let writer = {
            let (line, stream, end) = (line.clone(), stream.clone(), end.clone());
            thread::spawn(move || stream.write(&line, false, &end).unwrap())
        };
        let input = Arc::new(Ours::new(std::os::fd::AsFd::as_fd(&terminal)));
        let mut got = Vec::new();
        while got.last() != Some(&b'\n') {
            let mut buffer = [0; 512];
            let count = input.read(&mut buffer, false, &end).unwrap();
            got.extend(&buffer[..count]);
        }
        assert_eq!(writer.join().unwrap(), line.len());
        assert_eq!(got, line);
    });
}
