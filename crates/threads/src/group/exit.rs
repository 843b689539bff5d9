//! The end of a group whose process exits next: threads are stopped where they are, and none is
//! joined.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::group::thread_group::ThreadGroup;
use crate::life::{Native, gather_report, seen};
use crate::sys::running::{Doing, RaisedPriority};
use crate::thread::interrupt;
use crate::types::outcome::Outcome;
use crate::types::report::LeftBehind;
use crate::types::thread_id::ThreadId;

/// How long threads may take to say what they do when the time limit passes.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long there is between two looks at whether all have stopped, at first and at most.
const LOOK_FIRST: Duration = Duration::from_micros(200);
const LOOK_MOST: Duration = Duration::from_millis(5);

impl<T: Send + 'static> ThreadGroup<T> {
    /// Ends the group because its time limit has passed, and describes its threads if that is
    /// wanted.
    ///
    /// The thread with `raised` priority claims the outcome first; from then on no thread can be
    /// started. If the end freezes, running wasm is stopped next and looked at afterwards, so that
    /// the report need not compete with threads that compute. Otherwise threads answer for
    /// themselves, and are stopped when the report is there. In both cases threads that wait, or
    /// are in host calls, are told to end afterwards.
    pub(super) fn time_out(&self, raised: Option<RaisedPriority>) {
        let life = &self.core.life;
        let Some(won) = life.claim(Outcome::TimedOut) else {
            return;
        };
        let native = life.native();
        let stopped = native.is_some_and(Native::freezes).then(|| life.stop(&won));
        drop(raised);
        if let Some(most) = self.core.timeout_report
            && won.is_first()
        {
            let report = match native {
                Some(native) => seen::report(life, native, most, PATIENCE),
                None => gather_report::gather(life, most, PATIENCE),
            };
            *self
                .timeout_report
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(report);
        }
        life.reach(stopped.unwrap_or_else(|| life.stop(&won)));
        life.conclude();
    }

    /// Waits until the ended group is settled. Then the thread that ended it is done, and every
    /// thread has stopped for ever, has left, only waits, or was still in host code when the grace
    /// period was over. From then on no code of the guest runs, and only system calls that were
    /// left behind write its memory.
    pub(super) fn settle(&self, native: &Native) {
        let core = &self.core;
        let life = &core.life;
        let began = Instant::now();
        let give_up = core.grace.and_then(|grace| began.checked_add(grace));
        let mut pause = LOOK_FIRST;
        loop {
            native.chase();
            let survey = native.survey();
            let concluded = life.is_concluded();
            // Observers are told of waits that ended with the group. And if the code is not
            // protected, a thread that was woken before the end would run on.
            let waiting_matters = life.watch().is_some() || !native.is_protected();
            let waiting = survey.waiting > 0 && waiting_matters;
            if concluded && survey.computing == 0 && survey.in_calls == 0 && !waiting {
                break;
            }
            let over = || give_up.is_some_and(|give_up| Instant::now() >= give_up);
            if concluded && over() {
                self.leave_behind(self.not_settled(native));
                break;
            }
            if !core.program.linked.waits_reach_group() {
                // Their threads sleep inside Wasmtime.
                let own = core.program.own_memories.all();
                for memory in core.program.memories.iter().chain(&own) {
                    interrupt::sweep(memory, || native.survey().computing == 0 || over());
                }
            }
            match concluded {
                true => std::thread::sleep(pause),
                false => {
                    life.wait_done(pause, || life.is_concluded());
                }
            }
            pause = (pause * 3 / 2).min(LOOK_MOST);
        }
        self.only_to_exit.store(true, Ordering::Relaxed);
        // Threads that were stopped still use the core, and are not joined.
        std::mem::forget(Arc::clone(core));
    }

    /// The threads that have not stopped.
    fn not_settled(&self, native: &Native) -> Vec<LeftBehind> {
        let records = self.core.life.records();
        let mut left = Vec::new();
        native.look(|seen| {
            if !matches!(
                seen.doing,
                Doing::Computes | Doing::HostCode { harmless: false }
            ) {
                return;
            }
            let thread = ThreadId::of_lot(seen.thread);
            let record = records.iter().find(|record| record.id() == thread);
            let call = record.and_then(|record| record.host_call());
            left.push(LeftBehind {
                thread,
                host_call: call.map(|(name, _)| name),
                computing: seen.doing == Doing::Computes,
            });
        });
        left.sort_unstable_by_key(|left| left.thread);
        left
    }
}
