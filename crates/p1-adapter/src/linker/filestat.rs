//! `fd_filestat_get` and `path_filestat_get` as rows: a `filestat` is written in one look at the
//! memory, where wiggle's code checks each of its eight fields anew (330 instructions of a call's
//! 1,300; `scripts/bench-instructions.sh`).

use crate::abi::error::Result;
use crate::abi::types::{Errno, Fd, Filestat, Lookupflags, UserErrorConversion as _};
use crate::call::Call;
use crate::calls::{file_meta, paths};
use crate::sys::iovec::write_words;
use wiggle::{GuestError, GuestMemory, GuestPtr};

/// Writes the fields of `stat` at `out`, and nothing between them. What wiggle would not write it
/// writes, to say why not.
fn write(memory: &mut GuestMemory<'_>, out: u32, stat: Filestat) -> Result<(), GuestError> {
    let words = [
        (0, stat.dev),
        (8, stat.ino),
        (24, stat.nlink),
        (32, stat.size),
        (40, stat.atim),
        (48, stat.mtim),
        (56, stat.ctim),
    ];
    if !write_words(memory, (out, 64), &words) {
        return memory.write(GuestPtr::new(out), stat);
    }
    let filetype = out.checked_add(16).ok_or(GuestError::PtrOverflow)?;
    memory.write(GuestPtr::<u8>::new(filetype), stat.filetype as u8)
}

/// The result of `function`, as wiggle's code gives it.
fn answer(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    (function, out): (&'static str, i32),
    found: Result<Filestat>,
) -> wasmtime::Result<i32> {
    match found {
        Ok(stat) => write(memory, out as u32, stat).map_err(|error| GuestError::InFunc {
            modulename: "wasi_snapshot_preview1",
            funcname: function,
            location: "write filestat",
            err: Box::new(error),
        })?,
        Err(error) => return Ok(call.errno_from_error(error)? as i32),
    }
    Ok(Errno::Success as i32)
}

pub(super) fn fd_filestat_get(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let found = file_meta::filestat(call, Fd::from(fd));
    answer(call, memory, ("fd_filestat_get", out), found)
}

pub(super) fn path_filestat_get(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    path: i32,
    len: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let flags = Lookupflags::try_from(flags)?;
    let path = GuestPtr::<str>::new((path as u32, len as u32));
    let found = paths::filestat(call, memory, Fd::from(fd), flags, path);
    answer(call, memory, ("path_filestat_get", out), found)
}
