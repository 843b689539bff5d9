//! Ways to run a program, each with more of what a group offers, and what must be so then.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use replay_threads::policy::Kind;
use wasi_threads::waits::Width;
use wasi_threads::{
    CallError, GroupBuilder, GroupHandle, MemoryBudget, NoThreadData, Notify, Observer, Outcome,
    Reactor, Spawn, ThreadGroup, ThreadId, Wait, WaitEnd,
};

use crate::programs_world::Data;

/// How a program is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Plain,
    /// An observer counts, and each thread runs inside of something of the embedder's.
    Observed,
    /// With so much fuel.
    Fuel(u64),
    /// With so many bytes for all.
    Budget(u64),
    /// Its start function is a call of a reactor.
    Reactor,
    /// Another thread asks for reports, there is a profile, and one more report at the timeout.
    Reported,
    /// As a future.
    Async,
    /// Its threads take turns, by this policy and seed.
    Turns(Kind, u64),
}

/// A way, and what it has counted.
pub(crate) struct Ways {
    way: Way,
    seen: Arc<Seen>,
    budget: Arc<Budget>,
}

/// Begun and not ended.
#[derive(Default)]
struct Seen {
    threads: AtomicI64,
    waits: AtomicI64,
    around: AtomicI64,
    ends: AtomicU64,
    notified: AtomicU64,
    woken: AtomicU64,
}

impl Observer for Seen {
    fn spawned(&self, spawn: &Spawn) {
        assert!(spawn.thread != ThreadId::MAIN, "main is spawned");
    }

    fn thread_began(&self, _: ThreadId) {
        self.threads.fetch_add(1, Ordering::SeqCst);
    }

    fn thread_ended(&self, _: ThreadId) {
        self.threads.fetch_sub(1, Ordering::SeqCst);
    }

    fn wait_began(&self, wait: &Wait) {
        let size = match wait.width {
            Width::W32 => 4,
            Width::W64 => 8,
        };
        assert_eq!(wait.address % size, 0, "a wait that is not aligned");
        self.waits.fetch_add(1, Ordering::SeqCst);
    }

    fn wait_ended(&self, _: &Wait, end: WaitEnd) {
        self.waits.fetch_sub(1, Ordering::SeqCst);
        if let WaitEnd::Woken { .. } = end {
            self.woken.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn notified(&self, notify: &Notify<'_>) {
        self.notified
            .fetch_add(notify.woken.into(), Ordering::SeqCst);
    }

    fn ended(&self, _: &Outcome) {
        self.ends.fetch_add(1, Ordering::SeqCst);
    }
}

struct Budget {
    most: u64,
    taken: AtomicU64,
}

impl MemoryBudget for Budget {
    fn take(&self, bytes: u64) -> bool {
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.most);
        let order = (Ordering::SeqCst, Ordering::SeqCst);
        self.taken.try_update(order.0, order.1, more).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        let before = self.taken.fetch_sub(bytes, Ordering::SeqCst);
        assert!(before >= bytes, "{bytes} of {before} bytes are given back");
    }

    fn left(&self) -> u64 {
        self.most - self.taken.load(Ordering::SeqCst)
    }
}

/// The group of a program that has ended.
pub(crate) enum Ran {
    Group(Arc<ThreadGroup<Data>>),
    Reactor(Reactor<Data>),
}

impl Ran {
    pub(crate) fn group(&self) -> &ThreadGroup<Data> {
        match self {
            Ran::Group(group) => group,
            Ran::Reactor(reactor) => reactor.group(),
        }
    }
}

type Builder = GroupBuilder<Data, NoThreadData>;

impl Ways {
    pub(crate) fn new(way: Way) -> Self {
        let most = match way {
            Way::Budget(bytes) => bytes,
            _ => 0,
        };
        Ways {
            way,
            seen: Arc::default(),
            budget: Arc::new(Budget {
                most,
                taken: AtomicU64::new(0),
            }),
        }
    }

    /// Asks a group for what the way needs.
    pub(crate) fn set(&self, group: Builder) -> Builder {
        match self.way {
            Way::Observed => {
                let seen = Arc::clone(&self.seen);
                group
                    .observer(Arc::clone(&self.seen) as _)
                    .around_thread(move |_, run| {
                        seen.around.fetch_add(1, Ordering::SeqCst);
                        run();
                        seen.around.fetch_sub(1, Ordering::SeqCst);
                    })
            }
            Way::Budget(_) => group.memory_budget(Arc::clone(&self.budget) as _),
            Way::Reported => group
                .see_threads(true)
                .profile(Duration::from_millis(1))
                .report_at_timeout(4),
            _ => group,
        }
    }

    /// Runs the export. A reactor that has ended before it was one is gone.
    pub(crate) fn run(&self, group: ThreadGroup<Data>, export: &str) -> (Outcome, Option<Ran>) {
        match self.way {
            Way::Reactor => react(group, export),
            Way::Async => {
                let group = Arc::new(group);
                let running = group.run_async(export).expect("a reaper");
                let outcome = wasmtime_wasi::runtime::in_tokio(running).expect("it runs");
                (outcome, Some(Ran::Group(group)))
            }
            Way::Reported => {
                let handle = group.handle();
                let outcome = std::thread::scope(|scope| {
                    scope.spawn(|| report(&handle));
                    group.run(export)
                });
                (outcome.expect("it runs"), Some(Ran::Group(Arc::new(group))))
            }
            _ => {
                let outcome = group.run(export).expect("it runs");
                (outcome, Some(Ran::Group(Arc::new(group))))
            }
        }
    }

    /// What must be so once it has ended.
    pub(crate) fn check(&self, outcome: &Outcome, group: &ThreadGroup<Data>) {
        let seen = &self.seen;
        match self.way {
            Way::Observed => {
                let open = [&seen.threads, &seen.waits, &seen.around];
                let open = open.map(|count| count.load(Ordering::SeqCst));
                assert_eq!(open, [0; 3], "threads, waits, what is around threads");
                assert_eq!(seen.ends.load(Ordering::SeqCst), 1, "ends");
                assert_eq!(
                    seen.woken.load(Ordering::SeqCst),
                    seen.notified.load(Ordering::SeqCst),
                    "waits that were woken, and wake-ups"
                );
            }
            Way::Fuel(units) => assert!(group.fuel_left().is_some_and(|left| left <= units)),
            Way::Reported => assert_eq!(
                group.timeout_report().is_some(),
                matches!(outcome, Outcome::TimedOut),
                "a report at the timeout"
            ),
            _ => {}
        }
    }

    /// What must be so once the group is gone.
    pub(crate) fn check_end(&self) {
        let taken = self.budget.taken.load(Ordering::SeqCst);
        assert_eq!(taken, 0, "bytes of the budget were not given back");
    }
}

/// The export is a call of a reactor; what ended the group then.
fn react(group: ThreadGroup<Data>, export: &str) -> (Outcome, Option<Ran>) {
    let reactor = match group.into_reactor() {
        Ok(reactor) => reactor,
        Err(CallError::Ended(outcome)) => return (outcome, None),
        Err(error) => panic!("{error}"),
    };
    match reactor.call::<(), ()>(export, ()) {
        Ok(()) | Err(CallError::Ended(_)) => {}
        Err(error) => panic!("{error}"),
    }
    (reactor.finish(), Some(Ran::Reactor(reactor)))
}

/// Asks what the threads do, again and again.
fn report(handle: &GroupHandle) {
    while !handle.is_ended() {
        let report = handle.report(Duration::from_millis(1));
        let threads = report.threads.len() + report.others.count();
        assert!(threads <= 41, "{threads} threads");
        drop(report.to_string());
        let samples = handle.profile().map_or(0, |profile| profile.samples());
        assert!(samples < 1 << 20, "{samples} samples");
        std::thread::sleep(Duration::from_micros(300));
    }
}
