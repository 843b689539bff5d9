//! Races of threads that run at once.

use std::cell::Cell;
use std::sync::Arc;

use p1_adapter::{P1CtxBuilder, P1State};
use wasi_threads::{GroupBuilder, ThreadId};

use crate::run::races::watch::RaceWatch;

thread_local! {
    /// The guest's thread that this host thread runs.
    static OWN: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Has the threads of a group tell what they do.
pub(crate) fn observe_threads(
    group: GroupBuilder<P1State>,
    watch: &Arc<RaceWatch>,
) -> GroupBuilder<P1State> {
    watch.began(ThreadId::MAIN.get(), None);
    let group = group.around_thread(|thread, run| {
        OWN.set(Some(thread.get()));
        run();
        OWN.set(None);
    });
    group.observe_accesses(Arc::clone(watch) as _)
}

/// Makes the functions of WASI tell which memory they use for a thread.
pub(crate) fn observe_calls(ctx: &mut P1CtxBuilder, watch: &Arc<RaceWatch>) {
    let watch = Arc::clone(watch);
    ctx.on_memory_use(move |used| watch.host(OWN.get(), used));
}
