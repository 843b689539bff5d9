//! Everything at once, for as long as `TABLE_SYNC_STRESS_SECONDS` says (default 2): eight threads
//! on entries that they share and entries of their own. No entry is lost, every value is dropped
//! once, and the memory the process has does not grow.

#![cfg(not(loom))]
#![allow(missing_docs)]

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};
use table_sync::{Error, Handle, Table};

const THREADS: u64 = 8;
/// Places where threads leave handles for each other.
const PLACES: usize = 64;
/// More of them, that are mostly read: readers publish themselves there.
const READ: usize = 4;

/// Replaced entries of those places whose readers published themselves.
static BIASED: AtomicU64 = AtomicU64::new(0);

/// Values alive.
static ALIVE: AtomicI64 = AtomicI64::new(0);

struct Value {
    /// Twice the same: a torn or wrong value would show.
    pair: (u64, u64),
    note: Mutex<Vec<u8>>,
}

impl Value {
    fn new(number: u64) -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Self {
            pair: (number, number),
            note: Mutex::new(vec![0; number as usize % 100]),
        }
    }

    fn check(&self) {
        assert_eq!(self.pair.0, self.pair.1);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.check();
        assert!(self.note.get_mut().unwrap().len() < 100);
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Resident memory in KiB; `None` where the system does not say.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn gone(error: Error) {
    assert!(
        matches!(error, Error::NotPresent | Error::HasChildren | Error::InUse),
        "{error}"
    );
}

fn round(table: &Table, places: &[RwLock<Handle<Value>>], random: &mut u64, counts: &AtomicU64) {
    *random = random.wrapping_mul(6_364_136_223_846_793_005) + 1;
    let place = &places[(*random >> 40) as usize % PLACES];
    let handle = *place.read().unwrap();
    counts.fetch_add(1, Ordering::Relaxed);
    match (*random >> 33) % 32 {
        0..=11 => table.get(&handle).map_or_else(gone, |value| value.check()),
        12..=15 => table.try_get(&handle).map_or_else(gone, |it| it.check()),
        16..=19 => table.get_mut(&handle).map_or_else(gone, |mut value| {
            value.pair.0 += 1;
            value.pair.1 += 1;
        }),
        20 | 21 => match table.try_get_mut(&handle) {
            Ok(mut value) => value.pair = (7, 7),
            Err(error) => gone(error),
        },
        // Replaces the shared entry, in one of the ways to remove it.
        22..=25 => {
            let new = table.push(Value::new(*random >> 32)).unwrap();
            let old = std::mem::replace(&mut *place.write().unwrap(), new);
            let removed = match *random >> 60 & 3 {
                0 => table.delete(old).map(drop),
                1 => {
                    let held = table.get(&old);
                    let removed = table.detach(old);
                    if let Ok(held) = held {
                        held.check();
                    }
                    removed
                }
                2 => loop {
                    match table.try_delete(old) {
                        Err(Error::InUse) => std::thread::yield_now(),
                        result => break result.map(drop),
                    }
                },
                _ => table.detach(old),
            };
            // Children of the shared entry may come and go just now; only this thread removes it.
            let mut removed = removed;
            while removed == Err(Error::HasChildren) {
                std::thread::yield_now();
                removed = table.detach(old);
            }
            removed.unwrap();
        }
        // A child that lives for a moment.
        26 | 27 => match table.push_child(Value::new(3), &handle) {
            Ok(child) => {
                table.get(&child).unwrap().check();
                assert!(table.get(&handle).is_ok());
                table.delete(child).unwrap().check();
            }
            Err(error) => gone(error),
        },
        // Entries of its own, some held on the way out.
        _ => {
            let own = [1, 2, 3].map(|number| table.push(Value::new(number)).unwrap());
            let held = table.get(&own[0]).unwrap();
            for handle in own {
                table.detach(handle).unwrap();
            }
            held.check();
        }
    }
}

/// Reads a place that is mostly read, now and then over a pause; rarely writes there, or removes
/// what is there in one of the ways that meet published readers.
fn read_mostly(table: &Table, places: &[RwLock<Handle<Value>>], random: &mut u64) {
    *random = random.wrapping_mul(6_364_136_223_846_793_005) + 1;
    let place = &places[(*random >> 40) as usize % READ];
    let handle = *place.read().unwrap();
    match (*random >> 30) % if cfg!(miri) { 16 } else { 4096 } {
        0 => table
            .get_mut(&handle)
            .map_or_else(gone, |mut it| it.pair = (5, 5)),
        1 | 2 => table
            .try_get_mut(&handle)
            .map_or_else(gone, |it| it.check()),
        3 => {
            let new = table.push(Value::new(*random >> 32)).unwrap();
            let old = std::mem::replace(&mut *place.write().unwrap(), new);
            BIASED.fetch_add(table.is_biased(old.any()).into(), Ordering::Relaxed);
            match *random >> 60 & 3 {
                0 => table.delete(old).map(drop).unwrap(),
                1 => {
                    while table.try_delete(old).map(drop) == Err(Error::InUse) {
                        std::thread::yield_now();
                    }
                }
                _ => table.detach(old).unwrap(),
            }
        }
        number => {
            if let Ok(value) = table.get(&handle) {
                if number % 64 == 4 {
                    std::thread::yield_now();
                }
                value.check();
            }
        }
    }
}

#[test]
fn eight_threads() {
    let seconds = std::env::var("TABLE_SYNC_STRESS_SECONDS")
        .map_or(2.0, |text| text.parse().expect("a number of seconds"));
    let table = Table::new();
    let places: Vec<_> = (0..PLACES as u64)
        .map(|number| RwLock::new(table.push(Value::new(number)).unwrap()))
        .collect();
    let read: Vec<_> = (0..READ as u64)
        .map(|number| RwLock::new(table.push(Value::new(number)).unwrap()))
        .collect();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let counts = AtomicU64::new(0);
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (table, places, read, counts) = (&table, &places, &read, &counts);
            scope.spawn(move || {
                let mut random = thread + 1;
                while Instant::now() < end {
                    for _ in 0..if cfg!(miri) { 2 } else { 100 } {
                        round(table, places, &mut random, counts);
                    }
                    for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
                        read_mostly(table, read, &mut random);
                    }
                }
            });
        }
        while Instant::now() < end {
            std::thread::sleep(Duration::from_secs_f64(seconds / 12.0));
            memory.extend(resident());
        }
    });
    // Every entry that was not removed is there, and nothing else.
    assert_eq!(table.len(), PLACES + READ);
    assert_eq!(table.handles().count(), PLACES + READ);
    for place in places.iter().chain(&read) {
        table.get(&place.read().unwrap()).unwrap().check();
    }
    assert_eq!(ALIVE.load(Ordering::SeqCst), (PLACES + READ) as i64);
    drop(table);
    assert_eq!(ALIVE.load(Ordering::SeqCst), 0);
    eprintln!(
        "{} mixed calls and 20 times as many reads by {THREADS} threads in {seconds} s; {} entries \
         removed from under published readers; resident KiB over time: {memory:?}",
        counts.load(Ordering::SeqCst),
        BIASED.load(Ordering::SeqCst)
    );
    // Elsewhere only readers that contend publish themselves, and they seldom do.
    assert!(
        BIASED.load(Ordering::SeqCst) > 0 || !cfg!(target_os = "linux"),
        "no reader published itself"
    );
    // Memory stays flat: after the first third only noise is added. A sanitizer's allocator keeps
    // freed memory for a while, so resident memory says nothing under it. The sanitizer itself
    // reports leaks.
    if std::env::var_os("TABLE_SYNC_STRESS_SANITIZED").is_some() {
        return;
    }
    if let [_, _, _, early, .., late] = memory[..] {
        assert!(late < early + early / 10 + 2048, "{memory:?}");
    }
}
