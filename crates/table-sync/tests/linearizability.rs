//! Concurrent histories of a small table. Each must have an order of its calls that a sequential
//! table explains. A call that returned before another was made comes first, and every call gets
//! the answer that it got.

#![cfg(not(loom))]
#![allow(missing_docs)]

#[path = "../../../tests/support/emulated.rs"]
mod emulated;

use std::collections::{BTreeMap, HashSet};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use table_sync::{Error, Handle, Table};

type Key = Handle<u64>;

#[derive(Clone, Copy, Debug)]
enum Call {
    Push(u64),
    PushChild(u64, Key),
    Get(Key),
    Swap(Key, u64),
    Delete(Key),
    Detach(Key),
    Adopt(Key, Key),
    Release(Key, Key),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Handle(Key),
    Value(u64),
    Done,
    Failed(Error),
}

#[derive(Clone, Copy, Debug)]
struct Event {
    call: Call,
    answer: Answer,
    made: u64,
    returned: u64,
}

/// What a sequential table with these entries would be.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Model {
    entries: BTreeMap<Key, (u64, Option<Key>)>,
}

impl Model {
    fn has_children(&self, key: Key) -> bool {
        self.entries
            .values()
            .any(|(_, parent)| *parent == Some(key))
    }

    /// The state after the call, if the answer is the right one.
    fn step(&self, event: &Event) -> Option<Self> {
        let mut next = self.clone();
        let missing = |keys: &[Key]| keys.iter().any(|key| !self.entries.contains_key(key));
        let refused = Answer::Failed(Error::NotPresent);
        let answer = match event.call {
            Call::Push(_) | Call::PushChild(..) => {
                let (value, parent) = match event.call {
                    Call::PushChild(value, parent) => (value, Some(parent)),
                    Call::Push(value) => (value, None),
                    _ => return None,
                };
                match (event.answer, parent) {
                    (_, Some(parent)) if missing(&[parent]) => refused,
                    (Answer::Handle(new), parent) => {
                        next.entries.insert(new, (value, parent));
                        Answer::Handle(new)
                    }
                    _ => return None,
                }
            }
            Call::Get(key) => match self.entries.get(&key) {
                Some((value, _)) => Answer::Value(*value),
                None => refused,
            },
            Call::Swap(key, new) => match next.entries.get_mut(&key) {
                Some((value, _)) => Answer::Value(std::mem::replace(value, new)),
                None => refused,
            },
            Call::Delete(key) | Call::Detach(key) => {
                if self.has_children(key) && !missing(&[key]) {
                    Answer::Failed(Error::HasChildren)
                } else {
                    match (next.entries.remove(&key), event.call) {
                        (None, _) => refused,
                        (Some((value, _)), Call::Delete(_)) => Answer::Value(value),
                        (Some(_), _) => Answer::Done,
                    }
                }
            }
            Call::Adopt(child, parent) => {
                if missing(&[child, parent]) {
                    refused
                } else if self.entries[&child].1.is_some() {
                    Answer::Failed(Error::HasParent)
                } else {
                    next.entries.get_mut(&child)?.1 = Some(parent);
                    Answer::Done
                }
            }
            Call::Release(child, parent) => {
                if missing(&[child, parent]) {
                    refused
                } else if self.entries[&child].1 != Some(parent) {
                    Answer::Failed(Error::NotChild)
                } else {
                    next.entries.get_mut(&child)?.1 = None;
                    Answer::Done
                }
            }
        };
        (answer == event.answer).then_some(next)
    }
}

/// Searches for an order (Wing and Gong's algorithm, remembering what was tried).
fn is_linearizable(start: &Model, events: &[Event]) -> bool {
    fn search(
        model: &Model,
        events: &[Event],
        done: u64,
        tried: &mut HashSet<(u64, Model)>,
    ) -> bool {
        if done.count_ones() as usize == events.len() {
            return true;
        }
        if !tried.insert((done, model.clone())) {
            return false;
        }
        let open = |at: usize| done & 1 << at == 0;
        let first_return = (0..events.len())
            .filter(|at| open(*at))
            .map(|at| events[at].returned)
            .min();
        (0..events.len()).any(|at| {
            // Only a call made before every open one returned can be next.
            open(at)
                && Some(events[at].made) < first_return
                && model
                    .step(&events[at])
                    .is_some_and(|next| search(&next, events, done | 1 << at, tried))
        })
    }
    search(start, events, 0, &mut HashSet::new())
}

/// A small generator of random numbers: xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

fn make(table: &Table, call: Call) -> Answer {
    let handle = |answer: Result<Key, Error>| answer.map_or_else(Answer::Failed, Answer::Handle);
    let value = |answer: Result<u64, Error>| answer.map_or_else(Answer::Failed, Answer::Value);
    let done = |answer: Result<(), Error>| answer.map_or_else(Answer::Failed, |()| Answer::Done);
    match call {
        Call::Push(new) => handle(table.push(new)),
        Call::PushChild(new, parent) => handle(table.push_child(new, &parent)),
        Call::Get(key) => value(table.get(&key).map(|guard| *guard)),
        Call::Swap(key, new) => value(
            table
                .get_mut(&key)
                .map(|mut guard| std::mem::replace(&mut *guard, new)),
        ),
        Call::Delete(key) => value(table.delete(key)),
        Call::Detach(key) => done(table.detach(key)),
        Call::Adopt(child, parent) => done(table.add_child(child, parent)),
        Call::Release(child, parent) => done(table.remove_child(child, parent)),
    }
}

/// One history of `threads` times `calls` random calls.
fn history(seed: u64, threads: u64, calls: u64) -> (Model, Vec<Event>) {
    let table = Table::new();
    let mut model = Model::default();
    let mut keys = Vec::new();
    for value in 0..3 {
        let key = table.push(value).unwrap();
        // Some start with readers that publish themselves.
        if value < 2 {
            for _ in 0..if cfg!(miri) { 8 } else { 600 } {
                drop(table.get(&key).unwrap());
            }
        }
        model.entries.insert(key, (value, None));
        keys.push(key);
    }
    let clock = AtomicU64::new(0);
    let start = Barrier::new(threads as usize);
    let events = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (mut keys, table, clock, start) = (keys.clone(), &table, &clock, &start);
                scope.spawn(move || {
                    let mut random = Random(seed * 64 + thread * 8 + 1);
                    let mut events = Vec::new();
                    start.wait();
                    for at in 0..calls {
                        let new = 100 * (thread + 1) + at;
                        let key = keys[random.below(keys.len() as u64) as usize];
                        let other = keys[random.below(keys.len() as u64) as usize];
                        let call = match random.below(16) {
                            0 | 1 => Call::Push(new),
                            2 | 3 => Call::PushChild(new, key),
                            4..=7 => Call::Get(key),
                            8 | 9 => Call::Swap(key, new),
                            10 | 11 => Call::Delete(key),
                            12 => Call::Detach(key),
                            13 | 14 => Call::Adopt(key, other),
                            _ => Call::Release(key, other),
                        };
                        let made = clock.fetch_add(1, Ordering::SeqCst);
                        let answer = make(table, call);
                        let returned = clock.fetch_add(1, Ordering::SeqCst);
                        if let Answer::Handle(key) = answer {
                            keys.push(key);
                        }
                        events.push(Event {
                            call,
                            answer,
                            made,
                            returned,
                        });
                        if random.below(4) == 0 {
                            std::thread::yield_now();
                        }
                    }
                    events
                })
            })
            .collect();
        handles
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    (model, events)
}

#[test]
fn histories_are_linearizable() {
    let runs = match (cfg!(miri), cfg!(sanitized)) {
        (true, _) => 5,
        (_, true) => 300,
        _ => emulated::less(6000, 300),
    };
    let mut overlapping = 0;
    // Beside a load few calls overlap, so more are made until enough do.
    for seed in 1..=20 * runs {
        if seed > runs && overlapping > runs / 100 {
            break;
        }
        let (start, events) = history(seed, 2 + seed % 3, 5);
        assert!(
            is_linearizable(&start, &events),
            "seed {seed}: no order explains {events:#?}"
        );
        overlapping += u64::from(events.iter().enumerate().any(|(at, a)| {
            let mut later = events[at + 1..].iter();
            later.any(|b| a.made < b.returned && b.made < a.returned)
        }));
        // A handle is never issued twice.
        let mut issued = HashSet::new();
        for event in &events {
            if let Answer::Handle(key) = event.answer {
                assert!(issued.insert(key) && !start.entries.contains_key(&key));
            }
        }
    }
    // Otherwise the test has not tested anything.
    assert!(overlapping > runs / 100, "{overlapping} histories overlap");
}

#[test]
fn the_check_can_fail() {
    let table = Table::new();
    let key = table.push(1).unwrap();
    let start = Model {
        entries: BTreeMap::from([(key, (1, None))]),
    };
    let delete = Event {
        call: Call::Delete(key),
        answer: Answer::Value(1),
        made: 0,
        returned: 1,
    };
    let late_get = |made, returned| Event {
        call: Call::Get(key),
        answer: Answer::Value(1),
        made,
        returned,
    };
    assert!(is_linearizable(
        &start,
        &[
            late_get(0, 9),
            Event {
                made: 1,
                returned: 2,
                ..delete
            }
        ]
    ));
    assert!(!is_linearizable(&start, &[delete, late_get(2, 3)]));
    assert!(!is_linearizable(&start, &[delete, delete]));
}
