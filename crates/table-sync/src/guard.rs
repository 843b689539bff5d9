//! What gives access to a value.

use crate::handle::Invariant;
use crate::lock::cell;
use crate::lock::{ExclusivePermit, SharedPermit};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Shared access to an entry's value, from [`Table::get`](crate::Table::get) and its kin.
///
/// While it exists no thread gets exclusive access and none takes the value out. After
/// [`detach`](crate::Table::detach) it may be what keeps the value alive. Others may have shared
/// access at the same time.
///
/// Dropping it never blocks. It wakes a waiter if that waited for this guard, and drops the value
/// if this was the last guard of a detached entry. A guard that is leaked (`mem::forget`) holds its
/// entry for the life of the table.
///
/// It stays on its thread, so no future that holds it across an `.await` is `Send`:
///
/// ```compile_fail
/// # async fn pause() {}
/// fn spawn(_: impl Future<Output = ()> + Send) {}
/// let table: &'static table_sync::Table = Box::leak(Box::default());
/// let handle = table.push(5).unwrap();
/// spawn(async move {
///     let five = table.get_async(&handle).await.unwrap();
///     pause().await;
///     println!("{five}");
/// });
/// ```
///
/// The same with the guard let go first compiles:
///
/// ```
/// # async fn pause() {}
/// fn spawn(_: impl Future<Output = ()> + Send) {}
/// let table: &'static table_sync::Table = Box::leak(Box::default());
/// let handle = table.push(5).unwrap();
/// spawn(async move {
///     let five = *table.get_async(&handle).await.unwrap();
///     pause().await;
///     println!("{five}");
/// });
/// ```
/// It does not coerce to a guard of a subtype, which the table would take for another type:
///
/// ```compile_fail
/// type Any = for<'a> fn(&'a u8) -> &'a u8;
/// type Static = fn(&'static u8) -> &'static u8;
/// let table = table_sync::Table::new();
/// let handle = table.push((|it| it) as Any).unwrap();
/// let guard: table_sync::SharedGuard<'_, Static> = table.get(&handle).unwrap();
/// ```
///
/// ```
/// type Any = for<'a> fn(&'a u8) -> &'a u8;
/// type Static = fn(&'static u8) -> &'static u8;
/// let table = table_sync::Table::new();
/// let handle = table.push((|it| it) as Any).unwrap();
/// let guard: table_sync::SharedGuard<'_, Any> = table.get(&handle).unwrap();
/// let function: Static = *guard;
/// ```
#[must_use = "the access ends when the guard is dropped"]
pub struct SharedGuard<'t, T> {
    permit: SharedPermit<'t>,
    _value: PhantomData<(&'t T, Invariant<T>)>,
}

impl<'t, T: Sync + 'static> SharedGuard<'t, T> {
    /// The caller has checked the type for the generation the permit is for.
    #[inline]
    pub(crate) fn new(permit: SharedPermit<'t>) -> Self {
        Self {
            permit,
            _value: PhantomData,
        }
    }
}

impl<T: Sync + 'static> Deref for SharedGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        cell::shared(&self.permit)
    }
}

impl<T: Sync + fmt::Debug + 'static> fmt::Debug for SharedGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Sync + fmt::Display + 'static> fmt::Display for SharedGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// Exclusive access to an entry's value, from [`Table::get_mut`](crate::Table::get_mut) and its
/// kin.
///
/// While it exists no other thread or task has access of any kind. Otherwise as [`SharedGuard`]. A
/// panic while it is held does not poison the entry: the guard is dropped by the unwinding and the
/// next caller sees the value as the panic left it.
///
/// It cannot be sent to another thread:
///
/// ```compile_fail,E0277
/// let table = table_sync::Table::new();
/// let handle = table.push(5).unwrap();
/// let mut guard = table.get_mut(&handle).unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(move || *guard += 1);
/// });
/// ```
///
/// Made over there, it can be used there:
///
/// ```
/// let table = table_sync::Table::new();
/// let handle = table.push(5).unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut guard = table.get_mut(&handle).unwrap();
///         *guard += 1
///     });
/// });
/// ```
///
/// It does not outlive its table:
///
/// ```compile_fail,E0505
/// let table = table_sync::Table::new();
/// let handle = table.push(5).unwrap();
/// let guard = table.get_mut(&handle).unwrap();
/// drop(table);
/// drop(guard);
/// ```
///
/// ```
/// let table = table_sync::Table::new();
/// let handle = table.push(5).unwrap();
/// let guard = table.get_mut(&handle).unwrap();
/// drop(guard);
/// drop(table);
/// ```
#[must_use = "the access ends when the guard is dropped"]
pub struct ExclusiveGuard<'t, T> {
    permit: ExclusivePermit<'t>,
    _value: PhantomData<&'t mut T>,
}

impl<'t, T: 'static> ExclusiveGuard<'t, T> {
    /// The caller has checked the type for the generation the permit is for.
    #[inline]
    pub(crate) fn new(permit: ExclusivePermit<'t>) -> Self {
        Self {
            permit,
            _value: PhantomData,
        }
    }
}

impl<T: 'static> Deref for ExclusiveGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        cell::exclusive_ref(&self.permit)
    }
}

impl<T: 'static> DerefMut for ExclusiveGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        cell::exclusive(&mut self.permit)
    }
}

impl<T: fmt::Debug + 'static> fmt::Debug for ExclusiveGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: fmt::Display + 'static> fmt::Display for ExclusiveGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// Exclusive access to a value of whatever type, from
/// [`Table::get_any_mut`](crate::Table::get_any_mut) and the iterators. Otherwise as
/// [`ExclusiveGuard`].
#[must_use = "the access ends when the guard is dropped"]
pub struct AnyGuard<'t> {
    permit: ExclusivePermit<'t>,
    // The value is `Send` and perhaps not `Sync`, so neither is a guard that derefs to it.
    _value: PhantomData<&'t mut (dyn Any + Send)>,
}

impl<'t> AnyGuard<'t> {
    pub(crate) fn new(permit: ExclusivePermit<'t>) -> Self {
        Self {
            permit,
            _value: PhantomData,
        }
    }
}

impl Deref for AnyGuard<'_> {
    type Target = dyn Any + Send;

    fn deref(&self) -> &Self::Target {
        cell::exclusive_any_ref(&self.permit)
    }
}

impl DerefMut for AnyGuard<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        cell::exclusive_any(&mut self.permit)
    }
}

impl fmt::Debug for AnyGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyGuard").finish_non_exhaustive()
    }
}
