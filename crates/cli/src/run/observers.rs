//! The observers of a run.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use p1_adapter::P1State;
use wasi_threads::GroupBuilder;

use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::output::Output;
use crate::report::calls::{NAMES, Noting};
use crate::report::coredump::CoreDump;
use crate::report::profile::ProfileFile;
use crate::report::recorder::Recorder;
use crate::report::trace::TraceFile;
use crate::run::on_signal::Received;
use crate::run::plan::Plan;

/// The observers that the options ask for.
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

    /// Prepares the outputs of the trace, the profile and the core dump. Waits until a FIFO has a
    /// reader, time runs out or a signal ends the run.
    pub(crate) fn prepare(
        &self,
        (trace, profile): (Option<Output>, Option<Output>),
        plan: &Plan,
        received: &Received,
    ) -> Result<(Option<TraceFile>, Option<ProfileFile>)> {
        let timeout = plan.limits.timeout;
        let began = Instant::now();
        let late = || timeout.is_some_and(|timeout| began.elapsed() >= timeout);
        let gives_up = || received.get().is_some() || late();
        let dump = self.dump.as_ref().map(|dump| ("core dump", dump.output()));
        let trace_to = trace.iter().map(|trace| ("trace", trace));
        let profile_to = profile.iter().map(|profile| ("profile", profile));
        let all = trace_to.chain(profile_to).chain(dump);
        for (what, output) in all {
            output.prepare(&gives_up).map_err(|error| {
                let what = format!("the {what} {} cannot be written", output.name());
                match (error.kind(), received.get()) {
                    (ErrorKind::Interrupted, Some(signal)) => {
                        Message::new(Exit::Signal(signal), what).why("no process reads it")
                    }
                    (ErrorKind::Interrupted, None) => Message::new(Exit::Trap, what)
                        .why("no process opened it for reading within the time limit"),
                    _ => Message::failure(what).why(error),
                }
            })?;
        }
        let profile = profile.map(|output| ProfileFile::new(output, plan.profile.as_ref()));
        Ok((trace.map(TraceFile::new), profile))
    }

    /// Makes the group tell them what happens.
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
