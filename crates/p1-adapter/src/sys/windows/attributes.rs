//! The attributes of an open file, and the file system it is on.
#![allow(unsafe_code)]

use super::errno::Errno;
use super::fd::BorrowedFd;
use super::file::FileType;
use super::object::{Object, wide};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::{FILETIME, HANDLE};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_BASIC_INFO, FILE_STANDARD_INFO, FileBasicInfo,
    FileStandardInfo, GetFileInformationByHandle, GetFileInformationByHandleEx,
    GetVolumeInformationByHandleW,
};
use windows_sys::Win32::System::SystemServices::FILE_READ_ONLY_VOLUME;

/// What is known of an open file.
pub(crate) struct Attributes {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) accessed: FileTime,
    pub(crate) modified: FileTime,
    /// Nothing of what is on no disk.
    pub(crate) born: Option<FileTime>,
}

/// Time since 1970, or before it.
#[derive(Clone, Copy)]
pub(crate) struct FileTime {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// Seconds from 1601, where the system's times begin, to 1970.
pub(super) const EPOCH: i64 = 11_644_473_600;

/// The system's units of time in a second.
pub(super) const UNITS: u64 = 10_000_000;

impl From<FILETIME> for FileTime {
    fn from(time: FILETIME) -> Self {
        let units = wide(time.dwHighDateTime, time.dwLowDateTime);
        Self {
            seconds: (units / UNITS).cast_signed() - EPOCH,
            nanoseconds: (units % UNITS) as u32 * 100,
        }
    }
}

impl Attributes {
    /// Those of `fd`. What is on no disk has a type and nothing else.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        let object = Object::of(fd)?;
        let (device, inode) = object.id();
        let never = FileTime {
            seconds: 0,
            nanoseconds: 0,
        };
        let mut found = Self {
            device,
            inode,
            file_type: object.file_type(),
            links: 1,
            size: object.size(),
            accessed: never,
            modified: never,
            born: None,
        };
        if matches!(found.file_type, FileType::RegularFile | FileType::Directory) {
            let said = information(fd.handle())?;
            found.links = said.nNumberOfLinks.into();
            found.accessed = said.ftLastAccessTime.into();
            found.modified = said.ftLastWriteTime.into();
            found.born = Some(said.ftCreationTime.into());
        }
        Ok(found)
    }

    /// Nothing: names are wasmtime-wasi's.
    pub(crate) fn of_name(_: BorrowedFd<'_>, _: &str) -> Result<Option<Self>, Errno> {
        Ok(None)
    }
}

/// What is known of the file system a file is on.
pub(crate) struct Mount {
    volume: u32,
    pub(crate) read_only: bool,
}

impl Mount {
    /// Whether both are one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.volume == other.volume
    }

    /// That of `fd`; nothing if it cannot be asked for.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let (mut volume, mut flags) = (0, 0);
        let (at, flags_at) = (&raw mut volume, &raw mut flags);
        let (nothing, no_name) = (null_mut(), null_mut());
        let handle = fd.handle();
        // SAFETY: the system checks the handle, and writes the two numbers; no names are asked for.
        let asked = unsafe {
            GetVolumeInformationByHandleW(handle, no_name, 0, at, nothing, flags_at, no_name, 0)
        };
        (asked != 0).then_some(Self {
            volume,
            read_only: flags & FILE_READ_ONLY_VOLUME != 0,
        })
    }
}

/// What the system says of what is on a disk. Some file systems have no numbers for their files and
/// themselves: 0.
pub(super) fn information(handle: HANDLE) -> Result<BY_HANDLE_FILE_INFORMATION, Errno> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the system checks the handle, and fills the structure.
    if unsafe { GetFileInformationByHandle(handle, &raw mut found) } != 0 {
        return Ok(found);
    }
    let (mut basic, mut standard) = (FILE_BASIC_INFO::default(), FILE_STANDARD_INFO::default());
    let asked = [
        (FileBasicInfo, (&raw mut basic).cast(), size_of_val(&basic)),
        (
            FileStandardInfo,
            (&raw mut standard).cast(),
            size_of_val(&standard),
        ),
    ];
    for (class, at, len) in asked {
        // SAFETY: the system checks the handle, and fills the structure, which is of this size.
        if unsafe { GetFileInformationByHandleEx(handle, class, at, len as u32) } == 0 {
            return Err(Errno::last());
        }
    }
    let halves = |whole: i64| ((whole >> 32) as u32, whole as u32);
    let time = |time| {
        let (high, low) = halves(time);
        FILETIME {
            dwLowDateTime: low,
            dwHighDateTime: high,
        }
    };
    found.dwFileAttributes = basic.FileAttributes;
    found.ftCreationTime = time(basic.CreationTime);
    found.ftLastAccessTime = time(basic.LastAccessTime);
    found.ftLastWriteTime = time(basic.LastWriteTime);
    (found.nFileSizeHigh, found.nFileSizeLow) = halves(standard.EndOfFile);
    found.nNumberOfLinks = standard.NumberOfLinks;
    Ok(found)
}
