//! An open file's attributes, size and place on disk: `fd_advise`, `fd_allocate`, `fd_datasync`, `fd_sync`,
//! `fd_filestat_get`, `fd_filestat_set_size`, `fd_filestat_set_times`.

use crate::abi::convert::{self, NewTime};
use crate::abi::error::Result;
use crate::abi::types::{Advice, Errno, Fd, Filesize, Filestat, Fstflags, Rights, Timestamp};
use crate::call::Call;
use crate::descriptor::{Descriptor, Kind};
use rustix::fs::{AtFlags, FallocateFlags, FileType, Statx, StatxFlags, Timestamps};
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;

pub(crate) fn advise(call: &Call<'_>, fd: Fd, offset: u64, len: u64, advice: Advice) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let file = descriptor.as_file(Rights::FD_ADVISE)?;
    Ok(rustix::fs::fadvise(
        file.fd(),
        offset,
        NonZeroU64::new(len),
        convert::advice(advice),
    )?)
}

/// Reserves space and grows the file if need be, as `posix_fallocate`. `badf` for a file that was not opened for writing,
/// `notsup` where the file system cannot.
pub(crate) fn allocate(call: &Call<'_>, fd: Fd, offset: u64, len: u64) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let file = descriptor.as_file(Rights::FD_ALLOCATE)?;
    file.check_write()?;
    Ok(rustix::fs::fallocate(
        file.fd(),
        FallocateFlags::empty(),
        offset,
        len,
    )?)
}

pub(crate) fn datasync(call: &Call<'_>, fd: Fd) -> Result<()> {
    let descriptor = call.fd(fd)?;
    Ok(rustix::fs::fdatasync(to_sync(
        &descriptor,
        Rights::FD_DATASYNC,
    )?)?)
}

pub(crate) fn sync(call: &Call<'_>, fd: Fd) -> Result<()> {
    let descriptor = call.fd(fd)?;
    Ok(rustix::fs::fsync(to_sync(&descriptor, Rights::FD_SYNC)?)?)
}

/// A file, or another object that was opened by a path, of which the operating system may say that it cannot.
fn to_sync(descriptor: &Descriptor, right: Rights) -> Result<BorrowedFd<'_>> {
    match descriptor.kind()? {
        Kind::Stream(stream) => {
            let (fd, _) = stream.opened().ok_or(Errno::Badf)?;
            descriptor.allow(right)?;
            Ok(fd)
        }
        _ => Ok(descriptor.as_file(right)?.fd()),
    }
}

/// A stream has a type and nothing else, unless it was opened by a path.
pub(crate) fn filestat(call: &Call<'_>, fd: Fd) -> Result<Filestat> {
    let descriptor = call.fd(fd)?;
    descriptor.allow(Rights::FD_FILESTAT_GET)?;
    if let Some(file) = descriptor.unasked() {
        // The attributes have the type among them.
        let stat = statx(file.fd())?;
        if file.learn(FileType::from_raw_mode(stat.stx_mode.into())) {
            return convert::filestat_from_statx(&stat);
        }
    }
    let fd = match descriptor.kind()? {
        Kind::Stream(stream) => match stream.opened() {
            Some((fd, _)) => fd,
            None => {
                return Ok(Filestat {
                    dev: 0,
                    ino: 0,
                    filetype: stream.file_type(),
                    nlink: 0,
                    size: 0,
                    atim: 0,
                    mtim: 0,
                    ctim: 0,
                });
            }
        },
        Kind::File(file) => file.fd(),
        Kind::Dir(dir) => dir.fd()?,
    };
    convert::filestat_from_statx(&statx(fd)?)
}

fn statx(fd: BorrowedFd<'_>) -> Result<Statx> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    Ok(rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, mask)?)
}

/// `perm` below a read-only preopen, `inval` for a file that was not opened for writing, before the operating system is
/// asked.
pub(crate) fn set_size(call: &Call<'_>, fd: Fd, size: Filesize) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let file = descriptor.as_file(Rights::FD_FILESTAT_SET_SIZE)?;
    file.check_cut()?;
    // Beyond what the operating system can express.
    if i64::try_from(size).is_err() {
        return Err(Errno::Inval.into());
    }
    Ok(rustix::fs::ftruncate(file.fd(), size)?)
}

pub(crate) fn set_times(
    call: &Call<'_>,
    fd: Fd,
    atim: Timestamp,
    mtim: Timestamp,
    flags: Fstflags,
) -> Result<()> {
    let (access, modification) = NewTime::pair(atim, mtim, flags)?;
    let descriptor = call.fd(fd)?;
    descriptor.allow(Rights::FD_FILESTAT_SET_TIMES)?;
    let target = match descriptor.kind()? {
        Kind::Stream(stream) => match stream.opened() {
            Some((_, perms)) if perms.write_not_permitted() => return Err(Errno::Perm.into()),
            Some((fd, _)) => fd,
            None => return Err(Errno::Badf.into()),
        },
        Kind::File(file) => {
            file.check_perms()?;
            file.fd()
        }
        Kind::Dir(dir) => {
            dir.check_perms()?;
            dir.fd()?
        }
    };
    let times = Timestamps {
        last_access: access.to_timespec(),
        last_modification: modification.to_timespec(),
    };
    Ok(rustix::fs::futimens(target, &times)?)
}
