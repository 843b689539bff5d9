//! A thread's store, which gives back its instances whatever becomes of the embedder's data.

use std::ops::{Deref, DerefMut};

use wasmtime::{AsContext, AsContextMut, Store, StoreContext, StoreContextMut};

/// A store whose instances are dropped before its data.
///
/// Wasmtime's own drops the data first. That is the embedder's code, which may panic, and then the instances, with their
/// memories, tables and mappings, would stay for ever.
pub(crate) struct ThreadStore<T: 'static>(Option<Store<T>>);

impl<T> From<Store<T>> for ThreadStore<T> {
    fn from(store: Store<T>) -> Self {
        Self(Some(store))
    }
}

impl<T> Deref for ThreadStore<T> {
    type Target = Store<T>;

    fn deref(&self) -> &Store<T> {
        let Some(store) = &self.0 else {
            unreachable!("taken by the drop alone")
        };
        store
    }
}

impl<T> DerefMut for ThreadStore<T> {
    fn deref_mut(&mut self) -> &mut Store<T> {
        let Some(store) = &mut self.0 else {
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
        let data = self.0.take().map(Store::into_data);
        drop(data);
    }
}
