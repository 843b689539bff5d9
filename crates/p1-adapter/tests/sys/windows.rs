//! Windows.
//!
//! There are no FIFOs and no pairs of terminals, and a program may make symbolic links only with a
//! privilege. Connections of this machine's are TCP's.
#![allow(unsafe_code)]

use p1_adapter::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use p1_adapter::test_hooks::{Manner, StreamKind};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use windows_sys::Win32::Foundation::ERROR_NOT_SUPPORTED;
use windows_sys::Win32::Networking::WinSock::{
    FIONBIO, SO_SNDBUF, SOL_SOCKET, ioctlsocket, setsockopt,
};
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_BACKUP_SEMANTICS;
use windows_sys::Win32::System::Pipes::{PIPE_NOWAIT, PIPE_WAIT, SetNamedPipeHandleState};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// What takes everything and is at its end.
pub(crate) const NULL: &str = "NUL";

/// No folder is known to be on another file system.
pub(crate) const MEMORY: &str = "\\none";

/// A connection of this machine's.
pub(crate) type Connection = TcpStream;

/// What takes such connections.
pub(crate) type LocalListener = TcpListener;

/// Where it takes them.
pub(crate) type Address = SocketAddr;

/// Two ends of a connection.
pub(crate) fn connected() -> (Connection, Connection) {
    let (listener, address) = listen(Path::new(""), "");
    let a = TcpStream::connect(address).unwrap();
    (a, listener.accept().unwrap().0)
}

/// A listener, which has a number instead of a name.
pub(crate) fn listen(_: &Path, _: &str) -> (LocalListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn connect(to: &Address) -> io::Result<Connection> {
    TcpStream::connect(to)
}

fn is_socket(fd: &impl AsFd) -> bool {
    matches!(StreamKind::of(fd), Ok(StreamKind::Socket))
}

pub(crate) fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let own = fd.as_fd().try_clone_to_owned()?;
    let count = match is_socket(&fd) {
        true => TcpStream::from(own).read(buffer),
        false => File::from(own).read(buffer),
    };
    match count {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        count => count,
    }
}

pub(crate) fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let own = fd.as_fd().try_clone_to_owned()?;
    match is_socket(&fd) {
        true => TcpStream::from(own).write(bytes),
        false => File::from(own).write(bytes),
    }
}

/// One read in that manner. No call says that it alone must not wait, so the socket does not wait
/// from then on.
pub(crate) fn read_once(
    fd: BorrowedFd<'_>,
    manner: Manner,
    buffer: &mut [u8],
) -> io::Result<usize> {
    match manner {
        Manner::Plain => read(fd, buffer),
        Manner::NoWait => Err(not_supported()),
        Manner::Socket => {
            set_nonblocking(fd, true);
            read(fd, buffer)
        }
    }
}

pub(crate) fn write_once(fd: BorrowedFd<'_>, manner: Manner, bytes: &[u8]) -> io::Result<usize> {
    match manner {
        Manner::Plain => write(fd, bytes),
        Manner::NoWait => Err(not_supported()),
        Manner::Socket => {
            set_nonblocking(fd, true);
            write(fd, bytes)
        }
    }
}

/// What a call says that does not exist for an object.
pub(crate) fn not_supported() -> io::Error {
    io::Error::from_raw_os_error(ERROR_NOT_SUPPORTED.cast_signed())
}

/// Has calls on `fd` fail instead of waiting (a write to a pipe: write nothing), or wait again.
pub(crate) fn set_nonblocking(fd: impl AsFd, nonblocking: bool) {
    let raw = fd.as_fd().as_raw_fd();
    if is_socket(&fd) {
        let mut yes = nonblocking.into();
        // SAFETY: the system checks the socket, and reads the number.
        assert_eq!(unsafe { ioctlsocket(raw, FIONBIO, &raw mut yes) }, 0);
        return;
    }
    let mode = if nonblocking { PIPE_NOWAIT } else { PIPE_WAIT };
    let handle = with_exposed_provenance_mut(raw);
    // SAFETY: the system checks the handle, and reads the number.
    let done = unsafe { SetNamedPipeHandleState(handle, &raw const mode, null_mut(), null_mut()) };
    assert_ne!(done, 0, "{}", io::Error::last_os_error());
}

/// Has the socket keep little of what is sent.
pub(crate) fn keep_little(socket: impl AsFd) {
    let size = 4096i32;
    let (at, len) = ((&raw const size).cast(), size_of_val(&size) as i32);
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the system checks the socket, and reads a number of that size.
    let done = unsafe { setsockopt(socket, SOL_SOCKET, SO_SNDBUF, at, len) };
    assert_eq!(done, 0);
}

/// Something to read that refuses every way of asking but a plain call, and is readable; and what
/// keeps it so.
pub(crate) fn polled_first() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = super::pipe();
    write(&writer, &[0; 64]).unwrap();
    (reader, writer)
}

/// None.
pub(crate) fn ptys() -> Option<(OwnedFd, OwnedFd)> {
    None
}

/// A directory, opened: the system has to be told that it may be one.
pub(crate) fn open_dir(path: impl AsRef<Path>) -> File {
    let mut options = File::options();
    let options = options.read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    options.open(path).unwrap()
}

/// Makes none: a program needs a privilege for it.
pub(crate) fn symlink(_: impl AsRef<Path>, _: impl AsRef<Path>) -> bool {
    false
}

/// The system does not say whether a thread sleeps: it is given some time.
pub(crate) mod sleeping {
    use std::thread;
    use std::time::{Duration, Instant};

    /// How long a thread is given to fall asleep.
    const SOME_TIME: Duration = Duration::from_millis(60);

    /// A thread of this process.
    #[derive(Clone, Copy)]
    pub(crate) struct Tid(Instant);

    impl Tid {
        /// The calling thread, from now on.
        pub(crate) fn mine() -> Self {
            Tid(Instant::now())
        }

        /// Whether it waits for descriptors.
        pub(crate) fn polls(self) -> bool {
            self.0.elapsed() > SOME_TIME
        }
    }

    /// Waits until all of `threads` had some time, or one has ended.
    pub(crate) fn settle(threads: &[Tid], _: Duration, ended: impl Fn() -> bool) {
        while !ended() && !threads.iter().all(|thread| thread.polls()) {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The most this process has had in memory at once, in bytes.
pub(crate) fn most_resident() -> u64 {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = size_of_val(&counters) as u32;
    // SAFETY: the number stands for this process; the structure has that size.
    let done = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size) };
    assert_ne!(done, 0);
    counters.PeakWorkingSetSize as u64
}
