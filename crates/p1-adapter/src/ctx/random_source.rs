//! Random numbers: the operating system's, or an embedder's.

use crate::abi::error::Result;
use crate::blocking::EndSignal;
use crate::guest::buffers::GuestBufs;
use crate::guest::memory::write_bytes;
use crate::lock::lock;
use rand::Rng;
use std::fmt;
use std::sync::{Arc, Mutex};
use wiggle::{GuestMemory, GuestPtr};

/// A source of random bytes that any number of threads may ask at once.
///
/// The default source takes no lock of this process. Requests up to 256 bytes come from each
/// thread's own generator, seeded by the operating system and again every 64 KiB (`rand`'s
/// `ThreadRng`, ChaCha); larger ones from `getrandom(2)`. If a process forks and goes on in both
/// (without `exec`), both have the same generators. The small requests of the forking thread then
/// give the same bytes in both until the next 64 KiB. Such a host should give a source of its own.
pub trait RandomSource: Send + Sync {
    /// Fills `bytes`. Called with at most 4096 bytes at a time.
    fn fill(&self, bytes: &mut [u8]);
}

/// A generator that one thread at a time uses.
pub(super) struct LockedRng<R>(pub(super) Mutex<R>);

impl<R: Rng + Send> RandomSource for LockedRng<R> {
    fn fill(&self, bytes: &mut [u8]) {
        lock(&self.0).fill_bytes(bytes);
    }
}

/// Up to here a thread's own generator is quicker than the operating system's, which costs a system
/// call.
const SMALL: usize = 256;

/// Where `random_get` gets its bytes.
#[derive(Clone)]
pub(crate) enum Random {
    Host,
    Custom(Arc<dyn RandomSource>),
}

impl Random {
    /// Fills `len` bytes of guest memory from `at`, unless `end` is raised meanwhile.
    pub(crate) fn fill(
        &self,
        memory: &mut GuestMemory<'_>,
        at: u32,
        len: u32,
        end: &EndSignal,
    ) -> Result<()> {
        // Also the bounds check, before any of it is written.
        let bufs = GuestBufs::one(memory, at, len)?;
        match self {
            Self::Host if len as usize <= SMALL => {
                drop(bufs);
                let mut bytes = [0; SMALL];
                let bytes = &mut bytes[..len as usize];
                rand::rng().fill_bytes(bytes);
                write_bytes(memory, GuestPtr::new(at), bytes).map(drop)
            }
            Self::Host => bufs.fill_random(end),
            Self::Custom(source) => {
                drop(bufs);
                let mut chunk = [0; 4096];
                let mut at = GuestPtr::new(at);
                let mut left = len as usize;
                while left != 0 {
                    end.check()?;
                    let n = left.min(chunk.len());
                    source.fill(&mut chunk[..n]);
                    at = write_bytes(memory, at, &chunk[..n])?;
                    left -= n;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "Host",
            Self::Custom(_) => "Custom",
        })
    }
}
