//! The attributes of an open file, and the file system it is on.

use rustix::fs::{
    AtFlags, FileType, Stat, StatVfsMountFlags, Statx, StatxFlags, StatxTimestamp, makedev,
};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// What one system call says of an open file.
pub(crate) struct Attributes {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) accessed: FileTime,
    pub(crate) modified: FileTime,
    /// Nothing where the file system does not say.
    pub(crate) born: Option<FileTime>,
}

/// Time since 1970, or before it.
#[derive(Clone, Copy)]
pub(crate) struct FileTime {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

impl From<StatxTimestamp> for FileTime {
    fn from(time: StatxTimestamp) -> Self {
        Self {
            seconds: time.tv_sec,
            nanoseconds: time.tv_nsec,
        }
    }
}

impl Attributes {
    /// Those of `fd`. Where there is no `statx`, or a filter of system calls refuses it, without the time of birth.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        match rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, mask) {
            // Whoever has opened a file may always ask for its attributes: this is about the call.
            Err(Errno::NOSYS | Errno::PERM) => rustix::fs::fstat(fd).map(Self::from),
            stat => stat.map(Self::from),
        }
    }

    /// Those of what is called `name` in `dir`; a link is not followed. Nothing if this system has no such call.
    pub(crate) fn of_name(dir: BorrowedFd<'_>, name: &str) -> Result<Option<Self>, Errno> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        match rustix::fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, mask) {
            // An old sandbox refuses what it does not know with `EPERM`.
            Err(Errno::NOSYS | Errno::PERM) => Ok(None),
            found => Ok(Some(found?.into())),
        }
    }
}

impl From<Stat> for Attributes {
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "the types of the fields are the platform's"
    )]
    fn from(stat: Stat) -> Self {
        let time = |seconds, nanoseconds| FileTime {
            seconds,
            nanoseconds,
        };
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            file_type: FileType::from_raw_mode(stat.st_mode),
            links: stat.st_nlink.into(),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: time(stat.st_atime as i64, stat.st_atime_nsec as u32),
            modified: time(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            born: None,
        }
    }
}

impl From<Statx> for Attributes {
    fn from(stat: Statx) -> Self {
        let has_birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
        Self {
            device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            file_type: FileType::from_raw_mode(stat.stx_mode.into()),
            links: stat.stx_nlink.into(),
            size: stat.stx_size,
            accessed: stat.stx_atime.into(),
            modified: stat.stx_mtime.into(),
            born: has_birth.then(|| stat.stx_btime.into()),
        }
    }
}

/// What is known of the file system a file is on.
pub(crate) struct Mount {
    id: u64,
    device: (u32, u32),
    pub(crate) read_only: bool,
}

impl Mount {
    /// That of `fd`; nothing if it cannot be asked for.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let stat = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, mask).ok()?;
        let flags = rustix::fs::fstatvfs(fd).ok()?.f_flag;
        Some(Self {
            id: stat.stx_mnt_id,
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            read_only: flags.contains(StatVfsMountFlags::RDONLY),
        })
    }

    /// Whether both are one file system, mounted once.
    pub(crate) fn is_same(&self, other: &Mount) -> bool {
        (self.id, self.device) == (other.id, other.device)
    }
}
