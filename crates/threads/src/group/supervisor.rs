//! The end of a group, on the thread that called `run`: interrupting threads until all are gone.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::group::thread_group::ThreadGroup;
use crate::thread::interrupt;
use crate::types::report::LeftBehind;

/// How long the supervisor waits before it interrupts again, at first and at most. Only the race
/// described at [`interrupt::arm`] and unprepared modules need a second interrupt.
const AGAIN_FIRST: Duration = Duration::from_millis(1);
const AGAIN_MOST: Duration = Duration::from_millis(250);

impl<T: Send + 'static> ThreadGroup<T> {
    /// Waits for every host thread of the ended group, for the grace period at most, and joins it.
    /// Drops the instances made ahead.
    pub(crate) fn finish(&self) {
        self.join();
        self.core.stock.clear();
        if let Some(memory) = &self.memory {
            memory.end_waits();
        }
    }

    /// Interrupts the threads of the ended group again and again, until `gone` is true; false if
    /// the grace period was over first. `gone` blocks for the time it is given at most.
    pub(crate) fn supervise(&self, mut gone: impl FnMut(Duration) -> bool) -> bool {
        let life = &self.core.life;
        let mut wait = AGAIN_FIRST;
        let now = Instant::now();
        let mut again = now + wait;
        let give_up = match self.out_of_grace.load(Ordering::Relaxed) {
            true => Some(now),
            false => self.core.grace.and_then(|grace| now.checked_add(grace)),
        };
        loop {
            let next = give_up.map_or(again, |give_up| give_up.min(again));
            if gone(next.saturating_duration_since(Instant::now())) {
                return true;
            }
            let now = Instant::now();
            let over = |now| give_up.is_some_and(|give_up| now >= give_up);
            if now < again && !over(now) {
                continue;
            }
            // Once at least, however short the grace period is.
            life.interrupt();
            if over(now) {
                self.out_of_grace.store(true, Ordering::Relaxed);
                return gone(AGAIN_FIRST);
            }
            if !self.core.program.linked.waits_reach_group() {
                let own = self.core.program.own_memories.all();
                for memory in self.core.program.memories.iter().chain(&own) {
                    interrupt::sweep(memory, || gone(Duration::ZERO) || over(Instant::now()));
                }
            }
            wait = (wait * 2).min(AGAIN_MOST);
            again = Instant::now() + wait;
        }
    }

    fn join(&self) {
        let hosts = &self.core.hosts;
        let life = &self.core.life;
        hosts.close();
        let _waits = hosts.waits_for_others();
        if self.supervise(|wait| hosts.join_ended(wait)) {
            return;
        }
        let left = life
            .records()
            .iter()
            // A thread that has not run is not left behind either.
            .filter(|record| !record.is_idle() && record.has_begun())
            .map(|record| LeftBehind {
                thread: record.id(),
                host_call: record.host_call().map(|(name, _)| name),
                computing: record.host_call().is_none() && !life.has_epochs(),
            })
            .collect();
        self.leave_behind(left);
    }

    pub(super) fn leave_behind(&self, left: Vec<LeftBehind>) {
        *self
            .left_behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = left;
    }
}
