//! Tells the detector what a run does, or finds where its threads were.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p1_adapter::MemoryUse;
use replay_threads::{Policy, Stop, Turn};
use wasi_threads::rewrite::AccessOp;
use wasi_threads::schedule::{AccessObserver, GuestAccess};
use wasi_threads::{Backtrace, ThreadId, ThreadModule};
use wasm_races::{Access, AccessKind, Counts, Detector, Limits, Place, Race};

use crate::run::races::places::{RacePlaces, What};

/// The bits of an address below those of the memory's number.
const ADDRESS_BITS: u32 = 48;

/// Looks on in a run.
pub(crate) struct RaceWatch {
    places: RacePlaces,
    watching: Mutex<Watching>,
}

struct Watching {
    task: RaceTask,
    /// Those that run, by id.
    threads: BTreeMap<u32, Own>,
    /// How many have begun.
    began: u64,
    /// Whose turn it is, where they take turns.
    turn: u32,
}

/// What is kept of a thread.
struct Own {
    /// The how many-th it is.
    serial: u64,
    /// Instructions that have accessed memory.
    number: u64,
    /// The last of them.
    last: Place,
}

/// What is done with what is seen.
enum RaceTask {
    Detect(Box<Detection>),
    Find(HashMap<Moment, Option<Backtrace>>),
}

struct Detection {
    detector: Detector,
    /// Where the later access of each race was, if it was an instruction's.
    traces: Vec<Option<Backtrace>>,
    /// Threads that it was not told of.
    left_out: u64,
}

/// An instruction that a thread did: which thread, and which of its instructions; the same in each
/// run of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) serial: u64,
    pub(super) number: u64,
}

/// A race that was found.
pub(super) struct FoundRace {
    pub(super) race: Race,
    /// Where the later access was, if it was an instruction's.
    pub(super) trace: Option<Backtrace>,
    /// How often its places raced.
    pub(super) times: u64,
    /// The word of the sequence lock that it seems to be of.
    pub(super) sequence_lock: Option<u64>,
}

/// What was found.
pub(super) struct Found {
    pub(super) races: Vec<FoundRace>,
    pub(super) counts: Counts,
    pub(super) left_out: u64,
}

impl RaceWatch {
    /// Makes a watch that detects races of threads that take turns, or that run at once. `None` if
    /// the module has too many instructions.
    pub(super) fn detecting(
        module: &ThreadModule,
        shadow_bytes: usize,
        parallel: bool,
    ) -> Option<Self> {
        let mut limits = Limits::default();
        limits.shadow_bytes = shadow_bytes;
        let detector = match parallel {
            true => Detector::parallel(limits),
            false => Detector::new(limits),
        };
        Self::new(
            module,
            RaceTask::Detect(Box::new(Detection {
                detector,
                traces: Vec::new(),
                left_out: 0,
            })),
        )
    }

    /// One that finds where threads were at these moments.
    pub(super) fn finding(
        module: &ThreadModule,
        moments: impl Iterator<Item = Moment>,
    ) -> Option<Self> {
        Self::new(
            module,
            RaceTask::Find(moments.map(|moment| (moment, None)).collect()),
        )
    }

    fn new(module: &ThreadModule, task: RaceTask) -> Option<Self> {
        Some(Self {
            places: RacePlaces::of(module.access_sites())?,
            watching: Mutex::new(Watching {
                task,
                threads: BTreeMap::new(),
                began: 0,
                turn: 0,
            }),
        })
    }

    pub(super) fn what(&self, place: Place) -> What {
        self.places.what(place)
    }

    /// A thread has begun; before it does anything.
    pub(super) fn began(&self, thread: u32, parent: Option<u32>) {
        let mut watching = self.watching();
        let Watching { task, threads, .. } = &mut *watching;
        let by = parent.and_then(|parent| Some((parent, threads.get(&parent)?)));
        if let RaceTask::Detect(detection) = task {
            let detector = &mut detection.detector;
            let known = match by {
                Some((parent, own)) => detector.spawn(parent, thread, own.last, own.number),
                None => detector.start(thread),
            };
            detection.left_out += u64::from(known.is_err());
        }
        let own = Own {
            serial: watching.began,
            number: 0,
            last: self.places.nowhere(),
        };
        watching.began += 1;
        watching.threads.insert(thread, own);
    }

    /// A thread has ended.
    fn thread_ended(&self, thread: u32) {
        let mut watching = self.watching();
        watching.threads.remove(&thread);
        if let RaceTask::Detect(detection) = &mut watching.task {
            // It may be one that was left out.
            let _ = detection.detector.end(thread);
        }
    }

    /// A function of WASI uses the memory that its module exports: for this thread, or for the one
    /// whose turn it is.
    pub(crate) fn host(&self, thread: Option<u32>, used: &MemoryUse) {
        let mut watching = self.watching();
        let Watching {
            task,
            threads,
            turn,
            ..
        } = &mut *watching;
        let thread = thread.unwrap_or(*turn);
        if let (RaceTask::Detect(detection), Some(own)) = (task, threads.get(&thread)) {
            detection.detect(
                &Access {
                    thread,
                    address: used.address.into(),
                    size: used.length.into(),
                    kind: match used.writes {
                        true => AccessKind::Write,
                        false => AccessKind::Read,
                    },
                    place: self.places.function(used.function),
                    number: own.number,
                },
                || None,
            );
        }
    }

    /// What was found, after the run.
    pub(super) fn found(&self) -> Found {
        let watching = self.watching();
        let RaceTask::Detect(detection) = &watching.task else {
            return Found {
                races: Vec::new(),
                counts: Counts::default(),
                left_out: 0,
            };
        };
        let detector = &detection.detector;
        let races = detector.races().iter().zip(&detection.traces);
        let found = races.map(|(race, trace)| FoundRace {
            race: *race,
            trace: trace.clone(),
            times: detector.times(race.places()),
            sequence_lock: detector.sequence_lock(race.places()),
        });
        Found {
            races: found.collect(),
            counts: detector.counts(),
            left_out: detection.left_out,
        }
    }

    /// Where threads were, as far as that was found.
    pub(super) fn traces(&self) -> HashMap<Moment, Backtrace> {
        match &mut self.watching().task {
            RaceTask::Detect(_) => HashMap::new(),
            RaceTask::Find(moments) => std::mem::take(moments)
                .into_iter()
                .filter_map(|(moment, trace)| Some((moment, trace?)))
                .collect(),
        }
    }

    fn watching(&self) -> MutexGuard<'_, Watching> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessObserver for RaceWatch {
    fn spawned(&self, thread: ThreadId, parent: ThreadId) {
        self.began(thread.get(), Some(parent.get()));
    }

    fn ended(&self, thread: ThreadId) {
        self.thread_ended(thread.get());
    }

    fn counts_points(&self) -> bool {
        false
    }

    fn access(&self, told: &GuestAccess<'_>) {
        let op = told.instruction.op;
        // No other thread sees a memory of the thread's own.
        if told.memory.is_none() && op != AccessOp::HostCall {
            return;
        }
        let mut watching = self.watching();
        let thread = told.thread.get();
        let Watching { task, threads, .. } = &mut *watching;
        let Some(own) = threads.get_mut(&thread) else {
            return;
        };
        own.number += 1;
        own.last = self.places.instruction(told.site);
        match task {
            RaceTask::Find(moments) => {
                let moment = Moment {
                    serial: own.serial,
                    number: own.number,
                };
                if let Some(trace) = moments.get_mut(&moment) {
                    *trace = told.backtrace();
                }
            }
            RaceTask::Detect(detection) => {
                // An access beyond that traps, and a call accesses nothing by itself.
                let address = told.memory.and_then(|memory| address(memory, told.address));
                let (Some(address), false) = (address, op == AccessOp::HostCall) else {
                    return;
                };
                let (place, number) = (own.last, own.number);
                let size = told.length.min(1 << ADDRESS_BITS);
                let kind = match op {
                    AccessOp::Notify => {
                        let _ = detection.detector.notify(thread, address);
                        return;
                    }
                    AccessOp::Allocate => {
                        let (detector, block) = (&mut detection.detector, (address, size));
                        let _ = detector.allocate(thread, block, place, number);
                        return;
                    }
                    AccessOp::Free => {
                        let new = detection.detector.free(thread, address, place, number);
                        let new = new.map_or(0, <[Race]>::len);
                        detection.trace(new, || told.backtrace());
                        return;
                    }
                    AccessOp::AtomicLoad | AccessOp::AtomicCompare | AccessOp::Wait => {
                        AccessKind::AtomicRead
                    }
                    AccessOp::AtomicStore => AccessKind::AtomicWrite,
                    AccessOp::AtomicRmw | AccessOp::AtomicCmpxchg => AccessKind::AtomicUpdate,
                    op if op.writes() => AccessKind::Write,
                    _ => AccessKind::Read,
                };
                let access = Access {
                    thread,
                    address,
                    size,
                    kind,
                    place,
                    number,
                };
                detection.detect(&access, || told.backtrace());
                if op == AccessOp::Wait {
                    let _ = detection.detector.wait(thread, address);
                }
            }
        }
    }
}

/// A policy, and the watch that hears what the policy is told and what it answers.
pub(crate) struct WatchedPolicy {
    pub(crate) policy: Box<dyn Policy>,
    pub(crate) watch: Arc<RaceWatch>,
}

impl Policy for WatchedPolicy {
    fn began(
        &mut self,
        thread: replay_threads::ThreadId,
        parent: Option<replay_threads::ThreadId>,
    ) {
        self.watch
            .began(thread.get(), parent.map(|parent| parent.get()));
        self.policy.began(thread, parent);
    }

    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let turn = self.policy.next(stop);
        self.watch.watching().turn = turn.thread.get();
        turn
    }

    fn ended(&mut self, thread: replay_threads::ThreadId) {
        self.watch.thread_ended(thread.get());
        self.policy.ended(thread);
    }
}

impl Detection {
    fn detect(&mut self, access: &Access, trace: impl FnOnce() -> Option<Backtrace>) {
        // A refused event would trap, or belongs to a thread that was left out.
        let new = self.detector.access(access).map_or(0, <[Race]>::len);
        self.trace(new, trace);
    }

    /// Keeps where the later access of so many new races was.
    fn trace(&mut self, new: usize, trace: impl FnOnce() -> Option<Backtrace>) {
        if new > 0 {
            let trace = trace();
            self.traces.extend(std::iter::repeat_n(trace, new));
        }
    }
}

/// Memories have a range of addresses each.
fn address(memory: usize, address: u64) -> Option<u64> {
    let memory = u64::from(u16::try_from(memory).ok()?);
    (address < 1 << ADDRESS_BITS).then_some(memory << ADDRESS_BITS | address)
}

/// The guest's address.
pub(super) fn guest_address(address: u64) -> u64 {
    address & ((1 << ADDRESS_BITS) - 1)
}
