//! A thread's store. Its instances are dropped even if the drop of the embedder's data panics.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use wasmtime::{AsContext, AsContextMut, Error, Store, StoreContext, StoreContextMut};

use crate::types::fuel::Account;

/// A store whose instances are dropped before its data.
///
/// Wasmtime's own drops the data first. That is the embedder's code, which may panic, and then the
/// instances, with their memories, tables and mappings, would stay for ever.
pub(crate) struct ThreadStore<T: 'static> {
    store: Option<Store<T>>,
    /// Its account of the group's fuel, if that is limited.
    account: Option<Arc<Account>>,
}

impl<T> ThreadStore<T> {
    pub(crate) fn new(store: Store<T>, account: Option<Arc<Account>>) -> Self {
        Self {
            store: Some(store),
            account,
        }
    }

    /// Runs `f`, which calls wasm, with fuel of the group.
    pub(crate) fn spend<R>(
        &mut self,
        f: impl FnOnce(&mut Store<T>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        match self.account.clone() {
            None => f(self),
            Some(account) => account.spend(&mut **self, f),
        }
    }
}

impl<T> Deref for ThreadStore<T> {
    type Target = Store<T>;

    fn deref(&self) -> &Store<T> {
        let Some(store) = &self.store else {
            unreachable!("taken by the drop alone")
        };
        store
    }
}

impl<T> DerefMut for ThreadStore<T> {
    fn deref_mut(&mut self) -> &mut Store<T> {
        let Some(store) = &mut self.store else {
            unreachable!("taken by the drop alone")
        };
        store
    }
}

impl<T> AsContext for ThreadStore<T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        (**self).as_context()
    }
}

impl<T> AsContextMut for ThreadStore<T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        (**self).as_context_mut()
    }
}

impl<T> Drop for ThreadStore<T> {
    fn drop(&mut self) {
        let Some(mut store) = self.store.take() else {
            return;
        };
        // A panic left wasm without giving fuel back.
        if let Some(account) = &self.account {
            // The engine counts fuel, since there is an account.
            let _ = account.end(&mut store);
        }
        drop(store.into_data());
    }
}
