//! Unix.

use p1_adapter::fd::{AsFd, BorrowedFd, OwnedFd};
use p1_adapter::test_hooks::Manner;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2};
use rustix::net::{RecvFlags, SendFlags};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// What takes everything and is at its end.
pub(crate) const NULL: &str = "/dev/null";

/// A folder on another file system than temporary files, where the machine has one.
pub(crate) const MEMORY: &str = "/dev/shm";

/// A connection of this machine's.
pub(crate) type Connection = UnixStream;

/// What takes such connections.
pub(crate) type LocalListener = UnixListener;

/// Where it takes them.
pub(crate) type Address = PathBuf;

/// Two ends of a connection.
pub(crate) fn connected() -> (Connection, Connection) {
    UnixStream::pair().unwrap()
}

/// A listener at `name` in `dir`.
pub(crate) fn listen(dir: &Path, name: &str) -> (LocalListener, Address) {
    let path = dir.join(name);
    (UnixListener::bind(&path).unwrap(), path)
}

pub(crate) fn connect(to: &Address) -> io::Result<Connection> {
    UnixStream::connect(to)
}

pub(crate) fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(fd, buffer)?)
}

pub(crate) fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(fd, bytes)?)
}

pub(crate) fn read_once(
    fd: BorrowedFd<'_>,
    manner: Manner,
    buffer: &mut [u8],
) -> io::Result<usize> {
    Ok(match manner {
        Manner::Plain => rustix::io::read(fd, buffer)?,
        Manner::NoWait => preadv2(
            fd,
            &mut [IoSliceMut::new(buffer)],
            u64::MAX,
            ReadWriteFlags::NOWAIT,
        )?,
        Manner::Socket => rustix::net::recv(fd, buffer, RecvFlags::DONTWAIT)?.0,
    })
}

pub(crate) fn write_once(fd: BorrowedFd<'_>, manner: Manner, bytes: &[u8]) -> io::Result<usize> {
    Ok(match manner {
        Manner::Plain => rustix::io::write(fd, bytes)?,
        Manner::NoWait => pwritev2(fd, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT)?,
        Manner::Socket => rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?,
    })
}

/// What a call says that does not exist for an object.
pub(crate) fn not_supported() -> io::Error {
    Errno::OPNOTSUPP.into()
}

/// Has calls on `fd` fail instead of waiting, or wait again.
pub(crate) fn set_nonblocking(fd: impl AsFd, nonblocking: bool) {
    rustix::io::ioctl_fionbio(fd, nonblocking).unwrap();
}

/// Has the socket keep little of what is sent.
pub(crate) fn keep_little(socket: impl AsFd) {
    rustix::net::sockopt::set_socket_send_buffer_size(socket, 4096).unwrap();
}

/// Something to read and write that refuses every way of asking but a plain call, and is readable;
/// and what keeps it so.
pub(crate) fn polled_first() -> (OwnedFd, ()) {
    (eventfd(1, EventfdFlags::CLOEXEC).unwrap(), ())
}

/// Master, terminal.
pub(crate) fn pty() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = ioctl_tiocgptpeer(&master, flags).unwrap();
    (master, terminal)
}

/// A master and its terminal, on systems that have them.
pub(crate) fn ptys() -> Option<(OwnedFd, OwnedFd)> {
    Some(pty())
}

/// A FIFO in a directory of its own.
pub(crate) fn fifo() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    (dir, path)
}

/// A directory, opened.
pub(crate) fn open_dir(path: impl AsRef<Path>) -> File {
    File::open(path).unwrap()
}

/// Makes a symbolic link, on systems where every program may; whether it did.
pub(crate) fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) -> bool {
    std::os::unix::fs::symlink(target, link).unwrap();
    true
}

/// Two sorts of sleeping threads can be told apart by the system call they are in.
pub(crate) mod sleeping {
    use super::super::waiting_calls::{is_lock, is_poll, waits_outside};
    use std::ffi::c_long;
    use std::thread;
    use std::time::{Duration, Instant};

    /// A thread of this process, as the system knows it.
    #[derive(Clone, Copy)]
    pub(crate) struct Tid(i32);

    impl Tid {
        /// The calling thread.
        pub(crate) fn mine() -> Self {
            Tid(rustix::thread::gettid().as_raw_nonzero().get())
        }

        /// What it sleeps in, if it does.
        fn sleep(self) -> Option<Sleep> {
            match self.call()? {
                call if is_lock(call) => Some(Sleep::Lock(self.switches()?)),
                call if waits_outside(call) => Some(Sleep::Call),
                _ => None,
            }
        }

        /// The system call it sleeps in.
        fn call(self) -> Option<c_long> {
            let call =
                std::fs::read_to_string(format!("/proc/self/task/{}/syscall", self.0)).ok()?;
            call.split(' ').next()?.parse().ok()
        }

        /// How often it went to sleep.
        fn switches(self) -> Option<String> {
            let status =
                std::fs::read_to_string(format!("/proc/self/task/{}/status", self.0)).ok()?;
            let mut lines = status.lines();
            lines
                .find(|line| line.starts_with("voluntary_ctxt_switches"))
                .map(str::to_owned)
        }

        /// Whether it waits for descriptors.
        pub(crate) fn polls(self) -> bool {
            self.call().is_some_and(is_poll)
        }
    }

    /// How a thread sleeps.
    #[derive(PartialEq)]
    enum Sleep {
        /// In a system call that waits for something to happen outside.
        Call,
        /// In a lock, after it went to sleep this many times. It may go on at once, so this counts
        /// only if it stays so.
        Lock(String),
    }

    /// Waits until all of `threads` sleep, or one has ended, for `patience` at most.
    pub(crate) fn settle(threads: &[Tid], patience: Duration, ended: impl Fn() -> bool) {
        let look = || -> Vec<_> { threads.iter().map(|tid| tid.sleep()).collect() };
        let start = Instant::now();
        while !ended() && start.elapsed() < patience {
            let seen = look();
            let in_locks = seen
                .iter()
                .any(|sleep| matches!(sleep, Some(Sleep::Lock(_))));
            if seen.contains(&None) {
                thread::sleep(Duration::from_micros(100));
            } else if !in_locks {
                return;
            } else {
                thread::sleep(Duration::from_millis(2));
                if look() == seen {
                    return;
                }
            }
        }
    }
}

/// The most this process has had in memory at once, in bytes.
pub(crate) fn most_resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() << 10
}
