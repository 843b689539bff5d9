//! Inherited descriptors are left as they were found: their flags, and bytes that were not asked
//! for.

use crate::subject::{Ours, ReadsAhead, SetsFlag, Subject, subject};
use crate::support::{Check, blocked, pipe, pty, rounds, sockets, soon, tcp};
use p1_adapter::test_hooks::EndSignal;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::fcntl_getfl;

/// The flags of `fd`'s description before, during and after blocked reads and writes.
fn flags_stay<S: Subject>(what: &str, fd: &OwnedFd, reads: bool) -> Check {
    let before = fcntl_getfl(fd).unwrap();
    let stream = subject::<S>(fd);
    let end = EndSignal::new();
    let blocked = {
        let (stream, end) = (stream.clone(), end.clone());
        blocked(move || {
            let _ = if reads {
                stream.read(&mut [0; 8], false, &end)
            } else {
                stream.write(&vec![b'x'; 4 << 20], false, &end)
            };
        })
    };
    let during = fcntl_getfl(fd).unwrap();
    end.raise();
    blocked.join().unwrap();
    drop(stream);
    let after = fcntl_getfl(fd).unwrap();
    if (during, after) != (before, before) {
        return Err(format!(
            "{what}: {before:?} became {during:?}, then {after:?}"
        ));
    }
    Ok(())
}

#[test]
fn inherited_flags_stay() {
    fn check<S: Subject>() -> Check {
        let (read, write) = pipe();
        flags_stay::<S>("pipe, read end", &read, true)?;
        flags_stay::<S>("pipe, write end", &write, false)?;
        let (master, terminal) = pty();
        flags_stay::<S>("terminal, reading", &terminal, true)?;
        flags_stay::<S>("terminal, writing", &terminal, false)?;
        flags_stay::<S>("pty master", &master, false)?;
        let (a, _b) = sockets();
        flags_stay::<S>("unix socket, reading", &a, true)?;
        flags_stay::<S>("unix socket, writing", &a, false)?;
        let (a, _b) = tcp();
        flags_stay::<S>("TCP socket, reading", &a, true)
    }
    soon(|| (0..rounds(1)).try_for_each(|_| check::<Ours>())).unwrap();
    soon(check::<SetsFlag>).unwrap_err();
}

#[test]
fn unread_bytes_are_left() {
    fn check<S: Subject>() -> Check {
        let (pipe_in, pipe_out) = pipe();
        let (master, terminal) = pty();
        let (a, b) = sockets();
        // The terminal is in canonical mode: a whole line is there to be read.
        let cases: [(&str, &OwnedFd, &OwnedFd); 3] = [
            ("pipe", &pipe_in, &pipe_out),
            ("terminal", &terminal, &master),
            ("socket", &a, &b),
        ];
        let end = EndSignal::new();
        for (what, from, to) in cases {
            rustix::io::write(to, b"first second\n").unwrap();
            let stream = subject::<S>(from);
            let mut buffer = [0; 6];
            let count = stream.read(&mut buffer, false, &end).unwrap();
            assert_eq!(&buffer[..count], b"first ", "{what}");
            drop(stream);
            // What another process with the same description would find.
            let poll = rustix::event::PollFd::new(&from, rustix::event::PollFlags::IN);
            let zero = rustix::event::Timespec::default();
            if rustix::event::poll(&mut [poll], Some(&zero)).unwrap() == 0 {
                return Err(format!("{what}: nothing left"));
            }
            let mut rest = [0; 64];
            let count = rustix::io::read(from.as_fd(), &mut rest).unwrap();
            if &rest[..count] != b"second\n" {
                return Err(format!("{what}: {:?} left", &rest[..count]));
            }
        }
        Ok(())
    }
    soon(|| (0..rounds(1)).try_for_each(|_| check::<Ours>())).unwrap();
    soon(check::<ReadsAhead>).unwrap_err();
}
