//! Sockets.
#![allow(unsafe_code)]

use super::errno::Errno;
use super::fd::{AsFd, BorrowedFd, OwnedFd};
use super::poll::PollFlags;
use std::mem::ManuallyDrop;
pub(crate) use std::net::Shutdown;
use std::net::TcpListener;
use std::os::windows::io::FromRawSocket as _;
use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::Networking::WinSock::{
    FIONBIO, FIONREAD, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, SD_BOTH, SD_RECEIVE, SD_SEND,
    SO_TYPE, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, WSAPOLLFD, WSAPoll, getsockopt, ioctlsocket,
    shutdown as shut,
};

/// Nothing says that a receiving side is shut.
pub(crate) const RECEIVING_SHUT: PollFlags = PollFlags::empty();

/// What kind of socket one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketType(i32);

impl SocketType {
    pub(crate) const STREAM: Self = Self(SOCK_STREAM);
    pub(crate) const DGRAM: Self = Self(SOCK_DGRAM);
}

/// The result of a call that says -1 where it failed.
pub(in crate::sys) fn done(returned: i32) -> Result<(), Errno> {
    match returned {
        0.. => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// The next connection of a listener of TCP's, which child processes do not inherit.
pub(crate) fn accept(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let socket = fd.as_fd().socket() as u64;
    // SAFETY: the socket is open; that it is not closed here is seen to.
    let listener = ManuallyDrop::new(unsafe { TcpListener::from_raw_socket(socket) });
    let (connection, _) = listener
        .accept()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let connection = OwnedFd::from(connection);
    // SAFETY: the socket is open. One that cannot be told is inherited.
    unsafe { SetHandleInformation(connection.as_fd().handle(), HANDLE_FLAG_INHERIT, 0) };
    Ok(connection)
}

/// Has no call on a socket wait that this process alone has.
pub(crate) fn own(fd: impl AsFd) -> Result<(), Errno> {
    let mut yes = 1;
    // SAFETY: the system checks the socket, and reads the number.
    done(unsafe { ioctlsocket(fd.as_fd().socket(), FIONBIO, &raw mut yes) })
}

pub(super) fn readable_bytes(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut available = 0;
    // SAFETY: the system checks the socket, and writes the number.
    done(unsafe { ioctlsocket(fd.socket(), FIONREAD, &raw mut available) })?;
    Ok(available.into())
}

/// What kind of socket `fd` is.
pub(crate) fn kind(fd: impl AsFd) -> Result<SocketType, Errno> {
    let mut kind = 0i32;
    let mut len = size_of_val(&kind) as i32;
    let at = (&raw mut kind).cast();
    let socket = fd.as_fd().socket();
    // SAFETY: the system checks the socket, and writes a number into one of that size.
    done(unsafe { getsockopt(socket, SOL_SOCKET, SO_TYPE, at, &raw mut len) })?;
    Ok(SocketType(kind))
}

/// Ends one direction, or both, for every process that has the socket.
pub(crate) fn shutdown(fd: impl AsFd, how: Shutdown) -> Result<(), Errno> {
    let how = match how {
        Shutdown::Read => SD_RECEIVE,
        Shutdown::Write => SD_SEND,
        Shutdown::Both => SD_BOTH,
    };
    // SAFETY: the system checks the socket.
    done(unsafe { shut(fd.as_fd().socket(), how) })
}

/// What of `asked` the socket is ready for, and what else there is to say. Does not wait.
pub(in crate::sys) fn look(fd: BorrowedFd<'_>, asked: PollFlags) -> Result<PollFlags, Errno> {
    let pairs = [
        (PollFlags::IN, POLLIN),
        (PollFlags::OUT, POLLOUT),
        (PollFlags::HUP, POLLHUP),
        (PollFlags::ERR, POLLERR),
        (PollFlags::NVAL, POLLNVAL),
    ];
    let mut events = 0;
    for (flag, bits) in &pairs[..2] {
        if asked.contains(*flag) {
            events |= *bits;
        }
    }
    let mut one = WSAPOLLFD {
        fd: fd.socket(),
        events,
        revents: 0,
    };
    // SAFETY: one entry, which is written.
    done(unsafe { WSAPoll(&raw mut one, 1, 0) })?;
    let found = pairs.iter().filter(|(_, bits)| one.revents & bits != 0);
    Ok(found.map(|(flag, _)| *flag).collect())
}
