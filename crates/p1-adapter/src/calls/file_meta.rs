//! An open file's attributes, size and place on disk: `fd_advise`, `fd_allocate`, `fd_datasync`,
//! `fd_sync`, `fd_filestat_get`, `fd_filestat_set_size`, `fd_filestat_set_times`.

use crate::abi::convert;
use crate::abi::error::Result;
use crate::abi::types::{
    Advice, Errno, Fd, Filesize, Filestat, Filetype, Fstflags, Rights, Timestamp,
};
use crate::call::Call;
use crate::descriptor::stream::GuestStream;
use crate::descriptor::{Descriptor, Kind};
use crate::sys;
use crate::sys::attributes::Attributes;
use crate::sys::errno::Errno as Os;
use crate::sys::fd::{AsFd as _, BorrowedFd};
use crate::sys::time::NewTime;

pub(crate) fn advise(call: &Call<'_>, fd: Fd, offset: u64, len: u64, advice: Advice) -> Result<()> {
    let descriptor = call.fd(fd)?;
    if descriptor.is_dir() {
        return Err(Errno::Badf.into());
    }
    descriptor.allow(Rights::FD_ADVISE)?;
    if let Kind::MadeFile(_) = descriptor.kind()? {
        // As the system has it, which looks at the length only.
        return match i64::try_from(len) {
            Ok(_) => Ok(()),
            Err(_) => Err(Errno::Inval.into()),
        };
    }
    // A stream that is no descriptor of the system's is treated as a pipe.
    let host = descriptor.host()?.ok_or(Errno::Spipe)?;
    Ok(sys::file::advise(
        host,
        offset,
        len,
        convert::advice(advice),
    )?)
}

/// Reserves space and grows the file if need be, as `posix_fallocate`. `badf` for a file that was
/// not opened for writing, `notsup` where the file system cannot.
pub(crate) fn allocate(call: &Call<'_>, fd: Fd, offset: u64, len: u64) -> Result<()> {
    let descriptor = call.fd(fd)?;
    descriptor.allow(Rights::FD_ALLOCATE)?;
    match descriptor.kind()? {
        Kind::File(file) => file.check_write()?,
        Kind::Stream(stream) => stream.check_write()?,
        Kind::MadeFile(file) => return file.allocate(offset, len),
        Kind::Dir(_) | Kind::MadeFolder(_) => return Err(Errno::Badf.into()),
    }
    let host = descriptor.host()?.ok_or(Errno::Spipe)?;
    Ok(sys::file::allocate(host, offset, len)?)
}

/// As `sync`.
pub(crate) fn datasync(call: &Call<'_>, fd: Fd) -> Result<()> {
    let descriptor = call.fd(fd)?;
    descriptor.allow(Rights::FD_DATASYNC)?;
    to_sync(&descriptor, sys::file::sync_data)
}

/// Makes what was written durable. For a directory, that is the names it holds. `inval` for what
/// the system cannot synchronise (a pipe, a socket, a terminal, a stream of the embedder's).
pub(crate) fn sync(call: &Call<'_>, fd: Fd) -> Result<()> {
    let descriptor = call.fd(fd)?;
    descriptor.allow(Rights::FD_SYNC)?;
    to_sync(&descriptor, sys::file::sync)
}

fn to_sync(descriptor: &Descriptor, sync: impl Fn(BorrowedFd<'_>) -> Result<(), Os>) -> Result<()> {
    match descriptor.kind()? {
        Kind::MadeFile(file) => return file.sync(),
        Kind::MadeFolder(_) => return Ok(()),
        Kind::Stream(_) | Kind::File(_) | Kind::Dir(_) => {}
    }
    let host = descriptor.host()?.ok_or(Errno::Inval)?;
    match (sync(host), descriptor.as_dir()) {
        // A preopen is good for paths only.
        (Err(Os::BADF), Some(_)) => Ok(sync(sys::name::reopen_directory(host)?.as_fd())?),
        (result, _) => Ok(result?),
    }
}

/// A stream that is no descriptor of the host's has a type and nothing else.
pub(crate) fn filestat(call: &Call<'_>, fd: Fd) -> Result<Filestat> {
    let descriptor = call.fd(fd)?;
    descriptor.allow(Rights::FD_FILESTAT_GET)?;
    match descriptor.kind()? {
        // Of these the embedder says all that guests see.
        Kind::MadeFile(file) => file.filestat(),
        Kind::MadeFolder(folder) => folder.filestat(),
        _ => Ok(call.shared.hooks.stat(found(&descriptor)?)),
    }
}

/// What the host says.
fn found(descriptor: &Descriptor) -> Result<Filestat> {
    if let Some(file) = descriptor.unasked() {
        // The attributes have the type among them.
        let found = Attributes::of(file.fd())?;
        if file.learn(found.file_type) {
            return convert::filestat_from_attributes(&found);
        }
    }
    let fd = match descriptor.kind()? {
        Kind::Stream(stream) => return filestat_of_stream(stream),
        Kind::File(file) => file.fd(),
        Kind::Dir(dir) => dir.fd()?,
        Kind::MadeFile(file) => return file.filestat(),
        Kind::MadeFolder(folder) => return folder.filestat(),
    };
    convert::filestat_from_attributes(&Attributes::of(fd)?)
}

fn filestat_of_stream(stream: &GuestStream) -> Result<Filestat> {
    let found = match stream.host() {
        Some(fd) => convert::filestat_from_attributes(&Attributes::of(fd)?)?,
        None => Filestat {
            dev: 0,
            ino: 0,
            filetype: Filetype::Unknown,
            nlink: 0,
            size: 0,
            atim: 0,
            mtim: 0,
            ctim: 0,
        },
    };
    // A stream opened by a path has the type that the path has.
    let filetype = match stream.opened() {
        Some(_) => found.filetype,
        None => stream.file_type(),
    };
    Ok(Filestat { filetype, ..found })
}

/// `perm` below a read-only preopen, `inval` for a file that was not opened for writing, before the
/// operating system is asked.
pub(crate) fn set_size(call: &Call<'_>, fd: Fd, size: Filesize) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let file = match descriptor.kind()? {
        Kind::File(file) => file,
        Kind::MadeFile(file) => {
            descriptor.allow(Rights::FD_FILESTAT_SET_SIZE)?;
            return file.set_size(size);
        }
        Kind::Dir(_) | Kind::MadeFolder(_) | Kind::Stream(_) => return Err(Errno::Inval.into()),
    };
    descriptor.allow(Rights::FD_FILESTAT_SET_SIZE)?;
    file.check_cut()?;
    // Beyond what the operating system can express.
    if i64::try_from(size).is_err() {
        return Err(Errno::Inval.into());
    }
    Ok(sys::file::set_size(file.fd(), size)?)
}

pub(crate) fn set_times(
    call: &Call<'_>,
    fd: Fd,
    atim: Timestamp,
    mtim: Timestamp,
    flags: Fstflags,
) -> Result<()> {
    let (access, modification) = convert::new_times(atim, mtim, flags)?;
    let descriptor = call.fd(fd)?;
    descriptor.allow(Rights::FD_FILESTAT_SET_TIMES)?;
    set_times_of(&descriptor, access, modification)?;
    if let Some(pins) = &call.shared.hooks.pins {
        pins.times_set(&found(&descriptor)?, access, modification);
    }
    Ok(())
}

fn set_times_of(descriptor: &Descriptor, access: NewTime, modification: NewTime) -> Result<()> {
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
        Kind::MadeFile(file) => return file.set_times(access, modification),
        Kind::MadeFolder(folder) => return folder.set_times(access, modification),
        Kind::Dir(dir) => {
            dir.check_perms()?;
            let dir = dir.fd()?;
            return match sys::file::set_times(dir, access, modification) {
                // A preopen's descriptor may be good for paths only, so the times are set by its
                // own name.
                Err(Os::BADF) => Ok(sys::name::set_times_of_directory(
                    dir,
                    access,
                    modification,
                )?),
                set => Ok(set?),
            };
        }
    };
    Ok(sys::file::set_times(target, access, modification)?)
}
