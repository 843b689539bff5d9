//! What is kept of a run while it goes on.

use std::sync::Arc;

use p1_adapter::P1State;
use wasi_threads::GroupBuilder;

use crate::output::Output;
use crate::report::calls::{NAMES, Noting};
use crate::report::coredump::CoreDump;
use crate::report::recorder::Recorder;
use crate::run::plan::Plan;

/// All that looks on, as far as the options ask for it.
pub(crate) struct Observers {
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) dump: Option<Arc<CoreDump>>,
}

impl Observers {
    pub(crate) fn of(plan: &Plan, traced: bool, dump: Option<Output>) -> Self {
        let dump = dump.map(|output| CoreDump::new(output, plan.module.typed_as()));
        let timed = plan.profile.is_some();
        let recorder = || Arc::new(Recorder::new(traced, Noting { timed }));
        Observers {
            recorder: (traced || plan.stats.is_some()).then(recorder),
            dump: dump.map(Arc::new),
        }
    }

    /// Has them told of what happens in the group.
    pub(crate) fn watch(&self, mut group: GroupBuilder<P1State>) -> GroupBuilder<P1State> {
        group = group.host_call_names(&NAMES);
        if let Some(recorder) = &self.recorder {
            group = group.observer(Arc::clone(recorder) as _);
        }
        if let Some(dump) = &self.dump {
            let dump = Arc::clone(dump);
            group = group.on_trap(move |thread, error, store| dump.take(thread, error, store));
        }
        group
    }
}
