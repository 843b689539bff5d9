//! The fuel of a group: one pool, out of which each thread pays for what it is about to consume.
//!
//! Wasmtime counts fuel in a local variable of each wasm function. It moves the count between that
//! variable and the store at few places: where wasm is entered and left, where wasm calls a
//! function, and where it finds that it has none left. In the last case it asks the host ("out of
//! gas"), and goes on if the host finds some. It looks whether it has any left at each function's
//! entry and at each head of a loop. The code between two looks is a *block*. A store that has run
//! out does not say by how much it went beyond, so what a block consumed after the last unit cannot
//! be counted. So no store of a group runs out before the group has consumed everything:
//!
//! - A store has as much as the group has not consumed yet, and an *interval*
//!   (`fuel_async_yield_interval`), after which wasm asks the host in any case. It is then given
//!   the next one, less what it consumed beyond the last, so Wasmtime loses no count there. Such a
//!   store is asynchronous for ever, hence the fibers.
//! - Wasmtime's call hook runs whenever wasm calls the host, before the store is given the next
//!   interval. It reads how much the store has; what is missing since the last time was consumed.
//!   It changes nothing: Wasmtime 50 does not allow it to. And at places where the store has an old
//!   number (a `memory.grow`, an epoch check), what it wrote would be overwritten.
//! - The thread *holds* some of the pool, and pays out of that. It goes on only while it holds an
//!   interval, or all there is. So it is beyond what it holds by one block at most. It owes that
//!   block, and pays it back first.
//!
//! Hence the bound: `consumed = fuel - pool - held`, the pool is never taken from below 0, and what
//! a thread holds is never below 0 by more than a block.
//!
//! A thread begins to pay when it enters wasm. It gives back what it holds when it leaves wasm, and
//! while it waits or makes another thread.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use wasmtime::{AsContext, AsContextMut, CallHook, Error, Store, Trap};

use crate::sys::running;

/// An interval is this part of what is left as the thread enters wasm, divided by the number of
/// threads. A thread holds two intervals at most, so threads that do not run keep little from the
/// others.
const PARTS: i64 = 512;

/// The longest interval: each costs a switch to the host and back, some 100 ns, and is some 100 us
/// of computing.
const LONGEST: i64 = 1_000_000;

/// The group's fuel.
pub(crate) struct Fuel {
    /// Fuel that no thread holds. Below 0 only by what threads owed when they left.
    left: AtomicI64,
    /// Fuel that is not known to be consumed: never less than what is really left.
    unconsumed: AtomicI64,
    /// Threads that may draw. It need not be exact: it only divides.
    threads: AtomicU32,
}

impl Fuel {
    /// A pool of so many units, `i64::MAX` at most.
    pub(crate) fn new(units: u64) -> Arc<Self> {
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        Arc::new(Self {
            left: AtomicI64::new(units),
            unconsumed: AtomicI64::new(units),
            threads: AtomicU32::new(0),
        })
    }

    /// Fuel that no thread holds.
    pub(crate) fn left(&self) -> u64 {
        u64::try_from(self.left.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Counts one thread more until the result is dropped.
    pub(crate) fn join(self: &Arc<Self>) -> Member {
        self.threads.fetch_add(1, Ordering::Relaxed);
        Member(Arc::clone(self))
    }

    /// Takes `wanted`, or what there is if that is less. If there is less than `least`, takes
    /// nothing and returns `None`.
    fn take(&self, least: i64, wanted: i64) -> Option<i64> {
        let part = |left: i64| wanted.min(left.max(0));
        let before = self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                (part(left) >= least).then(|| left - part(left))
            });
        before.ok().map(part)
    }

    /// Puts back what a thread held, or takes what it owed.
    fn put(&self, held: i64) {
        add(&self.left, held);
    }

    /// The interval of a thread that enters wasm while `left` is left.
    fn interval(&self, left: i64) -> i64 {
        let threads = i64::from(self.threads.load(Ordering::Relaxed).max(1));
        (left / PARTS / threads).clamp(1, LONGEST)
    }
}

/// Adds, and saturates. The sum exceeds what there was at first only if host functions of the
/// embedder's add fuel.
fn add(to: &AtomicI64, units: i64) {
    let _ = to.try_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
        Some(now.saturating_add(units))
    });
}

/// What one store has of its group's fuel. Only the thread that runs the store changes it.
pub(crate) struct Account {
    fuel: Arc<Fuel>,
    /// What the store had when it was looked at last.
    seen: AtomicU64,
    /// What the thread has taken from the pool and not consumed; below 0 by what it owes.
    held: AtomicI64,
    /// What the thread has consumed and not told the group.
    untold: AtomicI64,
    interval: AtomicI64,
    /// The size of a fiber's stack, in bytes.
    stack: usize,
}

thread_local! {
    /// The account that pays for what the calling host thread runs.
    static CURRENT: RefCell<Option<Arc<Account>>> = const { RefCell::new(None) };
}

/// What was [`CURRENT`] before, put back as this is dropped.
struct RestoreCurrent(Option<Arc<Account>>);

impl Drop for RestoreCurrent {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl Account {
    /// Makes `store` pay at its calls. It has no fuel before the thread [begins](Self::begin).
    pub(crate) fn open<T: 'static>(
        fuel: &Arc<Fuel>,
        store: &mut Store<T>,
    ) -> Result<Arc<Self>, Error> {
        let account = Arc::new(Self {
            fuel: Arc::clone(fuel),
            seen: AtomicU64::new(0),
            held: AtomicI64::new(0),
            untold: AtomicI64::new(0),
            interval: AtomicI64::new(1),
            stack: store.engine().get_async_stack_size(),
        });
        store.set_fuel(0)?;
        let hooked = Arc::clone(&account);
        store.call_hook(move |store, hook| match hook {
            CallHook::CallingWasm => {
                running::note_fiber(hooked.stack);
                Ok(hooked.pay(store.as_context().get_fuel()?)?)
            }
            CallHook::CallingHost => Ok(hooked.pay(store.as_context().get_fuel()?)?),
            CallHook::ReturningFromWasm | CallHook::ReturningFromHost => Ok(()),
        });
        Ok(account)
    }

    /// Runs `f`, which calls wasm in `store`, whose account this is, with fuel of the group.
    pub(crate) fn spend<S: AsContextMut, R>(
        self: &Arc<Self>,
        store: &mut S,
        f: impl FnOnce(&mut S) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.begin(&mut *store)?;
        let result = {
            let _restore = RestoreCurrent(CURRENT.replace(Some(Arc::clone(self))));
            let _stack = running::keep_stack();
            f(store)
        };
        self.end(store)?;
        result
    }

    /// Gives the store what the group has not consumed, and takes from the pool what the thread
    /// needs at first.
    fn begin(&self, mut store: impl AsContextMut) -> Result<(), Error> {
        let mut store = store.as_context_mut();
        let left = self.fuel.unconsumed.load(Ordering::Relaxed).max(0);
        let interval = self.fuel.interval(left);
        let taken = self.fuel.take(interval.min(left), 2 * interval);
        // If others hold all that is left, this thread has nothing, and wasm finds that at its next
        // look.
        let has = taken.map_or(0, |_| left.unsigned_abs());
        self.interval.store(interval, Ordering::Relaxed);
        self.held.store(taken.unwrap_or(0), Ordering::Relaxed);
        self.seen.store(has, Ordering::Relaxed);
        store.set_fuel(has)?;
        // Divides what the store has into intervals. Without the feature there is no limit on fuel.
        #[cfg(feature = "async")]
        store.fuel_async_yield_interval(Some(interval.unsigned_abs()))?;
        Ok(())
    }

    /// Gives back what the thread holds.
    pub(crate) fn end(&self, mut store: impl AsContextMut) -> Result<(), Error> {
        let mut store = store.as_context_mut();
        self.note(store.get_fuel()?);
        self.tell();
        self.fuel.put(self.held.swap(0, Ordering::Relaxed));
        self.seen.store(0, Ordering::Relaxed);
        store.set_fuel(0)
    }

    /// Pays for what was consumed since the last time; the store has `now`. Fails with `OutOfFuel`
    /// if the group has too little for the next interval.
    fn pay(&self, now: u64) -> Result<(), Trap> {
        if now == self.seen.load(Ordering::Relaxed) {
            return Ok(());
        }
        let held = self.note(now);
        let interval = self.interval.load(Ordering::Relaxed);
        let need = interval.min(i64::try_from(now).unwrap_or(i64::MAX));
        if held >= need {
            return Ok(());
        }
        self.tell();
        let least = need.saturating_sub(held);
        let taken = self
            .fuel
            .take(least, (2 * interval).saturating_sub(held))
            .ok_or(Trap::OutOfFuel)?;
        self.held
            .store(held.saturating_add(taken), Ordering::Relaxed);
        Ok(())
    }

    /// Takes what was consumed since the last time from what is held, and returns what is held
    /// then.
    fn note(&self, now: u64) -> i64 {
        let seen = self.seen.load(Ordering::Relaxed);
        self.seen.store(now, Ordering::Relaxed);
        let used = i128::from(seen) - i128::from(now);
        // Below 0 if a host function of the embedder's has added fuel.
        let used = i64::try_from(used).unwrap_or(if used < 0 { i64::MIN } else { i64::MAX });
        let untold = self.untold.load(Ordering::Relaxed);
        self.untold
            .store(untold.saturating_add(used), Ordering::Relaxed);
        let held = self.held.load(Ordering::Relaxed).saturating_sub(used);
        self.held.store(held, Ordering::Relaxed);
        held
    }

    /// Subtracts from the group's count what was consumed.
    fn tell(&self) {
        let untold = self.untold.swap(0, Ordering::Relaxed);
        add(&self.fuel.unconsumed, untold.saturating_neg());
    }
}

/// Does `work` while the thread holds no fuel: for a host function of the group's own that wasm in
/// `store` has called.
pub(crate) fn without<S: AsContextMut, R>(
    mut store: S,
    work: impl FnOnce(&mut S) -> R,
) -> Result<R, Error> {
    let Some(account) = CURRENT.with_borrow(Clone::clone) else {
        return Ok(work(&mut store));
    };
    account.end(&mut store)?;
    let result = work(&mut store);
    account.begin(&mut store)?;
    Ok(result)
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

    /// An account without a store: the test says what the store has.
    fn account(fuel: &Arc<Fuel>, interval: i64) -> Account {
        Account {
            fuel: Arc::clone(fuel),
            seen: AtomicU64::new(fuel.unconsumed.load(Ordering::Relaxed).unsigned_abs()),
            held: AtomicI64::new(fuel.take(interval, 2 * interval).unwrap()),
            untold: AtomicI64::new(0),
            interval: AtomicI64::new(interval),
            stack: 0,
        }
    }

    /// Whether wasm goes on. Wasm looks at what the store has by itself.
    fn consume(account: &Account, units: u64) -> bool {
        let seen = account.seen.load(Ordering::Relaxed);
        let now = seen.saturating_sub(units);
        account.pay(now).is_ok() && now > 0
    }

    #[test]
    fn what_is_consumed_beyond_what_is_held_is_paid_back() {
        const BLOCK: u64 = 100_000;
        for threads in [1, 3, 16] {
            let fuel = Fuel::new(1_000_000);
            let accounts: Vec<_> = (0..threads).map(|_| account(&fuel, 100)).collect();
            let mut running: Vec<_> = accounts.iter().collect();
            let mut consumed = 0;
            while !running.is_empty() {
                running.retain(|one| {
                    consumed += BLOCK;
                    consume(one, BLOCK)
                });
            }
            assert!(consumed >= 1_000_000, "{threads}: {consumed}");
            assert!(
                consumed <= 1_000_000 + threads * BLOCK,
                "{threads}: {consumed}"
            );
        }
    }

    #[test]
    fn alone_everything_is_had_and_no_more() {
        let fuel = Fuel::new(1_005);
        let alone = account(&fuel, 10);
        for unit in 0..1_004 {
            assert!(consume(&alone, 1), "{unit}");
        }
        assert_eq!(fuel.left(), 0);
        assert!(!consume(&alone, 1));
        assert_eq!(alone.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn beside_one_that_holds_some_the_rest_is_had() {
        let fuel = Fuel::new(1_000);
        let _idle = account(&fuel, 10);
        let one = account(&fuel, 10);
        let mut consumed = 0;
        while consume(&one, 1) {
            consumed += 1;
        }
        // All but what the other holds, and less than an interval.
        assert!((970..=980).contains(&consumed), "{consumed}");
    }

    #[test]
    fn what_a_thread_owed_as_it_left_is_not_had_again() {
        let fuel = Fuel::new(1_000);
        let idle = account(&fuel, 10);
        let one = account(&fuel, 10);
        assert!(!consume(&one, 1_000));
        fuel.put(one.held.swap(0, Ordering::Relaxed));
        assert_eq!(fuel.left(), 0);
        assert!(fuel.take(1, 1).is_none());
        // It owed as much as the other has.
        fuel.put(idle.held.swap(0, Ordering::Relaxed));
        assert_eq!(fuel.left.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn intervals_are_parts_of_what_is_left() {
        let fuel = Fuel::new(u64::MAX);
        assert_eq!(fuel.left(), i64::MAX.unsigned_abs());
        assert_eq!(fuel.interval(i64::MAX), LONGEST);
        let _members: Vec<_> = (0..10).map(|_| fuel.join()).collect();
        assert_eq!(fuel.interval(512_000), 100);
        assert_eq!(fuel.interval(0), 1);
    }
}
