//! Listing a directory. Its entries have no position. A position is the number of entries up to
//! there, so an entry that is added or removed in front of it shifts those behind. (NTFS lists by
//! name.)
#![allow(unsafe_code)]

use super::attributes::information;
use super::errno::Errno;
use super::fd::{AsFd as _, BorrowedFd, OwnedFd};
use super::file::{FileType, reopen_to_list};
use super::object::wide;
use std::ffi::{CStr, CString};
use std::mem::{MaybeUninit, offset_of};
use windows_sys::Win32::Foundation::ERROR_NO_MORE_FILES;
use windows_sys::Win32::Foundation::GetLastError;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ID_BOTH_DIR_INFO,
    FileIdBothDirectoryInfo, GetFileInformationByHandleEx,
};

/// Bytes that the system is given for entries; words, as these have numbers of that size.
const BUFFER: usize = 4096 / 8;

/// A directory, with a cursor of its own.
pub(crate) struct Listing {
    own: OwnedFd,
    from: u64,
    device: u64,
    inode: u64,
}

/// What was found of an open directory: nothing is kept here.
#[derive(Default)]
pub(crate) struct KnownDirectory;

/// What one entry is.
pub(crate) struct ListedFile {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
}

/// What the directory itself says of an entry.
#[derive(Clone, Copy)]
pub(crate) struct Said {
    inode: u64,
    file_type: FileType,
}

/// A directory, as wasmtime-wasi opens it.
#[cfg(test)]
pub(crate) fn open_directory(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    use std::os::windows::fs::OpenOptionsExt as _;
    use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_BACKUP_SEMANTICS;
    let mut options = std::fs::File::options();
    let options = options.read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    options.open(path)
}

impl Listing {
    /// The directory `dir`, from its start or from a position that an entry of it told.
    pub(crate) fn open(
        dir: BorrowedFd<'_>,
        position: Option<u64>,
        _: &KnownDirectory,
    ) -> Result<Self, Errno> {
        let own = reopen_to_list(dir)?;
        let found = information(own.as_fd().handle())?;
        Ok(Self {
            own,
            from: position.unwrap_or(0),
            device: found.dwVolumeSerialNumber.into(),
            inode: wide(found.nFileIndexHigh, found.nFileIndexLow),
        })
    }

    /// The entries. (Into a buffer of their own: the caller's has no alignment.)
    pub(crate) fn entries<'a>(&'a self, _: &'a mut [MaybeUninit<u8>]) -> Entries<'a> {
        Entries {
            of: self,
            buffer: vec![0; BUFFER],
            next: None,
            position: 0,
            name: CString::default(),
        }
    }

    /// What the directory itself is.
    pub(crate) fn itself(&self) -> Result<ListedFile, Errno> {
        Ok(ListedFile {
            device: self.device,
            inode: self.inode,
            file_type: FileType::Directory,
        })
    }

    /// What an entry is that has just been listed.
    pub(crate) fn find_just_listed(
        &self,
        name: &CStr,
        said: Said,
    ) -> Result<Option<ListedFile>, Errno> {
        self.find(name, said)
    }

    /// What a listed entry is; a link is not followed. The directory knows.
    pub(crate) fn find(&self, _: &CStr, said: Said) -> Result<Option<ListedFile>, Errno> {
        Ok(Some(ListedFile {
            device: self.device,
            inode: said.inode,
            file_type: said.file_type,
        }))
    }
}

/// The entries of a directory: `.` and `..` first, though the root of a disk has none.
pub(crate) struct Entries<'a> {
    of: &'a Listing,
    buffer: Vec<u64>,
    /// Where in the buffer the next entry is, if there is one.
    next: Option<usize>,
    position: u64,
    /// Of the entry that was given last.
    name: CString,
}

/// A name in a directory.
pub(crate) struct ListedName<'a> {
    name: &'a CStr,
    said: Said,
    position: u64,
}

impl Entries<'_> {
    /// The next one. Names that are no Unicode are left out.
    pub(crate) fn next(&mut self) -> Result<Option<ListedName<'_>>, Errno> {
        loop {
            let (name, said) = match self.position {
                0 => (c".".to_owned(), self.own()),
                1 => (c"..".to_owned(), self.own()),
                _ => match self.listed()? {
                    None => return Ok(None),
                    Some((Some(name), _)) if matches!(name.to_bytes(), b"." | b"..") => continue,
                    Some((Some(name), said)) => (name, said),
                    Some((None, _)) => continue,
                },
            };
            self.position += 1;
            if self.position > self.of.from {
                self.name = name;
                return Ok(Some(ListedName {
                    name: &self.name,
                    said,
                    position: self.position,
                }));
            }
        }
    }

    fn own(&self) -> Said {
        Said {
            inode: self.of.inode,
            file_type: FileType::Directory,
        }
    }

    /// The next of the system's. Its name is nothing if it is no Unicode.
    fn listed(&mut self) -> Result<Option<(Option<CString>, Said)>, Errno> {
        let at = match self.next.take() {
            Some(at) => at,
            None if !self.fill()? => return Ok(None),
            None => 0,
        };
        let bytes = size_of_val(&self.buffer[..]);
        let fixed = offset_of!(FILE_ID_BOTH_DIR_INFO, FileName);
        if at.checked_add(fixed).is_none_or(|end| end > bytes) {
            return Err(Errno::IO);
        }
        let entry = self.buffer.as_ptr().wrapping_byte_add(at);
        let entry = entry.cast::<FILE_ID_BOTH_DIR_INFO>();
        // SAFETY: the fields up to the name lie inside the buffer, which has nothing but numbers
        // that are initialised. They are read without an alignment: a file system that keeps none
        // is wrong, and harmless.
        let (attributes, id, after, len) = unsafe {
            (
                (&raw const (*entry).FileAttributes).read_unaligned(),
                (&raw const (*entry).FileId).read_unaligned(),
                (&raw const (*entry).NextEntryOffset).read_unaligned() as usize,
                (&raw const (*entry).FileNameLength).read_unaligned() as usize,
            )
        };
        if at + fixed + len > bytes {
            return Err(Errno::IO);
        }
        let name = self.buffer.as_ptr().cast::<u16>();
        let name = name.wrapping_byte_add(at + fixed);
        let units = (0..len / 2).map(|unit| {
            // SAFETY: the whole name was just found to lie inside the buffer.
            unsafe { name.wrapping_add(unit).read_unaligned() }
        });
        let name: Result<String, _> = char::decode_utf16(units).collect();
        self.next = (after != 0).then(|| at + after);
        let said = Said {
            inode: id.cast_unsigned(),
            file_type: match () {
                () if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 => FileType::Symlink,
                () if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 => FileType::Directory,
                () => FileType::RegularFile,
            },
        };
        let name = name.ok().and_then(|name| CString::new(name).ok());
        Ok(Some((name, said)))
    }

    /// Has the system list some more; whether there were any.
    fn fill(&mut self) -> Result<bool, Errno> {
        let handle = self.of.own.as_fd().handle();
        let len = size_of_val(&self.buffer[..]) as u32;
        let at = self.buffer.as_mut_ptr().cast();
        let class = FileIdBothDirectoryInfo;
        // SAFETY: the handle is open, and the buffer has that many bytes.
        match unsafe { GetFileInformationByHandleEx(handle, class, at, len) } {
            // SAFETY: reads a number of this thread's.
            0 if unsafe { GetLastError() } == ERROR_NO_MORE_FILES => Ok(false),
            // A directory that has been removed is at its end, says POSIX.
            0 => match Errno::last() {
                Errno::NOENT => Ok(false),
                errno => Err(errno),
            },
            _ => Ok(true),
        }
    }
}

impl ListedName<'_> {
    pub(crate) fn name(&self) -> &CStr {
        self.name
    }

    pub(crate) fn said(&self) -> Said {
        self.said
    }

    /// How many entries there are up to it, itself among them.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }
}
