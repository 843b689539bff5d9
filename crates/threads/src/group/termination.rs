//! How running wasm is stopped.

use crate::sys::running;

/// How running wasm is stopped when its group ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Termination {
    /// By the engine's epoch, at the next loop iteration or function call. Needs
    /// `Config::epoch_interruption(true)`. Works on every platform, and stops every thread. The
    /// checks in the code cost a program that computes 7 to 183 % of its processor time.
    ///
    /// The group increments the engine's epoch when it ends, a few times at most. Other stores of
    /// the engine see those increments as ticks.
    #[default]
    Epochs,
    /// Not at all: a thread ends when it next waits, or calls a host function that watches the
    /// [`EndToken`](crate::EndToken). Wasm that does neither runs on: when the
    /// [`grace`](crate::GroupBuilder::grace) period is over,
    /// [`ThreadGroup::run`](crate::ThreadGroup::run) returns and leaves the thread behind, with its
    /// host thread, its store and the memory
    /// ([`ThreadGroup::left_behind`](crate::ThreadGroup::left_behind) names it, as computing).
    /// Costs nothing. A thread that computes for ever is never ended.
    AtHostCalls,
    /// Where it is, for ever, because the process is about to exit. `run`, `start` and `invoke`
    /// return once every thread has stopped or has been left in a host call. They join no thread,
    /// and the caller then ends the process. There are no checks in the code. A thread that
    /// computes stops at its next instruction, so all have stopped once each has had a turn on a
    /// processor. On two processors, 8 threads stopped within 1 ms, and 1,500 within 30 ms
    /// (`scripts/end.py`).
    ///
    /// The end takes execute permission from the code of the group's modules. So *every* thread of
    /// the process stops when it next runs that code, those of other groups included, and no module
    /// of the group runs again. Stores, stacks, memories and instances stay: dropping the group
    /// gives nothing back. A group that never ran is dropped as any other.
    /// [`ThreadGroup::into_reactor`](crate::ThreadGroup::into_reactor) refuses such a group.
    ///
    /// The thread that calls `run` asks for a [`RaisedPriority`](crate::RaisedPriority) while it
    /// waits for the end, so that it gets a processor beside threads that compute.
    ///
    /// Linux on x86-64 and aarch64. [`GroupBuilder::build`](crate::GroupBuilder::build) installs a
    /// handler of SIGSEGV in front of Wasmtime's, and one of a real-time signal (the first without
    /// a handler from `SIGRTMIN + 7` on), for the whole process. Where a seccomp filter refuses to
    /// take the permission away, that signal is sent to each thread until all have stopped.
    ProcessExit,
}

impl Termination {
    /// Whether this platform has [`ProcessExit`](Self::ProcessExit).
    pub const CAN_EXIT: bool = running::SUPPORTED;
}
