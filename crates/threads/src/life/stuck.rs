//! A group that cannot go on: found, described and ended as deadlocked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use wasmtime::WasmBacktrace;

use super::Life;
use crate::types::backtrace::Backtrace;
use crate::types::outcome::Outcome;
use crate::types::report::{Deadlock, WaitingThread};
use crate::types::thread_id::ThreadId;
use crate::waits::{Waiting, Width};

/// The stuck threads of a group, and their backtraces.
pub(crate) struct Asked {
    /// By id.
    threads: Vec<WaitingThread>,
    /// The backtrace of each; `None` if the thread had gone.
    answers: Vec<OnceLock<Option<Backtrace>>>,
    left: AtomicUsize,
}

impl Asked {
    fn new(threads: Vec<WaitingThread>) -> Self {
        Self {
            left: AtomicUsize::new(threads.len()),
            answers: threads.iter().map(|_| OnceLock::new()).collect(),
            threads,
        }
    }

    /// The outcome, with the backtraces that there are by now.
    pub(crate) fn outcome(&self) -> Outcome {
        let threads = self.threads.iter().zip(&self.answers);
        let threads = threads.map(|(thread, answer)| WaitingThread {
            backtrace: answer.get().cloned().flatten(),
            ..thread.clone()
        });
        Outcome::Deadlocked(Deadlock {
            threads: threads.collect(),
        })
    }
}

impl Life {
    /// Ends the group as deadlocked, if it is. Called when the last live thread has begun to wait.
    ///
    /// If a thread was registered between the look at the parking lot and the claim, the claim
    /// tells, and this looks again. The end comes when every stuck thread has given its backtrace.
    pub(crate) fn check_stuck(self: &Arc<Self>) {
        let stuck = loop {
            let Some(seen) = self.claim.look() else {
                return;
            };
            let Some(stuck) = self.lot.stuck() else {
                return;
            };
            if self.claim.ask(seen) {
                break stuck;
            }
        };
        let mut threads: Vec<_> = stuck.iter().map(|one| self.describe(one)).collect();
        threads.sort_unstable_by_key(|one| one.thread);
        self.ask_stuck(threads);
    }

    /// Asks the stuck threads where they are, and ends the group.
    pub(super) fn ask_stuck(self: &Arc<Self>, threads: Vec<WaitingThread>) {
        let list = self.list();
        let records: Vec<_> = threads
            .iter()
            .map(|one| list.records.get(&one.thread).cloned())
            .collect();
        drop(list);
        // Set only here, by the one thread that asks. A thread that ended the group before, with
        // another outcome, has not seen it.
        let _ = self.asked.set(Asked::new(threads));
        // From now on the supervisor bounds how long the backtraces take.
        self.tell();
        for (index, record) in records.into_iter().enumerate() {
            let Some(record) = record else {
                self.stuck_reported(index, None);
                continue;
            };
            let life = Arc::clone(self);
            record.ask(Box::new(move |backtrace| {
                life.stuck_reported(index, backtrace);
            }));
            if let Some(turns) = self.turns() {
                turns.ask(record.id());
            }
        }
    }

    /// Notes that a stuck thread has given its backtrace, or has gone.
    fn stuck_reported(&self, index: usize, backtrace: Option<WasmBacktrace>) {
        let Some(asked) = self.asked.get() else {
            return;
        };
        let taken = |trace| Backtrace::taken(trace, self.appended());
        // Each answers once.
        let _ = asked.answers[index].set(backtrace.map(taken));
        if asked.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end(asked.outcome());
        }
    }

    /// What the lot knows of a waiting thread, in the guest's terms.
    pub(crate) fn describe(&self, waiting: &Waiting) -> WaitingThread {
        WaitingThread {
            since: Some(waiting.since),
            ..self.described(
                ThreadId::of_lot(waiting.thread),
                waiting.address,
                waiting.width,
                waiting.timed,
            )
        }
    }

    /// The description of a thread that waits on the word at this host address.
    pub(super) fn described(
        &self,
        thread: ThreadId,
        address: usize,
        width: Width,
        timed: bool,
    ) -> WaitingThread {
        let memories = self.memories.get().map_or(&[][..], Vec::as_slice);
        let found = memories
            .iter()
            .enumerate()
            .find(|(_, memory)| memory.contains(&address))
            .map(|(index, memory)| (index, (address - memory.start) as u64));
        WaitingThread {
            thread,
            memory: found.map(|(index, _)| index),
            address: found.map(|(_, address)| address),
            width,
            since: None,
            timed,
            backtrace: None,
        }
    }
}
