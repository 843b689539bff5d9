//! A memory budget bounds everything that a group has, and gets back everything that was taken.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::*;
use wasi_threads::{GroupError, Limits, MemoryBudget, Outcome, RunError, ThreadGroup};

/// What is left, and the least that was ever left.
struct Budget {
    left: AtomicU64,
    least: AtomicU64,
}

impl Budget {
    fn of(bytes: u64) -> Arc<Self> {
        Arc::new(Budget {
            left: AtomicU64::new(bytes),
            least: AtomicU64::new(bytes),
        })
    }
}

impl MemoryBudget for Budget {
    fn take(&self, bytes: u64) -> bool {
        let took = self
            .left
            .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(bytes)
            });
        if let Ok(before) = took {
            self.least.fetch_min(before - bytes, Ordering::SeqCst);
        }
        took.is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.left.fetch_add(bytes, Ordering::SeqCst);
    }

    fn left(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }
}

const MIB: u64 = 1 << 20;

/// The size of a host stack in these tests.
const STACK: usize = 1 << 20;

fn group(
    text: &str,
    budget: &Arc<Budget>,
    limits: Limits,
) -> Result<ThreadGroup<Data>, GroupError> {
    let mut config = config();
    config.max_wasm_stack(512 << 10);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let module = Door::Prepared.module(&engine, &wat::parse_str(text).unwrap());
    builder(&engine, &module, &Arc::default())
        .limits(limits.host_stack(STACK))
        .memory_budget(Arc::clone(budget) as _)
        .build()
}

fn run(text: &str, budget: &Arc<Budget>, limits: Limits) -> Outcome {
    group(text, budget, limits).unwrap().run("_start").unwrap()
}

/// Exits with the number of growths that were allowed.
fn grows(items: &str, grow: &str) -> String {
    format!(
        r#"(module (import "host" "exit" (func $exit (param i32))) {items}
             (func (export "_start") (local $n i32)
               (block $full
                 (loop $l
                   {grow}
                   (local.set $n (i32.add (local.get $n) (i32.const 1)))
                   (br_if $l (i32.lt_u (local.get $n) (i32.const 100000)))))
               (call $exit (local.get $n))))"#
    )
}

#[test]
fn all_tables_together_are_within_it() {
    let _dog = watchdog("all_tables_together_are_within_it", 60);
    let tables: String = (0..90)
        .map(|n| format!("(table $t{n} 0 funcref)"))
        .collect();
    let grow: String = (0..90)
        .map(|n| {
            format!(
                "(br_if $full (i32.lt_s (table.grow $t{n} (ref.null func) (i32.const 1024)) (i32.const 0)))"
            )
        })
        .collect();
    let budget = Budget::of(STACK as u64 + 8 * MIB);
    let outcome = run(&grows(&tables, &grow), &budget, Limits::new());
    // Each iteration takes 90 times 8 KiB.
    assert!(matches!(outcome, Outcome::Exited(11)), "{outcome:?}");
    assert_eq!(budget.left(), STACK as u64 + 8 * MIB);
    assert!(budget.least.load(Ordering::SeqCst) < 8192);
}

#[test]
fn memories_are_within_it_and_a_refused_growth_takes_nothing() {
    let _dog = watchdog("memories_are_within_it", 60);
    let items = "(memory $a 1) (memory $b 1 3)";
    let grow = "(drop (memory.grow $b (i32.const 1)))
                (br_if $full (i32.lt_s (memory.grow $a (i32.const 1)) (i32.const 0)))";
    let budget = Budget::of(STACK as u64 + MIB);
    // 16 pages in all. Two are there from the start, and `b`, which grows first, has at most 3, so
    // it gets 2.
    let outcome = run(&grows(items, grow), &budget, Limits::new());
    assert!(matches!(outcome, Outcome::Exited(12)), "{outcome:?}");
    assert_eq!(budget.left(), STACK as u64 + MIB);
    assert_eq!(budget.least.load(Ordering::SeqCst), 0);
    let outcome = run(
        &grows(items, grow),
        &budget,
        Limits::new().trap_on_grow_failure(true),
    );
    assert!(matches!(outcome, Outcome::Trapped { .. }), "{outcome:?}");
    assert_eq!(budget.left(), STACK as u64 + MIB);
    // A module that does not fit at all.
    let large = r#"(module (memory 40) (func (export "_start")))"#;
    let group = group(large, &budget, Limits::new()).unwrap();
    assert!(group.run("_start").is_err());
    drop(group);
    assert_eq!(budget.left(), STACK as u64 + MIB);
}

#[test]
fn stacks_of_threads_are_within_it() {
    let _dog = watchdog("stacks_of_threads_are_within_it", 60);
    let text = format!(
        r#"(module {PRELUDE}
             (func (export "wasi_thread_start") (param i32 i32) (call $park))
             (func (export "_start") (local $n i32)
               (block $full
                 (loop $l
                   (br_if $full (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)))
                   (local.set $n (i32.add (local.get $n) (i32.const 1)))
                   (br $l)))
               (call $exit (local.get $n))))"#
    );
    // The main thread's and eight more; the shared memory has a page.
    let bytes = 9 * STACK as u64 + MIB / 2;
    let budget = Budget::of(bytes);
    let group = group(&text, &budget, Limits::new()).unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Exited(8)), "{outcome:?}");
    drop(group);
    assert!(
        eventually(Duration::from_secs(10), || budget.left() == bytes),
        "{} of {bytes}",
        budget.left()
    );
}

#[test]
fn a_shared_memory_grows_to_what_is_left() {
    let _dog = watchdog("a_shared_memory_grows_to_what_is_left", 60);
    // The memory that every Rust program declares.
    let items = r#"(import "env" "memory" (memory $m 17 16384 shared)) (export "memory" (memory 0)) (table $t 0 funcref)"#;
    let bytes = STACK as u64 + 4 * MIB;
    let budget = Budget::of(bytes);
    let grow = "(br_if $full (i32.lt_s (memory.grow (i32.const 1)) (i32.const 0)))";
    let outcome = run(&grows(items, grow), &budget, Limits::new());
    // 4 MiB and a stack are 80 pages, of which 17 are there from the start. (The main thread's
    // stack is taken later.)
    assert!(matches!(outcome, Outcome::Exited(63)), "{outcome:?}");
    assert_eq!(budget.left(), bytes);
    // Its growth is not left for others.
    let grow = "(drop (memory.grow (i32.const 47)))
                (br_if $full (i32.lt_s (table.grow $t (ref.null func) (i32.const 8192)) (i32.const 0)))";
    let outcome = run(&grows(items, grow), &budget, Limits::new());
    assert!(matches!(outcome, Outcome::Exited(0)), "{outcome:?}");
    assert_eq!(budget.left(), bytes);
    // Its initial size has to fit.
    let refused = group(&grows(items, ""), &Budget::of(MIB), Limits::new());
    let refused = refused.err();
    assert!(
        matches!(
            refused,
            Some(GroupError::BudgetExceeded { needed }) if needed == 17 << 16
        ),
        "{refused:?}"
    );
}

#[test]
fn a_collected_heap_is_within_it() {
    let _dog = watchdog("a_collected_heap_is_within_it", 60);
    let text = r#"(module (import "host" "exit" (func $exit (param i32)))
        (type $bytes (array (mut i8)))
        (func (export "_start")
          (drop (array.len (array.new_default $bytes (i32.const 20000000))))
          (call $exit (i32.const 3))))"#;
    let mut config = config();
    config
        .max_wasm_stack(512 << 10)
        .wasm_function_references(true)
        .wasm_gc(true);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let module = Door::Prepared.module(&engine, &wat::parse_str(text).unwrap());
    for (mib, fits) in [(64, true), (4, false)] {
        let budget = Budget::of(STACK as u64 + mib * MIB);
        let outcome = builder(&engine, &module, &Arc::default())
            .limits(Limits::new().host_stack(STACK))
            .memory_budget(Arc::clone(&budget) as _)
            .build()
            .unwrap()
            .run("_start")
            .unwrap();
        assert_eq!(matches!(outcome, Outcome::Exited(3)), fits, "{outcome:?}");
        assert_eq!(budget.left(), STACK as u64 + mib * MIB);
    }
}

/// Their sizes in bytes are near the end of the address space, or beyond 64 bits.
#[test]
fn a_table_beyond_the_address_space_is_an_error() {
    let _dog = watchdog("a_table_beyond_the_address_space", 60);
    let mut config = config();
    config.max_wasm_stack(512 << 10).wasm_memory64(true);
    let engine = wasmtime::Engine::new(&config).unwrap();
    for elements in [1 << 44, 1 << 60, (1 << 61) - 1, 1 << 61, u64::MAX] {
        let of_this_size = format!(
            r#"(module (table i64 {elements} funcref) (func (export "_start") unreachable))"#
        );
        // A table that can have this size, and does not get it.
        let to_this_size = format!(
            r#"(module (import "host" "exit" (func $exit (param i32))) (table $t i64 0 funcref)
                 (func (export "_start")
                   (call $exit (i32.wrap_i64
                     (table.grow $t (ref.null func) (i64.const {}))))))"#,
            elements as i64
        );
        for (text, grows) in [(of_this_size, false), (to_this_size, true)] {
            let module = Door::Prepared.module(&engine, &wat::parse_str(&text).unwrap());
            for limited in [false, true] {
                let budget = Budget::of(STACK as u64 + MIB);
                let mut group = builder(&engine, &module, &Arc::default())
                    .limits(Limits::new().host_stack(STACK));
                if limited {
                    group = group.memory_budget(Arc::clone(&budget) as _);
                }
                let ended = group.build().unwrap().run("_start");
                assert!(
                    match &ended {
                        Ok(Outcome::Exited(-1)) => grows,
                        // What Wasmtime says if the system has no room for what the limits allow.
                        Ok(Outcome::Trapped { trap: None, .. }) => grows && !limited,
                        Err(RunError::Instantiate(_)) => !grows,
                        _ => false,
                    },
                    "{elements} limited={limited}: {ended:?}"
                );
                assert_eq!(budget.left(), STACK as u64 + MIB);
            }
        }
    }
}
