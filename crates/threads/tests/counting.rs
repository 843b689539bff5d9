//! Groups of many threads: reports describe some and count the others.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::*;
use wasi_threads::{Outcome, Termination};

/// Of many threads some are described and the others counted, in a deadlock and in a report.
#[test]
fn many_threads_are_counted() {
    let _dog = watchdog("many_threads_are_counted", 120);
    let engine = engine();
    let body = |threads: usize| {
        guest(&format!(
            r#"(func (export "wasi_thread_start") (param i32 i32)
                 (call $signal (i32.const 0))
                 (call $park))
               (func (export "_start") (local $i i32)
                 (loop $l
                   (drop (call $spawn (i32.const 0)))
                   (br_if $l (i32.lt_u
                     (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                     (i32.const {threads}))))
                 (call $park))"#
        ))
    };
    let module = Door::Prepared.module(&engine, &body(102));
    let group = builder(&engine, &module, &Arc::default())
        .detect_deadlock(true)
        .build()
        .unwrap();
    let Outcome::Deadlocked(deadlock) = group.run("_start").unwrap() else {
        panic!("it is stuck");
    };
    assert_eq!(deadlock.threads.len(), 103);
    assert_eq!(deadlock.backtraces().count(), 100);
    let text = deadlock.to_string();
    let described = text.lines().filter(|line| line.starts_with("thread "));
    assert_eq!(described.count(), 100);
    assert!(text.starts_with("deadlock: 103 threads") && text.ends_with("\nand 3 more"));

    let module = Door::Prepared.module(&engine, &body(9));
    // Not every system and processor lets threads that compute be looked at.
    let ways = [false, true];
    for see in ways.into_iter().filter(|see| Termination::CAN_EXIT || !see) {
        let group = builder(&engine, &module, &Arc::default())
            .see_threads(see)
            .build()
            .unwrap();
        let memory = group.host_memory().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| group.run("_start").unwrap());
            let all_wait = || {
                let report = group.handle().report_of(0, Duration::from_secs(10));
                report.threads.is_empty() && report.others.waiting == 10
            };
            assert!(eventually(Duration::from_secs(60), all_wait), "{see}");
            assert_eq!(memory.load32(0).unwrap(), 9);
            let report = group.handle().report_of(4, Duration::from_secs(10));
            group.handle().cancel();
            let ids: Vec<_> = report.threads.iter().map(|one| one.thread.get()).collect();
            assert_eq!(ids, [0, 1, 2, 3], "{report}");
            assert!(report.threads.iter().all(|one| one.backtrace.is_some()));
            assert_eq!(report.others.count(), 6, "{report}");
            assert!(
                report
                    .to_string()
                    .contains("\nand 6: 0 run, 6 wait, 0 are in host calls")
            );
        });
    }
}
