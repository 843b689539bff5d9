//! Deadlines, and what a wait costs while it lasts.

use crate::subject::read_once;
#[cfg(unix)]
use crate::subject::{Ours, Slices, Subject, subject};
#[cfg(unix)]
use crate::support::{Check, eventually, pty, sockets, tcp};
use crate::support::{pipe, soon};
use p1_adapter::Interrupted;
use p1_adapter::fd::AsFd;
#[cfg(unix)]
use p1_adapter::fd::OwnedFd;
use p1_adapter::test_hooks::{Deadline, Direction, EndSignal, Interest, Stream, ready, wait};
#[cfg(unix)]
use p1_adapter::test_hooks::{EmbedderInput, Listener, wait_with};
use std::future::Future;
#[cfg(unix)]
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
#[cfg(unix)]
use wasmtime_wasi::cli::AsyncStdinStream;
use wasmtime_wasi::runtime::in_tokio;
#[cfg(unix)]
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

fn took(deadline: impl FnOnce() -> Deadline + Send + 'static) -> Duration {
    soon(move || {
        let end = EndSignal::new();
        let start = Instant::now();
        assert_eq!(wait(&mut [], &deadline(), &end).unwrap(), 0);
        start.elapsed()
    })
}

fn realtime() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos() as u64
}

#[test]
fn a_wait_lasts_as_long_as_it_should() {
    let long = Duration::from_millis(50);
    let nanos = long.as_nanos() as u64;
    let slack = Duration::from_millis(500);
    type Make = Box<dyn FnOnce() -> Deadline + Send>;
    let cases: [(&str, Make); 5] = [
        ("relative", Box::new(move || Deadline::after(long))),
        (
            "absolute, real time",
            Box::new(move || Deadline::at_realtime(realtime() + nanos)),
        ),
        (
            "both, monotonic first",
            Box::new(move || {
                Deadline::after(long).or(Deadline::at_realtime(realtime() + 60 * nanos))
            }),
        ),
        (
            "both, real time first",
            Box::new(move || {
                Deadline::after(long * 60).or(Deadline::at_realtime(realtime() + nanos))
            }),
        ),
        (
            "one never comes",
            Box::new(move || Deadline::after(long).or(Deadline::at_realtime(u64::MAX))),
        ),
    ];
    for (what, deadline) in cases {
        let took = took(deadline);
        eprintln!("{what}: 50 ms took {took:?}");
        // The two clocks tick apart by a little.
        assert!(took >= long - Duration::from_millis(1), "{what}: {took:?}");
        assert!(took < long + slack, "{what}: {took:?}");
    }
}

#[test]
fn a_deadline_in_the_past_does_not_wait() {
    for deadline in [
        Deadline::NOW,
        Deadline::at_monotonic(1),
        Deadline::at_realtime(0),
        Deadline::at_realtime(1),
        Deadline::after_nanos(0),
        Deadline::NEVER.or(Deadline::NOW),
    ] {
        assert!(took(move || deadline) < Duration::from_millis(200));
    }
}

/// What is ready is reported even when the time is up.
#[test]
fn a_look_finds_what_is_ready() {
    soon(|| {
        let (read, write) = pipe();
        let end = EndSignal::new();
        let mut interests = [
            Interest::new(read.as_fd(), Direction::Read),
            Interest::new(write.as_fd(), Direction::Write),
        ];
        for deadline in [Deadline::NOW, Deadline::at_realtime(0)] {
            assert_eq!(wait(&mut interests, &deadline, &end).unwrap(), 1);
            assert!(!interests[0].found().ready);
            assert!(interests[1].found().ready && !interests[1].found().hangup);
        }
        crate::sys::write(&write, b"x").unwrap();
        assert_eq!(wait(&mut interests, &Deadline::NEVER, &end).unwrap(), 2);
        assert!(!interests[0].found().hangup);
        drop(write);
        let mut interest = [Interest::new(read.as_fd(), Direction::Read)];
        assert_eq!(wait(&mut interest, &Deadline::NEVER, &end).unwrap(), 1);
        // On Windows a pipe says so once it is empty.
        assert!(interest[0].found().ready);
        assert!(interest[0].found().hangup || cfg!(windows));
    });
}

/// A blocked thread stays asleep: the kernel counts how often it gave up the processor. (On Windows
/// it looks at pipes and sockets again and again.)
#[test]
#[cfg(unix)]
fn a_blocked_thread_sleeps() {
    // How often it went to sleep, and how long it ran (in clock ticks, 10 ms); nothing if it has
    // ended.
    fn activity(thread: &str) -> Option<(u64, u64)> {
        let of = |file| std::fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok();
        let status = of("status")?;
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        let stat = of("stat")?;
        // After the name, which may hold anything: state, then ten numbers, then user and system
        // time.
        let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        Some((
            number(line.split_whitespace().last()?),
            number(fields[11]) + number(fields[12]),
        ))
    }
    /// `call` blocks until the signal is raised, or `release` is run.
    fn sleeps(
        what: &str,
        call: impl FnOnce(&EndSignal) + Send + 'static,
        release: impl FnOnce(),
    ) -> Check {
        let end = EndSignal::new();
        let (send, id) = mpsc::channel();
        let blocked = {
            let end = end.clone();
            thread::spawn(move || {
                let task = std::fs::read_link("/proc/thread-self").unwrap();
                let task = task.file_name().unwrap().to_str().unwrap().to_owned();
                send.send(task).unwrap();
                call(&end);
            })
        };
        let task = id.recv().unwrap();
        // Beside a load it may take a while to fall asleep. A thread that never sleeps is seen
        // below.
        let mut before = activity(&task);
        for _ in 0..25 {
            thread::sleep(Duration::from_millis(200));
            let now = activity(&task);
            if std::mem::replace(&mut before, now) == now {
                break;
            }
        }
        thread::sleep(Duration::from_millis(300));
        let after = activity(&task);
        end.raise();
        release();
        blocked.join().unwrap();
        if after.is_none() || after != before {
            return Err(format!("{what}: {before:?} became {after:?}"));
        }
        Ok(())
    }
    fn reads<S: Subject>() -> Check {
        let (read, write) = pipe();
        let stream = subject::<S>(&read);
        sleeps(
            "read",
            move |end| drop(stream.read(&mut [0], false, end)),
            move || drop(write),
        )
    }
    fn polls<S: Subject>() -> Check {
        let (read, _write) = pipe();
        let stream = subject::<S>(&read);
        let far = Deadline::after_nanos(60_000_000_000);
        sleeps(
            "poll",
            move |end| drop(stream.poll(Direction::Read, far, end)),
            || (),
        )
    }
    fn others() -> Check {
        // Full, however the object counts: after the wait says "ready" there must be room.
        for (to, _from) in [pipe_pair(), sockets(), tcp(), terminal_pair()] {
            let stream = subject::<Ours>(&to);
            let queued = stream.clone();
            let end = EndSignal::new();
            let first = {
                let end = end.clone();
                thread::spawn(move || stream.write(&vec![0; 16 << 20], false, &end))
            };
            // Full, and the first writer has the turn.
            let busy = || queued.write(&[0], true, &EndSignal::new()).is_err();
            assert!(eventually(busy));
            sleeps(
                "queued write",
                move |end| drop(queued.write(&[0], false, end)),
                || (),
            )?;
            end.raise();
            let _ = first.join().unwrap();
        }
        for (to, _from) in [pipe_pair(), sockets(), tcp(), terminal_pair()] {
            let stream = subject::<Ours>(&to);
            sleeps(
                "write",
                move |end| drop(stream.write(&vec![0; 16 << 20], false, end)),
                || (),
            )?;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Listener::owned(listener.into()).unwrap();
        sleeps(
            "accept",
            move |end| drop(listener.accept(false, end)),
            || (),
        )?;
        let (ours, _theirs) = tokio::io::duplex(16);
        let stdin = with_ambient_tokio_runtime(|| AsyncStdinStream::new(ours));
        let stdin = Arc::new(EmbedderInput::new(stdin));
        let polled = stdin.clone();
        sleeps(
            "read of an embedder's stream",
            move |end| drop(stdin.read(8, false, end, |_| Ok(()))),
            || (),
        )?;
        sleeps(
            "poll of an embedder's stream",
            move |end| {
                let mut futures = [Some(polled.ready())];
                drop(wait_with(&mut [], &mut futures, &Deadline::NEVER, end));
            },
            || (),
        )
    }
    soon(reads::<Ours>).unwrap();
    soon(polls::<Ours>).unwrap();
    soon(others).unwrap();
    /// A thread that gets no processor for as long as the check lasts seems to sleep: one of many
    /// checks sees it.
    fn is_seen(check: impl Fn() -> Check + Copy + Send + 'static) {
        assert!((0..20).any(|_| soon(check).is_err()));
    }
    is_seen(reads::<Slices>);
    is_seen(polls::<Slices>);
    // And a spin, which never gives up the processor.
    let spin = |end: &EndSignal| {
        while !end.is_raised() {
            std::hint::spin_loop();
        }
    };
    is_seen(move || sleeps("spin", spin, || ()));
}

#[cfg(unix)]
fn pipe_pair() -> (OwnedFd, OwnedFd) {
    let (read, write) = pipe();
    (write, read)
}

#[cfg(unix)]
fn terminal_pair() -> (OwnedFd, OwnedFd) {
    let (master, terminal) = pty();
    (terminal, master)
}

/// In futures, on one thread: many tasks wait on one descriptor, wake together, or end with the
/// signal.
#[test]
fn tasks_wait_for_a_descriptor() {
    soon(|| {
        let (read, write) = pipe();
        let stream = Stream::inherited(read.as_fd()).unwrap();
        let null =
            Stream::inherited(std::fs::File::open(crate::sys::NULL).unwrap().as_fd()).unwrap();
        assert!(null.interest(Direction::Read).is_none());
        let end = EndSignal::new();
        let interest = || stream.interest(Direction::Read).unwrap();
        let all = async |count: usize| {
            let waits = (0..count).map(|_| Box::pin(end.or_raised(ready(interest()))));
            let mut waits: Vec<_> = waits.map(Some).collect();
            let mut outcomes = Vec::new();
            std::future::poll_fn(|cx| {
                for wait in &mut waits {
                    if let Some(future) = wait
                        && let Poll::Ready(outcome) = future.as_mut().poll(cx)
                    {
                        outcomes.push(outcome);
                        *wait = None;
                    }
                }
                if outcomes.len() == count {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            outcomes
        };
        let writer = thread::spawn({
            let write = write.try_clone().unwrap();
            move || {
                thread::sleep(Duration::from_millis(30));
                crate::sys::write(&write, b"x").unwrap();
            }
        });
        let outcomes = in_tokio(all(50));
        assert!(
            outcomes
                .iter()
                .all(|o| matches!(o, Ok(Ok(found)) if found.ready))
        );
        writer.join().unwrap();
        let mut byte = [0];
        let took = stream.read(true, &end, |fd, manner| read_once(fd, manner, &mut byte));
        assert_eq!(took.unwrap(), 1);

        let raiser = thread::spawn({
            let end = end.clone();
            move || {
                thread::sleep(Duration::from_millis(30));
                end.raise();
            }
        });
        let outcomes = in_tokio(all(50));
        assert!(outcomes.iter().all(|o| matches!(o, Err(Interrupted))));
        raiser.join().unwrap();
    });
}
