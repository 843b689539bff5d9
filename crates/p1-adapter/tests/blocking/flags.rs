//! Inherited descriptors are left as they were found: their flags, and bytes that were not asked
//! for.

#[cfg(unix)]
use crate::subject::SetsFlag;
use crate::subject::{Ours, ReadsAhead, Subject, subject};
use crate::support::{Check, pipe, ptys, rounds, sockets, soon};
#[cfg(unix)]
use crate::support::{blocked, pty, tcp};
use p1_adapter::fd::{AsFd, OwnedFd};
use p1_adapter::test_hooks::{Deadline, Direction, EndSignal, Interest, wait};
#[cfg(unix)]
use rustix::fs::fcntl_getfl;

/// The flags of `fd`'s description before, during and after blocked reads and writes.
#[cfg(unix)]
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

/// Windows does not say whether calls on a handle wait.
#[test]
#[cfg(unix)]
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
        let terminals = ptys();
        let (a, b) = sockets();
        let mut cases: Vec<(&str, &OwnedFd, &OwnedFd)> =
            vec![("pipe", &pipe_in, &pipe_out), ("socket", &a, &b)];
        // The terminal is in canonical mode: a whole line is there to be read.
        cases.extend(
            terminals
                .as_ref()
                .map(|(master, terminal)| ("terminal", terminal, master)),
        );
        let end = EndSignal::new();
        for (what, from, to) in cases {
            crate::sys::write(to, b"first second\n").unwrap();
            let stream = subject::<S>(from);
            let mut buffer = [0; 6];
            let count = stream.read(&mut buffer, false, &end).unwrap();
            assert_eq!(&buffer[..count], b"first ", "{what}");
            drop(stream);
            // What another process with the same description would find.
            let mut interest = [Interest::new(from.as_fd(), Direction::Read)];
            if wait(&mut interest, &Deadline::NOW, &end).unwrap() == 0 {
                return Err(format!("{what}: nothing left"));
            }
            let mut rest = [0; 64];
            let count = crate::sys::read(from.as_fd(), &mut rest).unwrap();
            if &rest[..count] != b"second\n" {
                return Err(format!("{what}: {:?} left", &rest[..count]));
            }
        }
        Ok(())
    }
    soon(|| (0..rounds(1)).try_for_each(|_| check::<Ours>())).unwrap();
    soon(check::<ReadsAhead>).unwrap_err();
}
