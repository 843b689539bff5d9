//! Platforms without these operations: no thread is registered, seen or stopped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Code, Key, Sampled, SampledIn, Seen, Walked, Word};

/// Whether this platform has the operations.
pub(crate) const SUPPORTED: bool = false;

/// What is needed to stop a group: nothing makes one.
#[derive(Debug)]
pub(crate) struct Freezer(());

impl Freezer {
    /// One for the group with this code.
    pub(crate) fn new(_: &Code) -> &'static Freezer {
        &Freezer(())
    }
}

/// Says that it cannot be done.
///
/// # Errors
///
/// Always.
pub(crate) fn prepare() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Does nothing.
pub(crate) fn prepare_thread() {}

/// While it lives, the thread that made it runs before threads that compute, as far as the system
/// allows. On this system it changes nothing; on Linux it asks for a real-time priority or a short
/// slice.
#[derive(Debug)]
#[must_use = "dropping it gives the thread its old priority"]
pub struct RaisedPriority {
    /// It is about the thread that made it.
    _thread: std::marker::PhantomData<*const ()>,
}

impl RaisedPriority {
    /// Raises the calling thread's priority.
    pub fn of_this_thread() -> Self {
        Self {
            _thread: std::marker::PhantomData,
        }
    }
}

/// Stops nothing.
pub(crate) fn freeze(_: &'static Freezer) -> bool {
    false
}

/// Stops no thread.
pub(crate) fn chase(_: Key) {}

/// Is refused.
pub(crate) fn barrier() -> bool {
    false
}

/// Sees no thread.
pub(crate) fn look(_: Key, _: impl FnMut(Seen)) {}

/// Finds no thread.
pub(crate) fn walk(
    _: Key,
    _: &Code,
    _: usize,
    _: Duration,
    _: impl FnMut(u32) -> bool,
) -> Vec<Walked> {
    Vec::new()
}

/// No registration.
#[derive(Debug)]
pub(crate) struct Inside(());

/// Registers no thread.
pub(crate) fn enter(_: &Arc<Code>, _: Key, _: u32, _: Option<Word>, _: Option<&Sampled>) -> Inside {
    Inside(())
}

impl Inside {
    /// No thread is sampled.
    pub(crate) fn has_timer(&self) -> bool {
        false
    }
}

/// Samples no thread.
pub(crate) fn begin(_: SampledIn, _: u16) {}

/// Samples no thread.
pub(crate) fn end() {}

/// No sample has a time.
pub(crate) fn now() -> u64 {
    0
}

/// No mark.
#[derive(Debug)]
pub(crate) struct Marked(());

impl Drop for Marked {
    fn drop(&mut self) {}
}

/// Marks nothing.
pub(crate) fn mark(_: bool) -> Marked {
    Marked(())
}

/// No thread is on a stack that matters.
pub(crate) fn note_fiber(_: usize) {}

/// Keeps nothing.
#[derive(Debug)]
pub(crate) struct KeptStack(());

impl Drop for KeptStack {
    fn drop(&mut self) {}
}

/// Keeps nothing.
pub(crate) fn keep_stack() -> KeptStack {
    KeptStack(())
}

/// The calling thread does nothing any more.
pub(crate) fn hold() -> ! {
    loop {
        std::thread::park();
    }
}
