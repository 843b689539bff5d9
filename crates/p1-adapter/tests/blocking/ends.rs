//! Every kind of blocked call ends with the signal, however many threads are in it.

use crate::subject::{Deaf, Ours, Outcome, PollsFirst, Subject, subject, was_interrupted};
use crate::support::{
    Check, SETTLE, bound, eventually, fails_at_last, pipe, pty, rounds, sockets, soon, tcp,
};
use p1_adapter::blocking::{Deadline, Direction, EndSignal, wait};
use rustix::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `call` on `threads` threads, raises the signal once they are blocked, and says how late the
/// last one ended. `release` unblocks those that did not hear it, so that nothing is left behind.
pub(crate) fn ends(
    what: &str,
    threads: usize,
    call: impl Fn(&EndSignal) -> Outcome + Send + Sync + 'static,
    release: impl FnOnce(),
) -> Check {
    let end = EndSignal::new().unwrap();
    let call = Arc::new(call);
    let started = Arc::new(AtomicUsize::new(0));
    let finished = Arc::new(AtomicUsize::new(0));
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (end, call) = (end.clone(), call.clone());
            let (started, finished) = (started.clone(), finished.clone());
            thread::spawn(move || {
                started.fetch_add(1, Ordering::SeqCst);
                let outcome = call(&end);
                let at = Instant::now();
                finished.fetch_add(1, Ordering::SeqCst);
                (outcome, at)
            })
        })
        .collect();
    assert!(eventually(|| started.load(Ordering::SeqCst) == threads));
    thread::sleep(SETTLE);
    let early = finished.load(Ordering::SeqCst);

    let raised = Instant::now();
    end.raise();
    while finished.load(Ordering::SeqCst) < threads && raised.elapsed() < bound() {
        thread::sleep(Duration::from_micros(200));
    }
    let late = threads - finished.load(Ordering::SeqCst);
    release();
    let mut worst = Duration::ZERO;
    for thread in running {
        let (outcome, at) = thread.join().unwrap();
        worst = worst.max(at.saturating_duration_since(raised));
        if late == 0 && !was_interrupted(&outcome) {
            return Err(format!("{what}: ended with {outcome:?}"));
        }
    }
    if early > 0 {
        return Err(format!("{what}: {early} were not blocked"));
    }
    if late > 0 {
        return Err(format!(
            "{what}: {late} of {threads} had not ended after {:?}",
            bound()
        ));
    }
    eprintln!("{what}: {threads} thread(s) ended {worst:?} after the signal");
    Ok(())
}

/// `peer` stays open and silent until the call has ended; closing it releases who did not hear.
fn read_ends<S: Subject>(what: &str, threads: usize, fd: OwnedFd, peer: OwnedFd) -> Check {
    let stream = subject::<S>(&fd);
    ends(
        what,
        threads,
        move |end| stream.read(&mut [0; 16], false, end),
        move || drop(peer),
    )
}

fn write_ends<S: Subject>(what: &str, fd: OwnedFd, peer: OwnedFd) -> Check {
    let stream = subject::<S>(&fd);
    // More than any buffer in between holds; made here, so that its giving back is not measured.
    let bytes = vec![b'x'; 16 << 20];
    ends(
        what,
        1,
        move |end| stream.write(&bytes, false, end),
        move || drop(peer),
    )
}

fn every_read<S: Subject>() -> Check {
    let (read, write) = pipe();
    read_ends::<S>("read of a pipe", 1, read, write)?;
    let (master, terminal) = pty();
    read_ends::<S>("read of a terminal", 1, terminal, master)?;
    let (a, b) = sockets();
    read_ends::<S>("read of a unix socket", 1, a, b)?;
    let (a, b) = tcp();
    read_ends::<S>("read of a TCP socket", 1, a, b)
}

fn every_write<S: Subject>() -> Check {
    let (read, write) = pipe();
    write_ends::<S>("write to a pipe", write, read)?;
    let (master, terminal) = pty();
    write_ends::<S>("write to a terminal", terminal, master)?;
    let (a, b) = sockets();
    write_ends::<S>("write to a unix socket", a, b)?;
    let (a, b) = tcp();
    write_ends::<S>("write to a TCP socket", a, b)
}

#[test]
fn a_blocked_read_ends() {
    soon(every_read::<Ours>).unwrap();
    soon(every_read::<Deaf>).unwrap_err();
}

#[test]
fn a_blocked_write_ends() {
    soon(every_write::<Ours>).unwrap();
    soon(every_write::<Deaf>).unwrap_err();
}

/// A pty master cannot be reopened and knows no `RWF_NOWAIT`: the last resort.
#[test]
fn a_read_that_polls_first_ends() {
    soon(|| {
        let (master, terminal) = pty();
        read_ends::<Ours>("read of a pty master", 4, master, terminal)
    })
    .unwrap();
    soon(|| {
        let (master, terminal) = pty();
        read_ends::<Deaf>("read of a pty master", 4, master, terminal)
    })
    .unwrap_err();
}

#[test]
fn a_hundred_readers_of_one_pipe_end() {
    fn check<S: Subject>() -> Check {
        let (read, write) = pipe();
        read_ends::<S>("read of one pipe", 100, read, write)
    }
    soon(check::<Ours>).unwrap();
    soon(check::<Deaf>).unwrap_err();
}

#[test]
fn a_hundred_polls_of_one_pipe_end() {
    fn check<S: Subject>() -> Check {
        let (read, write) = pipe();
        let stream = subject::<S>(&read);
        ends(
            "poll of one pipe",
            100,
            move |end| stream.poll(Direction::Read, Deadline::NEVER, end),
            move || drop(write),
        )
    }
    soon(check::<Ours>).unwrap();
    soon(check::<Deaf>).unwrap_err();
}

/// One byte wakes two readers; the slower one must not be caught inside the read.
#[test]
fn a_reader_that_lost_the_race_for_a_byte_ends() {
    fn check<S: Subject>() -> Check {
        for _ in 0..rounds(50) {
            let (read, write) = pipe();
            let stream = subject::<S>(&read);
            let end = EndSignal::new().unwrap();
            let finished = Arc::new(AtomicUsize::new(0));
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let (stream, end, finished) = (stream.clone(), end.clone(), finished.clone());
                    thread::spawn(move || {
                        let outcome = stream.read(&mut [0], false, &end);
                        finished.fetch_add(1, Ordering::SeqCst);
                        outcome
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(5));
            rustix::io::write(&write, b"1").unwrap();
            assert!(eventually(|| finished.load(Ordering::SeqCst) > 0));
            end.raise();
            let raised = Instant::now();
            while finished.load(Ordering::SeqCst) < 4 && raised.elapsed() < bound() {
                thread::sleep(Duration::from_millis(1));
            }
            let late = 4 - finished.load(Ordering::SeqCst);
            drop(write);
            let outcomes: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
            if late > 0 {
                return Err(format!("{late} caught inside a read"));
            }
            let got = outcomes.iter().filter(|o| matches!(o, Ok(1))).count();
            if got != 1 || outcomes.iter().filter(|o| was_interrupted(o)).count() != 3 {
                return Err(format!("{outcomes:?}"));
            }
        }
        Ok(())
    }
    soon(check::<Ours>).unwrap();
    fails_at_last(|| soon(check::<PollsFirst>));
}

/// The second writer waits for the first, not for the descriptor.
#[test]
fn a_queued_write_ends() {
    fn check<S: Subject>() -> Check {
        let (read, write) = pipe();
        let stream = subject::<S>(&write);
        ends(
            "two writes to one pipe",
            2,
            move |end| stream.write(&vec![b'x'; 1 << 20], false, end),
            move || drop(read),
        )
    }
    soon(check::<Ours>).unwrap();
    soon(check::<Deaf>).unwrap_err();
}

#[test]
fn a_sleep_ends() {
    soon(|| {
        ends(
            "sleep",
            8,
            |end| wait(&mut [], &Deadline::NEVER, end),
            || (),
        )
    })
    .unwrap();
    soon(|| {
        let far = Deadline::after_nanos(u64::MAX);
        ends(
            "sleep of 584 years",
            1,
            move |end| wait(&mut [], &far, end),
            || (),
        )
    })
    .unwrap();
    soon(|| {
        let far = Deadline::at_realtime(u64::MAX);
        ends(
            "sleep to the year 2554",
            1,
            move |end| wait(&mut [], &far, end),
            || (),
        )
    })
    .unwrap();
    // The check does notice a sleep that is over too soon, and one that does not hear the signal.
    soon(|| ends("nap", 1, |end| wait(&mut [], &Deadline::NOW, end), || ())).unwrap_err();
    soon(|| {
        let deaf = |_: &EndSignal| {
            thread::sleep(bound() * 2);
            Ok(0)
        };
        ends("deaf sleep", 1, deaf, || ())
    })
    .unwrap_err();
}

/// Raising races with the very first wait, which is the one that makes the descriptor.
#[test]
fn a_first_wait_that_races_with_the_signal_ends() {
    soon(|| {
        for round in 0..2_000 {
            let end = EndSignal::new().unwrap();
            let waiters: Vec<_> = (0..2)
                .map(|_| {
                    let end = end.clone();
                    thread::spawn(move || {
                        wait(&mut [], &Deadline::after_nanos(5_000_000_000), &end)
                    })
                })
                .collect();
            for _ in 0..round % 50 {
                std::hint::spin_loop();
            }
            end.raise();
            for waiter in waiters {
                assert!(was_interrupted(&waiter.join().unwrap()), "round {round}");
            }
        }
    });
}

#[test]
fn calls_after_the_signal_end_at_once() {
    soon(|| {
        let end = EndSignal::new().unwrap();
        end.raise();
        end.raise();
        let (read, write) = pipe();
        let stream = subject::<Ours>(&read);
        assert!(was_interrupted(&stream.read(&mut [0], false, &end)));
        let stream = subject::<Ours>(&write);
        let outcome = stream.write(&vec![0; 1 << 20], false, &end);
        assert!(was_interrupted(&outcome));
        assert!(was_interrupted(&wait(&mut [], &Deadline::NOW, &end)));
        assert!(end.is_raised());
    });
}
