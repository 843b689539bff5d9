//! The turn: how it goes from one thread to the next, and how the end reaches all threads.
//!
//! `DESIGN.md`, *Schedules*, has the argument; `tests/loom_life_protocol.rs` runs this file over
//! loom's types.

use std::sync::Arc;

use crate::sys::shim::{AtomicBool, AtomicU32, AtomicU64, Mutex, Ordering, Sleepers, mutant};

/// The turn is this seat's.
const GIVEN: u32 = 1;
/// No thread runs any more.
const ENDED: u32 = 2;
/// Its thread is asked where it is.
const ASKED: u32 = 4;

/// Where one thread waits for its turn.
///
/// The seat is made before its thread has a host thread. A turn that comes before the thread is not
/// lost: it is a bit of the word, and the thread sleeps only while the word holds no bit.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    word: AtomicU32,
    /// The budget that comes with the turn. Written before the turn is given.
    budget: AtomicU64,
    sleepers: Sleepers,
}

/// Why a thread came back from its seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roused {
    /// It has the turn, with this budget.
    Turn(u64),
    /// It is asked where it is, and comes back.
    Asked,
    /// The group has ended.
    Ended,
}

impl Seat {
    /// Gives the turn, which the caller holds, to this seat's thread.
    fn give(&self, budget: u64) {
        self.budget.store(budget, Ordering::Relaxed);
        mutant!(
            self.set(GIVEN),
            unless "a turn that wakes first" then {
                self.sleepers.wake_one(&self.word);
                self.word.fetch_or(GIVEN, Ordering::Release);
            }
        );
    }

    fn set(&self, bit: u32) {
        // Release: what the giver did happens before what the taker does.
        mutant!(
            self.word.fetch_or(bit, Ordering::AcqRel),
            unless "a turn without order" then self.word.fetch_or(bit, Ordering::Relaxed)
        );
        self.sleepers.wake_one(&self.word);
    }

    /// Waits for the turn, on the seat's own thread.
    pub(crate) fn take(&self) -> Roused {
        let mut word = mutant!(
            self.word.load(Ordering::Acquire),
            unless "a taker that starts afresh" then
                self.word.fetch_and(!GIVEN, Ordering::AcqRel) & !GIVEN
        );
        loop {
            if word & ENDED != 0 {
                return Roused::Ended;
            }
            if word & GIVEN != 0 {
                // Only this thread can give it next, so no second turn is lost.
                self.word.fetch_and(!GIVEN, Ordering::AcqRel);
                return Roused::Turn(self.budget.load(Ordering::Relaxed));
            }
            if word & ASKED != 0 {
                mutant!(
                    self.word.fetch_and(!ASKED, Ordering::AcqRel),
                    unless "a question that wipes the turn" then self.word.swap(0, Ordering::AcqRel)
                );
                return Roused::Asked;
            }
            self.sleepers.sleep(&self.word, word, None);
            word = self.word.load(Ordering::Acquire);
        }
    }
}

/// The seats of a group.
///
/// Three take the lock, each only to look at the seats: the holder of the turn, a thread that asks
/// others where they are, and the end.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    ended: AtomicBool,
    list: Mutex<Vec<(u32, Arc<Seat>)>>,
}

impl Seats {
    /// A seat for thread `id`.
    pub(crate) fn add(&self, id: u32) -> Arc<Seat> {
        let seat = Arc::<Seat>::default();
        mutant!(
            {
                self.list.lock().push((id, Arc::clone(&seat)));
                // The end has either found the seat in the list, or set its flag before.
                if self.is_ended() {
                    seat.set(ENDED);
                }
            },
            unless "a seat that looks first" then {
                if self.is_ended() {
                    seat.set(ENDED);
                }
                self.list.lock().push((id, Arc::clone(&seat)));
            }
        );
        seat
    }

    /// Removes the seat of thread `id`.
    pub(crate) fn remove(&self, id: u32) {
        self.list.lock().retain(|(other, _)| *other != id);
    }

    /// Gives the turn, which the caller holds, to thread `id`; false if that has no seat.
    pub(crate) fn give(&self, id: u32, budget: u64) -> bool {
        let seat = self.find(id);
        if let Some(seat) = &seat {
            seat.give(budget);
        }
        seat.is_some()
    }

    /// Asks thread `id` where it is.
    pub(crate) fn ask(&self, id: u32) {
        if let Some(seat) = self.find(id) {
            seat.set(ASKED);
        }
    }

    /// Sends back all threads that wait for their turn, now or later.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let seats: Vec<Arc<Seat>> = {
            let list = self.list.lock();
            list.iter().map(|(_, seat)| Arc::clone(seat)).collect()
        };
        for seat in seats {
            seat.set(ENDED);
        }
    }

    /// Whether the group has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn find(&self, id: u32) -> Option<Arc<Seat>> {
        let list = self.list.lock();
        let found = list.iter().find(|(other, _)| *other == id);
        found.map(|(_, seat)| Arc::clone(seat))
    }
}
