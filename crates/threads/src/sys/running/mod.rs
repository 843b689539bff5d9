//! Threads that run wasm, seen and stopped from outside, without checks in their code.
//!
//! The operations, which each platform has or has not ([`SUPPORTED`]):
//!
//! | operation | what it does |
//! |---|---|
//! | [`prepare`] | installs the two handlers, once for the process |
//! | [`prepare_thread`] | lets the calling thread be reached by them |
//! | [`enter`] | registers the calling thread while it runs the guest, and has its processor time sampled |
//! | [`keep_stack`], [`note_fiber`] | the calling thread is on the stack of a fiber for a while |
//! | [`mark`] | says that it is in host code, and where on its stack that began |
//! | [`freeze`] | takes execute permission from the guest's code: each thread stops at its next instruction of wasm |
//! | [`chase`] | where permission cannot be taken: a signal to each thread, which stops it if it is in wasm |
//! | [`barrier`] | has each processor see what was stored before, so that words read afterwards are current |
//! | [`look`] | which threads there are, and what they do |
//! | [`walk`] | where in wasm they are |
//! | [`begin`], [`end`] | the calling thread waits, or is in a call whose time is sampled |
//! | [`now`] | the clock of samples |
//! | [`RaisedPriority`] | the calling thread gets its turn before others, where that is allowed |
//! | [`hold`] | the calling thread does nothing any more |
//!
//! Linux on x86-64 and aarch64 has them. Elsewhere ([`elsewhere`](self)) a group that asks for them
//! is refused, and epochs end the threads of the others. Other systems have what this would need.
//! macOS has `mprotect`, Mach exception ports (its handler would have to be asked before Wasmtime's
//! port), and `thread_get_state` for the walk. Windows has `VirtualProtect`, vectored handlers (one
//! would be added in front of Wasmtime's), `SuspendThread` and `GetThreadContext` for the walk, and
//! `FlushProcessWriteBuffers` as the barrier.

#![cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    allow(
        dead_code,
        unused_imports,
        reason = "elsewhere threads that run are not looked at"
    )
)]

mod code;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod linux;
mod ring;
mod sample_head;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use linux as platform;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod elsewhere;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
use elsewhere as platform;

pub(crate) use code::Code;
pub use platform::RaisedPriority;
pub(crate) use platform::{
    Freezer, Inside, Marked, SUPPORTED, barrier, begin, chase, end, enter, freeze, hold,
    keep_stack, look, mark, note_fiber, now, prepare, prepare_thread, walk,
};
pub(crate) use ring::Ring;
pub(crate) use sample_head::{SampleHead, SampledIn};

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize};
use std::time::Duration;

/// The word of a thread. It is 0 while the thread runs wasm, or work that Wasmtime does for wasm.
/// Otherwise it says where on the stack the host's part begins, with [`HARMLESS`] beside it.
pub(crate) type Word = &'static AtomicUsize;

/// In a [`Word`]: the thread only waits, and an end does not wait for it.
pub(crate) const HARMLESS: usize = 1;

/// Which group a thread is of: a number that no other group of the process has.
pub(crate) type Key = usize;

/// What a registered thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It runs wasm, or what Wasmtime does for wasm.
    Computes,
    /// It is in a function of the host's; whether it only waits there.
    HostCode {
        /// It only waits.
        harmless: bool,
    },
    /// It has stopped for good.
    Frozen,
}

/// One registered thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Its number in its group.
    pub(crate) thread: u32,
    /// What it does.
    pub(crate) doing: Doing,
}

/// Where in wasm a thread is, as addresses in the text of its group's modules, the innermost first.
#[derive(Clone, Debug)]
pub(crate) struct Walked {
    /// Its number in its group.
    pub(crate) thread: u32,
    /// The innermost address is where it executes, and the others are return addresses. In host
    /// code all are return addresses.
    pub(crate) addresses: Vec<usize>,
    /// The innermost address is where it executes.
    pub(crate) in_wasm: bool,
    /// There were more frames than are kept.
    pub(crate) cut: bool,
}

/// How a thread is sampled while it is registered.
#[derive(Clone, Debug)]
pub(crate) struct Sampled {
    /// Where its samples go.
    pub(crate) ring: Arc<Ring>,
    /// Where it notes which host call it is in.
    pub(crate) noted: &'static AtomicU16,
    /// A sample is taken each time it has used this much processor time, if the system's clock
    /// ticks that often.
    pub(crate) interval: Duration,
}
