//! Calls on the descriptor and its number rather than on the file behind it: `fd_close`,
//! `fd_renumber`, `fd_fdstat_get`, `fd_fdstat_set_flags`, `fd_fdstat_set_rights`, `fd_prestat_get`,
//! `fd_prestat_dir_name`.

use crate::abi::error::Result;
use crate::abi::types::{Errno, Fd, Fdflags, Fdstat, Filetype, Prestat, PrestatDir, Rights, Size};
use crate::call::Call;
use crate::descriptor::{Kind, SYNCHRONISING};
use crate::guest::memory::write_bytes;
use wiggle::{GuestMemory, GuestPtr};

pub(crate) fn close(call: &Call<'_>, fd: Fd) -> Result<()> {
    Ok(call.shared.fds.close(fd.into())?)
}

pub(crate) fn renumber(call: &Call<'_>, from: Fd, to: Fd) -> Result<()> {
    Ok(call.shared.fds.renumber(from.into(), to.into())?)
}

/// Makes no system call, except once per file for its type, and for the flags of a description that
/// others have too.
pub(crate) fn fdstat(call: &Call<'_>, fd: Fd) -> Result<Fdstat> {
    let descriptor = call.fd(fd)?;
    let fs_filetype = match descriptor.kind()? {
        Kind::Stream(stream) => stream.file_type(),
        Kind::Dir(_) | Kind::MadeFolder(_) => Filetype::Directory,
        Kind::File(file) => file.file_type(),
        Kind::MadeFile(_) => Filetype::RegularFile,
    };
    let (fs_rights_base, fs_rights_inheriting) = descriptor.rights()?;
    Ok(Fdstat {
        fs_filetype,
        fs_flags: descriptor.flags()?,
        fs_rights_base,
        fs_rights_inheriting,
    })
}

/// Changes `APPEND` and `NONBLOCK`. The synchronising flags are fixed when a file is opened; asking
/// for others is `inval`.
pub(crate) fn set_flags(call: &Call<'_>, fd: Fd, flags: Fdflags) -> Result<()> {
    let descriptor = call.fd(fd)?;
    if descriptor.is_dir() {
        return Err(Errno::Badf.into());
    }
    if !descriptor.synchronised().contains(flags & SYNCHRONISING) {
        return Err(Errno::Inval.into());
    }
    descriptor.allow(Rights::FD_FDSTAT_SET_FLAGS)?;
    descriptor.set_flags(flags)
}

pub(crate) fn set_rights(call: &Call<'_>, fd: Fd, base: Rights, inheriting: Rights) -> Result<()> {
    call.fd(fd)?.set_rights(base, inheriting)
}

/// `badf` for everything that is not a preopen: C libraries count up from 3 until they see it.
pub(crate) fn prestat(call: &Call<'_>, fd: Fd) -> Result<Prestat> {
    let descriptor = call.fd(fd)?;
    let name = descriptor.preopen_name().ok_or(Errno::Badf)?;
    Ok(Prestat::Dir(PrestatDir {
        pr_name_len: name.len().try_into()?,
    }))
}

/// The name without a NUL; `nametoolong` when it does not fit, `notdir` for what is not a preopen.
pub(crate) fn prestat_dir_name(
    call: &Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    path: GuestPtr<u8>,
    len: Size,
) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let name = descriptor.preopen_name().ok_or(Errno::Notdir)?;
    if name.len() > len as usize {
        return Err(Errno::Nametoolong.into());
    }
    write_bytes(memory, path, name.as_bytes())?;
    Ok(())
}
