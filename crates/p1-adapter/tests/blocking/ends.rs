//! Every kind of blocked call ends with the signal, however many threads are in it.

use crate::guest::emulated::left_out;
use crate::subject::{Deaf, OneLock, Ours, Outcome, PollsFirst, Subject, subject, was_interrupted};
use crate::support::{
    CROWDS, Check, IMPATIENCE, Tid, all_blocked, blocked, bound, eventually, pipe, ptys, rounds,
    settle, sockets, soon, tcp, within,
};
use p1_adapter::fd::{AsFd, OwnedFd};
use p1_adapter::test_hooks::{BlockingError, Deadline, Direction, EndSignal, wait};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `call` on `threads` threads and raises the signal once they are blocked. Returns how late
/// the last one ended, which must be within `limit`. `release` unblocks those that missed the
/// signal, so that no thread is left behind.
pub(crate) fn ends(
    what: &str,
    threads: usize,
    limit: Duration,
    call: impl Fn(&EndSignal) -> Outcome + Send + Sync + 'static,
    release: impl FnOnce(),
) -> Check {
    let end = EndSignal::new();
    let call = Arc::new(call);
    let (said, tids) = mpsc::channel();
    let finished = Arc::new(AtomicUsize::new(0));
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (end, call) = (end.clone(), call.clone());
            let (said, finished) = (said.clone(), finished.clone());
            thread::spawn(move || {
                said.send(Tid::mine()).unwrap();
                let outcome = call(&end);
                let at = Instant::now();
                finished.fetch_add(1, Ordering::SeqCst);
                (outcome, at)
            })
        })
        .collect();
    let ended = || finished.load(Ordering::SeqCst);
    settle(&tids, threads, || ended() > 0);
    let early = ended();

    let raised = Instant::now();
    end.raise();
    let late = match within(limit, || ended() == threads) {
        true => 0,
        false => threads - ended(),
    };
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
            "{what}: {late} of {threads} had not ended after {limit:?}"
        ));
    }
    eprintln!("{what}: {threads} thread(s) ended {worst:?} after the signal");
    Ok(())
}

/// Raises the signal just before, while or just after two threads wait: `wait` and `raise` are
/// given the round's signal.
pub(crate) fn races(
    rounds: u64,
    wait: impl Fn(u64, &EndSignal) -> Result<(), BlockingError> + Send + Sync + 'static,
    raise: impl Fn(&EndSignal),
) -> Check {
    let wait = Arc::new(wait);
    for round in 0..rounds {
        let end = EndSignal::new();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (wait, end) = (wait.clone(), end.clone());
                thread::spawn(move || wait(round, &end))
            })
            .collect();
        for _ in 0..(round % 100) * 20 {
            std::hint::spin_loop();
        }
        raise(&end);
        for waiter in waiters {
            match waiter.join().unwrap() {
                Err(BlockingError::Interrupted(_)) => {}
                other => return Err(format!("round {round}: {other:?}")),
            }
        }
    }
    Ok(())
}

/// The fault that [`races`] is about: two waiters look at the signal, it is raised, and they go to
/// sleep all the same.
pub(crate) fn looks_then_sleeps() -> Check {
    let (looked, raised) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
    let (has_looked, is_raised) = (looked.clone(), raised.clone());
    races(
        1,
        move |_, end| {
            end.check()?;
            has_looked.wait();
            is_raised.wait();
            thread::park_timeout(IMPATIENCE);
            Ok(())
        },
        move |end| {
            looked.wait();
            end.raise();
            raised.wait();
        },
    )
}

/// A check for `n` threads: many times for the crate's own way, and once for a broken one, which
/// must not pass.
fn ends_always(ours: fn(usize, Duration) -> Check, broken: fn(usize, Duration) -> Check) {
    soon(move || {
        for n in CROWDS {
            for _ in 0..rounds(1) {
                ours(n, bound()).unwrap();
            }
            broken(n, IMPATIENCE).unwrap_err();
        }
    });
}

/// `peer` stays open and silent until the call has ended; closing it releases a call that did not
/// hear.
fn read_ends<S: Subject>(
    what: &str,
    (threads, limit): (usize, Duration),
    (fd, peer): (OwnedFd, OwnedFd),
) -> Check {
    let stream = subject::<S>(&fd);
    ends(
        what,
        threads,
        limit,
        move |end| stream.read(&mut [0; 16], false, end),
        move || drop(peer),
    )
}

/// One writes, the others queue behind it.
fn write_ends<S: Subject>(
    what: &str,
    (threads, limit): (usize, Duration),
    (fd, peer): (OwnedFd, OwnedFd),
) -> Check {
    // More than any buffer in between holds. It is made here, so that freeing it is not measured.
    static BYTES: [u8; 16 << 20] = [b'x'; 16 << 20];
    let stream = subject::<S>(&fd);
    ends(
        what,
        threads,
        limit,
        move |end| stream.write(&BYTES, false, end),
        move || drop(peer),
    )
}

fn swapped<T>((a, b): (T, T)) -> (T, T) {
    (b, a)
}

fn every_read<S: Subject>(threads: usize, limit: Duration) -> Check {
    let how = (threads, limit);
    read_ends::<S>("read of a pipe", how, pipe())?;
    if let Some(terminals) = ptys() {
        read_ends::<S>("read of a terminal", how, swapped(terminals))?;
    }
    read_ends::<S>("read of a unix socket", how, sockets())?;
    read_ends::<S>("read of a TCP socket", how, tcp())
}

fn every_write<S: Subject>(threads: usize, limit: Duration) -> Check {
    let how = (threads, limit);
    write_ends::<S>("write to a pipe", how, swapped(pipe()))?;
    if let Some(terminals) = ptys() {
        write_ends::<S>("write to a terminal", how, swapped(terminals))?;
    }
    write_ends::<S>("write to a unix socket", how, sockets())?;
    write_ends::<S>("write to a TCP socket", how, tcp())
}

#[test]
fn a_blocked_read_ends() {
    ends_always(every_read::<Ours>, every_read::<Deaf>);
}

#[test]
fn a_blocked_write_ends() {
    ends_always(every_write::<Ours>, every_write::<Deaf>);
}

/// The first goes on: it is the wait for the turn that ends.
#[test]
fn a_queued_write_ends() {
    fn check<S: Subject>(threads: usize, limit: Duration) -> Check {
        let (read, write) = pipe();
        let stream = subject::<S>(&write);
        let first = stream.clone();
        let first = blocked(move || {
            let nobody = EndSignal::new();
            first.write(&vec![b'x'; 1 << 20], false, &nobody)
        });
        assert!(!first.is_finished());
        let outcome = ends(
            "queued write",
            threads - 1,
            limit,
            move |end| stream.write(b"x", false, end),
            move || drop(read),
        );
        let _ = first.join().unwrap();
        outcome
    }
    ends_always(check::<Ours>, check::<OneLock>);
}

/// A pty master cannot be reopened and knows no `RWF_NOWAIT`: the last resort. (On Windows every
/// pipe is read in this way.)
#[test]
#[cfg(unix)]
fn a_read_that_polls_first_ends() {
    fn check<S: Subject>(threads: usize, limit: Duration) -> Check {
        read_ends::<S>(
            "read of a pty master",
            (threads, limit),
            crate::support::pty(),
        )
    }
    ends_always(check::<Ours>, check::<Deaf>);
}

#[test]
fn a_hundred_readers_of_one_pipe_end() {
    soon(|| read_ends::<Ours>("read of one pipe", (100, bound()), pipe())).unwrap();
    soon(|| read_ends::<Deaf>("read of one pipe", (100, IMPATIENCE), pipe())).unwrap_err();
}

fn polls_end<S: Subject>(threads: usize, limit: Duration) -> Check {
    let (read, write) = pipe();
    let stream = subject::<S>(&read);
    ends(
        "poll of one pipe",
        threads,
        limit,
        move |end| stream.poll(Direction::Read, Deadline::NEVER, end),
        move || drop(write),
    )
}

#[test]
fn polls_of_one_pipe_end() {
    ends_always(polls_end::<Ours>, polls_end::<Deaf>);
    soon(|| polls_end::<Ours>(100, bound())).unwrap();
}

/// One byte wakes all readers; the slower ones must not be caught inside the read.
#[test]
fn a_reader_that_lost_the_race_for_a_byte_ends() {
    fn check<S: Subject>(threads: usize, limit: Duration) -> Check {
        let (read, write) = pipe();
        let stream = Arc::new(S::shared_by(read.as_fd(), threads));
        let end = EndSignal::new();
        let readers = all_blocked((0..threads).map(|_| {
            let (stream, end) = (stream.clone(), end.clone());
            move || stream.read(&mut [0], false, &end)
        }));
        let finished = || readers.iter().filter(|r| r.is_finished()).count();
        crate::sys::write(&write, b"1").unwrap();
        assert!(eventually(|| finished() > 0));
        end.raise();
        within(limit, || finished() == threads);
        let late = threads - finished();
        drop(write);
        let outcomes: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        if late > 0 {
            return Err(format!("{late} caught inside a read"));
        }
        let got = outcomes.iter().filter(|o| matches!(o, Ok(1))).count();
        let ended = outcomes.iter().filter(|o| was_interrupted(o)).count();
        if (got, ended) != (1, threads - 1) {
            return Err(format!("{outcomes:?}"));
        }
        Ok(())
    }
    ends_always(check::<Ours>, check::<PollsFirst>);
}

#[test]
fn a_sleep_ends() {
    fn check(threads: usize, limit: Duration) -> Check {
        for deadline in [
            Deadline::NEVER,
            Deadline::after_nanos(u64::MAX),
            Deadline::at_realtime(u64::MAX),
        ] {
            let sleep = move |end: &EndSignal| wait(&mut [], &deadline, end);
            ends("sleep", threads, limit, sleep, || ())?;
        }
        Ok(())
    }
    fn nap(threads: usize, limit: Duration) -> Check {
        let sleep = |end: &EndSignal| wait(&mut [], &Deadline::NOW, end);
        ends("nap", threads, limit, sleep, || ())
    }
    fn deaf(threads: usize, limit: Duration) -> Check {
        let sleep = move |_: &EndSignal| {
            thread::sleep(limit * 2);
            Ok(0)
        };
        ends("deaf sleep", threads, limit, sleep, || ())
    }
    // The check notices a sleep that is over too soon, and one that does not hear the signal.
    ends_always(check, nap);
    ends_always(|_, _| Ok(()), deaf);
}

/// Raising races with the very first wait, which is the one that makes the descriptor.
#[test]
fn a_first_wait_that_races_with_the_signal_ends() {
    if left_out("its `clone` may not return before the `ppoll` of another thread has") {
        return;
    }
    soon(|| {
        // From its own beginning: all rounds together may take longer.
        let five_seconds = || Deadline::after_nanos(5_000_000_000);
        let sleep = move |_, end: &EndSignal| wait(&mut [], &five_seconds(), end).map(drop);
        races(rounds(2000), sleep, EndSignal::raise)
    })
    .unwrap();
    soon(looks_then_sleeps).unwrap_err();
}

#[test]
fn calls_after_the_signal_end_at_once() {
    soon(|| {
        let end = EndSignal::new();
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
