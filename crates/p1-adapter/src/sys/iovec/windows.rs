//! The calls on buffers in guest memory: straight on it, one call of the system's for each buffer
//! of a file, one for all of a socket's, and one for the first of anything else, so that no call
//! waits after something was read. What the buffers are, and why these calls may be made on memory
//! that others write, is said in [`super`].
#![allow(unsafe_code)]

use super::Iovecs;
use crate::sys::blocked::while_pending;
use crate::sys::errno::Errno;
use crate::sys::fd::BorrowedFd;
use crate::sys::file::{SeekFrom, cursor, move_cursor};
use crate::sys::object::Sort;
use crate::sys::poll::PollFlags;
use crate::sys::socket::{self, SocketType};
use crate::sys::wake_fd::WakeFd;
use smallvec::SmallVec;
use std::ffi::c_void;
use std::ptr::null_mut;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_SYNCHRONOUS_IO_ALERT, FILE_SYNCHRONOUS_IO_NONALERT, FileModeInformation,
    NtQueryInformationFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_HANDLE_EOF, ERROR_IO_PENDING, ERROR_MORE_DATA,
    ERROR_PIPE_NOT_CONNECTED, GetLastError, HANDLE,
};
use windows_sys::Win32::Networking::WinSock::{MSG_PEEK, WSABUF, WSARecv, WSASend};
use windows_sys::Win32::Security::Cryptography::{
    BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom,
};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{
    GetOverlappedResult, IO_STATUS_BLOCK, OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0,
};

/// One buffer.
#[derive(Clone, Copy)]
pub(super) struct IoVec {
    pub(super) iov_base: *mut c_void,
    pub(super) iov_len: usize,
}

/// The most that one call of the system's is asked for.
const MOST: usize = 1 << 30;

/// What a stream is sent at a time.
const PIECE: usize = 16 << 10;

/// The offset that stands for the end of the file, wherever that is.
const END: u64 = u64::MAX;

impl Iovecs<'_> {
    /// Reads at the handle's own cursor.
    pub(crate) fn read(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let handle = fd.handle();
        match Sort::of(fd)? {
            Sort::Disk => {
                let _moves = cursor(handle);
                self.each(|buffer, _| read(handle, buffer, At::Cursor))
            }
            Sort::Socket => self.recv(fd, false, false).map(|(count, _)| count),
            Sort::Pipe | Sort::Console | Sort::Device | Sort::Event => {
                self.first(|buffer| read(handle, buffer, At::Stream))
            }
        }
    }

    /// Writes at the handle's own cursor.
    pub(crate) fn write(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let handle = fd.handle();
        match Sort::of(fd)? {
            Sort::Disk => {
                let _moves = cursor(handle);
                self.each(|buffer, _| write(handle, buffer, At::Cursor))
            }
            Sort::Socket => self.send(fd),
            Sort::Pipe | Sort::Console | Sort::Device | Sort::Event => {
                self.each(|buffer, _| write(handle, buffer, At::Stream))
            }
        }
    }

    /// Writes at the end of the file, wherever that is by then: all buffers with one call, so that
    /// what others append does not come in between.
    pub(crate) fn append(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let handle = fd.handle();
        if Sort::of(fd)? != Sort::Disk {
            return self.write(fd);
        }
        let _moves = cursor(handle);
        match self.list[..] {
            [buffer] => write(handle, buffer, At::Place(END)),
            _ => {
                let mut all = self.copy_out();
                let buffer = IoVec {
                    iov_base: all.as_mut_ptr().cast(),
                    iov_len: all.len(),
                };
                write(handle, buffer, At::Place(END))
            }
        }
    }

    /// Reads at `offset`. The cursor stays.
    pub(crate) fn read_at(&self, fd: BorrowedFd<'_>, offset: u64) -> Result<usize, Errno> {
        let handle = fd.handle();
        positioned(fd, || {
            self.each(|buffer, done| read(handle, buffer, At::Place(place(offset, done)?)))
        })
    }

    /// Writes at `offset`. The cursor stays.
    pub(crate) fn write_at(&self, fd: BorrowedFd<'_>, offset: u64) -> Result<usize, Errno> {
        let handle = fd.handle();
        positioned(fd, || {
            self.each(|buffer, done| write(handle, buffer, At::Place(place(offset, done)?)))
        })
    }

    /// No such call.
    pub(crate) fn read_nowait(&self, _: BorrowedFd<'_>) -> Result<usize, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// No such call.
    pub(crate) fn write_nowait(&self, _: BorrowedFd<'_>) -> Result<usize, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// Receives from a socket, which keeps the bytes to `peek`; also says whether a datagram was
    /// cut short. `EAGAIN` if there is nothing. (Of a socket that another process has, that one may
    /// take it in between: then this waits, and does not end with the signal.)
    pub(crate) fn recv(
        &self,
        fd: BorrowedFd<'_>,
        peek: bool,
        _records: bool,
    ) -> Result<(usize, bool), Errno> {
        // No other thread takes what was seen.
        let _seen = cursor(fd.handle());
        if socket::look(fd, PollFlags::IN)?.is_empty() {
            return Err(Errno::AGAIN);
        }
        let buffers = self.for_sockets();
        let (mut count, mut flags) = (0, if peek { MSG_PEEK.cast_unsigned() } else { 0 });
        let (at, count_at, flags_at) = (buffers.as_ptr(), &raw mut count, &raw mut flags);
        let len = buffers.len() as u32;
        // SAFETY: every buffer lies inside the memory borrowed for as long as this value (checked
        // in `add`, narrowed only in `part`); a linear memory's pages stay mapped for as long as
        // the memory is borrowed, a shared one's never move; no reference to the bytes exists while
        // the kernel writes them. The list lives across the call, which is done when it returns, as
        // it has no overlapped structure.
        let failed =
            unsafe { WSARecv(fd.socket(), at, len, count_at, flags_at, null_mut(), None) } != 0;
        match failed.then(Errno::last) {
            None => Ok((count as usize, false)),
            Some(Errno::MSGSIZE) => Ok((self.len(), true)),
            Some(errno) => Err(errno),
        }
    }

    /// Sends to a socket: `EAGAIN` if it has no room. A stream is sent a piece, which has room if
    /// there is any: a socket that others have would wait for the whole, and no signal would reach
    /// the call there.
    pub(crate) fn send(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        if self.len() > PIECE && socket::kind(fd)? == SocketType::STREAM {
            return self.part(&(0..PIECE)).send_whole(fd);
        }
        self.send_whole(fd)
    }

    fn send_whole(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        // No other thread fills the room that was seen.
        let _seen = cursor(fd.handle());
        if socket::look(fd, PollFlags::OUT)?.is_empty() {
            return Err(Errno::AGAIN);
        }
        let buffers = self.for_sockets();
        let mut count = 0;
        let (at, len, count_at) = (buffers.as_ptr(), buffers.len() as u32, &raw mut count);
        // SAFETY: as for `recv`; the kernel only reads the bytes.
        socket::done(unsafe { WSASend(fd.socket(), at, len, count_at, 0, null_mut(), None) })?;
        Ok(count as usize)
    }

    /// The buffers as sockets take them, of which there must be one.
    fn for_sockets(&self) -> SmallVec<[WSABUF; 4]> {
        let of = |buffer: &IoVec| WSABUF {
            len: buffer.iov_len.min(MOST) as u32,
            buf: buffer.iov_base.cast(),
        };
        let mut buffers: SmallVec<[WSABUF; 4]> = self.list.iter().map(of).collect();
        if buffers.is_empty() {
            buffers.push(WSABUF {
                len: 0,
                buf: null_mut(),
            });
        }
        buffers
    }

    /// Random bytes into the first buffer.
    pub(crate) fn random(&self) -> Result<usize, Errno> {
        self.first(|buffer| {
            let len = buffer.iov_len.min(MOST);
            let (at, flags) = (buffer.iov_base.cast(), BCRYPT_USE_SYSTEM_PREFERRED_RNG);
            // SAFETY: as for `recv`: the bytes are written while the call lasts.
            match unsafe { BCryptGenRandom(null_mut(), at, len as u32, flags) } {
                0 => Ok(len),
                _ => Err(Errno::IO),
            }
        })
    }

    fn first(&self, call: impl FnOnce(IoVec) -> Result<usize, Errno>) -> Result<usize, Errno> {
        self.list.first().map_or(Ok(0), |buffer| call(*buffer))
    }

    /// `call` for each buffer, with the number of bytes before it, until one is not filled. An
    /// error counts if it is the first thing that happens.
    fn each(
        &self,
        mut call: impl FnMut(IoVec, usize) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        for buffer in &self.list {
            let mut buffer = *buffer;
            while buffer.iov_len > 0 {
                match call(buffer, done) {
                    Ok(0) => return Ok(done),
                    Ok(count) => {
                        done += count;
                        buffer.iov_base = buffer.iov_base.wrapping_byte_add(count);
                        buffer.iov_len -= count;
                        if buffer.iov_len > 0 && count < MOST {
                            return Ok(done);
                        }
                    }
                    Err(_) if done > 0 => return Ok(done),
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(done)
    }
}

/// `offset`, `done` bytes on. The end of what there can be is no place to write.
fn place(offset: u64, done: usize) -> Result<u64, Errno> {
    offset
        .checked_add(done as u64)
        .filter(|at| i64::try_from(*at).is_ok())
        .ok_or(Errno::INVAL)
}

/// Makes calls at places of their own, which move the handle's cursor all the same: it is put back.
fn positioned(
    fd: BorrowedFd<'_>,
    call: impl FnOnce() -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    match Sort::of(fd)? {
        Sort::Disk => {}
        Sort::Device => return call(),
        Sort::Pipe | Sort::Socket | Sort::Console | Sort::Event => return Err(Errno::SPIPE),
    }
    let handle = fd.handle();
    let _moves = cursor(handle);
    let before = move_cursor(handle, SeekFrom::Current(0))?;
    let done = call();
    let back = move_cursor(handle, SeekFrom::Start(before));
    done.and_then(|count| back.map(|_| count))
}

/// Where bytes are read or written.
#[derive(Clone, Copy)]
enum At {
    /// At the cursor of a file's handle.
    Cursor,
    /// At this offset.
    Place(u64),
    /// Where they come and go in order.
    Stream,
}

fn overlapped(at: u64) -> OVERLAPPED {
    OVERLAPPED {
        Anonymous: OVERLAPPED_0 {
            Anonymous: OVERLAPPED_0_0 {
                Offset: at as u32,
                OffsetHigh: (at >> 32) as u32,
            },
        },
        ..OVERLAPPED::default()
    }
}

/// Makes a call, which is given where the number of bytes goes and a structure, and waits until the
/// system is done with its buffer; the call's answer.
///
/// Handles of files, of wasmtime-wasi and of anonymous pipes are synchronous: such a call is done
/// when it returns. On an asynchronous handle it may go on in the background: on a file with a
/// place, and on the pipes that the standard library has to its child processes.
fn called(
    handle: HANDLE,
    at: At,
    count: *mut u32,
    call: impl FnOnce(*mut u32, *mut OVERLAPPED) -> i32,
) -> i32 {
    let mut structure = OVERLAPPED::default();
    let event;
    match at {
        At::Place(offset) => structure = overlapped(offset),
        At::Stream if is_asynchronous(handle) => {
            event = match WakeFd::new() {
                Ok(event) => event,
                // The system's error is still what it was.
                Err(_) => return 0,
            };
            // The lowest bit keeps the end of the call from whatever else waits for the handle's.
            let own = event.descriptor().handle().map_addr(|handle| handle | 1);
            structure.hEvent = own;
        }
        At::Cursor | At::Stream => return call(count, null_mut()),
    }
    let place = &raw mut structure;
    let done = call(count, place);
    // SAFETY: reads a number of this thread's.
    if done != 0 || unsafe { GetLastError() } != ERROR_IO_PENDING {
        return done;
    }
    // SAFETY: the call is under way with this structure; the number is the caller's, which keeps it
    // until this returns.
    while_pending(handle, place, || unsafe {
        GetOverlappedResult(handle, place, count, 1)
    })
}

/// Whether calls on the handle may go on in the background. One that cannot be asked is none.
fn is_asynchronous(handle: HANDLE) -> bool {
    let mut mode = 0u32;
    let mut status = IO_STATUS_BLOCK::default();
    let (at, len) = (&raw mut mode, size_of_val(&mode) as u32);
    let status_at = &raw mut status;
    // SAFETY: the handle is open; the structure asked for is one number.
    let asked =
        unsafe { NtQueryInformationFile(handle, status_at, at.cast(), len, FileModeInformation) };
    asked == 0 && mode & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT) == 0
}

/// One read, of what there is at once: nothing at the end of a file, and where a pipe has no writer
/// any more.
fn read(handle: HANDLE, buffer: IoVec, at: At) -> Result<usize, Errno> {
    let len = buffer.iov_len.min(MOST) as u32;
    let mut count = 0;
    // SAFETY: as for `Iovecs::recv`. The system is done with the buffer when `called` has returned.
    let done = called(handle, at, &raw mut count, |count, place| unsafe {
        ReadFile(handle, buffer.iov_base.cast(), len, count, place)
    });
    match done {
        0 => {
            // SAFETY: reads a number of this thread's.
            match unsafe { GetLastError() } {
                ERROR_HANDLE_EOF | ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED => Ok(0),
                // What is left of a message comes with the next read.
                ERROR_MORE_DATA => Ok(count as usize),
                _ => Err(Errno::last()),
            }
        }
        _ => Ok(count as usize),
    }
}

/// One write.
fn write(handle: HANDLE, buffer: IoVec, at: At) -> Result<usize, Errno> {
    let len = buffer.iov_len.min(MOST) as u32;
    let mut count = 0;
    // SAFETY: as for `read`; the kernel only reads the bytes.
    let done = called(handle, at, &raw mut count, |count, place| unsafe {
        WriteFile(handle, buffer.iov_base.cast(), len, count, place)
    });
    match done {
        0 => Err(Errno::last()),
        _ => Ok(count as usize),
    }
}
