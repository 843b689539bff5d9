//! Many groups in one process at a time.
#![cfg(target_os = "linux")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::*;
use wasi_threads::{Limits, Outcome};

/// A guest with four threads, one of them main, that take turns to add 1 to a word, 1,000 times
/// each. Main logs the sum.
fn adds() -> Vec<u8> {
    guest(
        r#"(func $lock
             (block $got (loop $again
               (br_if $got (i32.eqz (i32.atomic.rmw.cmpxchg (i32.const 16) (i32.const 0) (i32.const 1))))
               (drop (memory.atomic.wait32 (i32.const 16) (i32.const 1) (i64.const -1)))
               (br $again))))
           (func $unlock
             (i32.atomic.store (i32.const 16) (i32.const 0))
             (drop (memory.atomic.notify (i32.const 16) (i32.const 1))))
           (func $add (local $i i32)
             (loop $l
               (call $lock)
               (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const 1)))
               (call $unlock)
               (br_if $l (i32.lt_u
                 (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))
           (func (export "wasi_thread_start") (param i32 i32) (call $add) (call $signal (i32.const 0)))
           (func (export "_start") (local $i i32)
             (loop $l
               (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
               (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
             (call $add)
             (call $await (i32.const 0) (i32.const 3))
             (call $log (i32.load (i32.const 32))))"#,
    )
}

/// A guest that asks for threads, memory and time without end, and asks again when it is refused.
fn takes_all() -> Vec<u8> {
    guest(
        r#"(func $take
             (loop $l
               (drop (memory.grow (i32.const 1)))
               (drop (call $spawn (i32.const 0)))
               (drop (memory.atomic.notify (i32.const 16) (i32.const -1)))
               (br $l)))
           (func (export "wasi_thread_start") (param i32 i32) (call $take))
           (func (export "_start") (call $take))"#,
    )
}

#[test]
fn one_at_its_limits_harms_no_other() {
    let _dog = watchdog("one_at_its_limits_harms_no_other", 600);
    let engine = engine();
    let adding = Door::Prepared.module(&engine, &adds());
    let taking = Door::Prepared.module(&engine, &takes_all());
    let before = host_threads();
    let groups = less(100, 30);
    std::thread::scope(|scope| {
        let log = Arc::<Log>::default();
        let limits = Limits::new()
            .threads(20)
            .spawn_wait(Duration::ZERO)
            .timeout(Duration::from_secs(600));
        let group = builder(&engine, &taking, &log).limits(limits).build();
        let greedy = group.unwrap();
        let handle = CancelOnDrop(greedy.handle());
        let taken = scope.spawn(move || {
            let outcome = greedy.run("_start").unwrap();
            (outcome, greedy.spawn_failures().count)
        });
        let others: Vec<_> = (0..groups - 1)
            .map(|number| {
                let (engine, adding) = (&engine, &adding);
                scope.spawn(move || {
                    let log = Arc::<Log>::default();
                    let group = builder(engine, adding, &log).build().unwrap();
                    let outcome = group.run("_start").unwrap();
                    assert!(
                        matches!(outcome, Outcome::Returned),
                        "{number}: {outcome:?}"
                    );
                    assert_eq!(*log.values.lock().unwrap(), [4000], "{number}");
                })
            })
            .collect();
        for other in others {
            other.join().unwrap();
        }
        assert!(handle.0.cancel(), "the greedy group has ended by itself");
        let (outcome, refused) = taken.join().unwrap();
        assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
        assert!(refused > 0, "nothing was refused");
    });
    assert!(eventually(Duration::from_secs(5), || host_threads() <= before));
}
