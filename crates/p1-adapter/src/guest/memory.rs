//! What is copied out of the guest's memory, and results written back.

use super::buffers::BufferList;
use crate::abi::error::Result;
use crate::abi::types::Errno;
use wiggle::{GuestMemory, GuestPtr};

/// The calling instance's memory.
pub(crate) type Memory<'a, 'm> = &'a mut GuestMemory<'m>;

/// `iovec` and `ciovec` have one layout: address, then length, 4 bytes each.
pub(crate) fn read_list(memory: &GuestMemory<'_>, at: u32, count: u32) -> Result<BufferList> {
    let size = match memory {
        GuestMemory::Unshared(bytes) => bytes.len(),
        GuestMemory::Shared(cells) => cells.len(),
    };
    let mut list = BufferList::default();
    for i in 0..count {
        let at = GuestPtr::<u32>::new(at).add(i.checked_mul(2).ok_or(Errno::Overflow)?)?;
        list.add(size, memory.read(at)?, memory.read(at.add(1)?)?)?;
    }
    Ok(list)
}

/// Writes `bytes` at `ptr`; the pointer behind them, which is 0 behind the last byte of 4 GiB.
pub(crate) fn write_bytes(
    memory: &mut GuestMemory<'_>,
    ptr: GuestPtr<u8>,
    bytes: &[u8],
) -> Result<GuestPtr<u8>> {
    let len = u32::try_from(bytes.len())?;
    memory.copy_from_slice(bytes, ptr.as_array(len))?;
    Ok(GuestPtr::new(ptr.offset().wrapping_add(len)))
}
