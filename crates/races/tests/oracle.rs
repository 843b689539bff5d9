//! The detector against one that keeps everything and compares every access with all before it.

use std::collections::HashMap;

use proptest::prelude::*;
use wasm_races::{Access, AccessKind, Detector, Limits, Place};

const THREADS: u32 = 4;

/// What a thread does; threads that do not run do nothing.
#[derive(Clone, Debug)]
enum Event {
    Access {
        thread: u32,
        address: u64,
        size: u64,
        kind: AccessKind,
    },
    Spawn(u32, u32),
    End(u32),
    Wait(u32, u64),
    Notify(u32, u64),
    Forget(u64, u64),
}

fn event() -> impl Strategy<Value = Event> {
    let thread = 0..THREADS;
    // A few words, so that threads meet; over the end of a page, so that ranges have some of each.
    let address = 4064..4120_u64;
    let atomic = (thread.clone(), address.clone(), 0..4_u32, 0..3_usize).prop_map(
        |(thread, address, size, kind)| {
            let size = 1 << size;
            let kinds = [
                AccessKind::AtomicRead,
                AccessKind::AtomicWrite,
                AccessKind::AtomicUpdate,
            ];
            Event::Access {
                thread,
                address: address / size * size,
                size,
                kind: kinds[kind],
            }
        },
    );
    let plain = (thread.clone(), address.clone(), 1..20_u64, any::<bool>()).prop_map(
        |(thread, address, size, writes)| Event::Access {
            thread,
            address,
            size,
            kind: if writes {
                AccessKind::Write
            } else {
                AccessKind::Read
            },
        },
    );
    let whole = (thread.clone(), any::<bool>()).prop_map(|(thread, writes)| Event::Access {
        thread,
        address: 4000,
        size: 4096 * 2,
        kind: if writes {
            AccessKind::Write
        } else {
            AccessKind::Read
        },
    });
    prop_oneof![
        8 => plain,
        8 => atomic,
        1 => whole,
        3 => (thread.clone(), thread.clone()).prop_map(|(parent, child)| Event::Spawn(parent, child)),
        1 => thread.clone().prop_map(Event::End),
        2 => (thread.clone(), address.clone()).prop_map(|(thread, address)| Event::Wait(thread, address)),
        2 => (thread, address.clone()).prop_map(|(thread, address)| Event::Notify(thread, address)),
        1 => (address, 1..40_u64).prop_map(|(address, size)| Event::Forget(address, size)),
    ]
}

/// A thread's past: the events, by number, that come before what it does next.
type Past = std::collections::BTreeSet<usize>;

/// What a thread has told, and has not done yet.
#[derive(Clone, Copy, Debug)]
enum Begun {
    Access(usize, Access),
    Wait(u64),
    Notify(u64),
}

#[derive(Default)]
struct Oracle {
    /// By the number of a thread: its past, and the word it waits on.
    threads: HashMap<u32, (Past, Option<u64>)>,
    /// All accesses that were not forgotten, each byte for itself: number, kind.
    accesses: HashMap<u64, Vec<(usize, AccessKind)>>,
    /// What the last atomic write of a byte has released.
    released: HashMap<u64, Past>,
    queues: HashMap<u64, Past>,
    /// Whether a plain read that races learns.
    races_order: bool,
}

impl Oracle {
    fn pass_queue(&mut self, thread: u32, address: u64) {
        let queue = self.queues.entry(address / 8).or_default();
        let past = &mut self.threads.get_mut(&thread).unwrap().0;
        past.extend(queue.iter());
        queue.extend(past.iter());
    }

    fn settle(&mut self, thread: u32) {
        if let Some(address) = self.threads.get_mut(&thread).unwrap().1.take() {
            self.pass_queue(thread, address);
        }
    }

    /// The numbers of the accesses that this one races with.
    fn access(&mut self, number: usize, access: &Access) -> Past {
        self.settle(access.thread);
        let past = &mut self.threads.get_mut(&access.thread).unwrap().0;
        let bytes = access.address..access.address + access.size;
        let learns = matches!(
            access.kind,
            AccessKind::AtomicRead | AccessKind::AtomicUpdate
        );
        let learn = |past: &mut Past, released: &HashMap<u64, Past>| {
            for byte in bytes.clone() {
                past.extend(released.get(&byte).into_iter().flatten());
            }
        };
        if learns {
            learn(past, &self.released);
        }
        let mut races = Past::new();
        for byte in bytes.clone() {
            for (earlier, kind) in self.accesses.entry(byte).or_default() {
                let conflict = (access.kind.writes() || kind.writes())
                    && !(access.kind.is_atomic() && kind.is_atomic());
                if conflict && !past.contains(earlier) {
                    races.insert(*earlier);
                }
            }
            self.accesses
                .entry(byte)
                .or_default()
                .push((number, access.kind));
        }
        let raced = self.races_order && !races.is_empty();
        if raced && access.kind == AccessKind::Read && access.size <= 8 {
            learn(past, &self.released);
        }
        past.insert(number);
        if access.kind.is_atomic() && access.kind.writes() {
            for byte in bytes {
                self.released.insert(byte, past.clone());
            }
        }
        races
    }
}

fn check(events: &[Event], limits: Limits, exact: bool) -> Result<(), TestCaseError> {
    let mut detector = Detector::new(limits);
    let mut oracle = Oracle {
        races_order: true,
        ..Oracle::default()
    };
    detector.start(0).unwrap();
    oracle.threads.insert(0, Default::default());
    for (number, event) in events.iter().enumerate() {
        let runs = |thread: &u32| oracle.threads.contains_key(thread);
        match *event {
            Event::Access { thread, .. } | Event::Wait(thread, _) | Event::Notify(thread, _)
                if !runs(&thread) => {}
            Event::Access {
                thread,
                address,
                size,
                kind,
            } => {
                // Each event is a place of its own: every race is told.
                let place = Place::new(number as u32).unwrap();
                let access = Access {
                    thread,
                    address,
                    size,
                    kind,
                    place,
                    number: number as u64,
                };
                let expected = oracle.access(number, &access);
                let races = detector.access(&access).unwrap();
                for race in races {
                    let previous = race.previous.number as usize;
                    prop_assert!(expected.contains(&previous), "{number} with {previous}");
                    prop_assert_eq!(race.current.number, number as u64);
                    let Event::Access {
                        thread,
                        address: from,
                        size: length,
                        kind,
                        ..
                    } = events[previous]
                    else {
                        panic!("{previous} is no access");
                    };
                    prop_assert_eq!(race.previous.thread.id, thread);
                    prop_assert_eq!(race.previous.kind, kind);
                    let end = race.address + u64::from(race.size);
                    prop_assert!(race.address >= address.max(from));
                    prop_assert!(end <= (address + size).min(from + length));
                }
                if exact {
                    prop_assert_eq!(races.is_empty(), expected.is_empty(), "{}", number);
                }
            }
            Event::Spawn(parent, child) if runs(&parent) && !runs(&child) => {
                oracle.settle(parent);
                let place = Place::new(number as u32).unwrap();
                match detector.spawn(parent, child, place, 0) {
                    Ok(()) => {
                        let past = oracle.threads[&parent].0.clone();
                        oracle.threads.insert(child, (past, None));
                    }
                    Err(_) => prop_assert!(!exact),
                }
            }
            // Main runs to the end.
            Event::End(thread) if thread != 0 && runs(&thread) => {
                oracle.settle(thread);
                detector.end(thread).unwrap();
                oracle.threads.remove(&thread);
            }
            Event::Wait(thread, address) => {
                oracle.settle(thread);
                oracle.pass_queue(thread, address);
                oracle.threads.get_mut(&thread).unwrap().1 = Some(address);
                detector.wait(thread, address).unwrap();
            }
            Event::Notify(thread, address) => {
                oracle.settle(thread);
                oracle.pass_queue(thread, address);
                detector.notify(thread, address).unwrap();
            }
            Event::Forget(address, size) => {
                for byte in address..address + size {
                    oracle.accesses.remove(&byte);
                }
                let words = address.div_ceil(8)..(address + size) / 8;
                for word in words {
                    oracle.queues.remove(&word);
                    for byte in word * 8..word * 8 + 8 {
                        oracle.released.remove(&byte);
                    }
                }
                detector.forget(address, size).unwrap();
            }
            Event::Spawn(..) | Event::End(_) => {}
        }
    }
    Ok(())
}

/// The same of threads that run at once: atomics, waits and notifies are told, and done later, at
/// the latest before the thread goes on. `done`: after which events which thread does what it has
/// told. Two plain accesses that are told race by the order in which things were done.
fn check_parallel(events: &[Event], done: &[(usize, u32)]) -> Result<(), TestCaseError> {
    let mut limits = Limits::default();
    limits.races = 100_000;
    let mut detector = Detector::parallel(limits);
    let mut oracle = Oracle::default();
    let mut begun: HashMap<u32, Begun> = HashMap::new();
    detector.start(0).unwrap();
    oracle.threads.insert(0, Default::default());
    let finish = |oracle: &mut Oracle, thread: u32, begun: &mut HashMap<u32, Begun>| match begun
        .remove(&thread)
    {
        None => {}
        Some(Begun::Access(number, access)) => {
            oracle.access(number, &access);
        }
        Some(Begun::Wait(address)) => {
            oracle.pass_queue(thread, address);
            oracle.threads.get_mut(&thread).unwrap().1 = Some(address);
        }
        Some(Begun::Notify(address)) => oracle.pass_queue(thread, address),
    };
    for (number, event) in events.iter().enumerate() {
        let thread = match *event {
            Event::Access { thread, .. } | Event::Wait(thread, _) | Event::Notify(thread, _) => {
                thread
            }
            Event::Spawn(parent, _) => parent,
            Event::End(thread) => thread,
            Event::Forget(..) => continue,
        };
        if !oracle.threads.contains_key(&thread) {
            continue;
        }
        finish(&mut oracle, thread, &mut begun);
        oracle.settle(thread);
        let place = Place::new(number as u32).unwrap();
        match *event {
            Event::Access {
                thread,
                address,
                size,
                kind,
            } => {
                let access = Access {
                    thread,
                    address,
                    size,
                    kind,
                    place,
                    number: number as u64,
                };
                let races = detector.access(&access).unwrap();
                if kind.is_atomic() {
                    begun.insert(thread, Begun::Access(number, access));
                    continue;
                }
                let expected = oracle.access(number, &access);
                for race in races.iter().filter(|race| !race.previous.kind.is_atomic()) {
                    let previous = race.previous.number as usize;
                    prop_assert!(expected.contains(&previous), "{number} with {previous}");
                }
            }
            Event::Wait(thread, address) => {
                detector.wait(thread, address).unwrap();
                begun.insert(thread, Begun::Wait(address));
            }
            Event::Notify(thread, address) => {
                detector.notify(thread, address).unwrap();
                begun.insert(thread, Begun::Notify(address));
            }
            Event::Spawn(parent, child) if !oracle.threads.contains_key(&child) => {
                detector.spawn(parent, child, place, 0).unwrap();
                let past = oracle.threads[&parent].0.clone();
                oracle.threads.insert(child, (past, None));
            }
            Event::End(thread) if thread != 0 => {
                detector.end(thread).unwrap();
                oracle.threads.remove(&thread);
            }
            Event::Spawn(..) | Event::End(_) | Event::Forget(..) => {}
        }
        for (_, thread) in done.iter().filter(|(after, _)| *after == number) {
            finish(&mut oracle, *thread, &mut begun);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_finds_what_is_there_and_nothing_else(events in prop::collection::vec(event(), 1..120)) {
        let mut limits = Limits::default();
        limits.races = 100_000;
        check(&events, limits, true)?;
    }

    /// What is forgotten is missing, and nothing becomes wrong by that.
    #[test]
    fn with_hardly_any_memory_it_tells_nothing_wrong(events in prop::collection::vec(event(), 1..120)) {
        let mut limits = Limits::default();
        limits.shadow_bytes = 1;
        limits.order_bytes = 300;
        limits.accesses = 4;
        limits.threads = 3;
        limits.races = 100_000;
        check(&events, limits, false)?;
    }
    /// What is done later than it is told makes no report wrong.
    #[test]
    fn in_parallel_it_tells_nothing_wrong(
        events in prop::collection::vec(event(), 1..120),
        done in prop::collection::vec((0..120_usize, 0..THREADS), 0..60),
    ) {
        check_parallel(&events, &done)?;
    }
}

/// An update of eight bytes that is told first, and done after a write of one of them, carries that
/// write's release to an update of another byte. A race of the two plain accesses was once
/// reported.
#[test]
fn a_late_update_carries_a_release_to_its_other_bytes() {
    use AccessKind::{AtomicUpdate, AtomicWrite, Read, Write};
    let access = |thread, address, size, kind| Event::Access {
        thread,
        address,
        size,
        kind,
    };
    let events = [
        Event::Spawn(0, 2),
        Event::Spawn(2, 1),
        access(1, 4065, 14, Read),
        access(0, 4088, 8, AtomicUpdate),
        access(1, 4088, 1, AtomicWrite),
        access(1, 4064, 1, AccessKind::AtomicRead),
        access(2, 4090, 1, AtomicUpdate),
        access(0, 4064, 1, Read),
        access(2, 4064, 2, Write),
    ];
    check_parallel(&events, &[]).unwrap();
}
