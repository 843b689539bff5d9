//! The `path_*` functions: the guest's strings come in, wasmtime-wasi does the work.

use crate::abi::convert;
use crate::abi::error::Result;
use crate::abi::types::{
    Errno, Fd, Fdflags, Filestat, Fstflags, Lookupflags, Oflags, Rights, Size, Timestamp,
};
use crate::call::Call;
use crate::ctx::hooks::HostHooks;
use crate::ctx::unrepeatable::Unrepeatable;
use crate::descriptor::{Descriptor, Dir, Start};
use crate::guest::memory::{Memory, write_bytes};
use crate::made::below::{Below, OpenHow};
use crate::path::open::{Open, Opened};
use crate::path::operations::WasiPaths;
use crate::path::set_times;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, PathFlags};
use wiggle::GuestPtr;

fn follows(flags: Lookupflags) -> bool {
    flags.contains(Lookupflags::SYMLINK_FOLLOW)
}

/// How something that the host makes up is opened.
fn made_how(lookup: Lookupflags, how: Oflags, rights: Rights) -> OpenHow {
    OpenHow {
        follow: follows(lookup),
        create: how.contains(Oflags::CREAT),
        exclusive: how.contains(Oflags::EXCL),
        truncate: how.contains(Oflags::TRUNC),
        directory: how.contains(Oflags::DIRECTORY),
        write: rights.contains(Rights::FD_WRITE),
    }
}

/// A change of what lies at `path`; `made` does it where the host makes the folder up.
fn change(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    (fd, right): (Fd, Rights),
    path: GuestPtr<str>,
    made: impl FnOnce(&Below, &str) -> Result<()>,
    operation: impl FnOnce(&mut WasiPaths, &Dir, &str) -> Result<()>,
) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let start = descriptor.start(right)?;
    let path = call.string(memory, path)?;
    let dir = match start {
        Start::Dir(dir) => dir,
        Start::Made(below) => return made(below, &path),
    };
    let paths = &mut call.scratch.paths;
    let result = operation(paths, dir, &path);
    paths.explained(result, true, &[(dir, &path)])
}

/// A change that takes the name `path` from the file that has it, if there is one.
fn removing(
    hooks: &HostHooks,
    paths: &mut WasiPaths,
    (dir, path): (&Dir, &str),
    change: impl FnOnce(&mut WasiPaths) -> Result<()>,
) -> Result<()> {
    let Some(pins) = &hooks.pins else {
        return change(paths);
    };
    let look = |paths: &mut WasiPaths| paths.stat(dir, PathFlags::empty(), path).ok();
    let before = look(paths);
    change(paths)?;
    if let Some(before) = before
        // A file renamed to a name that it already has keeps that name.
        && look(paths).is_none_or(|after| after.ino != before.ino)
    {
        pins.unlinked(&before);
    }
    Ok(())
}

pub(crate) fn create_directory(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    path: GuestPtr<str>,
) -> Result<()> {
    let on = (fd, Rights::PATH_CREATE_DIRECTORY);
    let made = Below::create_directory;
    change(call, memory, on, path, made, WasiPaths::create_directory)
}

pub(crate) fn filestat(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    flags: Lookupflags,
    path: GuestPtr<str>,
) -> Result<Filestat> {
    let descriptor = call.fd(fd)?;
    let start = descriptor.start(Rights::PATH_FILESTAT_GET)?;
    let path = call.string(memory, path)?;
    let dir = match start {
        Start::Dir(dir) => dir,
        Start::Made(below) => return below.stat(follows(flags), &path),
    };
    let paths = &mut call.scratch.paths;
    let stat = paths.stat(dir, convert::path_flags(flags), &path);
    let stat = paths.explained(stat, false, &[(dir, &path)])?;
    Ok(call.shared.hooks.stat(stat))
}

pub(crate) fn set_times(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    lookup: Lookupflags,
    path: GuestPtr<str>,
    (atim, mtim, flags): (Timestamp, Timestamp, Fstflags),
) -> Result<()> {
    let (access, modification) = convert::new_times(atim, mtim, flags)?;
    let descriptor = call.fd(fd)?;
    let start = descriptor.start(Rights::PATH_FILESTAT_SET_TIMES)?;
    let path = call.string(memory, path)?;
    let dir = match start {
        Start::Dir(dir) => dir,
        Start::Made(below) => {
            return below.set_times(follows(lookup), &path, (access, modification));
        }
    };
    let scratch = &mut *call.scratch;
    let result = set_times::set_times(
        (&mut scratch.paths, &mut scratch.open, &call.shared.opens),
        dir,
        convert::path_flags(lookup),
        path.clone(),
        (access, modification),
    );
    let paths = &mut scratch.paths;
    if let (Some(pins), Ok(())) = (&call.shared.hooks.pins, &result)
        && let Ok(found) = paths.stat(dir, convert::path_flags(lookup), &path)
    {
        pins.times_set(&found, access, modification);
    }
    paths.explained(result, true, &[(dir, &path)])
}

pub(crate) fn link(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    (old_fd, flags, old): (Fd, Lookupflags, GuestPtr<str>),
    (new_fd, new): (Fd, GuestPtr<str>),
) -> Result<()> {
    let (from, to) = (call.fd(old_fd)?, call.fd(new_fd)?);
    let (from, to) = (
        from.start(Rights::PATH_LINK_SOURCE)?,
        to.start(Rights::PATH_LINK_TARGET)?,
    );
    let (old, new) = (call.string(memory, old)?, call.string(memory, new)?);
    let (from, to) = match (from, to) {
        (Start::Dir(from), Start::Dir(to)) => (from, to),
        (Start::Made(from), Start::Made(to)) => {
            return from.link((&old, follows(flags)), to, &new);
        }
        _ => return Err(Errno::Xdev.into()),
    };
    let paths = &mut call.scratch.paths;
    let flags = convert::path_flags(flags);
    let result = paths.link((from, flags, old.clone()), (to, new.clone()));
    if let (Some(pins), Ok(())) = (&call.shared.hooks.pins, &result)
        && let Ok(found) = paths.stat(to, PathFlags::empty(), &new)
    {
        pins.linked(&found);
    }
    paths.explained(result, true, &[(from, &old), (to, &new)])
}

/// Opens a file or directory and gives it the lowest free number. The number is taken first, so
/// `mfile` leaves the file alone.
///
/// `notdir` where the descriptor is no directory. What is to be synchronised is opened by its name
/// in its directory; `notsup` where the path ends in none.
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
    let start = parent.start(Rights::empty())?;
    parent.allow_open(how, rights)?;
    let dir = match start {
        Start::Dir(dir) => dir,
        Start::Made(below) => {
            let how = made_how(lookup, how, rights);
            let number = call.shared.fds.reserve()?;
            let found = below.open(&path, how)?;
            let opened = Descriptor::opened_made(found, flags, rights, below, &parent);
            return Ok(number.fill(opened)?.into());
        }
    };
    let wanted = convert::descriptor_flags(rights, flags);
    let open = Open {
        dir,
        follow: convert::path_flags(lookup),
        path,
        how: convert::open_flags(how),
        wanted,
        nonblock: flags.contains(Fdflags::NONBLOCK),
    };
    if call.shared.hooks.unrepeatable.is_some() && open.finds_fifo(&mut call.scratch.paths) {
        call.meet(Some(Unrepeatable::Fifo))?;
    }
    let number = call.shared.fds.reserve()?;
    let scratch = &mut *call.scratch;
    let opened = match open.run(&mut scratch.paths, &mut scratch.open, &call.shared.opens) {
        Err(error) => {
            // Copied out again, for a look at where it failed only.
            let path = call.string(memory, at)?;
            let changes = how.intersects(Oflags::CREAT | Oflags::TRUNC)
                || wanted.contains(DescriptorFlags::WRITE);
            return call
                .scratch
                .paths
                .explained(Err(error), changes, &[(dir, &path)]);
        }
        Ok(opened) => opened,
    };
    let opened = match opened {
        Opened::Plain(found, told) => {
            let write = wanted.contains(DescriptorFlags::WRITE);
            Descriptor::opened((found, told), flags, write, &parent)?
        }
        Opened::Fifo(stream) => Descriptor::opened_stream(stream, flags, &parent),
    };
    if call.shared.hooks.unrepeatable.is_some() {
        call.meet(Unrepeatable::of_opened(&opened)?)?;
    }
    Ok(number.fill(opened)?.into())
}

/// The link's target without a NUL, cut off at `len`; `inval` if that is 0, as Linux has it.
pub(crate) fn readlink(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    path: GuestPtr<str>,
    buf: GuestPtr<u8>,
    len: Size,
) -> Result<Size> {
    let descriptor = call.fd(fd)?;
    let start = descriptor.start(Rights::PATH_READLINK)?;
    let path = call.string(memory, path)?;
    if len == 0 {
        return Err(Errno::Inval.into());
    }
    let paths = &mut call.scratch.paths;
    let target = match start {
        Start::Made(below) => below.readlink(&path)?,
        Start::Dir(dir) => {
            let target = paths.readlink(dir, &path);
            paths.explained(target, false, &[(dir, &path)])?
        }
    };
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
    let (on, shared) = ((fd, Rights::PATH_REMOVE_DIRECTORY), call.shared);
    let made = Below::remove_directory;
    change(call, memory, on, path, made, |paths, dir, path| {
        let _moving = shared.opens.moving(paths);
        removing(&shared.hooks, paths, (dir, path), |paths| {
            paths.remove_directory(dir, path)
        })
    })
}

pub(crate) fn rename(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    (old_fd, old): (Fd, GuestPtr<str>),
    (new_fd, new): (Fd, GuestPtr<str>),
) -> Result<()> {
    let (from, to) = (call.fd(old_fd)?, call.fd(new_fd)?);
    let (from, to) = (
        from.start(Rights::PATH_RENAME_SOURCE)?,
        to.start(Rights::PATH_RENAME_TARGET)?,
    );
    let (old, new) = (call.string(memory, old)?, call.string(memory, new)?);
    let (from, to) = match (from, to) {
        (Start::Dir(from), Start::Dir(to)) => (from, to),
        (Start::Made(from), Start::Made(to)) => return from.rename(&old, to, &new),
        _ => return Err(Errno::Xdev.into()),
    };
    let paths = &mut call.scratch.paths;
    let moving = call.shared.opens.moving(paths);
    let result = removing(&call.shared.hooks, paths, (to, &new), |paths| {
        paths.rename(from, &old, to, &new)
    });
    drop(moving);
    paths.explained(result, true, &[(from, &old), (to, &new)])
}

pub(crate) fn symlink(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    target: GuestPtr<str>,
    fd: Fd,
    path: GuestPtr<str>,
) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let start = descriptor.start(Rights::PATH_SYMLINK)?;
    let (target, path) = (call.string(memory, target)?, call.string(memory, path)?);
    let dir = match start {
        Start::Dir(dir) => dir,
        Start::Made(below) => return below.symlink(&target, &path),
    };
    let result = call.scratch.paths.symlink(dir, target, path.clone());
    call.scratch.paths.explained(result, true, &[(dir, &path)])
}

pub(crate) fn unlink_file(
    call: &mut Call<'_>,
    memory: Memory<'_, '_>,
    fd: Fd,
    path: GuestPtr<str>,
) -> Result<()> {
    let (on, shared) = ((fd, Rights::PATH_UNLINK_FILE), call.shared);
    let made = Below::unlink_file;
    change(call, memory, on, path, made, |paths, dir, path| {
        let _moving = shared.opens.moving(paths);
        removing(&shared.hooks, paths, (dir, path), |paths| {
            paths.unlink_file(dir, path)
        })
    })
}
