//! The contenders: each makes places to wait, on words of a shared memory.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use wasi_threads::memory::{offset_of, word32};
use wasi_threads::waits::{ParkingLot, Role, Waiter};
use wasmtime::{Config, Engine, MemoryType, SharedMemory};

/// A place to wait, as one thread sees it.
pub(crate) trait Place: Send {
    fn wait(&self, word: &AtomicU32, expected: u32);
    fn notify(&self, word: &AtomicU32, count: u32);
}

/// Makes a place for each thread of a run.
pub(crate) trait Contender {
    const NAME: &'static str;
    type Place: Place;
    fn new(memory: &SharedMemory) -> Self;
    fn place(&self, thread: u32) -> Self::Place;
}

pub(crate) struct Futex;

impl Place for Futex {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        use rustix::thread::futex;
        let _ = futex::wait(word, futex::Flags::PRIVATE, expected, None);
    }
    fn notify(&self, word: &AtomicU32, count: u32) {
        use rustix::thread::futex;
        let _ = futex::wake(word, futex::Flags::PRIVATE, count.min(i32::MAX as u32));
    }
}

impl Contender for Futex {
    const NAME: &'static str = "futex";
    type Place = Self;
    fn new(_: &SharedMemory) -> Self {
        Self
    }
    fn place(&self, _: u32) -> Self {
        Self
    }
}

pub(crate) struct Core;

impl Place for Core {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        // SAFETY: `validate` neither panics nor parks; the others do nothing.
        unsafe {
            parking_lot_core::park(
                word.as_ptr().addr(),
                || word.load(Ordering::SeqCst) == expected,
                || (),
                |_, _| (),
                parking_lot_core::DEFAULT_PARK_TOKEN,
                None,
            );
        }
    }
    fn notify(&self, word: &AtomicU32, count: u32) {
        let token = parking_lot_core::DEFAULT_UNPARK_TOKEN;
        // SAFETY: no callback does anything.
        unsafe {
            match count {
                1 => drop(parking_lot_core::unpark_one(word.as_ptr().addr(), |_| {
                    token
                })),
                _ => drop(parking_lot_core::unpark_all(word.as_ptr().addr(), token)),
            }
        }
    }
}

impl Contender for Core {
    const NAME: &'static str = "parking_lot_core";
    type Place = Self;
    fn new(_: &SharedMemory) -> Self {
        Self
    }
    fn place(&self, _: u32) -> Self {
        Self
    }
}

/// Wasmtime's waits take addresses in a shared memory, so that is where the
/// words of every contender are.
pub(crate) struct Spot {
    pub(crate) memory: SharedMemory,
}

impl Place for Spot {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        let address = offset_of(&self.memory, std::ptr::from_ref(word).addr());
        let address = address.expect("a word of this memory");
        let _ = self.memory.atomic_wait32(address, expected, None);
    }
    fn notify(&self, word: &AtomicU32, count: u32) {
        let address = offset_of(&self.memory, std::ptr::from_ref(word).addr());
        let address = address.expect("a word of this memory");
        let _ = self.memory.atomic_notify(address, count);
    }
}

impl Contender for Spot {
    const NAME: &'static str = "wasmtime";
    type Place = Self;
    fn new(memory: &SharedMemory) -> Self {
        Self {
            memory: memory.clone(),
        }
    }
    fn place(&self, _: u32) -> Self {
        Self {
            memory: self.memory.clone(),
        }
    }
}

/// The lot as a group without deadlock detection has it, or with.
pub(crate) struct Lot<const DETECT: bool>(pub(crate) Arc<ParkingLot>);

impl Place for Waiter {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        self.wait32(word, expected, -1, &mut || ());
    }
    fn notify(&self, word: &AtomicU32, count: u32) {
        self.lot().notify(word, count);
    }
}

impl<const DETECT: bool> Contender for Lot<DETECT> {
    const NAME: &'static str = if DETECT { "lot, deadlocks" } else { "lot" };
    type Place = Waiter;
    fn new(_: &SharedMemory) -> Self {
        Self(ParkingLot::new(64, DETECT))
    }
    fn place(&self, thread: u32) -> Waiter {
        self.0.register(thread, Role::Guest)
    }
}

/// Words of a fresh shared memory, each on a cache line of its own.
pub(crate) struct Words {
    pub(crate) memory: SharedMemory,
}

impl Words {
    pub(crate) fn new() -> Self {
        static ENGINE: LazyLock<Engine> =
            LazyLock::new(|| Engine::new(Config::new().shared_memory(true)).expect("an engine"));
        let memory = SharedMemory::new(&ENGINE, MemoryType::shared(1, 1));
        Self {
            memory: memory.expect("a shared memory"),
        }
    }

    pub(crate) fn get(&self, index: u32) -> &AtomicU32 {
        word32(&self.memory, u64::from(index) * 128).expect("a word in bounds")
    }
}
