//! `fd_readdir`.
//!
//! The cookie of an entry is the operating system's own position behind it (`d_off`), so it stays good while entries
//! come and go: one that is there throughout is reported once, whatever happens to the others. Nothing is remembered
//! between calls, and two threads may read one directory at different places.
//!
//! A directory's names come from the kernel, not from the guest, and are single components; looking at one of them
//! without following links does not resolve a path.

use crate::abi::convert;
use crate::abi::error::Result;
use crate::abi::types::{Dircookie, Dirent, Errno, Fd, Filetype, Rights, Size};
use crate::call::Call;
use crate::call::arguments::write_bytes;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat};
use std::mem::MaybeUninit;
use wiggle::{GuestMemory, GuestPtr, GuestType as _};

/// Room for entries on their way from the kernel: at least one of the longest names, at most a few pages.
const KERNEL_BUFFER: std::ops::RangeInclusive<usize> = 1024..=(32 << 10);

/// Fills `buf` with entries from behind `cookie` on (`inval` beyond 2^63-1; which others it knows is the file system's
/// affair, and most take any). The last one may be cut off; a result less than `len` means the
/// end of the directory.
pub(crate) fn readdir(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    buf: GuestPtr<u8>,
    len: Size,
    cookie: Dircookie,
) -> Result<Size> {
    let descriptor = call.fd(fd)?;
    let dir = descriptor.dir(Rights::FD_READDIR)?.fd()?;
    // A cursor of this call's own.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = rustix::fs::openat(dir, c".", flags, Mode::empty())?;
    if cookie != 0 {
        let cookie = i64::try_from(cookie).map_err(|_| Errno::Inval)?;
        rustix::fs::seek(&own, SeekFrom::Start(cookie as u64))?;
    }
    let room = (len as usize).clamp(*KERNEL_BUFFER.start(), *KERNEL_BUFFER.end());
    let kernel = &mut call.scratch.dirents;
    if kernel.len() < room {
        kernel.resize(room, MaybeUninit::uninit());
    }

    let mut out = Output {
        memory,
        at: buf,
        left: len,
    };
    let mut entries = RawDir::new(&own, &mut kernel[..room]);
    while out.left != 0 {
        let Some(entry) = entries.next() else { break };
        let entry = match entry {
            // The directory has been removed: its end, says POSIX.
            Err(rustix::io::Errno::NOENT) => break,
            entry => entry?,
        };
        let name = entry.file_name();
        let bytes = std::str::from_utf8(name.to_bytes())
            .map_err(|_| Errno::Ilseq)?
            .as_bytes();
        let inode = |stat: Stat| convert::inode(stat.st_dev, stat.st_ino);
        let (d_ino, d_type) = if bytes == b"." || bytes == b".." {
            // What lies above is not the guest's to know: `..` is reported with this directory's own number.
            (inode(rustix::fs::fstat(&own)?), Filetype::Directory)
        } else {
            match rustix::fs::statat(&own, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => (
                    inode(stat),
                    convert::file_type(FileType::from_raw_mode(stat.st_mode)),
                ),
                // Removed since the kernel listed it.
                Err(rustix::io::Errno::NOENT) => continue,
                Err(errno) => return Err(errno.into()),
            }
        };
        out.entry(
            &Dirent {
                d_next: entry.next_entry_cookie(),
                d_ino,
                d_namlen: bytes.len().try_into()?,
                d_type,
            },
            bytes,
        )?;
    }
    Ok(len - out.left)
}

/// The guest's buffer, filled from the front.
struct Output<'a, 'm> {
    memory: &'a mut GuestMemory<'m>,
    at: GuestPtr<u8>,
    left: Size,
}

impl Output<'_, '_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let n = bytes.len().min(self.left as usize);
        self.at = write_bytes(self.memory, self.at, &bytes[..n])?;
        self.left -= n as Size;
        Ok(())
    }

    /// Field by field, so that nothing of the host's gets into the padding.
    fn entry(&mut self, dirent: &Dirent, name: &[u8]) -> Result<()> {
        let mut bytes = [0; 24];
        debug_assert_eq!(Dirent::guest_size() as usize, bytes.len());
        bytes[..8].copy_from_slice(&dirent.d_next.to_le_bytes());
        bytes[8..16].copy_from_slice(&dirent.d_ino.to_le_bytes());
        bytes[16..20].copy_from_slice(&dirent.d_namlen.to_le_bytes());
        bytes[20] = dirent.d_type as u8;
        self.put(&bytes)?;
        self.put(name)
    }
}
