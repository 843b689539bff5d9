//! Conversions of types, flags and times between the host's, preview2's and preview1's
//! vocabularies. No behaviour, no state.

use crate::abi::error::{Error, Result};
use crate::abi::types::{self, Errno, Filetype, Timestamp};
use crate::sys::attributes::{Attributes, FileTime};
use crate::sys::file::{ExpectedUse, FileType, OFlags};
use crate::sys::open::{DSYNC, RSYNC};
use crate::sys::time::NewTime;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types as p2;

/// The host's file type as the guest's. preview1 has no name for a FIFO.
pub(crate) fn file_type(kind: FileType) -> Filetype {
    match kind {
        FileType::RegularFile => Filetype::RegularFile,
        FileType::Directory => Filetype::Directory,
        FileType::Symlink => Filetype::SymbolicLink,
        FileType::BlockDevice => Filetype::BlockDevice,
        FileType::CharacterDevice => Filetype::CharacterDevice,
        _ => Filetype::Unknown,
    }
}

fn p2_file_type(kind: p2::DescriptorType) -> Filetype {
    match kind {
        p2::DescriptorType::RegularFile => Filetype::RegularFile,
        p2::DescriptorType::Directory => Filetype::Directory,
        p2::DescriptorType::SymbolicLink => Filetype::SymbolicLink,
        p2::DescriptorType::BlockDevice => Filetype::BlockDevice,
        p2::DescriptorType::CharacterDevice => Filetype::CharacterDevice,
        p2::DescriptorType::Fifo | p2::DescriptorType::Socket | p2::DescriptorType::Unknown => {
            Filetype::Unknown
        }
    }
}

/// The inode number that the guest sees: wasmtime-wasi's metadata hash of device and inode (its
/// `filesystem.rs`, `MetadataHashValue`). So a descriptor, a path and a directory entry agree on
/// it.
pub(crate) fn inode(device: u64, inode: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (device, inode).hash(&mut hasher);
    hasher.finish()
}

/// Nanoseconds since 1970. A time before that reads as 0, and one that does not fit as `overflow`,
/// as in wasmtime-wasi.
fn nanoseconds(seconds: u64, nanos: u32) -> Result<Timestamp, Errno> {
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|ns| ns.checked_add(nanos.into()))
        .ok_or(Errno::Overflow)
}

fn file_time(t: FileTime) -> Result<Timestamp, Errno> {
    u64::try_from(t.seconds).map_or(Ok(0), |seconds| nanoseconds(seconds, t.nanoseconds))
}

/// What `fd_filestat_get` reports, from one system call.
///
/// `ctim` is the time of birth: wasmtime-wasi reports that for paths, and only wasmtime-wasi
/// resolves paths.
pub(crate) fn filestat_from_attributes(found: &Attributes) -> Result<types::Filestat> {
    Ok(types::Filestat {
        dev: 1,
        ino: inode(found.device, found.inode),
        filetype: file_type(found.file_type),
        nlink: found.links,
        size: found.size,
        atim: file_time(found.accessed)?,
        mtim: file_time(found.modified)?,
        ctim: found.born.map_or(Ok(0), file_time)?,
    })
}

/// What `path_filestat_get` reports, from preview2's answers.
pub(crate) fn filestat_from_p2(
    stat: &p2::DescriptorStat,
    hash: &p2::MetadataHashValue,
) -> Result<types::Filestat> {
    let time = |t: Option<Datetime>| t.map_or(Ok(0), |t| nanoseconds(t.seconds, t.nanoseconds));
    Ok(types::Filestat {
        dev: 1,
        ino: hash.lower,
        filetype: p2_file_type(stat.type_),
        nlink: stat.link_count,
        size: stat.size,
        atim: time(stat.data_access_timestamp)?,
        mtim: time(stat.data_modification_timestamp)?,
        ctim: time(stat.status_change_timestamp)?,
    })
}

/// Both times of a call of the `*_set_times` functions: access, then modification. Asking for a
/// given time and for now at once is `inval`.
pub(crate) fn new_times(
    atim: Timestamp,
    mtim: Timestamp,
    flags: types::Fstflags,
) -> Result<(NewTime, NewTime)> {
    use types::Fstflags as F;
    let one = |at: bool, now: bool, time| match (at, now) {
        (true, true) => Err(Error::Errno(Errno::Inval)),
        (true, false) => Ok(NewTime::At(time)),
        (false, true) => Ok(NewTime::Now),
        (false, false) => Ok(NewTime::Keep),
    };
    Ok((
        one(flags.contains(F::ATIM), flags.contains(F::ATIM_NOW), atim)?,
        one(flags.contains(F::MTIM), flags.contains(F::MTIM_NOW), mtim)?,
    ))
}

pub(crate) fn p2_time(time: NewTime) -> p2::NewTimestamp {
    match time {
        NewTime::Keep => p2::NewTimestamp::NoChange,
        NewTime::Now => p2::NewTimestamp::Now,
        NewTime::At(ns) => p2::NewTimestamp::Timestamp(Datetime {
            seconds: ns / 1_000_000_000,
            nanoseconds: (ns % 1_000_000_000) as u32,
        }),
    }
}

pub(crate) fn path_flags(flags: types::Lookupflags) -> p2::PathFlags {
    if flags.contains(types::Lookupflags::SYMLINK_FOLLOW) {
        p2::PathFlags::SYMLINK_FOLLOW
    } else {
        p2::PathFlags::empty()
    }
}

pub(crate) fn open_flags(flags: types::Oflags) -> p2::OpenFlags {
    use p2::OpenFlags as To;
    use types::Oflags as From;
    let pairs = [
        (From::CREAT, To::CREATE),
        (From::DIRECTORY, To::DIRECTORY),
        (From::EXCL, To::EXCLUSIVE),
        (From::TRUNC, To::TRUNCATE),
    ];
    pairs
        .into_iter()
        .filter(|(from, _)| flags.contains(*from))
        .fold(To::empty(), |all, (_, to)| all | to)
}

/// What a descriptor is opened for: the rights asked for say whether to read and to write, the
/// flags say the rest.
pub(crate) fn descriptor_flags(
    rights: types::Rights,
    flags: types::Fdflags,
) -> p2::DescriptorFlags {
    use p2::DescriptorFlags as To;
    use types::{Fdflags, Rights};
    let pairs = [
        (rights.contains(Rights::FD_READ), To::READ),
        (rights.contains(Rights::FD_WRITE), To::WRITE),
        (flags.contains(Fdflags::SYNC), To::FILE_INTEGRITY_SYNC),
        (flags.contains(Fdflags::DSYNC), To::DATA_INTEGRITY_SYNC),
        (flags.contains(Fdflags::RSYNC), To::REQUESTED_WRITE_SYNC),
    ];
    pairs
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .fold(To::empty(), |all, (_, to)| all | to)
}

/// The synchronising flags among those of an open description.
pub(crate) fn synchronising(os: OFlags) -> types::Fdflags {
    use types::Fdflags as To;
    let pairs = [
        (DSYNC, To::DSYNC),
        (OFlags::SYNC, To::SYNC),
        (RSYNC, To::RSYNC),
    ];
    pairs
        .into_iter()
        .filter(|(from, _)| !from.is_empty() && os.contains(*from))
        .fold(To::empty(), |all, (_, to)| all | to)
}

pub(crate) fn advice(advice: types::Advice) -> ExpectedUse {
    match advice {
        types::Advice::Normal => ExpectedUse::Normal,
        types::Advice::Sequential => ExpectedUse::Sequential,
        types::Advice::Random => ExpectedUse::Random,
        types::Advice::Willneed => ExpectedUse::WillNeed,
        types::Advice::Dontneed => ExpectedUse::DontNeed,
        types::Advice::Noreuse => ExpectedUse::NoReuse,
    }
}
