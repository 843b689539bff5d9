//! A resource table for many threads: values of any type, found by 64-bit handles, each under a
//! lock of its own. Everything takes `&self`.
//!
//! ```
//! use table_sync::{Error, Table};
//!
//! let table = Table::new();
//! let name = table.push(String::from("a"))?;
//! let count = table.push(0u32)?;
//!
//! std::thread::scope(|scope| {
//!     scope.spawn(|| table.get_mut(&name).unwrap().push('b'));
//!     scope.spawn(|| *table.get_mut(&count).unwrap() += 1);
//! });
//! assert_eq!(*table.get(&name)?, "ab");
//!
//! // `delete` waits for holders and returns the value; `detach` does not wait.
//! let held = table.get(&name)?;
//! table.detach(name)?;
//! assert_eq!(table.get(&name).unwrap_err(), Error::NotPresent);
//! assert_eq!(*held, "ab");
//! assert_eq!(table.delete(count)?, 1);
//! # Ok::<(), Error>(())
//! ```
//!
//! The methods of [`Table`] have the names and shapes of those of
//! `wasmtime::component::ResourceTable`, so that a port is mostly a change of type. What differs:
//!
//! - A value needs `Sync` for shared access.
//! - Access is lent as guards, not as references.
//! - Handles are 64 bits.
//! - A failed call changes nothing.
//! - `iter_children` and `iter_entries` wait for exclusive access to each entry, so a thread that
//!   holds one of them waits for itself.
//! - There is no `iter_mut` (take [`handles`](Table::handles)).
//!
//! Nothing here knows of WASI, and without the feature `wasmtime` (conversions to and from
//! `Resource`) nothing knows of wasmtime.
//!
//! | to | waits | does not wait | for tasks |
//! |---|---|---|---|
//! | look | | [`find`](Table::find) | |
//! | share | [`get`](Table::get) | [`try_get`](Table::try_get) | [`get_async`](Table::get_async) |
//! | lock exclusively | [`get_mut`](Table::get_mut) | [`try_get_mut`](Table::try_get_mut) | [`get_mut_async`](Table::get_mut_async) |
//! | take out | [`delete`](Table::delete) | [`try_delete`](Table::try_delete) | [`delete_async`](Table::delete_async) |
//! | detach | | [`detach`](Table::detach) | |
//! | wait for a condition | [`Ready::block`] | | [`Waitable::ready`] |
//!
//! # Consistency
//!
//! - `push`, `push_child`, `add_child`, `remove_child`, `get*`, `delete*` and `detach` are
//!   linearizable: each takes effect at one moment between its call and its return. A handle is
//!   valid everywhere as soon as `push` has returned it.
//! - A handle is issued once. When its entry has gone, it is [`Error::NotPresent`] for good,
//!   whatever has become of the slot: a slot has 2^32 - 1 generations and is retired after the
//!   last.
//! - What one holder of an entry did is visible to the next.
//! - [`Error::Full`] is true of one moment at which every slot was taken. The slot of an entry that
//!   is being removed is taken until the removal returns, that of a detached entry until its last
//!   guard is dropped.
//! - [`len`](Table::len), [`is_empty`](Table::is_empty), [`handles`](Table::handles) and `Debug`
//!   look at one slot or list after the other and are no snapshots.
//! - A call that fails may be in the way of others for a moment. A `push_child` that is going to
//!   fail takes a slot. A `get` that came too late counts as a reader until it notices, so a
//!   `try_get_mut` may fail because of it. Two `try_get_mut` at the same time may both find the
//!   entry [in use](Error::InUse).
//!
//! # Locking
//!
//! - Finding an entry locks nothing and writes nothing.
//! - Each entry has a lock for shared or exclusive access. Writers waiting keep new readers out;
//!   otherwise it is not fair: waiters try in order of arrival, and a newcomer may be faster.
//! - Shared access to an entry that is read a lot is noted in a cache line of the reading thread,
//!   so readers do not slow each other down. The first writer after that pays with a barrier on all
//!   processors (Linux: `membarrier`, about a microsecond) and a look at every thread that ever
//!   read such an entry. Each reader that the writer has to wait for pays the same.
//! - The table may be used inside a guard, and inside a value's `drop`. A thread waits for itself
//!   if it asks, by a form that waits, for an entry that it holds itself, unless both are shared
//!   and no writer came between. Two threads that each hold one entry and wait for the other's wait
//!   forever: take several entries in order of their handles, as
//!   [`iter_entries`](Table::iter_entries) does.
//! - Pushes and removals use a free list that no other thread is using just then. Parents and
//!   children are kept under striped locks that entries without kin do not touch. The order of all
//!   locks inside is written down at the head of `src/lock.rs`, the order of kin in
//!   `src/kinship.rs`.
//! - Values are dropped, and wakers used, with no lock of the table held but the caller's guards.
//!
//! # Async
//!
//! Futures never block a thread for longer than an internal lock is held (which may include a
//! barrier on all processors). They may be dropped at any time: a waiter that was woken and is
//! dropped wakes the next.
//!
//! *Poll them or drop them:* a future that has been woken and is kept without being polled holds
//! its place in line, and all behind it wait. The same holds for [`Ready`]. It also holds for a
//! task that keeps one wait for an entry while it waits for the same entry with another future.
//!
//! Guards are not `Send`. A future that holds one across an `.await` is not `Send` either, so the
//! compiler refuses to spawn it on another thread. To use something across an `.await`, put an
//! `Arc` of it in the table and clone it out.
//!
//! To wait for a value to become ready without keeping others from it, put a [`Waitable`] in the
//! table; see [`Pollable`].
//!
//! # Panics and drops
//!
//! - A panic while a guard is held releases it. There is no poisoning: the next caller sees the
//!   value as the panic left it.
//! - A panic in the `drop` of a value that is removed reaches the thread that dropped it. That is
//!   the caller of `detach`, the thread that dropped the last guard, or a thread whose `get` came
//!   just too late and was the last in the way. The table stays in order.
//! - The first table registers the process for `membarrier(2)`. If that succeeds and a seccomp
//!   filter installed later refuses the call, the thread that needs the barrier panics. Install the
//!   filter first, or allow the call.
//! - A table that is dropped drops children before their parents, and otherwise in order of
//!   indices. If one of them panics the rest are dropped in order of indices.
//! - A guard that is leaked keeps its entry in use for the life of the table, and may cost its
//!   thread one of seven places to publish itself in.
//!
//! # Not for
//!
//! - Looking things up by a key of the user's: handles are issued, not chosen.
//! - Iterating over a consistent picture of the whole.
//! - A value that many threads only write, each for a short time: a `Mutex` of its own does as
//!   well.
//! - Tables made and thrown away by the million: a table takes a few kilobytes and a number. When
//!   the 2^32 numbers have run out, tables count their readers in the entry.
//!
//! # Which of these should you use?
//!
//! | you have | use |
//! |---|---|
//! | one thread, or a lock around the whole anyway; WASI resources of a component | `wasmtime::component::ResourceTable` |
//! | one thread, values of one type, iteration that counts | `slotmap` |
//! | keys of your own | `dashmap`, whose shards each have a lock: a guard is in the way of other keys of its shard |
//! | values of one type, that are shared and never locked, looked up by threads whose number has a bound | `sharded-slab` |
//! | values of many types, each shared or changed by any thread, which others close meanwhile; waits for readiness | this |
//!
//! A `Mutex` around a `ResourceTable` is smaller and does as well, as long as no thread keeps an
//! entry while others want another.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod acquire;
mod bias;
mod children;
mod entry;
mod error;
mod free_slots;
mod guard;
mod handle;
mod kinship;
mod lock;
#[cfg(not(loom))]
mod mutants;
#[cfg(loom)]
pub mod mutants;
mod readers;
mod readiness;
#[cfg(feature = "wasmtime")]
mod resource;
mod slot;
mod state;
mod storage;
mod sync;
mod sys;
mod table;
mod wait_line;

pub use entry::Entry;
pub use error::Error;
pub use guard::{AnyGuard, ExclusiveGuard, SharedGuard};
pub use handle::{AnyHandle, Handle};
pub use readiness::{Access, Closed, Pollable, Ready, Waitable};
pub use table::Table;

/// Tells the kernel that the process will use `membarrier(2)` (on Linux; elsewhere it does
/// nothing). Otherwise the first [`Table`] of the process does that.
///
/// For a process of one thread the kernel does that at once. A process of several threads waits
/// until all processors have passed a quiet point, which took 13 ms where it was measured
/// (`strace -T`). So a program whose start matters calls this before it starts threads. Calling it
/// again, or late, or not at all changes nothing else. It blocks only for that wait, and does not
/// fail: where the kernel refuses, tables use fences.
pub fn prepare_process() {
    sync::asymmetric::init();
}
