//! What an embedder puts in place of the host's part in a call.

use crate::ctx::builder::P1CtxBuilder;
use crate::ctx::clock_source::ClockSource;
use std::sync::Arc;
use wasmtime::Result;

type BeforeCall = Arc<dyn Fn(&'static str) -> Result<()> + Send + Sync>;
type OnYield = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Those of one context.
#[derive(Clone, Default)]
pub(crate) struct HostHooks {
    pub(crate) before_call: Option<BeforeCall>,
    pub(crate) on_yield: Option<OnYield>,
}

impl HostHooks {
    /// What the hook before calls says.
    pub(crate) fn before(&self, function: &'static str) -> Result<()> {
        match &self.before_call {
            Some(hook) => hook(function),
            None => Ok(()),
        }
    }
}

impl P1CtxBuilder {
    /// Replaces all clocks, and what a guest sleeps by: `poll_oneoff` waits for time nowhere else. [`wall_clock`] and
    /// [`monotonic_clock`] are not asked any more.
    ///
    /// A poll that waits for descriptors too looks at them, without waiting, before each sleep of at most a millisecond
    /// by this clock. In async stores, too, the calling thread is the one that sleeps.
    ///
    /// [`wall_clock`]: Self::wall_clock
    /// [`monotonic_clock`]: Self::monotonic_clock
    pub fn clocks(&mut self, source: Arc<dyn ClockSource>) -> &mut Self {
        self.source = Some(source);
        self
    }

    /// Runs `hook` at the beginning of every call, with the function's name in the witx file (`fd_write`): on the calling
    /// thread, after the [observer](Self::call_observer) was told and before the end signal is looked at. No lock of the
    /// adapter's is held, so the hook may block, also in an async store, where it blocks the thread of the task.
    ///
    /// An error ends the call with this trap, and nothing of the call is done. Without a hook a call costs what it did.
    pub fn before_call(
        &mut self,
        hook: impl Fn(&'static str) -> Result<()> + Send + Sync + 'static,
    ) -> &mut Self {
        self.hooks.before_call = Some(Arc::new(hook));
        self
    }

    /// Runs `hook` for `sched_yield`, in place of the operating system's. An error ends the call with this trap.
    pub fn on_yield(&mut self, hook: impl Fn() -> Result<()> + Send + Sync + 'static) -> &mut Self {
        self.hooks.on_yield = Some(Arc::new(hook));
        self
    }
}
