//! Schedules: threads run one at a time, in an order that a policy decides, so that a run can be
//! repeated.
//!
//! A group with a [`Schedule::Policy`] has one *turn*. The thread that holds it runs; all others
//! wait for it. The holder counts *points*: each atomic access, wait, notify, spawn and host call
//! is one, and with [`Points::Accesses`](crate::rewrite::Points::Accesses) each load and store of
//! shared memory is. When it has used up its points, or the set of threads that can run has
//! changed, the [`Policy`] says which thread is next, and how many points that one may pass.
//! Nothing else moves the turn: not the host's scheduler, not its clock. So a policy that decides
//! by a seed makes one run for each seed.
//!
//! | the turn may move | asked |
//! |---|---|
//! | before an atomic access, and whatever else the module counts | when the budget is used up |
//! | before a host call ([`ScheduleHandle::host_call`]) | when the budget is used up |
//! | after a spawn, after a notify that woke a thread | always |
//! | in a wait that waits, a sleep, a yield | always |
//! | at the end of a thread | always |
//!
//! *Time is virtual.* The clock ([`ScheduleHandle::now`]) moves by a constant at each point. When
//! no thread can run it moves to the earliest deadline. A policy may let a deadline come early by
//! naming a sleeper, as if all others were slow.
//!
//! *What is needed.* The module must be prepared with
//! [`RewriteOptions::points`](crate::rewrite::RewriteOptions::points); [`ScheduleRefusal`] lists
//! what a group with a schedule cannot have. A host function that blocks keeps the turn meanwhile,
//! so it should call [`ScheduleHandle::sleep_until`] and [`ScheduleHandle::yield_now`] instead. The
//! results of host functions are part of the run: a host function whose result depends on the host
//! should call [`ScheduleHandle::not_reproducible`].
//!
//! ```
//! use wasi_threads::rewrite::{Points, RewriteOptions};
//! use wasi_threads::schedule::{Policy, Schedule, Scheduled, Stop, Turn};
//! use wasi_threads::{Outcome, ThreadGroup, prepare_with};
//!
//! /// The thread with the next higher id, for three points.
//! struct RoundRobin;
//!
//! impl Policy for RoundRobin {
//!     fn next(&mut self, stop: &Stop<'_>) -> Turn {
//!         let behind = stop.runnable.iter().find(|thread| **thread > stop.thread);
//!         let thread = behind.or(stop.runnable.first()).copied();
//!         // No thread can run: the first deadline comes.
//!         let thread = thread.unwrap_or_else(|| stop.sleeping[0].thread);
//!         Turn { thread, budget: 3 }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut config = wasmtime::Config::new();
//! # config.shared_memory(true).epoch_interruption(true);
//! # let engine = wasmtime::Engine::new(&config)?;
//! # let linker = wasmtime::Linker::<()>::new(&engine);
//! # let bytes = wat::parse_str(r#"(module
//! #   (import "env" "memory" (memory 1 1 shared))
//! #   (func (export "_start") (i32.atomic.store (i32.const 0) (i32.const 1))))"#)?;
//! let mut options = RewriteOptions::default();
//! options.points = Some(Points::Atomics);
//! let module = prepare_with(&engine, &bytes, &options)?;
//! let group = ThreadGroup::builder(&engine, &module, linker)
//!     .schedule(Schedule::Policy(Scheduled::new(RoundRobin)))
//!     .state(|_| ())
//!     .build()?;
//! assert!(matches!(group.run("_start")?, Outcome::Returned));
//! let trace = group.schedule_trace().expect("it has a schedule");
//! assert_eq!(trace.threads, 1);
//! # Ok(())
//! # }
//! ```
//!
//! *Which thread accessed what.* An [`AccessObserver`] is told of each access of shared memory, in
//! order, before it is done. The module must be prepared with
//! [`RewriteOptions::recorded`](crate::rewrite::RewriteOptions::recorded). The points stay the
//! same, so a seed makes the same run. Groups without a schedule tell as well
//! ([`GroupBuilder::observe_accesses`](crate::GroupBuilder::observe_accesses)).
//!
//! `DESIGN.md`, *Schedules*, has the states and the argument.

mod access;
mod handle;
mod handover;
mod member;
mod policy;
mod scheduled;
mod table;
mod trace;
mod turns;

pub use crate::types::schedule_error::{ScheduleError, ScheduleRefusal};
pub use access::{AccessObserver, GuestAccess};
pub use handle::ScheduleHandle;
pub use policy::{Policy, Sleeper, Stop, Turn, Why};
pub use scheduled::{Schedule, Scheduled};
pub use trace::ScheduleTrace;

pub(crate) use trace::Mix;

pub(crate) use member::{Current, TurnTaker};
pub(crate) use table::Blocked;
pub(crate) use turns::{Turns, Verdict, Waited};
