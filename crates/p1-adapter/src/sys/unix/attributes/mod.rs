//! The attributes of an open file, and the file system it is on.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod unix;

use rustix::fs::{FileType, Stat};

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

/// What is known of the file system a file is on.
pub(crate) struct Mount {
    id: u64,
    device: u64,
    pub(crate) read_only: bool,
}

impl Mount {
    /// Whether both are one file system, mounted once.
    pub(crate) fn is_same(&self, other: &Mount) -> bool {
        (self.id, self.device) == (other.id, other.device)
    }
}
