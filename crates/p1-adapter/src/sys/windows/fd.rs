//! Descriptors: handles and sockets.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Stderr, Stdin, Stdout};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::windows::io::{
    AsHandle, AsRawHandle as _, AsRawSocket as _, AsSocket, BorrowedHandle, BorrowedSocket,
    FromRawHandle as _, FromRawSocket as _, IntoRawHandle as _, IntoRawSocket as _, OwnedHandle,
    OwnedSocket,
};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock::SOCKET;

/// What has a handle or a socket.
pub trait AsFd {
    /// Lends it.
    fn as_fd(&self) -> BorrowedFd<'_>;
}

/// What has a number of the system's.
pub trait AsRawFd {
    /// The number; no two that are open have the same.
    fn as_raw_fd(&self) -> usize;
}

/// A handle or socket that its owner closes, and not for as long as `'fd`.
#[derive(Clone, Copy, Debug)]
pub struct BorrowedFd<'fd>(Lent<'fd>);

#[derive(Clone, Copy, Debug)]
enum Lent<'fd> {
    Handle(BorrowedHandle<'fd>),
    Socket(BorrowedSocket<'fd>),
    /// Of this crate's own: it is only waited for.
    Event(BorrowedHandle<'fd>),
}

/// A handle or socket, closed when this is dropped.
#[derive(Debug)]
pub struct OwnedFd(Held);

#[derive(Debug)]
enum Held {
    Handle(OwnedHandle),
    Socket(OwnedSocket),
}

impl<'fd> BorrowedFd<'fd> {
    pub(in crate::sys) fn of_event(event: BorrowedHandle<'fd>) -> Self {
        Self(Lent::Event(event))
    }

    pub(in crate::sys) fn is_event(&self) -> bool {
        matches!(self.0, Lent::Event(_))
    }

    /// Whether it was made of a socket. A handle may be one too.
    pub(in crate::sys) fn is_made_of_socket(&self) -> bool {
        matches!(self.0, Lent::Socket(_))
    }

    pub(in crate::sys) fn handle(&self) -> HANDLE {
        match self.0 {
            Lent::Handle(handle) | Lent::Event(handle) => handle.as_raw_handle(),
            Lent::Socket(socket) => {
                std::ptr::with_exposed_provenance_mut(socket.as_raw_socket() as usize)
            }
        }
    }

    pub(in crate::sys) fn socket(&self) -> SOCKET {
        self.as_raw_fd()
    }

    /// Another one for the same object, which is not inherited.
    ///
    /// # Errors
    ///
    /// The system's, which has no handle left.
    pub fn try_clone_to_owned(&self) -> std::io::Result<OwnedFd> {
        match self.0 {
            Lent::Handle(handle) | Lent::Event(handle) => {
                handle.try_clone_to_owned().map(OwnedFd::from)
            }
            Lent::Socket(socket) => socket.try_clone_to_owned().map(OwnedFd::from),
        }
    }
}

impl OwnedFd {
    /// Another one for the same object, which is not inherited.
    ///
    /// # Errors
    ///
    /// The system's, which has no handle left.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        self.as_fd().try_clone_to_owned()
    }
}

impl AsRawFd for BorrowedFd<'_> {
    fn as_raw_fd(&self) -> usize {
        match self.0 {
            Lent::Handle(handle) | Lent::Event(handle) => handle.as_raw_handle().addr(),
            Lent::Socket(socket) => socket.as_raw_socket() as usize,
        }
    }
}

impl AsFd for BorrowedFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        *self
    }
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Held::Handle(handle) => BorrowedFd(Lent::Handle(handle.as_handle())),
            Held::Socket(socket) => BorrowedFd(Lent::Socket(socket.as_socket())),
        }
    }
}

impl AsRawFd for OwnedFd {
    fn as_raw_fd(&self) -> usize {
        self.as_fd().as_raw_fd()
    }
}

/// What has handles lends them.
macro_rules! handles {
    ($($type:ty),*) => {$(
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                BorrowedFd(Lent::Handle(self.as_handle()))
            }
        }
    )*};
}

/// What has sockets lends them.
macro_rules! sockets {
    ($($type:ty),*) => {$(
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                BorrowedFd(Lent::Socket(self.as_socket()))
            }
        }
    )*};
}

handles!(File, OwnedHandle, BorrowedHandle<'_>, Stdin, Stdout, Stderr);
handles!(ChildStdin, ChildStdout, ChildStderr, PipeReader, PipeWriter);
sockets!(
    TcpStream,
    TcpListener,
    UdpSocket,
    OwnedSocket,
    BorrowedSocket<'_>
);

impl<T: AsFd + ?Sized> AsFd for &T {
    fn as_fd(&self) -> BorrowedFd<'_> {
        T::as_fd(self)
    }
}

impl<T: AsFd + ?Sized> AsFd for Arc<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        T::as_fd(self)
    }
}

impl<T: AsFd + ?Sized> AsFd for Box<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        T::as_fd(self)
    }
}

impl From<OwnedHandle> for OwnedFd {
    fn from(handle: OwnedHandle) -> Self {
        Self(Held::Handle(handle))
    }
}

impl From<OwnedSocket> for OwnedFd {
    fn from(socket: OwnedSocket) -> Self {
        Self(Held::Socket(socket))
    }
}

/// What owns handles gives them.
macro_rules! from {
    ($by:ty: $($type:ty),*) => {$(
        impl From<$type> for OwnedFd {
            fn from(owner: $type) -> Self {
                Self::from(<$by>::from(owner))
            }
        }
    )*};
}

from!(OwnedHandle: File, ChildStdin, ChildStdout, ChildStderr, PipeReader, PipeWriter);
from!(OwnedSocket: TcpStream, TcpListener, UdpSocket);

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        match fd.0 {
            Held::Handle(handle) => Self::from(handle),
            Held::Socket(socket) => {
                let raw = std::ptr::with_exposed_provenance_mut(socket.into_raw_socket() as usize);
                // SAFETY: a socket is a handle, and nothing else closes this one.
                unsafe { Self::from_raw_handle(raw) }
            }
        }
    }
}

impl From<OwnedFd> for OwnedSocket {
    /// As on Unix it is not asked what it is. What is no socket fails in every call.
    fn from(fd: OwnedFd) -> Self {
        match fd.0 {
            Held::Socket(socket) => socket,
            Held::Handle(handle) => {
                let raw = handle.into_raw_handle().expose_provenance() as u64;
                // SAFETY: nothing else closes it.
                unsafe { Self::from_raw_socket(raw) }
            }
        }
    }
}

/// Sockets of the standard library are made of what is theirs.
macro_rules! into_sockets {
    ($($type:ty),*) => {$(
        impl From<OwnedFd> for $type {
            fn from(fd: OwnedFd) -> Self {
                Self::from(OwnedSocket::from(fd))
            }
        }
    )*};
}

into_sockets!(TcpStream, TcpListener, UdpSocket);

impl From<OwnedFd> for OwnedHandle {
    fn from(fd: OwnedFd) -> Self {
        let raw = File::from(fd).into_raw_handle();
        // SAFETY: the file owned it, and gave it up.
        unsafe { Self::from_raw_handle(raw) }
    }
}
