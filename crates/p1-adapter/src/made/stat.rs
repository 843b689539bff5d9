//! Attributes of what the host makes up, as guests see them.

use super::MadeNode;
use crate::abi::convert;
use crate::abi::types::{Filestat, Filetype};
use crate::sys::time::NewTime;
use std::io;
use std::time::{Duration, SystemTime};

/// In the place of a device's number, for what the host makes up.
const MADE: u64 = u64::MAX;

/// The inode number that guests see of one that an embedder has given.
pub(crate) fn inode(number: u64) -> u64 {
    convert::inode(MADE, number)
}

/// What `fd_filestat_get` and `path_filestat_get` report of what the host makes up.
pub(crate) fn filestat(node: &MadeNode) -> io::Result<Filestat> {
    let (filetype, found) = match node {
        MadeNode::Folder(folder) => (Filetype::Directory, folder.metadata()?),
        MadeNode::File(file) => (Filetype::RegularFile, file.metadata()?),
        MadeNode::Link(link) => (Filetype::SymbolicLink, link.metadata()?),
    };
    let nanoseconds = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        })
    };
    Ok(Filestat {
        dev: 1,
        ino: inode(found.inode),
        filetype,
        nlink: found.links,
        size: found.size,
        atim: nanoseconds(found.accessed),
        mtim: nanoseconds(found.modified),
        ctim: nanoseconds(found.created),
    })
}

/// What a time of something that the host makes up is set to; nothing where it is kept.
pub(crate) fn time(time: NewTime) -> Option<SystemTime> {
    match time {
        NewTime::Keep => None,
        NewTime::Now => Some(SystemTime::now()),
        NewTime::At(ns) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(ns)),
    }
}
