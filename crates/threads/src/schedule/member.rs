//! The thread of a scheduled group that the calling host thread runs.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::schedule::handover::Seat;
use crate::schedule::turns::Turns;
use crate::types::thread_id::ThreadId;

/// A thread that takes turns, on its own host thread.
#[derive(Clone)]
pub(crate) struct TurnTaker {
    pub(super) id: ThreadId,
    pub(super) turns: Arc<Turns>,
    pub(super) seat: Arc<Seat>,
}

thread_local! {
    static MEMBER: RefCell<Option<TurnTaker>> = const { RefCell::new(None) };
    /// How many points its thread may still pass. While wasm runs the instance has the number;
    /// while the host runs it is here.
    static LEFT: Cell<i64> = const { Cell::new(0) };
    /// How many points were left when this was last settled.
    static SETTLED: Cell<i64> = const { Cell::new(0) };
}

/// What is known of the calling host thread.
pub(crate) struct Current;

impl Current {
    /// How many points the thread may still pass; `None` if it is not one of a scheduled group.
    pub(crate) fn left() -> Option<i64> {
        MEMBER.with_borrow(|member| member.is_some().then(|| LEFT.get()))
    }

    /// Notes that the instance has so many points left.
    pub(crate) fn set_left(left: i64) {
        LEFT.set(left);
    }

    /// The thread of `turns` that the calling host thread runs.
    pub(super) fn member(turns: &Turns) -> Option<TurnTaker> {
        MEMBER.with_borrow(|member| {
            let member = member.as_ref()?;
            std::ptr::eq(Arc::as_ptr(&member.turns), turns).then(|| member.clone())
        })
    }

    /// The id of that thread.
    pub(super) fn id_in(turns: &Turns) -> Option<ThreadId> {
        MEMBER.with_borrow(|member| {
            let member = member.as_ref()?;
            std::ptr::eq(Arc::as_ptr(&member.turns), turns).then_some(member.id)
        })
    }

    /// How many points were passed since the last call.
    pub(super) fn settle() -> u64 {
        let left = LEFT.get();
        let passed = SETTLED.replace(left).saturating_sub(left);
        u64::try_from(passed).unwrap_or(0)
    }

    /// How many points were passed since the last [`settle`](Self::settle).
    pub(super) fn unsettled() -> u64 {
        let passed = SETTLED.get().saturating_sub(LEFT.get());
        u64::try_from(passed).unwrap_or(0)
    }

    /// Passes one more point, on the host's side. Returns whether the budget is used up.
    pub(super) fn use_one() -> bool {
        let left = LEFT.get().saturating_sub(1);
        LEFT.set(left);
        SETTLED.set(left);
        left < 0
    }

    /// Begins a new budget.
    pub(super) fn begin(budget: u64) {
        let budget = i64::try_from(budget).unwrap_or(i64::MAX);
        LEFT.set(budget);
        SETTLED.set(budget);
    }

    /// Makes `member` the calling host thread's while `f` runs.
    pub(super) fn enter<R>(member: TurnTaker, f: impl FnOnce() -> R) -> R {
        struct ForgetTaker;
        impl Drop for ForgetTaker {
            fn drop(&mut self) {
                drop(MEMBER.take());
            }
        }
        MEMBER.set(Some(member));
        let _left = ForgetTaker;
        f()
    }
}
