//! Outcomes.

use std::ffi::{c_char, c_int};
use std::ptr;

use wasi_threads::Outcome;

use super::{delete, given, guard};
use crate::ended::Ended;

/// How a program ended.
#[derive(Debug)]
pub struct WtOutcome {
    pub(super) ended: Ended,
}

/// The first cause of the end.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WtKind {
    /// The function that was run returned.
    Returned = 0,
    /// A thread called `proc_exit`: `wt_outcome_status` has its code.
    Exited = 1,
    /// A thread trapped: `wt_outcome_thread`, `wt_outcome_backtrace`.
    Trapped = 2,
    /// The time limit passed: `wt_config_timeout`.
    TimedOut = 3,
    /// `wt_group_cancel` was called.
    Cancelled = 4,
    /// All threads waited for one another: `wt_config_detect_deadlock`.
    Deadlocked = 5,
    /// Any other cause, which `wt_outcome_message` names: a bug of this library.
    Other = 6,
}

/// The kind of the end; `WT_OTHER` for NULL.
///
/// # Safety
///
/// `outcome` is NULL or came out of `wt_group_run`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_outcome_kind(outcome: *const WtOutcome) -> WtKind {
    guard(ptr::null_mut(), WtKind::Other, || {
        // SAFETY: the caller's promise.
        let outcome = unsafe { given(outcome, "outcome")? };
        Ok(match outcome.ended.outcome {
            Outcome::Returned => WtKind::Returned,
            Outcome::Exited(_) => WtKind::Exited,
            Outcome::Trapped { .. } => WtKind::Trapped,
            Outcome::TimedOut => WtKind::TimedOut,
            Outcome::Cancelled => WtKind::Cancelled,
            Outcome::Deadlocked(_) => WtKind::Deadlocked,
            _ => WtKind::Other,
        })
    })
}

/// The exit status of the program: the code of `proc_exit`, all 32 bits, or 0 if the program
/// returned. 134 for every other end.
///
/// # Safety
///
/// `outcome` is NULL or came out of `wt_group_run`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_outcome_status(outcome: *const WtOutcome) -> i32 {
    guard(ptr::null_mut(), 134, || {
        // SAFETY: the caller's promise.
        let outcome = unsafe { given(outcome, "outcome")? };
        Ok(outcome.ended.status())
    })
}

/// How the program ended, as a sentence such as `the program exited with status 3`. Lives as long
/// as the outcome.
///
/// # Safety
///
/// `outcome` is NULL, for which it is NULL, or came out of `wt_group_run`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_outcome_message(outcome: *const WtOutcome) -> *const c_char {
    guard(ptr::null_mut(), ptr::null(), || {
        // SAFETY: the caller's promise.
        let outcome = unsafe { given(outcome, "outcome")? };
        Ok(outcome.ended.message.as_ptr())
    })
}

/// The backtrace of a trap, with a line for each function; NULL if there was no trap. Names from
/// the program are escaped. Lives as long as the outcome.
///
/// # Safety
///
/// `outcome` is NULL, for which it is NULL, or came out of `wt_group_run`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_outcome_backtrace(outcome: *const WtOutcome) -> *const c_char {
    guard(ptr::null_mut(), ptr::null(), || {
        // SAFETY: the caller's promise.
        let outcome = unsafe { given(outcome, "outcome")? };
        let backtrace = outcome.ended.backtrace.as_ref();
        Ok(backtrace.map_or(ptr::null(), |text| text.as_ptr()))
    })
}

/// The id of the thread that trapped, 0 for the main thread; -1 for every other end.
///
/// # Safety
///
/// `outcome` is NULL or came out of `wt_group_run`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_outcome_thread(outcome: *const WtOutcome) -> c_int {
    guard(ptr::null_mut(), -1, || {
        // SAFETY: the caller's promise.
        let outcome = unsafe { given(outcome, "outcome")? };
        Ok(outcome.ended.thread())
    })
}

/// How many threads had not ended when the grace period was over (`wt_config_grace`). Each keeps a
/// host thread and the memory while its system call lasts or, in an engine with
/// `WT_ENGINE_UNINTERRUPTED`, while it computes.
///
/// # Safety
///
/// `outcome` is NULL or came out of `wt_group_run`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_outcome_left_behind(outcome: *const WtOutcome) -> usize {
    guard(ptr::null_mut(), 0, || {
        // SAFETY: the caller's promise.
        let outcome = unsafe { given(outcome, "outcome")? };
        Ok(outcome.ended.left_behind)
    })
}

/// Deletes an outcome.
///
/// # Safety
///
/// `outcome` is NULL or came out of `wt_group_run`, and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_outcome_delete(outcome: *mut WtOutcome) {
    // SAFETY: the caller's promise.
    unsafe { delete(outcome) }
}
