//! The fuel of a group: one pool, from which the threads draw.
//!
//! Wasmtime counts fuel in a local variable of each wasm function, and writes it to the store, or takes it from there,
//! at few places: where wasm is entered and left, where it calls a function, and where it finds that it has none left. There it asks
//! the host ("out of gas"), and goes on if the host finds some. Anything else that calls the host from within
//! wasm (a `memory.grow`, an epoch check) sees an old number in the store, and what it writes there is overwritten.
//! The call hook runs at all of these places and does not say which it is at. So:
//!
//! - *entering wasm*, which is unmistakable, a thread draws;
//! - *leaving wasm* for good it gives back what is left;
//! - *on the way to the host* with a store that has none left, it draws: out of gas, almost always. Where a function has just
//!   returned with the last of it and an instruction of the other kind comes before the next loop or call, what is drawn is
//!   lost, which is why it is a small part of the pool;
//! - the group's own host functions give back while they block, or make another thread, and draw again as they
//!   return.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use wasmtime::{AsContextMut, CallHook, Error, Store};

use crate::sys::call_hook;

/// A thread draws this part of what is left in the pool, divided by the number of threads. Parts become smaller as
/// the pool does, so a thread that holds one and does not run keeps little from the others, and the number of draws is the
/// logarithm of the pool.
const PART: u64 = 16;

/// What a thread draws at least.
const LEAST: u64 = 1_000;

/// The group's fuel.
pub(crate) struct Fuel {
    /// What no thread holds.
    left: AtomicU64,
    /// Threads that may draw. It need not be exact: it only divides.
    threads: AtomicU32,
}

impl Fuel {
    pub(crate) fn new(units: u64) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU64::new(units),
            threads: AtomicU32::new(0),
        })
    }

    /// What no thread holds.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Counts one thread more until the result is dropped.
    pub(crate) fn join(self: &Arc<Self>) -> Member {
        self.threads.fetch_add(1, Ordering::Relaxed);
        Member(Arc::clone(self))
    }

    /// Makes `store` draw and give back at its calls. It holds nothing before the first.
    pub(crate) fn hook<T: 'static>(self: &Arc<Self>, store: &mut Store<T>) -> Result<(), Error> {
        store.set_fuel(0)?;
        let fuel = Arc::clone(self);
        // How many calls from the host are on the thread's stack.
        let mut depth = 0_u32;
        call_hook::set(store, move |mut store, hook| {
            match hook {
                CallHook::CallingWasm => {
                    depth += 1;
                    fuel.draw_into(&mut store, true)?;
                }
                CallHook::ReturningFromWasm => {
                    // A panic passes the hook by.
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        fuel.give_back(&mut store)?;
                    }
                }
                CallHook::CallingHost => fuel.draw_into(&mut store, false)?,
                CallHook::ReturningFromHost => {}
            }
            Ok(())
        });
        Ok(())
    }

    /// Does `work` of a host function of the group's own, called by wasm in `store`, while the thread holds nothing.
    pub(crate) fn without<S: AsContextMut, R>(
        &self,
        mut store: S,
        work: impl FnOnce(&mut S) -> R,
    ) -> Result<R, Error> {
        self.give_back(&mut store)?;
        let result = work(&mut store);
        self.draw_into(&mut store, true)?;
        Ok(result)
    }

    /// Puts what `store` has left into the pool.
    pub(crate) fn give_back(&self, mut store: impl AsContextMut) -> Result<(), Error> {
        let mut store = store.as_context_mut();
        let held = store.get_fuel()?;
        store.set_fuel(0)?;
        // The sum of what there is never exceeds what there was at first, unless the embedder's host functions add some.
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_add(held))
            });
        Ok(())
    }

    /// Draws a part of the pool if `store` has nothing left. Where what it draws is `safe`, a thread that is alone takes
    /// everything, and stops exactly where the group's fuel ends: only itself could start another.
    fn draw_into(&self, mut store: impl AsContextMut, safe: bool) -> Result<(), Error> {
        let mut store = store.as_context_mut();
        if store.get_fuel()? > 0 {
            return Ok(());
        }
        let drawn = self.draw(safe);
        if drawn > 0 {
            store.set_fuel(drawn)?;
        }
        Ok(())
    }

    fn draw(&self, safe: bool) -> u64 {
        let threads = u64::from(self.threads.load(Ordering::Relaxed).max(1));
        let part = |left: u64| match threads == 1 && safe {
            true => left,
            false => (left / (PART * threads)).max(LEAST).min(left),
        };
        // The closure never refuses, so this is a plain atomic update.
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left - part(left))
            });
        before.map_or(0, part)
    }
}

/// A thread that draws from the pool.
pub(crate) struct Member(Arc<Fuel>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_smaller_and_nothing_is_lost() {
        let fuel = Fuel::new(1_000_000);
        let _members = [fuel.join(), fuel.join()];
        let mut drawn = Vec::new();
        while fuel.left() > 0 {
            drawn.push(fuel.draw(false));
        }
        assert_eq!(drawn[0], 1_000_000 / 32);
        assert!(drawn.is_sorted_by(|one, next| one >= next));
        assert!(drawn.len() < 200, "{}", drawn.len());
        assert_eq!(drawn.iter().sum::<u64>(), 1_000_000);
        assert_eq!(fuel.draw(false), 0);
        assert_eq!(fuel.draw(true), 0);
    }
}
