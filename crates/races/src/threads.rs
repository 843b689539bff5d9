//! The threads: their clocks, and the slots that stand for them in clocks and entries.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::{Epoch, VectorClock};
use crate::error::EventError;
use crate::race::{Place, ThreadInfo};
use crate::sequence::{Around, AtomicLog};

/// As long as there are no more slots than that, one is used again only if no race can be missed by
/// that.
const EXACT: usize = 64;
/// How many that have ended are looked at for a slot that can be used again.
const LOOKS: usize = 64;
/// Threads that have ended whose last atomics are remembered.
const LOGS: usize = 64;
/// How many threads of one slot are remembered.
const REMEMBERED: usize = 1024;

/// A component of every clock: a thread, and those before it that had the slot.
#[derive(Debug, Default)]
struct Slot {
    /// From which time on it was which thread, oldest first.
    threads: Vec<(u64, ThreadInfo)>,
    ended: Option<Ended>,
}

/// A thread that has ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    time: u64,
    /// A thread that knows of this time knows of all its accesses.
    last_access: u64,
    /// A thread that knows of this time knows of all that the ended one did before its last
    /// release.
    last_release: u64,
}

/// A thread that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) slot: u16,
    pub(crate) clock: VectorClock,
    pub(crate) info: ThreadInfo,
    /// The word that it waits on, or has waited on since it was last heard of.
    pub(crate) waits_on: Option<u64>,
    /// The word, and which of its bytes, that it was last about to read by an atomic. Used if
    /// threads run at once.
    pub(crate) reads: Option<(u64, u8)>,
    /// Its last atomics.
    pub(crate) atomics: AtomicLog,
    /// When it started.
    began: u64,
    /// When it last accessed memory.
    pub(crate) last_access: u64,
}

impl Running {
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch {
            slot: self.slot,
            time: self.clock.get(self.slot),
        }
    }

    /// What it does from now on is later than what others have been told of.
    pub(crate) fn advance(&mut self) {
        let time = self.clock.get(self.slot);
        self.clock.set(self.slot, time + 1);
    }
}

/// All threads.
#[derive(Debug)]
pub(crate) struct Threads {
    /// Few, and looked up several times for each access: a tree is quicker than a hash that resists
    /// attacks.
    running: BTreeMap<u32, Running>,
    slots: Vec<Slot>,
    /// Slots whose threads have ended, oldest first.
    dead: Vec<u16>,
    /// What those that have ended knew.
    past: VectorClock,
    /// The last atomics of those that have ended, by serial, oldest first.
    logs: VecDeque<(u64, AtomicLog)>,
    started: u64,
    most: u16,
    /// How often a slot was used again although races could be missed by that.
    pub(crate) merged: u64,
}

impl Threads {
    pub(crate) fn new(most: u16) -> Self {
        Self {
            running: BTreeMap::new(),
            slots: Vec::new(),
            dead: Vec::new(),
            past: VectorClock::default(),
            logs: VecDeque::new(),
            started: 0,
            most: most.clamp(1, crate::limits::MOST_THREADS),
            merged: 0,
        }
    }

    pub(crate) fn get(&mut self, thread: u32) -> Result<&mut Running, EventError> {
        let running = self.running.get_mut(&thread);
        running.ok_or(EventError::UnknownThread(thread))
    }

    /// The thread, if it runs.
    pub(crate) fn running(&mut self, thread: &ThreadInfo) -> Option<&mut Running> {
        let running = self.running.get_mut(&thread.id)?;
        (running.info.serial == thread.serial).then_some(running)
    }

    /// The atomics around the access of this number of a thread.
    pub(crate) fn around(&mut self, thread: &ThreadInfo, number: u64) -> Around {
        if let Some(running) = self.running(thread) {
            return running.atomics.around(number);
        }
        let mut logs = self.logs.iter();
        let log = logs.find(|(serial, _)| *serial == thread.serial);
        match log.map(|(_, log)| log.around(number)) {
            // None will come.
            Some(Around::Within { closed: false, .. }) => Around::Apart,
            Some(around) => around,
            None => Around::Unknown,
        }
    }

    /// Adds a thread, which knows what its parent knows. Without a parent it knows what all ended
    /// threads did.
    pub(crate) fn start(
        &mut self,
        thread: u32,
        parent: Option<(u32, Place, u64)>,
    ) -> Result<(), EventError> {
        if self.running.contains_key(&thread) {
            return Err(EventError::RunsAlready(thread));
        }
        if let Some((parent, ..)) = parent {
            self.get(parent)?;
        }
        let slot = self.find_slot();
        let slot = slot.ok_or(EventError::TooManyThreads(self.most))?;
        let mut clock = self.past.clone();
        let mut info = ThreadInfo {
            id: thread,
            serial: self.started,
            parent: None,
            created: None,
        };
        if let Some((parent, place, number)) = parent {
            let parent = self.get(parent)?;
            clock = parent.clock.clone();
            info.parent = Some((parent.info.id, parent.info.serial));
            info.created = Some((place, number));
            parent.advance();
        }
        self.started += 1;
        let of_slot = &mut self.slots[usize::from(slot)];
        let began = of_slot.ended.take().map_or(0, |ended| ended.time) + 1;
        if of_slot.threads.len() >= REMEMBERED {
            of_slot.threads.drain(..REMEMBERED / 2);
        }
        of_slot.threads.push((began, info));
        clock.set(slot, began);
        let running = Running {
            slot,
            clock,
            info,
            waits_on: None,
            reads: None,
            atomics: AtomicLog::default(),
            began,
            last_access: 0,
        };
        self.running.insert(thread, running);
        Ok(())
    }

    pub(crate) fn end(&mut self, thread: u32) -> Result<(), EventError> {
        let ended = self.running.remove(&thread);
        let ended = ended.ok_or(EventError::UnknownThread(thread))?;
        let time = ended.clock.get(ended.slot);
        let slot = &mut self.slots[usize::from(ended.slot)];
        slot.ended = Some(Ended {
            time,
            last_access: ended.last_access,
            last_release: if time > ended.began { time - 1 } else { time },
        });
        self.dead.push(ended.slot);
        self.past.join(&ended.clock);
        if self.logs.len() == LOGS {
            self.logs.pop_front();
        }
        self.logs.push_back((ended.info.serial, ended.atomics));
        Ok(())
    }

    /// Orders what ended threads did before what a thread does from now on.
    pub(crate) fn join_ended(&mut self, thread: u32) -> Result<(), EventError> {
        let running = self.running.get_mut(&thread);
        let running = running.ok_or(EventError::UnknownThread(thread))?;
        running.clock.join(&self.past);
        Ok(())
    }

    /// The thread that did something in that epoch. `None` if it was forgotten, because that is
    /// long ago.
    pub(crate) fn info(&self, epoch: Epoch) -> Option<ThreadInfo> {
        let threads = &self.slots[usize::from(epoch.slot)].threads;
        let after = threads.partition_point(|(from, _)| *from <= epoch.time);
        Some(threads[after.checked_sub(1)?].1)
    }

    /// A slot for a new thread. `None` if the limit of running threads is reached.
    ///
    /// First choice: the slot of an ended thread all of whose accesses every running thread knows
    /// of, so nothing can race with them. With many slots it is enough that every running thread
    /// knows of its last release. What the ended thread did after that is still compared with the
    /// accesses of all threads but the new one, which has the same slot. Otherwise a new slot is
    /// made. At the limit, the slot of the thread that ended first is taken, and no race of the new
    /// thread with that one is found.
    fn find_slot(&mut self) -> Option<u16> {
        if let Some(slot) = self.take_known(|ended| ended.last_access) {
            return Some(slot);
        }
        if self.slots.len() >= EXACT
            && let Some(slot) = self.take_known(|ended| ended.last_release)
        {
            return Some(slot);
        }
        let fits = u16::try_from(self.slots.len()).ok();
        if let Some(slot) = fits.filter(|slot| *slot < self.most) {
            self.slots.push(Slot::default());
            return Some(slot);
        }
        if self.dead.is_empty() {
            return None;
        }
        self.merged += 1;
        Some(self.dead.remove(0))
    }

    /// One of whose thread all know that run, up to that time.
    fn take_known(&mut self, time: impl Fn(&Ended) -> u64) -> Option<u16> {
        let is_known = |slot: &u16| {
            let ended = self.slots[usize::from(*slot)].ended.as_ref();
            ended.is_some_and(|ended| {
                let epoch = Epoch {
                    slot: *slot,
                    time: time(ended),
                };
                let mut running = self.running.values();
                running.all(|thread| thread.clock.covers(epoch))
            })
        };
        let at = self.dead.iter().take(LOOKS).position(is_known)?;
        Some(self.dead.remove(at))
    }
}
