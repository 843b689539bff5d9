//! `fd_read`, `fd_pread`, `fd_write`, `fd_pwrite`, `fd_seek`, `fd_tell`.
//!
//! Each is one system call (`fd_tell` none, if nothing has moved the cursor since the last: see
//! [`crate::descriptor::position`]), at the operating system's cursor or at the offset given. Two
//! threads that read one descriptor get disjoint bytes, two that write never interleave inside a
//! call, and with `APPEND` neither overwrites.

use crate::abi::error::Result;
use crate::abi::types::{
    CiovecArray, Errno, Fd, Filedelta, Filesize, IovecArray, Rights, Size, Whence,
};
use crate::call::Call;
use crate::descriptor::{Descriptor, Kind};
use crate::sys::file::SeekFrom;
use wiggle::GuestMemory;

/// A list of buffers never holds more than 2 GiB, so a count always fits.
fn size(n: usize) -> Result<Size> {
    Ok(n.try_into()?)
}

pub(crate) fn read(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    iovs: IovecArray,
) -> Result<Size> {
    let bufs = call.iovecs(memory, iovs)?;
    let descriptor = call.fd(fd)?;
    call.allow(&descriptor, Rights::FD_READ)?;
    let count = match descriptor.kind()? {
        Kind::File(file) => {
            file.check_read()?;
            let _moving = file.moving();
            bufs.read(file.fd(), &call.shared.end)?
        }
        Kind::MadeFile(file) => {
            file.check_read()?;
            file.read(&bufs, &call.shared.end)?
        }
        Kind::Stream(stream) => {
            stream.check_read()?;
            stream.check_record(&bufs)?;
            call.meet_stream(stream)?;
            call.read(&descriptor, stream, &bufs)?
        }
        Kind::Dir(_) | Kind::MadeFolder(_) => return Err(Errno::Isdir.into()),
    };
    let count = size(count)?;
    let list = (iovs.offset_base(), iovs.len());
    call.used_buffers(memory, "fd_read", list, count, true);
    Ok(count)
}

pub(crate) fn write(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    iovs: CiovecArray,
) -> Result<Size> {
    let bufs = call.ciovecs(memory, iovs)?;
    let descriptor = call.fd(fd)?;
    call.allow(&descriptor, Rights::FD_WRITE)?;
    let count = match descriptor.kind()? {
        Kind::File(file) => {
            file.check_write()?;
            let _moving = file.moving();
            match descriptor.must_be_appended()? {
                true => bufs.append(file.fd(), &call.shared.end)?,
                false => bufs.write(file.fd(), &call.shared.end)?,
            }
        }
        Kind::MadeFile(file) => {
            file.check_write()?;
            file.write(&bufs, descriptor.appends()?, &call.shared.end)?
        }
        Kind::Stream(stream) => {
            stream.check_write()?;
            stream.check_record(&bufs)?;
            call.meet_stream(stream)?;
            call.write(&descriptor, stream, &bufs)?
        }
        Kind::Dir(_) | Kind::MadeFolder(_) => return Err(Errno::Badf.into()),
    };
    let count = size(count)?;
    let list = (iovs.offset_base(), iovs.len());
    call.used_buffers(memory, "fd_write", list, count, false);
    Ok(count)
}

/// An offset beyond 2^63-1 is `inval`, as the operating system answers before it looks at the
/// file's mode.
fn check_offset(offset: Filesize) -> Result<()> {
    if i64::try_from(offset).is_err() {
        return Err(Errno::Inval.into());
    }
    Ok(())
}

/// Takes the rights to read and to seek (witx, `fd_read`). `spipe` for a stream one may read;
/// `badf` for one that is for writing only.
pub(crate) fn pread(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    iovs: IovecArray,
    offset: Filesize,
) -> Result<Size> {
    let bufs = call.iovecs(memory, iovs)?;
    let descriptor = call.fd(fd)?;
    let rights = Rights::FD_READ | Rights::FD_SEEK;
    let count = match descriptor.kind()? {
        Kind::File(file) => {
            descriptor.allow(rights)?;
            check_offset(offset)?;
            file.check_read()?;
            bufs.read_at(file.fd(), offset, &call.shared.end)?
        }
        Kind::MadeFile(file) => {
            descriptor.allow(rights)?;
            check_offset(offset)?;
            file.check_read()?;
            file.read_at(&bufs, offset, &call.shared.end)?
        }
        Kind::Stream(stream) => {
            stream.check_read()?;
            return Err(Errno::Spipe.into());
        }
        Kind::Dir(_) | Kind::MadeFolder(_) => return Err(Errno::Isdir.into()),
    };
    let count = size(count)?;
    let list = (iovs.offset_base(), iovs.len());
    call.used_buffers(memory, "fd_pread", list, count, true);
    Ok(count)
}

/// Whether the file appends matters only if the offset would be refused. Otherwise the system
/// itself knows whether the offset counts.
fn offset_of_write(descriptor: &Descriptor, offset: Filesize) -> Result<Filesize> {
    match check_offset(offset) {
        Err(_) if descriptor.appends()? => Ok(0),
        checked => checked.map(|()| offset),
    }
}

/// Takes the rights to write and to seek. With `APPEND` the offset does not count, as on Linux and
/// in wasmtime-wasi. `spipe` for a stream one may write; `badf` for one that is for reading only.
pub(crate) fn pwrite(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    iovs: CiovecArray,
    offset: Filesize,
) -> Result<Size> {
    let bufs = call.ciovecs(memory, iovs)?;
    let descriptor = call.fd(fd)?;
    let rights = Rights::FD_WRITE | Rights::FD_SEEK;
    let end = &call.shared.end;
    let count = match descriptor.kind()? {
        Kind::File(file) => {
            descriptor.allow(rights)?;
            let offset = offset_of_write(&descriptor, offset)?;
            file.check_write()?;
            match descriptor.must_be_appended()? {
                true => bufs.append(file.fd(), end)?,
                false => bufs.write_at(file.fd(), offset, end)?,
            }
        }
        Kind::MadeFile(file) => {
            descriptor.allow(rights)?;
            let offset = offset_of_write(&descriptor, offset)?;
            file.check_write()?;
            file.write_at(&bufs, offset, descriptor.appends()?, end)?
        }
        Kind::Stream(stream) => {
            stream.check_write()?;
            return Err(Errno::Spipe.into());
        }
        Kind::Dir(_) | Kind::MadeFolder(_) => return Err(Errno::Badf.into()),
    };
    let count = size(count)?;
    let list = (iovs.offset_base(), iovs.len());
    call.used_buffers(memory, "fd_pwrite", list, count, false);
    Ok(count)
}

/// Moves the cursor. `inval` before the start of the file and beyond 2^63-1; a descriptor without
/// the right to seek may still ask where it is (witx, `fd_seek` and `fd_tell`).
pub(crate) fn seek(call: &Call<'_>, fd: Fd, offset: Filedelta, whence: Whence) -> Result<Filesize> {
    let descriptor = call.fd(fd)?;
    let (tells, right) = match (whence, offset) {
        (Whence::Cur, 0) => (true, Rights::empty()),
        _ => (false, Rights::FD_SEEK),
    };
    if let Some(file) = descriptor.seekable_made(right)? {
        if tells {
            descriptor.allow_tell()?;
        }
        return file.seek(offset, whence);
    }
    let file = descriptor.seekable(right)?;
    if tells {
        descriptor.allow_tell()?;
        return Ok(file.tell()?);
    }
    let to = match whence {
        Whence::Set => SeekFrom::Start(offset.try_into().map_err(|_| Errno::Inval)?),
        Whence::Cur => SeekFrom::Current(offset),
        Whence::End => SeekFrom::End(offset),
    };
    Ok(file.seek(to)?)
}

pub(crate) fn tell(call: &Call<'_>, fd: Fd) -> Result<Filesize> {
    let descriptor = call.fd(fd)?;
    if let Some(file) = descriptor.seekable_made(Rights::empty())? {
        descriptor.allow_tell()?;
        return Ok(file.tell());
    }
    let file = descriptor.seekable(Rights::empty())?;
    descriptor.allow_tell()?;
    Ok(file.tell()?)
}
