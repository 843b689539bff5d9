//! Guest strings and arrays, copied out once and paid for with the call's fuel.
//!
//! Fuel (wasmtime's `Store::set_hostcall_fuel`, in bytes) bounds what one call makes the host copy
//! or allocate. Data buffers of reads and writes cost none: the kernel copies them in place and the
//! host allocates nothing for them.

use crate::abi::error::{Error, Result};
use crate::abi::types::{self, Errno};
use crate::call::Call;
use crate::guest::buffers::GuestBufs;
use crate::guest::memory::read_list;
use wiggle::{GuestMemory, GuestPtr, GuestType};

impl Call<'_> {
    /// Takes `bytes` of fuel; `nomem` when there is not enough left, and then nothing is.
    #[inline]
    pub(crate) fn pay(&mut self, bytes: usize) -> Result<()> {
        let Some(left) = self.fuel.checked_sub(bytes) else {
            self.fuel = 0;
            return Err(Errno::Nomem.into());
        };
        self.fuel = left;
        Ok(())
    }

    /// Takes the fuel that `elements` structures in guest memory cost.
    #[inline]
    pub(crate) fn pay_for<T: GuestType>(&mut self, elements: u32) -> Result<()> {
        let bytes = u64::from(elements) * u64::from(T::guest_size());
        self.pay(usize::try_from(bytes)?)
    }

    /// A path or another string of the guest's.
    ///
    /// # Errors
    ///
    /// `nametoolong` beyond the context's limit, `ilseq` when it is not UTF-8, a trap when it is
    /// out of bounds.
    pub(crate) fn string(
        &mut self,
        memory: &GuestMemory<'_>,
        ptr: GuestPtr<str>,
    ) -> Result<String> {
        // As wasmtime-wasi has it: what cannot be paid for is not looked at further.
        self.pay(ptr.len() as usize)?;
        if ptr.len() > self.shared.limits.path_length {
            return Err(Errno::Nametoolong.into());
        }
        let bytes = memory.to_vec(ptr.as_bytes())?;
        self.used("path", ptr.as_bytes().offset_base(), ptr.len(), false);
        String::from_utf8(bytes).map_err(|_| Error::Errno(Errno::Ilseq))
    }

    /// The buffers of a read.
    #[inline]
    pub(crate) fn iovecs<'m>(
        &mut self,
        memory: &'m mut GuestMemory<'_>,
        list: types::IovecArray,
    ) -> Result<GuestBufs<'m>> {
        self.pay_for::<types::Iovec>(list.len())?;
        self.buffers(memory, list.offset_base(), list.len())
    }

    /// The buffers of a write.
    #[inline]
    pub(crate) fn ciovecs<'m>(
        &mut self,
        memory: &'m mut GuestMemory<'_>,
        list: types::CiovecArray,
    ) -> Result<GuestBufs<'m>> {
        self.pay_for::<types::Ciovec>(list.len())?;
        self.buffers(memory, list.offset_base(), list.len())
    }

    /// Reads the list, once: a call that is tried again has it from its first attempt.
    #[inline]
    fn buffers<'m>(
        &mut self,
        memory: &'m mut GuestMemory<'_>,
        at: u32,
        count: u32,
    ) -> Result<GuestBufs<'m>> {
        match &mut self.retry {
            None => GuestBufs::listed(memory, at, count),
            Some(retry) => {
                let list = match retry.buffers.take() {
                    Some(list) => list,
                    None => read_list(memory, at, count)?,
                };
                GuestBufs::new(memory, retry.buffers.insert(list))
            }
        }
    }
}
