//! Telling an embedder which bytes of its memory a call has used for the guest.

use crate::call::Call;
use crate::ctx::memory_use::MemoryUse;
use crate::guest::memory::read_list;
use wiggle::GuestMemory;

impl Call<'_> {
    /// The call has used the first `bytes` of the buffers whose list is `(address, count)`.
    #[inline]
    pub(crate) fn used_buffers(
        &self,
        memory: &GuestMemory<'_>,
        function: &'static str,
        list: (u32, u32),
        bytes: u32,
        writes: bool,
    ) {
        if self.shared.hooks.memory_use.is_some() {
            self.tell_buffers(memory, function, list, bytes, writes);
        }
    }

    /// The call has used these bytes.
    #[inline]
    pub(crate) fn used(&self, function: &'static str, address: u32, length: u32, writes: bool) {
        if let Some(hook) = &self.shared.hooks.memory_use
            && length > 0
        {
            hook(&MemoryUse {
                function,
                address,
                length,
                writes,
            });
        }
    }

    #[cold]
    fn tell_buffers(
        &self,
        memory: &GuestMemory<'_>,
        function: &'static str,
        (at, count): (u32, u32),
        bytes: u32,
        writes: bool,
    ) {
        // Eight bytes for each buffer.
        self.used(function, at, count.saturating_mul(8), false);
        // The list was read before, but a buffer that lies on its own list may have changed it.
        let Ok(list) = read_list(memory, at, count) else {
            return;
        };
        let mut left = bytes;
        for (address, length) in list.pairs() {
            let used = length.min(left);
            left -= used;
            self.used(function, address, used, writes);
        }
    }
}
