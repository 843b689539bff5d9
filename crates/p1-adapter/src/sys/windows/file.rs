//! An open file: its bytes, its flags, its times, its handle.
#![allow(unsafe_code)]

use super::attributes::information;
use super::errno::Errno;
use super::fd::{AsFd, BorrowedFd, OwnedFd};
use super::object::{Sort, wide};
use super::time::{NewTime, file_time};
use super::{pipe, socket};
pub(crate) use std::io::SeekFrom;
use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
use std::ptr::{from_ref, null};
use std::sync::{Mutex, MutexGuard, PoisonError};
use windows_sys::Wdk::Storage::FileSystem::{FileAccessInformation, NtQueryInformationFile};
use windows_sys::Win32::Foundation::{FILETIME, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_APPEND_DATA, FILE_BEGIN, FILE_CURRENT, FILE_END, FILE_END_OF_FILE_INFO,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_READ_DATA,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA,
    FileEndOfFileInfo, FlushFileBuffers, ReOpenFile, SYNCHRONIZE, SetFileInformationByHandle,
    SetFilePointerEx, SetFileTime,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

/// Whether the system itself appends what is written to a file in append mode. It does not: a
/// handle can do nothing but append, or each write has to say that it appends.
pub(crate) const KEEPS_APPEND: bool = false;

/// What an object is.
#[allow(dead_code, reason = "the same as on every system")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileType {
    RegularFile,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharacterDevice,
    BlockDevice,
    Unknown,
}

bitflags::bitflags! {
    /// How a file was opened, by POSIX's names.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct OFlags: u32 {
        const ACCMODE = 3;
        const RDONLY = 0;
        const WRONLY = 1;
        const RDWR = 2;
        const CREATE = 1 << 2;
        const EXCL = 1 << 3;
        const TRUNC = 1 << 4;
        const APPEND = 1 << 5;
        const NONBLOCK = 1 << 6;
        const DIRECTORY = 1 << 7;
        const NOFOLLOW = 1 << 8;
        const NOCTTY = 1 << 9;
        const CLOEXEC = 1 << 10;
        const SYNC = 1 << 11;
        const DSYNC = 1 << 12;
    }
}

/// How a part of a file will be used.
#[derive(Clone, Copy)]
pub(crate) enum ExpectedUse {
    Normal,
    Sequential,
    Random,
    WillNeed,
    DontNeed,
    NoReuse,
}

/// Guard the cursors of handles, several handles with each lock. A call at a given offset moves the
/// cursor too, and must put it back.
static CURSORS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

/// The lock of a handle's cursor, to be held by each call that moves it.
pub(in crate::sys) fn cursor(handle: HANDLE) -> MutexGuard<'static, ()> {
    // The two lowest bits of a handle are the program's.
    let lock = &CURSORS[(handle.addr() >> 2) % CURSORS.len()];
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks at the file, and takes no advice: it changes nothing that can be seen. `ESPIPE` for what
/// has no position.
pub(crate) fn advise(
    fd: BorrowedFd<'_>,
    _: u64,
    len: u64,
    advice: ExpectedUse,
) -> Result<(), Errno> {
    // All are the same here.
    let (ExpectedUse::Normal
    | ExpectedUse::Sequential
    | ExpectedUse::Random
    | ExpectedUse::WillNeed
    | ExpectedUse::DontNeed
    | ExpectedUse::NoReuse) = advice;
    match (Sort::of(fd)?, i64::try_from(len)) {
        (Sort::Disk | Sort::Device, Ok(_)) => Ok(()),
        (Sort::Disk | Sort::Device, Err(_)) => Err(Errno::INVAL),
        _ => Err(Errno::SPIPE),
    }
}

/// Grows the file to `offset + len` bytes, if it has fewer. The system gives a file its room when
/// it grows.
///
/// Not one step: what another process writes behind its end at the same moment may be cut off
/// again.
pub(crate) fn allocate(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
    on_disk(fd)?;
    let is_number = |n: u64| i64::try_from(n).is_ok();
    if len == 0 || !is_number(offset) || !is_number(len) {
        return Err(Errno::INVAL);
    }
    let end = offset.checked_add(len).filter(|end| is_number(*end));
    let end = end.ok_or(Errno::FBIG)?;
    let _still = cursor(fd.handle());
    let found = information(fd.handle())?;
    match wide(found.nFileSizeHigh, found.nFileSizeLow) < end {
        true => set_size(fd, end),
        false => Ok(()),
    }
}

/// Makes what was written durable, and the attributes with it. What was not opened for writing has
/// nothing to make durable.
pub(crate) fn sync(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    if Sort::of(fd)? != Sort::Disk {
        return Err(Errno::INVAL);
    }
    // SAFETY: the handle is open.
    match unsafe { FlushFileBuffers(fd.handle()) } {
        0 => match Errno::last() {
            Errno::ACCESS => Ok(()),
            errno => Err(errno),
        },
        _ => Ok(()),
    }
}

/// As [`sync`].
pub(crate) fn sync_data(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    sync(fd)
}

/// Cuts or grows it to `size` bytes.
pub(crate) fn set_size(fd: BorrowedFd<'_>, size: u64) -> Result<(), Errno> {
    on_disk(fd)?;
    let end = FILE_END_OF_FILE_INFO {
        EndOfFile: i64::try_from(size).map_err(|_| Errno::INVAL)?,
    };
    let len = size_of_val(&end) as u32;
    let at = from_ref(&end).cast();
    // SAFETY: the handle is open; the structure is as large as is said.
    match unsafe { SetFileInformationByHandle(fd.handle(), FileEndOfFileInfo, at, len) } {
        // It was told another size than a file can have.
        0 => match Errno::last() {
            Errno::INVAL => Err(Errno::FBIG),
            errno => Err(errno),
        },
        _ => Ok(()),
    }
}

fn on_disk(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match Sort::of(fd)? {
        Sort::Disk => Ok(()),
        Sort::Pipe | Sort::Socket | Sort::Console | Sort::Event => Err(Errno::SPIPE),
        Sort::Device => Err(Errno::INVAL),
    }
}

/// Moves the handle's cursor; where it is then. A device is at 0.
pub(crate) fn seek(fd: BorrowedFd<'_>, to: SeekFrom) -> Result<u64, Errno> {
    match Sort::of(fd)? {
        Sort::Disk => {}
        Sort::Device => return Ok(0),
        Sort::Pipe | Sort::Socket | Sort::Console | Sort::Event => return Err(Errno::SPIPE),
    }
    let _moves = cursor(fd.handle());
    move_cursor(fd.handle(), to)
}

/// As [`seek`], for the holder of the cursor's lock.
pub(in crate::sys) fn move_cursor(handle: HANDLE, to: SeekFrom) -> Result<u64, Errno> {
    let (from, by) = match to {
        SeekFrom::Start(at) => (FILE_BEGIN, i64::try_from(at).map_err(|_| Errno::INVAL)?),
        SeekFrom::Current(by) => (FILE_CURRENT, by),
        SeekFrom::End(by) => (FILE_END, by),
    };
    let mut at = 0;
    // SAFETY: the handle is open, and the place is written.
    match unsafe { SetFilePointerEx(handle, by, &raw mut at, from) } {
        0 => Err(Errno::last()),
        _ => Ok(at.cast_unsigned()),
    }
}

/// Sets the times of what is open. A caller that was given a handle may set them, if the system
/// lets this process.
pub(crate) fn set_times(
    fd: BorrowedFd<'_>,
    access: NewTime,
    modification: NewTime,
) -> Result<(), Errno> {
    let [access, modification] = [access, modification].map(file_time);
    let at = |time: &Option<FILETIME>| time.as_ref().map_or(null(), from_ref);
    let set = |handle| {
        // SAFETY: the handle is open; what is not to be set is not read.
        match unsafe { SetFileTime(handle, null(), at(&access), at(&modification)) } {
            0 => Err(Errno::last()),
            _ => Ok(()),
        }
    };
    match set(fd.handle()) {
        // It was opened for something else.
        Err(Errno::ACCESS) => {
            let own = open_again(fd, FILE_WRITE_ATTRIBUTES)?;
            set(own.as_fd().handle())
        }
        done => done,
    }
}

/// The directory anew, with a cursor of its own.
pub(super) fn reopen_to_list(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    open_again(
        dir,
        FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE,
    )
}

/// What `fd` stands for, opened anew for `access`.
fn open_again(fd: BorrowedFd<'_>, access: u32) -> Result<OwnedFd, Errno> {
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: the handle is open.
    let handle = unsafe { ReOpenFile(fd.handle(), access, share, FILE_FLAG_BACKUP_SEMANTICS) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(Errno::last());
    }
    // SAFETY: it is new, and known here only.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) }.into())
}

/// What a handle is good for, as the flags of POSIX say it. One that cannot be asked is good for
/// everything.
pub(crate) fn flags(fd: impl AsFd) -> Result<OFlags, Errno> {
    let fd = fd.as_fd();
    Sort::of(fd)?;
    let Some(access) = access(fd) else {
        return Ok(OFlags::RDWR);
    };
    let read = access & FILE_READ_DATA != 0;
    let anywhere = access & FILE_WRITE_DATA != 0;
    let at_end = access & FILE_APPEND_DATA != 0;
    let mut flags = match (read, anywhere || at_end) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    flags.set(OFlags::APPEND, at_end && !anywhere);
    Ok(flags)
}

fn access(fd: BorrowedFd<'_>) -> Option<u32> {
    if fd.is_made_of_socket() {
        return None;
    }
    let mut access = 0u32;
    let mut status = IO_STATUS_BLOCK::default();
    let (at, len) = (&raw mut access, size_of_val(&access) as u32);
    let status_at = &raw mut status;
    // SAFETY: the handle is open; the structure asked for is one number.
    let asked = unsafe {
        NtQueryInformationFile(
            fd.handle(),
            status_at,
            at.cast(),
            len,
            FileAccessInformation,
        )
    };
    (asked == 0).then_some(access)
}

/// Takes note of nothing: a call that appends says so with each write, and no handle says whether
/// its calls wait.
pub(crate) fn set_flags(_: impl AsFd, _: OFlags) -> Result<(), Errno> {
    Ok(())
}

/// Returns false: whether a call would wait is checked before each call.
pub(crate) fn never_wait(_: impl AsFd) -> Result<bool, Errno> {
    Ok(false)
}

/// Makes calls on the socket fail with `EAGAIN` where they would wait.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    socket::own(fd)
}

/// How many bytes a read would find now, where the system can say.
pub(crate) fn readable_bytes(fd: impl AsFd) -> Result<u64, Errno> {
    let fd = fd.as_fd();
    match Sort::of(fd)? {
        Sort::Socket => socket::readable_bytes(fd),
        Sort::Pipe => pipe::readable_bytes(fd),
        _ => Err(Errno::NOTTY),
    }
}

/// Another handle of the same object, which is not inherited.
pub(crate) fn duplicate(fd: impl AsFd) -> Result<OwnedFd, Errno> {
    let duplicate = fd.as_fd().try_clone_to_owned();
    duplicate.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// There is no limit that a program meets.
pub(crate) fn check_descriptor_left(_: impl AsFd) -> Result<(), Errno> {
    Ok(())
}
