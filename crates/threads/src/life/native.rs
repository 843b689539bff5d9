//! How the threads of one group are seen and stopped from outside: `sys/running`, for one group.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::life::profiler::Profiler;
use crate::sys::running::{self, Code, Doing, Freezer, Inside, Key, Seen, Walked, Word};
use crate::types::frames::{Frame, Tables};
use crate::watch::record::ThreadRecord;

/// A group whose running threads are registered.
#[derive(Debug)]
pub(crate) struct Native {
    key: Key,
    code: Arc<Code>,
    /// Where host functions keep the calling thread's word.
    word: Option<fn() -> Word>,
    /// What stops the threads, for a group whose end freezes them.
    stop: Option<&'static Freezer>,
    /// Whether execute permission could be taken from the code.
    protected: AtomicBool,
    /// Which function is where in the code. Made by the first report.
    tables: OnceLock<Tables>,
    /// What samples the threads, for a group that is profiled.
    profiler: Option<Profiler>,
}

/// How many threads of an ended group compute, call or wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Survey {
    /// They have not stopped yet.
    pub(crate) computing: usize,
    /// They are in host functions, for which the end may have to wait.
    pub(crate) in_calls: usize,
    /// They are in host functions that only wait.
    pub(crate) waiting: usize,
}

impl Native {
    /// `freezes`: the group's end stops threads where they are, for ever.
    pub(crate) fn new(code: Code, word: Option<fn() -> Word>, freezes: bool) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let stop = freezes.then(|| Freezer::new(&code));
        Self {
            // No other group gets this number.
            key: NEXT.fetch_add(1, Ordering::Relaxed),
            code: Arc::new(code),
            word,
            stop,
            protected: AtomicBool::new(false),
            tables: OnceLock::new(),
            profiler: None,
        }
    }

    /// Makes each thread be sampled once in `interval`.
    pub(crate) fn profile(&mut self, interval: Duration) {
        // The signal handler needs the list.
        self.code.list_bodies();
        self.profiler = Some(Profiler::new(interval));
    }

    /// What samples the threads, if anything does.
    pub(super) fn profiler(&self) -> Option<&Profiler> {
        self.profiler.as_ref()
    }

    /// Whether the threads are sampled.
    pub(crate) fn profiles(&self) -> bool {
        self.profiler.is_some()
    }

    /// Where in the code of all modules the addresses of a walk are. A return address becomes that
    /// of its call.
    pub(super) fn positions(&self, walked: &Walked) -> Vec<u32> {
        let addresses = walked.addresses.iter().enumerate();
        let call = |(index, address): (usize, &usize)| {
            let called = index > 0 || !walked.in_wasm;
            self.code.position(*address - usize::from(called))
        };
        addresses.filter_map(call).collect()
    }

    /// The function at a position; `None` for a trampoline.
    pub(super) fn frame_at(&self, position: u32) -> Option<Frame> {
        let address = self.code.address(position)?;
        self.tables().frame(address)
    }

    fn tables(&self) -> &Tables {
        self.tables.get_or_init(|| Tables::new(self.code.modules()))
    }

    /// Whether the group's end freezes its threads.
    pub(crate) fn freezes(&self) -> bool {
        self.stop.is_some()
    }

    /// Registers the calling thread, whose record this is, while it runs the guest.
    pub(crate) fn enter(&self, record: &ThreadRecord) -> Inside {
        let (word, thread) = (self.word.map(|word| word()), record.id());
        let noted = || record.noted_call().word();
        let profiler = self.profiler.as_ref();
        let sampled = profiler.map(|profiler| profiler.enter(thread, noted()));
        let sampled = sampled.as_ref();
        let inside = running::enter(&self.code, self.key, thread.get(), word, sampled);
        if let Some(profiler) = profiler
            && !inside.has_timer()
        {
            profiler.has_no_timer();
        }
        inside
    }

    /// Stops threads in wasm where they are, and any that comes back to wasm, if that is how this
    /// group ends. Takes no lock.
    pub(crate) fn stop(&self) {
        if let Some(stop) = self.stop {
            let protected = running::freeze(stop);
            self.protected.store(protected, Ordering::Release);
            // From here on, what host functions have stored in their words is seen, if the system
            // has such a barrier.
            running::barrier();
            if !protected {
                running::chase(self.key);
            }
        }
    }

    /// Whether no thread can come back to the stopped code.
    pub(crate) fn is_protected(&self) -> bool {
        self.protected.load(Ordering::Acquire)
    }

    /// Stops the threads that are in wasm now, if the system refuses to take the permission from
    /// the code.
    pub(crate) fn chase(&self) {
        if !self.is_protected() {
            running::chase(self.key);
        }
    }

    /// Counts what the threads of the ended group do.
    pub(crate) fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        self.look(|seen| match seen.doing {
            Doing::Computes => survey.computing += 1,
            Doing::HostCode { harmless: false } => survey.in_calls += 1,
            Doing::HostCode { harmless: true } => survey.waiting += 1,
            Doing::Frozen => {}
        });
        survey
    }

    /// Calls `f` for each thread that runs the guest.
    pub(crate) fn look(&self, f: impl FnMut(Seen)) {
        running::look(self.key, f);
    }

    /// The frames of the group's modules at the addresses of a walk.
    pub(crate) fn frames(&self, walked: &Walked) -> Vec<Frame> {
        let tables = self.tables();
        let mut frames = Vec::new();
        for (index, address) in walked.addresses.iter().enumerate() {
            // The instruction behind a call may belong to another line, or another function.
            let called = index > 0 || !walked.in_wasm;
            frames.extend(tables.frame(*address - usize::from(called)));
        }
        frames
    }

    /// Whether host functions have a word that says when they are called.
    pub(crate) fn has_word(&self) -> bool {
        self.word.is_some()
    }

    /// Where in wasm the `wanted` threads are.
    pub(crate) fn walk(
        &self,
        most: usize,
        patience: Duration,
        wanted: impl FnMut(u32) -> bool,
    ) -> Vec<Walked> {
        running::walk(self.key, &self.code, most, patience, wanted)
    }
}
