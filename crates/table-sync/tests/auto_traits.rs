//! Which types may go to, or be used from, another thread.

#![cfg(not(loom))]
#![allow(missing_docs)]

use std::cell::Cell;
use std::rc::Rc;
use table_sync::{
    Access, AnyGuard, AnyHandle, Closed, Entry, Error, ExclusiveGuard, Handle, Pollable, Ready,
    SharedGuard, Table, Waitable,
};

struct Value;
impl Pollable for Value {
    async fn ready(&mut self) {}
}

/// Neither `Send` nor `Sync`.
type Bound = Rc<Cell<u8>>;

/// Compiles if the type lacks the trait: with it, two `check`s would be found.
macro_rules! not {
    ($auto:ident: $($type:ty),* $(,)?) => {{
        trait No<Marker> {
            fn check() {}
        }
        struct Has;
        impl<T: ?Sized> No<()> for T {}
        impl<T: ?Sized + $auto> No<Has> for T {}
        $(let _ = <$type as No<_>>::check;)*
    }};
}
macro_rules! all {
    ($auto:ident: $($type:ty),* $(,)?) => {{
        fn has<T: ?Sized + $auto>() {}
        $(has::<$type>();)*
    }};
}

#[test]
fn auto_traits() {
    all!(Send: Table, AnyHandle, Handle<Bound>, Entry<'_, Bound>, Error, Closed);
    all!(Sync: Table, AnyHandle, Handle<Bound>, Entry<'_, Bound>, Error, Closed);
    all!(Unpin: Table, Handle<Bound>, Entry<'_, Bound>, SharedGuard<'_, u8>, ExclusiveGuard<'_, u8>);

    not!(Send: SharedGuard<'_, u8>, ExclusiveGuard<'_, u8>, AnyGuard<'_>, Access<'_, Value>);
    all!(Sync: SharedGuard<'_, u8>, ExclusiveGuard<'_, u8>, Access<'_, Value>);
    not!(Sync: SharedGuard<'_, Cell<u8>>, ExclusiveGuard<'_, Cell<u8>>, AnyGuard<'_>);

    all!(Send: Waitable<Value>, Ready<Value>);
    all!(Sync: Waitable<Value>, Ready<Value>);
    all!(Unpin: Waitable<Value>, Ready<Value>);
}

#[test]
fn futures_can_be_spawned() {
    fn spawnable<T: Send + Unpin>(_: &T) {}
    let table = Table::new();
    let handle = table.push(0u8).unwrap();
    spawnable(&table.get_async(&handle));
    spawnable(&table.get_mut_async(&handle));
    spawnable(&table.delete_async(handle));
    spawnable(&Waitable::new(Value).lock_async());
}
