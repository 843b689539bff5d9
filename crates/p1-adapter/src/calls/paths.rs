//! The `path_*` functions: the guest's strings come in, wasmtime-wasi does the work.

use crate::abi::convert::{self, NewTime};
use crate::abi::error::Result;
use crate::abi::types::{
    Errno, Fd, Fdflags, Filestat, Fstflags, Lookupflags, Oflags, Rights, Size, Timestamp,
};
use crate::call::Call;
use crate::call::arguments::write_bytes;
use crate::descriptor::Descriptor;
use crate::path::open;
use crate::path::single::single;
use crate::path::slashes::{self, Last};
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, PathFlags};
use wiggle::{GuestMemory, GuestPtr};

type Memory<'a, 'm> = &'a mut GuestMemory<'m>;

pub(crate) fn create_directory(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    path: GuestPtr<str>,
) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let dir = descriptor.dir(Rights::PATH_CREATE_DIRECTORY)?;
    let path = call.string(memory, path)?;
    if let Some(single) = single(dir, slashes::without(&path).0) {
        return single.create_directory();
    }
    let result = call.scratch.create_directory_at(dir, path.clone());
    call.scratch.explained(result, true, &[(dir, &path)])
}

pub(crate) fn filestat(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    flags: Lookupflags,
    path: GuestPtr<str>,
) -> Result<Filestat> {
    let descriptor = call.fd(fd)?;
    let dir = descriptor.dir(Rights::PATH_FILESTAT_GET)?;
    let path = call.string(memory, path)?;
    let mut flags = convert::path_flags(flags);
    if let Some(single) = single(dir, &path)
        && let Some(stat) = single.stat(flags)?
    {
        return Ok(stat);
    }
    if slashes::follow_anyway(&path) {
        flags |= PathFlags::SYMLINK_FOLLOW;
    }
    let (stat, hash) = call.scratch.stat_at(dir, flags, path)?;
    convert::filestat_from_p2(&stat, &hash)
}

pub(crate) fn set_times(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    lookup: Lookupflags,
    path: GuestPtr<str>,
    (atim, mtim, flags): (Timestamp, Timestamp, Fstflags),
) -> Result<()> {
    let (access, modification) = NewTime::pair(atim, mtim, flags)?;
    let descriptor = call.fd(fd)?;
    let dir = descriptor.dir(Rights::PATH_FILESTAT_SET_TIMES)?;
    let path = call.string(memory, path)?;
    let result = open::set_times(
        call.scratch,
        dir,
        convert::path_flags(lookup),
        path.clone(),
        (access, modification),
        call.shared,
    );
    call.scratch.explained(result, true, &[(dir, &path)])
}

pub(crate) fn link(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    (old_fd, flags, old): (Fd, Lookupflags, GuestPtr<str>),
    (new_fd, new): (Fd, GuestPtr<str>),
) -> Result<()> {
    let (from, to) = (call.fd(old_fd)?, call.fd(new_fd)?);
    let (from, to) = (
        from.dir(Rights::PATH_LINK_SOURCE)?,
        to.dir(Rights::PATH_LINK_TARGET)?,
    );
    let (old, new) = (call.string(memory, old)?, call.string(memory, new)?);
    let scratch = &mut *call.scratch;
    let flags = convert::path_flags(flags);
    scratch.check_slash_of_made(to, &new)?;
    let result = scratch.link_at(from, flags, old.clone(), to, new.clone());
    scratch.explained(result, true, &[(from, &old), (to, &new)])
}

/// Opens a file or directory and gives it the lowest free number, which is taken first: `mfile` leaves the file alone.
///
/// `notdir` where the descriptor is no directory; `notsup` for the synchronising flags, which
/// wasmtime-wasi does not open files with.
pub(crate) fn open(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    (fd, lookup, path): (Fd, Lookupflags, GuestPtr<str>),
    how: Oflags,
    rights: Rights,
    flags: Fdflags,
) -> Result<Fd> {
    let at = path;
    let path = call.string(memory, at)?;
    let parent = call.fd(fd)?;
    let dir = parent.as_dir().ok_or(Errno::Notdir)?;
    parent.allow_open(how, rights)?;
    let wanted = convert::descriptor_flags(rights, flags);
    let open = open::Open {
        dir,
        follow: convert::path_flags(lookup),
        path,
        how: convert::open_flags(how),
        wanted,
        nonblock: flags.contains(Fdflags::NONBLOCK),
    };
    let number = call.shared.fds.reserve()?;
    let opened = match open.run(call.scratch, call.shared) {
        Err(error) => {
            // Copied out again, for a look at where it failed only.
            let path = call.string(memory, at)?;
            let changes = how.intersects(Oflags::CREAT | Oflags::TRUNC)
                || wanted.contains(DescriptorFlags::WRITE);
            return call.scratch.explained(Err(error), changes, &[(dir, &path)]);
        }
        Ok(opened) => opened,
    };
    let opened = match opened {
        open::Opened::Plain(found) => {
            let write = wanted.contains(DescriptorFlags::WRITE);
            Descriptor::opened(found, flags, write, &parent)?
        }
        open::Opened::Fifo(stream) => Descriptor::opened_stream(stream, flags, &parent),
    };
    Ok(number.fill(opened)?.into())
}

/// The link's target without a NUL, cut off at `len`.
pub(crate) fn readlink(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    path: GuestPtr<str>,
    buf: GuestPtr<u8>,
    len: Size,
) -> Result<Size> {
    let descriptor = call.fd(fd)?;
    let dir = descriptor.dir(Rights::PATH_READLINK)?;
    let path = call.string(memory, path)?;
    let target = call.scratch.readlink_at(dir, path)?;
    let n = target.len().min(len as usize);
    write_bytes(memory, buf, &target.as_bytes()[..n])?;
    Ok(n.try_into()?)
}

pub(crate) fn remove_directory(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    path: GuestPtr<str>,
) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let dir = descriptor.dir(Rights::PATH_REMOVE_DIRECTORY)?;
    let path = call.string(memory, path)?;
    let stripped = slashes::without(&path).0;
    if let Some(single) = single(dir, stripped) {
        let _moving = call.shared.opens.moving(call.scratch);
        return single.remove_directory();
    }
    call.scratch.check_removed_directory(dir, &path)?;
    let name = match slashes::last(&path) {
        Last::Name => stripped.to_owned(),
        _ => path.clone(),
    };
    let moving = call.shared.opens.moving(call.scratch);
    let result = call.scratch.remove_directory_at(dir, name);
    drop(moving);
    call.scratch.explained(result, true, &[(dir, &path)])
}

pub(crate) fn rename(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    (old_fd, old): (Fd, GuestPtr<str>),
    (new_fd, new): (Fd, GuestPtr<str>),
) -> Result<()> {
    let (from, to) = (call.fd(old_fd)?, call.fd(new_fd)?);
    let (from, to) = (
        from.dir(Rights::PATH_RENAME_SOURCE)?,
        to.dir(Rights::PATH_RENAME_TARGET)?,
    );
    let (old, new) = (call.string(memory, old)?, call.string(memory, new)?);
    let scratch = &mut *call.scratch;
    let moving = call.shared.opens.moving(scratch);
    if let (Some(old), Some(new)) = (single(from, &old), single(to, &new)) {
        return old.rename(new);
    }
    let result = scratch.rename_at(from, old.clone(), to, new.clone());
    drop(moving);
    scratch.explained(result, true, &[(from, &old), (to, &new)])
}

pub(crate) fn symlink(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    target: GuestPtr<str>,
    fd: Fd,
    path: GuestPtr<str>,
) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let dir = descriptor.dir(Rights::PATH_SYMLINK)?;
    let (target, path) = (call.string(memory, target)?, call.string(memory, path)?);
    call.scratch.check_slash_of_made(dir, &path)?;
    let result = call.scratch.symlink_at(dir, target, path.clone());
    call.scratch.explained(result, true, &[(dir, &path)])
}

pub(crate) fn unlink_file(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    path: GuestPtr<str>,
) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let dir = descriptor.dir(Rights::PATH_UNLINK_FILE)?;
    let path = call.string(memory, path)?;
    let moving = call.shared.opens.moving(call.scratch);
    if let Some(single) = single(dir, &path) {
        return single.unlink_file();
    }
    call.scratch.check_slash_of_removed(dir, &path)?;
    let result = call.scratch.unlink_file_at(dir, path.clone());
    drop(moving);
    call.scratch.explained(result, true, &[(dir, &path)])
}
