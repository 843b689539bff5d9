//! Taking a mutex. Nothing under the locks of this crate panics half-way through a change, so a
//! poisoned one is good.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
