//! Instances made ahead of their threads.
//!
//! Only for modules whose instantiation is not visible: it writes no active segment into a shared
//! memory, and runs no start function
//! ([`ThreadModule::instantiation_is_visible`](crate::ThreadModule)). Each is used once. A store's
//! data is made for a thread's id, so a prewarmed instance already has an id. It has no place in
//! the group, and counts for no limit on threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::{Error, Trap};

use crate::host::panics::caught;
use crate::life::reserved_id::ReservedId;
use crate::thread::linked::Instances;
use crate::thread::program::Program;
use crate::thread::thread_store::ThreadStore;

/// A store and an instance for a thread that is not spawned yet.
pub(crate) struct Prewarmed<T: 'static> {
    pub(crate) id: ReservedId,
    pub(crate) store: ThreadStore<T>,
    pub(crate) instances: Instances,
}

/// The instances of one group that were made ahead.
pub(crate) struct Stock<T: 'static> {
    most: usize,
    instances: Mutex<Vec<Prewarmed<T>>>,
    /// Set when making one failed: a spawn that meets the same failure reports it.
    failed: AtomicBool,
}

impl<T: Send + 'static> Stock<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            instances: Mutex::default(),
            failed: AtomicBool::new(false),
        }
    }

    /// Takes one, if there is any.
    pub(crate) fn take(&self) -> Option<Prewarmed<T>> {
        if self.most == 0 {
            return None;
        }
        self.lock().pop()
    }

    /// Makes one more, unless the stock is full. Called on a host thread that has just run a guest
    /// thread, after that thread has left: so no thread of the guest waits for it.
    pub(crate) fn refill(&self, program: &Program<T>) {
        if self.most == 0
            || self.failed.load(Ordering::Relaxed)
            || program.life.token().is_ended()
            || self.lock().len() >= self.most
        {
            return;
        }
        // Data and instantiation are the embedder's code.
        match caught(|| Self::make(program)) {
            Some(Ok(Some(instance))) => self.put(instance),
            // Threads that compute may hold all fuel that is left. Later there may be some.
            Some(Err(error)) if error.downcast_ref() == Some(&Trap::OutOfFuel) => {}
            Some(Ok(None) | Err(_)) | None => self.failed.store(true, Ordering::Relaxed),
        }
    }

    /// Puts one into the stock, or back into it; drops it if the stock is full.
    pub(crate) fn put(&self, instance: Prewarmed<T>) {
        let mut stock = self.lock();
        let over = if stock.len() < self.most {
            stock.push(instance);
            None
        } else {
            Some(instance)
        };
        drop(stock);
        dropped(over);
    }

    /// Makes one; `None` if there is no free id.
    fn make(program: &Program<T>) -> Result<Option<Prewarmed<T>>, Error> {
        let Some(id) = ReservedId::take(&program.life) else {
            return Ok(None);
        };
        let Some(number) = id.get() else {
            return Ok(None);
        };
        // So that it draws its share of the group's fuel, and not all of it.
        let _member = program.stores.join_fuel();
        let mut store = program.stores.make(number)?;
        let instances = program.instantiate(&mut store)?;
        Ok(Some(Prewarmed {
            id,
            store,
            instances,
        }))
    }

    /// Drops one that was not used.
    pub(crate) fn shrink(&self) {
        let one = self.lock().pop();
        dropped(one);
    }

    /// Drops all of them.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        all.into_iter().for_each(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Prewarmed<T>>> {
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what holds data of the embedder's. A panic in that belongs to no thread of the guest, so
/// it is caught and does not end the group.
fn dropped<R>(unused: R) {
    caught(|| drop(unused));
}
