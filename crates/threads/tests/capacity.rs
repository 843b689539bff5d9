//! More threads than the host has capacity for: the guest gets a negative result, and the process
//! lives on.
#![cfg(target_os = "linux")]

mod support;

use std::sync::Arc;
use std::time::Instant;

use support::*;
use wasi_threads::{Outcome, SpawnError};
use wasmtime::Engine;

/// A guest that spawns threads that park, until one is refused or there are `most`. It logs how
/// many there are and the last result, and returns.
fn until_refused(most: u32) -> Vec<u8> {
    guest(&format!(
        r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)) (call $park))
           (func (export "_start") (local $n i32) (local $id i32)
             (loop $l
               (local.set $id (call $spawn (i32.const 0)))
               (if (i32.gt_s (local.get $id) (i32.const 0))
                 (then
                   (local.set $n (i32.add (local.get $n) (i32.const 1)))
                   (br_if $l (i32.lt_u (local.get $n) (i32.const {most}))))))
             ;; Those that were started do start.
             (call $await (i32.const 0) (local.get $n))
             (call $log (local.get $n))
             (call $log (local.get $id)))"#
    ))
}

/// How many threads there were, and why there was no other.
fn fill(most: u32) -> (i32, Option<SpawnError>) {
    let mut config = config();
    // Address space is scarce here.
    config.memory_reservation(0);
    config.memory_guard_size(0);
    config.memory_reservation_for_growth(0);
    let engine = Engine::new(&config).unwrap();
    let module = Door::Prepared.module(&engine, &until_refused(most));
    let before = host_threads();
    let log = Arc::<Log>::default();
    let group = builder(&engine, &module, &log).build().unwrap();
    let start = Instant::now();
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    let values = log.values.lock().unwrap().clone();
    let failures = group.spawn_failures();
    eprintln!(
        "{} threads at once, made and ended in {:?}; then: {}",
        values[0],
        start.elapsed(),
        failures
            .last
            .as_ref()
            .map_or("that was all".to_owned(), ToString::to_string)
    );
    let refused = values[1] < 0;
    assert_eq!(refused, failures.count == 1);
    if refused {
        assert_eq!(values[1], -6);
    }
    drop(group);
    assert!(eventually(std::time::Duration::from_secs(20), || {
        host_threads() <= before
    }));
    (values[0], failures.last)
}

/// `ulimit -v`, several times in one process. It would have been aborted before.
#[test]
fn little_address_space_is_a_failed_spawn() {
    if left_out("the limit is on the memory of its own, too") {
        return;
    }
    if !in_a_process(
        "little_address_space_is_a_failed_spawn",
        "ulimit -v 1500000",
    ) {
        return;
    }
    let _dog = watchdog("little_address_space_is_a_failed_spawn", 120);
    for _ in 0..3 {
        let (threads, why) = fill(20_000);
        assert!(threads > 20, "{threads}");
        assert!(
            matches!(
                why,
                Some(
                    SpawnError::NoCapacity(_)
                        | SpawnError::HostThread(_)
                        | SpawnError::Instantiate(_)
                )
            ),
            "{why:?}"
        );
    }
}

/// More threads than Linux has mappings for, with its usual limit. The short form stays below the
/// limit.
#[test]
fn the_limit_of_mappings_is_a_failed_spawn() {
    if !in_a_process(
        "the_limit_of_mappings_is_a_failed_spawn",
        "ulimit -v unlimited",
    ) {
        return;
    }
    let _dog = watchdog("the_limit_of_mappings_is_a_failed_spawn", 300);
    if stress().is_none_or(|stress| stress <= 1) {
        let (threads, why) = fill(300);
        assert_eq!(threads, 300, "{why:?}");
        return;
    }
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    for _ in 0..2 {
        let (threads, why) = fill(12_000);
        match why {
            None => assert_eq!(threads, 12_000),
            Some(SpawnError::NoCapacity(why)) => {
                // Ten thousand fit into the default, 65,530.
                assert!(threads >= 10_000 || limit < 65_530, "{threads}: {why}");
            }
            other => panic!("{threads}: {other:?}"),
        }
    }
}
