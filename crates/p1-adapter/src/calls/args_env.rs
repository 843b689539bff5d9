//! `args_get`, `args_sizes_get`, `environ_get`, `environ_sizes_get`.

use crate::abi::error::Result;
use crate::abi::types::Size;
use crate::ctx::strings::Strings;
use crate::guest::memory::write_bytes;
use wiggle::{GuestError, GuestMemory, GuestPtr};

/// The strings at `buf`, and a pointer to each at `list`.
pub(crate) fn get(
    memory: &mut GuestMemory<'_>,
    strings: &Strings,
    list: GuestPtr<GuestPtr<u8>>,
    buf: GuestPtr<u8>,
) -> Result<()> {
    write_bytes(memory, buf, &strings.bytes)?;
    for (i, start) in (0..).zip(&strings.starts) {
        let address = buf
            .offset()
            .checked_add(*start)
            .ok_or(GuestError::PtrOverflow)?;
        memory.write(list.add(i)?, GuestPtr::new(address))?;
    }
    Ok(())
}

/// How many strings, and how many bytes with their NULs.
pub(crate) fn sizes(strings: &Strings) -> Result<(Size, Size)> {
    Ok((
        strings.starts.len().try_into()?,
        strings.bytes.len().try_into()?,
    ))
}
