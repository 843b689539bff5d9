//! What an open descriptor stands for.
#![allow(unsafe_code)]

use super::attributes::information;
use super::errno::Errno;
use super::fd::{AsFd, BorrowedFd};
use super::file::FileType;
use super::socket;
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DIRECTORY, FILE_TYPE_CHAR, FILE_TYPE_DISK, FILE_TYPE_PIPE, GetFileType,
};
use windows_sys::Win32::System::Console::GetConsoleMode;
use windows_sys::Win32::System::Pipes::GetNamedPipeInfo;

/// What was found behind a descriptor.
pub(crate) struct Object {
    file_type: FileType,
    size: u64,
    id: (u64, u64),
    is_console: bool,
}

impl Object {
    /// Looks at `fd`.
    pub(crate) fn of(fd: impl AsFd) -> Result<Self, Errno> {
        let fd = fd.as_fd();
        let of_type = |file_type| Self {
            file_type,
            size: 0,
            id: (0, 0),
            is_console: false,
        };
        Ok(match Sort::of(fd)? {
            Sort::Socket => of_type(FileType::Socket),
            Sort::Pipe => of_type(FileType::Fifo),
            Sort::Console => Self {
                is_console: true,
                ..of_type(FileType::CharacterDevice)
            },
            Sort::Device => of_type(FileType::CharacterDevice),
            Sort::Event => of_type(FileType::Unknown),
            Sort::Disk => {
                let found = information(fd.handle())?;
                let is_dir = found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY != 0;
                Self {
                    file_type: match is_dir {
                        true => FileType::Directory,
                        false => FileType::RegularFile,
                    },
                    size: wide(found.nFileSizeHigh, found.nFileSizeLow),
                    id: (
                        found.dwVolumeSerialNumber.into(),
                        wide(found.nFileIndexHigh, found.nFileIndexLow),
                    ),
                    is_console: false,
                }
            }
        })
    }

    pub(crate) fn file_type(&self) -> FileType {
        self.file_type
    }

    /// How many bytes it has, where that means something.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Its volume and its number there, of what is on a disk.
    pub(crate) fn id(&self) -> (u64, u64) {
        self.id
    }

    /// Whether this character device is one that never waits. That is `NUL`, which cannot be told
    /// from a serial port here.
    pub(crate) fn is_memory(&self) -> bool {
        self.file_type == FileType::CharacterDevice && !self.is_console
    }

    /// Whether this character device gives and takes the same everywhere.
    pub(crate) fn is_constant(&self) -> bool {
        self.is_memory()
    }

    /// There is none that makes terminals.
    pub(crate) fn is_pty_multiplexer(&self) -> bool {
        false
    }
}

/// What the calls differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sys) enum Sort {
    /// A file or directory.
    Disk,
    Pipe,
    Socket,
    Console,
    /// Another character device.
    Device,
    Event,
}

impl Sort {
    /// # Errors
    ///
    /// `EBADF` for what is not open.
    pub(in crate::sys) fn of(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        if fd.is_event() {
            return Ok(Self::Event);
        }
        if fd.is_made_of_socket() {
            return Ok(Self::Socket);
        }
        let handle = fd.handle();
        // SAFETY: the system checks the handle.
        match unsafe { GetFileType(handle) } {
            FILE_TYPE_DISK => Ok(Self::Disk),
            FILE_TYPE_CHAR if is_console(handle) => Ok(Self::Console),
            FILE_TYPE_CHAR => Ok(Self::Device),
            FILE_TYPE_PIPE if !is_pipe(handle) && socket::kind(fd).is_ok() => Ok(Self::Socket),
            // A pipe of another system (wine) cannot be asked what it is.
            FILE_TYPE_PIPE => Ok(Self::Pipe),
            _ => Err(Errno::BADF),
        }
    }
}

/// Whether `fd` is a terminal.
pub(crate) fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    !fd.is_made_of_socket() && is_console(fd.handle())
}

fn is_console(handle: HANDLE) -> bool {
    let mut mode = 0;
    // SAFETY: the system checks the handle, and writes the mode.
    unsafe { GetConsoleMode(handle, &raw mut mode) != 0 }
}

/// Of a pipe or a socket.
fn is_pipe(handle: HANDLE) -> bool {
    let nothing = null_mut();
    // SAFETY: the system checks the handle; what is not asked for is not written.
    unsafe { GetNamedPipeInfo(handle, nothing, nothing, nothing, nothing) != 0 }
}

/// Of two halves.
pub(super) fn wide(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
