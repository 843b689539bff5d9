//! A group's memory, for host code.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::{SharedMemory, WaitResult};

use crate::memory::words::{WordError, bytes, word32, word64};
use crate::schedule::{Turns, Waited};
use crate::types::end_token::EndToken;
use crate::waits::{HostWriter, ParkingLot, Role, WaitOutcome, Width};

/// The number host threads wait under. No guest thread has it.
const HOST: u32 = u32::MAX;

/// Waits, notifies, loads and stores on a group's shared memory, from host code.
///
/// Waits and notifies meet those of the guest. Wasmtime's own `SharedMemory::atomic_wait32` and
/// `atomic_notify` do not: they do not reach the waits of a prepared module. Loads and stores are
/// sequentially consistent and in the guest's byte order.
///
/// Addresses are those of the guest. Every method fails with [`WordError`] for one that is
/// misaligned or out of bounds, and none traps.
#[derive(Clone)]
pub struct HostMemory {
    memory: SharedMemory,
    waits: Waits,
    told: Option<Arc<ToldNotify>>,
    /// The schedule, if threads run one at a time.
    turns: Option<Arc<Turns>>,
}

/// Does a notify of host code in a group with an observer, and tells the observer. Takes the word,
/// its address, and how many to wake; returns how many it woke.
pub(crate) type ToldNotify = dyn Fn(&AtomicU32, u64, u32) -> u32 + Send + Sync;

/// Where waits on the memory go.
#[derive(Clone)]
pub(crate) enum Waits {
    /// To the group, like the guest's: the module is prepared.
    Groups(Arc<ParkingLot>),
    /// To Wasmtime, like the guest's. Only a notify on their address ends them.
    Wasmtimes(Arc<HostWaits>),
}

/// The host threads that wait inside Wasmtime on the memory of an unprepared group.
pub(crate) struct HostWaits {
    memory: SharedMemory,
    token: EndToken,
    /// The addresses they wait at. Each is here before its thread looks at the token, until the
    /// thread is back.
    addresses: Mutex<Vec<u64>>,
    fewer: Condvar,
}

impl HostWaits {
    pub(crate) fn new(memory: SharedMemory, token: EndToken) -> Arc<Self> {
        Arc::new(Self {
            memory,
            token,
            addresses: Mutex::default(),
            fewer: Condvar::new(),
        })
    }

    fn wait(
        &self,
        address: u64,
        wait: impl FnOnce() -> Result<WaitResult, wasmtime::Trap>,
    ) -> WaitOutcome {
        self.lock().push(address);
        let result = (!self.token.is_ended()).then(wait);
        let mut addresses = self.lock();
        if let Some(at) = addresses.iter().position(|other| *other == address) {
            addresses.swap_remove(at);
        }
        drop(addresses);
        self.fewer.notify_all();
        match result {
            // Woken by a notify. If the group has ended, the end may have done that.
            Some(Ok(WaitResult::Ok)) if !self.token.is_ended() => WaitOutcome::Woken,
            Some(Ok(WaitResult::Mismatch)) => WaitOutcome::NotEqual,
            Some(Ok(WaitResult::TimedOut)) => WaitOutcome::TimedOut,
            // The only error is a bad address, which was excluded before.
            Some(Ok(WaitResult::Ok) | Err(_)) | None => WaitOutcome::Ended,
        }
    }

    /// Wakes all of them, now that the group has ended. The next call wakes a thread that looked at
    /// the token before the end, and is about to wait.
    pub(crate) fn end(&self) {
        let mut addresses = self.lock();
        while !addresses.is_empty() {
            for address in &*addresses {
                // In bounds and aligned, so it cannot fail.
                let _ = self.memory.atomic_notify(*address, u32::MAX);
            }
            addresses = self
                .fewer
                .wait_timeout(addresses, AGAIN)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// After how long the threads are notified again that the end has missed.
const AGAIN: Duration = Duration::from_millis(1);

impl fmt::Debug for HostMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostMemory")
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

impl HostMemory {
    /// The first of a group's memories. `told` does a notify on the group's parking lot, if there
    /// is an observer or a schedule.
    pub(crate) fn new(
        memory: SharedMemory,
        waits: Waits,
        told: Option<Arc<ToldNotify>>,
        turns: Option<Arc<Turns>>,
    ) -> Self {
        Self {
            memory,
            waits,
            told,
            turns,
        }
    }

    /// Wakes host threads that wait on it inside Wasmtime, now that the group has ended.
    pub(crate) fn end_waits(&self) {
        if let Waits::Wasmtimes(waits) = &self.waits {
            waits.end();
        }
    }

    /// The memory itself.
    pub fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// A value that counts as a live thread of the group while it is held: the group is not found
    /// deadlocked while host code may still write its memory. `None` for an unprepared module,
    /// which is never found deadlocked.
    pub fn writer(&self) -> Option<HostWriter> {
        match &self.waits {
            Waits::Groups(lot) => Some(lot.host_writer()),
            Waits::Wasmtimes(_) => None,
        }
    }

    /// The `len` bytes from `address` on, each an atomic of its own. A `len` of 0 is allowed up to
    /// the memory's end, and gives none.
    ///
    /// # Errors
    ///
    /// [`WordError::OutOfBounds`] unless all of them are inside the memory as it is now.
    pub fn bytes(&self, address: u64, len: usize) -> Result<&[AtomicU8], WordError> {
        bytes(&self.memory, address, len)
    }

    /// Copies the bytes from `address` on into all of `to`. Takes no lock: each byte that a thread
    /// writes meanwhile is either old or new; for words that must not be torn there are
    /// [`load32`](Self::load32) and [`load64`](Self::load64). Orders nothing by itself: to see what
    /// a thread wrote, first load a word that the thread stored after it.
    ///
    /// # Errors
    ///
    /// [`WordError::OutOfBounds`] unless all of them are inside the memory as it is now; then `to`
    /// is unchanged.
    pub fn read(&self, address: u64, to: &mut [u8]) -> Result<(), WordError> {
        let from = self.bytes(address, to.len())?;
        for (to, from) in to.iter_mut().zip(from) {
            *to = from.load(Ordering::Relaxed);
        }
        Ok(())
    }

    /// The `len` bytes from `address` on, as [`read`](Self::read) copies them. Allocates only when
    /// the bytes are known to be there, so a length that a guest names costs no more than the
    /// guest's memory.
    ///
    /// # Errors
    ///
    /// [`WordError::OutOfBounds`] unless all of them are inside the memory as it is now.
    pub fn read_vec(&self, address: u64, len: usize) -> Result<Vec<u8>, WordError> {
        let from = self.bytes(address, len)?;
        Ok(from
            .iter()
            .map(|byte| byte.load(Ordering::Relaxed))
            .collect())
    }

    /// Copies all of `from` to `address` and the bytes behind it. Otherwise as
    /// [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// [`WordError::OutOfBounds`] unless all of them are inside the memory as it is now, and then
    /// nothing is written.
    pub fn write(&self, address: u64, from: &[u8]) -> Result<(), WordError> {
        let to = self.bytes(address, from.len())?;
        for (to, from) in to.iter().zip(from) {
            to.store(*from, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Loads a 32-bit word.
    ///
    /// # Errors
    ///
    /// [`WordError`].
    pub fn load32(&self, address: u64) -> Result<u32, WordError> {
        Ok(u32::from_le(
            word32(&self.memory, address)?.load(Ordering::SeqCst),
        ))
    }

    /// Stores a 32-bit word.
    ///
    /// # Errors
    ///
    /// [`WordError`].
    pub fn store32(&self, address: u64, value: u32) -> Result<(), WordError> {
        word32(&self.memory, address)?.store(value.to_le(), Ordering::SeqCst);
        Ok(())
    }

    /// Loads a 64-bit word.
    ///
    /// # Errors
    ///
    /// [`WordError`].
    pub fn load64(&self, address: u64) -> Result<u64, WordError> {
        Ok(u64::from_le(
            word64(&self.memory, address)?.load(Ordering::SeqCst),
        ))
    }

    /// Stores a 64-bit word.
    ///
    /// # Errors
    ///
    /// [`WordError`].
    pub fn store64(&self, address: u64, value: u64) -> Result<(), WordError> {
        word64(&self.memory, address)?.store(value.to_le(), Ordering::SeqCst);
        Ok(())
    }

    /// Blocks while the 32-bit word holds `expected`, until notified, until `timeout` passes
    /// (`None`: never), or until the group ends: `memory.atomic.wait32` from host code.
    ///
    /// In a group with a [schedule](crate::schedule) a host function that waits gives its turn on.
    /// On a host thread that runs no thread of the group, neither the wait nor its wake-up is part
    /// of the schedule.
    ///
    /// With an unprepared module the wait is Wasmtime's. At the end, the thread that waits for the
    /// group's threads (the caller of [`run`](crate::ThreadGroup::run), say) wakes it.
    ///
    /// # Errors
    ///
    /// [`WordError`].
    pub fn wait32(
        &self,
        address: u64,
        expected: u32,
        timeout: Option<Duration>,
    ) -> Result<WaitOutcome, WordError> {
        let word = word32(&self.memory, address)?;
        let equal = || word.load(Ordering::SeqCst) == expected.to_le();
        let host = std::ptr::from_ref(word).addr();
        if let Some(outcome) = self.scheduled_wait(host, Width::W32, timeout, equal) {
            return Ok(outcome);
        }
        Ok(match &self.waits {
            Waits::Groups(lot) => lot.register(HOST, Role::Host).wait32(
                word,
                expected.to_le(),
                nanos(timeout),
                &mut || (),
            ),
            Waits::Wasmtimes(waits) => waits.wait(address, || {
                self.memory.atomic_wait32(address, expected, timeout)
            }),
        })
    }

    /// [`wait32`](Self::wait32) on a 64-bit word.
    ///
    /// # Errors
    ///
    /// [`WordError`].
    pub fn wait64(
        &self,
        address: u64,
        expected: u64,
        timeout: Option<Duration>,
    ) -> Result<WaitOutcome, WordError> {
        let word = word64(&self.memory, address)?;
        let equal = || word.load(Ordering::SeqCst) == expected.to_le();
        let host = std::ptr::from_ref(word).addr();
        if let Some(outcome) = self.scheduled_wait(host, Width::W64, timeout, equal) {
            return Ok(outcome);
        }
        Ok(match &self.waits {
            Waits::Groups(lot) => lot.register(HOST, Role::Host).wait64(
                word,
                expected.to_le(),
                nanos(timeout),
                &mut || (),
            ),
            Waits::Wasmtimes(waits) => waits.wait(address, || {
                self.memory.atomic_wait64(address, expected, timeout)
            }),
        })
    }

    /// A wait of a host function that a thread under a schedule has called. The thread gives its
    /// turn on meanwhile. `None` on other threads.
    fn scheduled_wait(
        &self,
        word: usize,
        width: Width,
        timeout: Option<Duration>,
        equal: impl FnOnce() -> bool,
    ) -> Option<WaitOutcome> {
        let turns = self.turns.as_ref().filter(|turns| turns.is_inside())?;
        if !equal() {
            return Some(WaitOutcome::NotEqual);
        }
        let waited = turns.wait(word, width, nanos(timeout), &mut || ());
        Some(match waited {
            Ok(Some(Waited::Woken(_))) => WaitOutcome::Woken,
            Ok(Some(Waited::TimedOut)) => WaitOutcome::TimedOut,
            Ok(None) | Err(_) => WaitOutcome::Ended,
        })
    }

    /// Wakes up to `count` threads, guest's or host's, that wait at `address`. Returns how many it
    /// woke.
    ///
    /// In a group with a [schedule](crate::schedule), a call outside of the host functions of its
    /// threads ends the run as not reproducible.
    ///
    /// # Errors
    ///
    /// [`WordError`].
    pub fn notify(&self, address: u64, count: u32) -> Result<u32, WordError> {
        let word = word32(&self.memory, address)?;
        Ok(match &self.waits {
            Waits::Groups(lot) => match &self.told {
                None => lot.notify(word, count),
                Some(notify) => notify(word, address, count),
            },
            // In bounds and aligned: checked above.
            Waits::Wasmtimes(_) => self.memory.atomic_notify(address, count).unwrap_or(0),
        })
    }
}

/// The timeout in nanoseconds, for the lot. Beyond 292 years there is none.
fn nanos(timeout: Option<Duration>) -> i64 {
    timeout.map_or(-1, |timeout| {
        i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX)
    })
}
