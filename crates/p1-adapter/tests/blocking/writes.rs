//! One write is one write, and delays nothing but other writes.

#[cfg(unix)]
use crate::subject::NeverAgain;
use crate::subject::{InPieces, OneLock, Ours, Subject, subject};
use crate::support::{
    CROWDS, Check, IMPATIENCE, PATIENCE, blocked, pipe, ptys, rounds, sockets, soon, tcp, within,
};
use p1_adapter::fd::{AsFd, OwnedFd};
use p1_adapter::test_hooks::{BlockingError, Deadline, Direction, EndSignal, StreamKind};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Threads write records larger than any buffer; each must arrive in one piece.
fn records_stay_whole<S: Subject>(
    (to, from): (OwnedFd, OwnedFd),
    writers: usize,
    rounds: usize,
) -> Check {
    const RECORD: usize = 100_000;
    let stream = Arc::new(S::shared_by(to.as_fd(), writers));
    let end = EndSignal::new();
    let threads: Vec<_> = (0..writers)
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
    let mut left = RECORD * writers * rounds;
    while left > 0 {
        let count = crate::sys::read(&from, &mut buffer[..]).unwrap();
        left -= count;
        let mut rest = &buffer[..count];
        while let Some(&byte) = rest.first() {
            if byte != run.0 || run.1 == RECORD {
                broken += usize::from(run.1 % RECORD != 0);
                run = (byte, 0);
            }
            // What belongs to the same record, at the most.
            let most = rest.len().min(RECORD - run.1);
            let same = match rest[..most] == RECORDS[usize::from(byte - b'a')][..most] {
                true => most,
                false => rest
                    .iter()
                    .take_while(|next| **next == byte)
                    .count()
                    .min(most),
            };
            run.1 += same;
            rest = &rest[same..];
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    if broken > 0 {
        return Err(format!("{broken} records were broken up"));
    }
    Ok(())
}

/// What a buffer full of one writer's bytes looks like.
static RECORDS: [[u8; 1 << 16]; 16] = {
    let mut all = [[0; 1 << 16]; 16];
    let mut writer = 0;
    while writer < 16 {
        all[writer] = [b'a' + writer as u8; 1 << 16];
        writer += 1;
    }
    all
};

#[test]
fn records_of_several_writers_stay_whole() {
    fn check<S: Subject>(writers: usize, rounds: usize) -> Check {
        let (read, write) = pipe();
        records_stay_whole::<S>((write, read), writers, rounds)?;
        records_stay_whole::<S>(sockets(), writers, rounds)?;
        records_stay_whole::<S>(tcp(), writers, rounds)
    }
    for n in CROWDS {
        soon(move || check::<Ours>(n, rounds(10) as usize)).unwrap();
        soon(move || check::<InPieces>(n, 1)).unwrap_err();
    }
}

/// With a writer stuck on a full stream, the others go about their business.
#[test]
fn a_blocked_write_delays_no_read_poll_or_close() {
    fn check<S: Subject>((fd, peer): (OwnedFd, OwnedFd), n: usize, patience: Duration) -> Check {
        let stream = subject::<S>(&fd);
        let end = EndSignal::new();
        let writer = {
            let (stream, end) = (stream.clone(), end.clone());
            blocked(move || stream.write(&vec![b'x'; 16 << 20], false, &end))
        };
        assert!(!writer.is_finished());
        let others: Vec<_> = (1..n)
            .map(|_| {
                crate::sys::write(&peer, b"ping\n").unwrap();
                let (stream, end) = (stream.clone(), end.clone());
                thread::spawn(move || {
                    let readable = stream.poll(Direction::Read, Deadline::NEVER, &end).unwrap();
                    let count = stream.read(&mut [0; 5], false, &end).unwrap();
                    // A socket itself decides when it is full. This only checks that it answers.
                    stream
                        .poll(Direction::Write, Deadline::after_nanos(1_000_000), &end)
                        .unwrap();
                    (readable, count)
                })
            })
            .collect();
        let in_time = within(patience, || others.iter().all(|other| other.is_finished()));
        // A close drops the table's reference; the writer keeps its own.
        let start = Instant::now();
        drop(stream);
        let closed = start.elapsed();
        end.raise();
        let _ = writer.join().unwrap();
        let seen: Vec<_> = others.into_iter().map(|other| other.join().ok()).collect();
        drop(peer);
        if !in_time || seen.iter().any(|seen| *seen != Some((1, 5))) || closed > PATIENCE {
            return Err(format!(
                "in time: {in_time}, saw {seen:?}, closed after {closed:?}"
            ));
        }
        Ok(())
    }
    fn all<S: Subject>(n: usize, patience: Duration) -> Check {
        check::<S>(sockets(), n, patience)?;
        check::<S>(tcp(), n, patience)?;
        match ptys() {
            Some((master, terminal)) => check::<S>((terminal, master), n, patience),
            None => Ok(()),
        }
    }
    for n in CROWDS {
        soon(move || (0..rounds(1)).try_for_each(|_| all::<Ours>(n, PATIENCE))).unwrap();
        soon(move || all::<OneLock>(n, IMPATIENCE)).unwrap_err();
    }
}

/// A full stream, and a stream that another thread is writing to. (Windows does not say how much
/// room a pipe has.)
#[test]
#[cfg(unix)]
fn a_guest_that_asked_not_to_wait_is_told_so() {
    fn check<S: Subject>(patience: Duration) -> Check {
        let (read, write) = pipe();
        let stream = subject::<S>(&write);
        let end = EndSignal::new();
        let whole = vec![b'x'; 1 << 20];
        let outcome = {
            let (stream, end, whole) = (stream.clone(), end.clone(), whole.clone());
            let first = thread::spawn(move || {
                let partial = stream.write(&whole, true, &end);
                let full = stream.write(&whole, true, &end);
                (partial, full)
            });
            if !within(patience, || first.is_finished()) {
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
            blocked(move || stream.write(&whole, false, &end))
        };
        let busy = stream.write(b"x", true, &end);
        end.raise();
        let _ = writer.join();
        match busy {
            Err(BlockingError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => Err(format!("while another writes: {other:?}")),
        }
    }
    soon(|| (0..rounds(1)).try_for_each(|_| check::<Ours>(PATIENCE))).unwrap();
    soon(|| check::<NeverAgain>(IMPATIENCE)).unwrap_err();
}

/// Readers that have gone: `EPIPE`, even where the write end can no longer be reopened.
#[test]
fn a_write_nobody_will_read_fails() {
    soon(|| {
        let end = EndSignal::new();
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
        let end = EndSignal::new();
        let writer = {
            let (stream, end) = (stream.clone(), end.clone());
            blocked(move || stream.write(&vec![0; 1 << 20], false, &end))
        };
        drop(read);
        let count = writer.join().unwrap().unwrap();
        assert!(count > 0 && count < 1 << 20, "{count}");
        match stream.write(b"x", false, &end) {
            Err(BlockingError::Io(e)) => assert_eq!(e.kind(), io::ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
    });
}

/// The last resort for writing: a pty master takes a few bytes at a time. (On Windows every pipe is
/// written in this way.)
#[test]
#[cfg(unix)]
fn a_write_that_polls_first_arrives_whole() {
    soon(|| {
        let (master, terminal) = crate::support::pty();
        let stream = subject::<Ours>(&master);
        assert_eq!(stream.0.kind(), StreamKind::Other);
        let end = EndSignal::new();
        let line: Vec<u8> = (0..3_000)
            .map(|i| b'a' + (i % 26) as u8)
            .chain([b'\n'])
            .collect();
        let writer = {
            let (line, stream, end) = (line.clone(), stream.clone(), end.clone());
            thread::spawn(move || stream.write(&line, false, &end).unwrap())
        };
        let input = Arc::new(Ours::new(terminal.as_fd()));
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
