//! Wasmtime's call hook, with a store that it can change, on every version.
//!
//! Up to Wasmtime 49 a hook gets a `StoreContextMut`. From 50 on it gets a `StoreHookState`, which
//! has one in a private field, and lets a hook only read the store. A hook changes one thing here:
//! the count of points, a global of the instance. It does so at a call between wasm and the host,
//! where compiled code has no copy of the global. The hook for fuel only reads.
#![allow(unsafe_code)]

use wasmtime::{CallHook, Error, Store, StoreContextMut};

/// Makes `hook` the store's call hook, instead of the one that it has.
///
/// At the calls of a libcall (`memory.grow`, an epoch check) it changes nothing that compiled code
/// may hold.
pub(crate) fn set<T: 'static>(
    store: &mut Store<T>,
    hook: impl FnMut(StoreContextMut<'_, T>, CallHook) -> Result<(), Error> + Send + Sync + 'static,
) {
    #[cfg(not(wasmtime_50))]
    store.call_hook(hook);
    #[cfg(wasmtime_50)]
    {
        let mut hook = hook;
        store.call_hook(move |mut state, call| hook(of_state(&mut state), call));
    }
}

/// The store in `state`.
#[cfg(wasmtime_50)]
fn of_state<'a, T: 'static>(
    state: &'a mut wasmtime::StoreHookState<'_, T>,
) -> StoreContextMut<'a, T> {
    use wasmtime::{AsContext, AsContextMut, StoreHookState};
    // Nothing else is in it, so the field is at its beginning.
    const {
        assert!(
            size_of::<StoreHookState<'static, T>>() == size_of::<StoreContextMut<'static, T>>()
        );
        assert!(
            align_of::<StoreHookState<'static, T>>() == align_of::<StoreContextMut<'static, T>>()
        );
    }
    let data = std::ptr::from_ref(state.as_context().data());
    // SAFETY: a `StoreHookState` is a struct of one field, a `StoreContextMut` (wasmtime 50.0.1,
    // `store/context.rs`), and has its size, so both are the same bytes. `state` is borrowed for as
    // long as the result. The caller of the hook has lent it the whole store (`invoke_call_hook`),
    // as it did before version 50.
    let store = unsafe { &mut *std::ptr::from_mut(state).cast::<StoreContextMut<'a, T>>() };
    debug_assert!(std::ptr::eq(data, store.data()));
    store.as_context_mut()
}
