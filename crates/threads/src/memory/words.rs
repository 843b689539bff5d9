//! Words of a shared memory as atomics.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use wasmtime::{SharedMemory, Trap};

use crate::schedule::Mix;
use crate::sys::atomics;

/// Why an address does not name a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WordError {
    /// Not a multiple of the word's size. Checked first, as Wasmtime does.
    #[error("unaligned atomic access")]
    Misaligned,
    /// Not wholly inside the memory as it is now.
    #[error("atomic access out of bounds")]
    OutOfBounds,
}

impl From<WordError> for Trap {
    /// The trap that Wasmtime's own atomic instructions raise.
    fn from(error: WordError) -> Self {
        match error {
            WordError::Misaligned => Self::HeapMisaligned,
            WordError::OutOfBounds => Self::MemoryOutOfBounds,
        }
    }
}

/// The 32-bit word at `offset`.
///
/// Its bytes are little-endian, as in WebAssembly: on a big-endian host, convert what is loaded and
/// stored.
///
/// # Errors
///
/// [`WordError`], misaligned before out of bounds.
pub fn word32(memory: &SharedMemory, offset: u64) -> Result<&AtomicU32, WordError> {
    atomics::word32(memory, start(offset, 4)?).ok_or(WordError::OutOfBounds)
}

/// The 64-bit word at `offset`. Otherwise as [`word32`].
///
/// # Errors
///
/// [`WordError`], misaligned before out of bounds.
pub fn word64(memory: &SharedMemory, offset: u64) -> Result<&AtomicU64, WordError> {
    atomics::word64(memory, start(offset, 8)?).ok_or(WordError::OutOfBounds)
}

/// The bytes from `offset` on, as atomics.
///
/// # Errors
///
/// [`WordError::OutOfBounds`].
pub fn bytes(memory: &SharedMemory, offset: u64, len: usize) -> Result<&[AtomicU8], WordError> {
    atomics::bytes(memory, start(offset, 1)?, len).ok_or(WordError::OutOfBounds)
}

/// The guest's address of a host address in `memory`; `None` if it is not in this memory. For
/// [`Waiting::address`](crate::waits::Waiting).
#[must_use]
pub fn offset_of(memory: &SharedMemory, address: usize) -> Option<u64> {
    let data = memory.data();
    let offset = address.checked_sub(data.as_ptr().addr())?;
    (offset < data.len()).then_some(offset as u64)
}

/// A hash of the contents and the size of `memory`: the same on every host.
pub(crate) fn hash(memory: &SharedMemory, into: &mut Mix) {
    let size = memory.data_size();
    into.add(size as u64);
    // The page size is a multiple of 8 bytes, or one byte.
    for start in (0..size).step_by(8) {
        let word = match atomics::word64(memory, start) {
            Some(word) => u64::from_le(word.load(Ordering::Relaxed)),
            None => {
                let rest = atomics::bytes(memory, start, size - start).unwrap_or_default();
                let rest = rest.iter().rev();
                rest.fold(0, |word, byte| {
                    word << 8 | u64::from(byte.load(Ordering::Relaxed))
                })
            }
        };
        // Most of a memory is zero.
        if word != 0 {
            into.add(start as u64);
            into.add(word);
        }
    }
}

/// The host addresses that `memory` can grow to.
pub(crate) fn reach(memory: &SharedMemory) -> std::ops::Range<usize> {
    let ty = memory.ty();
    let start = memory.data().as_ptr().addr();
    // A shared memory has a maximum, and address space is reserved for all of it.
    let most = ty.maximum().unwrap_or(ty.minimum());
    let most = usize::try_from(most.saturating_mul(ty.page_size())).unwrap_or(usize::MAX);
    start..start.saturating_add(most)
}

/// Whether two handles name one memory. A shared memory never moves, and two never share a mapping.
pub(crate) fn same_memory(one: &SharedMemory, other: &SharedMemory) -> bool {
    one.data().as_ptr() == other.data().as_ptr()
}

/// The guest's address as an index, if it is a multiple of `len`.
fn start(offset: u64, len: u64) -> Result<usize, WordError> {
    if !offset.is_multiple_of(len) {
        return Err(WordError::Misaligned);
    }
    usize::try_from(offset).map_err(|_| WordError::OutOfBounds)
}

#[cfg(test)]
mod tests {
    use super::{WordError, bytes, offset_of, word32, word64};
    use crate::waits::{ParkingLot, Role, WaitOutcome};
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::{Duration, Instant};
    use wasmtime::{Config, Engine, MemoryType, SharedMemory, Trap};

    const PAGE: u64 = 65536;

    fn memory() -> SharedMemory {
        let mut config = Config::new();
        config.shared_memory(true);
        let engine = Engine::new(&config).unwrap();
        SharedMemory::new(&engine, MemoryType::shared(1, 2)).unwrap()
    }

    #[test]
    fn misaligned_comes_before_out_of_bounds() {
        let memory = memory();
        let error32 = |address| word32(&memory, address).err();
        let error64 = |address| word64(&memory, address).err();
        for address in [1, 2, 3, PAGE + 2, u64::MAX] {
            assert_eq!(error32(address), Some(WordError::Misaligned));
        }
        for address in [4, PAGE - 4, PAGE + 4] {
            assert_eq!(error64(address), Some(WordError::Misaligned));
        }
        for address in [PAGE, PAGE + 4, u64::MAX - 3, 1 << 32] {
            assert_eq!(error32(address), Some(WordError::OutOfBounds));
        }
        for address in [PAGE, u64::MAX - 7, 1 << 32] {
            assert_eq!(error64(address), Some(WordError::OutOfBounds));
        }
        assert_eq!(error32(PAGE - 4), None);
        assert_eq!(error64(PAGE - 8), None);
        assert_eq!(Trap::from(WordError::Misaligned), Trap::HeapMisaligned);
        assert_eq!(Trap::from(WordError::OutOfBounds), Trap::MemoryOutOfBounds);
    }

    #[test]
    fn growth_is_seen_and_moves_nothing() {
        let memory = memory();
        let first = word32(&memory, 0).unwrap();
        assert!(word32(&memory, PAGE).is_err());
        memory.grow(1).unwrap();
        word32(&memory, PAGE).unwrap().store(1, SeqCst);
        first.store(7, SeqCst);
        assert_eq!(word32(&memory, 0).unwrap().load(SeqCst), 7);
    }

    #[test]
    fn bytes_and_words_are_the_same_memory() {
        let memory = memory();
        let word = word64(&memory, 8).unwrap();
        word.store(0x0102_0304_0506_0708_u64.to_le(), SeqCst);
        let all = bytes(&memory, 8, 8).unwrap();
        let seen: Vec<u8> = all.iter().map(|byte| byte.load(SeqCst)).collect();
        assert_eq!(seen, [8, 7, 6, 5, 4, 3, 2, 1]);
        all[3].store(0xff, SeqCst);
        let low = word32(&memory, 8).unwrap().load(SeqCst);
        assert_eq!(u32::from_le(low), 0xff06_0708);
        assert!(bytes(&memory, PAGE, 0).unwrap().is_empty());
        for (address, len) in [(PAGE, 1), (PAGE - 1, 2), (u64::MAX, 1), (1, PAGE as usize)] {
            let error = bytes(&memory, address, len).err();
            assert_eq!(error, Some(WordError::OutOfBounds));
        }
    }

    #[test]
    fn a_host_address_finds_its_offset() {
        let memory = memory();
        let base = memory.data().as_ptr().addr();
        let word = word32(&memory, 40).unwrap();
        assert_eq!(
            offset_of(&memory, std::ptr::from_ref(word).addr()),
            Some(40)
        );
        assert_eq!(offset_of(&memory, base + PAGE as usize), None);
        assert_eq!(offset_of(&memory, base - 1), None);
    }

    /// Two memories in one lot; and Wasmtime's own notify beside it.
    #[test]
    fn memories_do_not_mix() {
        let (one, two) = (memory(), memory());
        let lot = ParkingLot::new(2, false);
        let waiter = lot.register(1, Role::Guest);
        std::thread::scope(|scope| {
            let word = word32(&one, 16).unwrap();
            let thread = scope.spawn(move || waiter.wait32(word, 0, -1, &mut || ()));
            let start = Instant::now();
            while lot.waiters().is_empty() {
                assert!(start.elapsed() < Duration::from_secs(10));
                std::thread::yield_now();
            }
            assert_eq!(offset_of(&one, lot.waiters()[0].address), Some(16));
            assert_eq!(offset_of(&two, lot.waiters()[0].address), None);
            assert_eq!(one.atomic_notify(16, 1).unwrap(), 0);
            assert_eq!(lot.notify(word32(&two, 16).unwrap(), 1), 0);
            assert_eq!(lot.notify(word32(&one, 20).unwrap(), 1), 0);
            assert_eq!(lot.notify(word, 1), 1);
            assert_eq!(thread.join().unwrap(), WaitOutcome::Woken);
        });
    }
}
