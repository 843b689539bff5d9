//! A group that cannot go on: found, described and ended as deadlocked.

use std::sync::Arc;

use wasmtime::WasmBacktrace;

use super::Life;
use crate::types::backtrace::Backtrace;
use crate::types::outcome::Outcome;
use crate::types::report::{Deadlock, WaitingThread};
use crate::types::thread_id::ThreadId;
use crate::waits::Waiting;

impl Life {
    /// Ends the group as deadlocked if it is. Called when the last live thread has begun to wait.
    ///
    /// The group's lock is held from the check until there is an outcome: no thread is started in
    /// between. The end itself comes when every stuck thread has given its backtrace.
    pub(crate) fn check_stuck(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.outcome.is_some() {
            return;
        }
        let Some(stuck) = self.lot.stuck() else {
            return;
        };
        let mut threads: Vec<_> = stuck.iter().map(|one| self.describe(one)).collect();
        threads.sort_unstable_by_key(|one| one.thread);
        let records: Vec<_> = threads
            .iter()
            .filter_map(|one| state.threads.get(&one.thread).cloned())
            .collect();
        state.outcome = Some(Outcome::Deadlocked(Deadlock { threads }));
        state.unreported = Some(records.len());
        drop(state);
        // The supervisor now bounds the reports.
        self.changed.notify_all();
        for record in records {
            let life = Arc::clone(self);
            let id = record.id();
            record.ask(Box::new(move |backtrace| {
                life.stuck_reported(id, backtrace)
            }));
        }
    }

    /// A stuck thread has given its backtrace, or has gone.
    fn stuck_reported(&self, id: ThreadId, backtrace: Option<WasmBacktrace>) {
        let last = {
            let mut state = self.lock();
            let Some(left) = &mut state.unreported else {
                return;
            };
            *left -= 1;
            let last = *left == 0;
            if last {
                state.unreported = None;
            }
            if let Some(Outcome::Deadlocked(deadlock)) = &mut state.outcome {
                for thread in &mut deadlock.threads {
                    if thread.thread == id {
                        let taken = |trace| Backtrace::taken(trace, self.appended());
                        thread.backtrace = backtrace.map(taken);
                        break;
                    }
                }
            }
            last
        };
        if last {
            self.reach();
        }
    }

    /// What the lot says about a thread, in the guest's terms.
    pub(crate) fn describe(&self, waiting: &Waiting) -> WaitingThread {
        let memories = self.memories.get().map_or(&[][..], Vec::as_slice);
        let found = memories
            .iter()
            .enumerate()
            .find(|(_, memory)| memory.contains(&waiting.address))
            .map(|(index, memory)| (index, (waiting.address - memory.start) as u64));
        WaitingThread {
            thread: ThreadId::of_lot(waiting.thread),
            memory: found.map(|(index, _)| index),
            address: found.map(|(_, address)| address),
            width: waiting.width,
            since: waiting.since,
            timed: waiting.timed,
            backtrace: None,
        }
    }
}
