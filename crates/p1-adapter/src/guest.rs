//! Guest strings and arrays, copied out once and paid for with the call's fuel; results written back.
//!
//! Fuel (wasmtime's `Store::set_hostcall_fuel`, in bytes) bounds what one call makes the host copy or allocate. Data
//! buffers of reads and writes cost none: the kernel copies them in place and the host allocates nothing for them.

use crate::abi::types::{self, Errno};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::guest_io::GuestBufs;
use wiggle::{GuestMemory, GuestPtr, GuestType};

impl Call<'_> {
    /// Takes `bytes` of fuel; `nomem` when there is not enough left.
    pub(crate) fn pay(&mut self, bytes: usize) -> Result<()> {
        self.fuel = self.fuel.checked_sub(bytes).ok_or(Errno::Nomem)?;
        Ok(())
    }

    /// Takes the fuel that `elements` structures in guest memory cost.
    pub(crate) fn pay_for<T: GuestType>(&mut self, elements: u32) -> Result<()> {
        let bytes = u64::from(elements) * u64::from(T::guest_size());
        self.pay(usize::try_from(bytes)?)
    }

    /// A path or another string of the guest's.
    ///
    /// # Errors
    ///
    /// `nametoolong` beyond the context's limit, `ilseq` when it is not UTF-8, a trap when it is out of bounds.
    pub(crate) fn string(
        &mut self,
        memory: &GuestMemory<'_>,
        ptr: GuestPtr<str>,
    ) -> Result<String> {
        if ptr.len() > self.shared.limits.path_length {
            return Err(Errno::Nametoolong.into());
        }
        self.pay(ptr.len() as usize)?;
        let bytes = memory.to_vec(ptr.as_bytes())?;
        String::from_utf8(bytes).map_err(|_| Error::Errno(Errno::Ilseq))
    }

    /// The buffers of a read.
    pub(crate) fn iovecs<'m>(
        &mut self,
        memory: &'m mut GuestMemory<'_>,
        list: types::IovecArray,
    ) -> Result<GuestBufs<'m>> {
        self.pay_for::<types::Iovec>(list.len())?;
        buffers(memory, list.offset_base(), list.len())
    }

    /// The buffers of a write.
    pub(crate) fn ciovecs<'m>(
        &mut self,
        memory: &'m mut GuestMemory<'_>,
        list: types::CiovecArray,
    ) -> Result<GuestBufs<'m>> {
        self.pay_for::<types::Ciovec>(list.len())?;
        buffers(memory, list.offset_base(), list.len())
    }
}

/// `iovec` and `ciovec` have one layout: address, then length, 4 bytes each.
fn buffers<'m>(memory: &'m mut GuestMemory<'_>, list: u32, count: u32) -> Result<GuestBufs<'m>> {
    const ON_STACK: usize = 8;
    let pair = |memory: &GuestMemory<'_>, i: u32| -> Result<(u32, u32)> {
        let at = GuestPtr::<u32>::new(list).add(i.checked_mul(2).ok_or(Errno::Overflow)?)?;
        Ok((memory.read(at)?, memory.read(at.add(1)?)?))
    };
    // Read first, then borrow the memory for the buffers: the list itself may be changed by other threads.
    if count as usize <= ON_STACK {
        let mut pairs = [(0, 0); ON_STACK];
        for (i, slot) in (0..count).zip(&mut pairs) {
            *slot = pair(memory, i)?;
        }
        GuestBufs::new(memory, pairs.into_iter().take(count as usize))
    } else {
        let mut pairs = Vec::new();
        for i in 0..count {
            pairs.push(pair(memory, i)?);
        }
        GuestBufs::new(memory, pairs.into_iter())
    }
}

/// Writes `bytes` at `ptr`; the pointer behind them.
pub(crate) fn write_bytes(
    memory: &mut GuestMemory<'_>,
    ptr: GuestPtr<u8>,
    bytes: &[u8],
) -> Result<GuestPtr<u8>> {
    let len = u32::try_from(bytes.len())?;
    memory.copy_from_slice(bytes, ptr.as_array(len))?;
    Ok(ptr.add(len)?)
}
