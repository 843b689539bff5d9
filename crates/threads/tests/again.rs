//! Groups that are made again and again, threads that the host starts, and errors that say each
//! cause once.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::rewrite::{Points, RewriteOptions};
use wasi_threads::schedule::{Policy, Schedule, Scheduled, Stop, Turn};
use wasi_threads::{
    CallError, GroupError, GroupPre, Limits, Outcome, RunError, SpawnError, Termination,
    ThreadGroup, prepare, prepare_with,
};
use wasmtime::{Caller, Linker};

/// Each run of a program has a memory and data of its own.
#[test]
fn one_module_and_linker_make_many_groups() {
    let _dog = watchdog("one_module_and_linker_make_many_groups", 60);
    let engine = engine();
    let body = r#"
        (func (export "_start")
          (call $log (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
          (drop (call $spawn (i32.const 5)))
          (call $await (i32.const 4) (i32.const 1)))
        (func (export "wasi_thread_start") (param i32) (param i32)
          (call $log (local.get 1))
          (call $signal (i32.const 4)))"#;
    let module = prepare(&engine, &guest(body)).unwrap();
    let pre = GroupPre::new(&engine, &module, linker(&engine)).unwrap();
    let runs = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| {
                let pre = pre.clone();
                scope.spawn(move || {
                    let log = Arc::<Log>::default();
                    for _ in 0..5 {
                        let group = pre.builder().state(data_of(&log)).build().unwrap();
                        assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
                    }
                    log.values.lock().unwrap().clone()
                })
            })
            .collect();
        runs.into_iter()
            .map(|run| run.join().unwrap())
            .collect::<Vec<_>>()
    });
    for values in runs {
        assert_eq!(values, [0, 5].repeat(5));
    }
}

/// What is wrong with the module is found before there is a group, and the linker keeps what it
/// has.
#[test]
fn what_cannot_be_linked_is_refused_beforehand() {
    let (one, other) = (engine(), engine());
    let module = prepare(&one, &guest("")).unwrap();
    let refused = |result: Result<GroupPre<Data>, GroupError>| result.unwrap_err();
    let error = refused(GroupPre::new(&other, &module, linker(&other)));
    assert!(matches!(error, GroupError::OtherEngine), "{error}");
    let error = refused(GroupPre::new(&one, &module, Linker::new(&one)));
    let said = "the module cannot be linked: unknown import: `host::log` has not been defined";
    assert_eq!(error.to_string(), said);
    let own = wat::parse_str(
        r#"(module (import "wasi" "thread-spawn" (func (param i32) (result i32)))
             (memory (export "memory") 1))"#,
    );
    let own = prepare(&one, &own.unwrap()).unwrap();
    let error = refused(GroupPre::new(&one, &own, linker(&one)));
    assert!(matches!(error, GroupError::MemoryNotImported), "{error}");

    // A function of a preloaded module is no unknown one, and the first module has none before it.
    let library = wat::parse_str(
        r#"(module (func (export "twice") (param i32) (result i32)
        (i32.shl (local.get 0) (i32.const 1))))"#,
    );
    let library = prepare(&one, &library.unwrap()).unwrap();
    let user = wat::parse_str(
        r#"(module
        (import "library" "twice" (func $twice (param i32) (result i32)))
        (import "host" "log" (func $log (param i32)))
        (func (export "_start") (call $log (call $twice (i32.const 21)))))"#,
    );
    let user = prepare(&one, &user.unwrap()).unwrap();
    let error = refused(GroupPre::new(&one, &user, linker(&one)));
    assert!(error.to_string().contains("`library::twice`"), "{error}");
    let preloads = [("library", &library)];
    let pre = GroupPre::with_preloads(&one, &user, &preloads, linker(&one)).unwrap();
    let log = Arc::<Log>::default();
    let group = pre.builder().state(data_of(&log)).build().unwrap();
    assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
    assert_eq!(*log.values.lock().unwrap(), [42]);
    let wrong = [("user", &user), ("library", &library)];
    let error = refused(GroupPre::with_preloads(&one, &user, &wrong, linker(&one)));
    assert!(
        matches!(error, GroupError::PreloadCommand { .. }),
        "{error}"
    );
}

const POOL: &str = r#"
    (func (export "_initialize"))
    (func (export "sum") (result i32) (i32.atomic.load (i32.const 0)))
    (func (export "wait_for") (param i32) (call $await (i32.const 4) (local.get 0)))
    (func (export "wasi_thread_start") (param $id i32) (param $arg i32)
      (if (i32.eq (local.get $arg) (i32.const -1)) (then (unreachable)))
      (if (i32.eq (local.get $arg) (i32.const -2)) (then (call $park)))
      (if (i32.eq (local.get $arg) (i32.const -3))
        (then
          (i32.atomic.store (i32.const 132) (i32.const 1))
          (loop $l (br_if $l (i32.eqz (i32.atomic.load (i32.const 128)))))))
      (drop (i32.atomic.rmw.add (i32.const 0) (local.get $arg)))
      (call $signal (i32.const 4)))"#;

#[test]
fn the_host_starts_threads_of_a_reactor() {
    let _dog = watchdog("the_host_starts_threads_of_a_reactor", 60);
    let engine = engine();
    for door in DOORS {
        let module = door.module(&engine, &guest(POOL));
        let group = builder(&engine, &module, &Arc::default()).build().unwrap();
        // Its program has set nothing up.
        assert!(matches!(group.spawn(1), Err(SpawnError::NotRunning)));
        let reactor = group.into_reactor().unwrap();
        std::thread::scope(|scope| {
            for arg in 1..=4 {
                let group = reactor.group();
                scope.spawn(move || assert!(group.spawn(arg).unwrap().get() > 0));
            }
        });
        reactor.call::<_, ()>("wait_for", (4,)).unwrap();
        assert_eq!(reactor.call::<_, i32>("sum", ()).unwrap(), 10);
        assert_eq!(reactor.group().thread_counts().started, 4);
        // It is the group's as any other: its trap is the outcome.
        let trapped = reactor.group().spawn(-1).unwrap();
        let ended = eventually(
            Duration::from_secs(30),
            || matches!(reactor.handle().outcome(), Some(Outcome::Trapped { thread, .. }) if thread == trapped),
        );
        assert!(ended, "{:?}", reactor.handle().outcome());
        assert!(matches!(reactor.group().spawn(1), Err(SpawnError::Ended)));
    }
}

/// The end reaches a thread that the host has started, whatever it does; limits hold, and a failure
/// is the caller's alone.
#[test]
fn threads_of_the_host_count_and_end() {
    let _dog = watchdog("threads_of_the_host_count_and_end", 60);
    let engine = engine();
    let module = prepare(&engine, &guest(POOL)).unwrap();
    let limits = Limits::new().threads(2).spawn_wait(Duration::ZERO);
    let group = builder(&engine, &module, &Arc::default())
        .limits(limits)
        .build()
        .unwrap();
    let reactor = group.into_reactor().unwrap();
    let started = [-2, -2].map(|arg| reactor.group().spawn(arg).unwrap());
    assert_ne!(started[0], started[1]);
    assert!(matches!(
        reactor.group().spawn(-2),
        Err(SpawnError::Limit(2))
    ));
    assert_eq!(reactor.group().spawn_failures().count, 0);
    assert!(matches!(reactor.finish(), Outcome::Cancelled));
    assert!(reactor.group().left_behind().is_empty());
    assert!(matches!(reactor.group().spawn(1), Err(SpawnError::Ended)));
}

/// What computes for ever is not ended where only host calls end a thread: `finish` gives it its
/// grace, once, and returns without it.
#[test]
fn a_reactor_that_computes_for_ever_is_finished_without_its_thread() {
    let _dog = watchdog("a_reactor_that_computes_for_ever", 60);
    let engine = engine();
    let module = prepare(&engine, &guest(POOL)).unwrap();
    let group = builder(&engine, &module, &Arc::default())
        .termination(Termination::AtHostCalls)
        .grace(Duration::from_millis(50))
        .build()
        .unwrap();
    let reactor = group.into_reactor().unwrap();
    let computing = reactor.group().spawn(-3).unwrap();
    let memory = reactor.group().host_memory().unwrap();
    let began = || memory.load32(132).unwrap() == 1;
    assert!(eventually(Duration::from_secs(30), began));
    assert!(matches!(reactor.finish(), Outcome::Cancelled));
    let left = reactor.group().left_behind();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].computing && left[0].thread == computing);
    // A second time waits no longer, and neither does the drop.
    let again = Instant::now();
    reactor.finish();
    drop(reactor);
    assert!(again.elapsed() < Duration::from_secs(10));
    // It would compute on beside the other tests.
    memory.store32(128, 1).unwrap();
}

/// A host function starts one, while the program runs.
#[test]
fn a_host_function_starts_a_thread() {
    let _dog = watchdog("a_host_function_starts_a_thread", 60);
    struct Mine(
        std::sync::OnceLock<std::sync::Weak<ThreadGroup<Arc<Mine>>>>,
        AtomicUsize,
    );
    let engine = engine();
    let bytes = wat::parse_str(
        r#"(module
             (import "env" "memory" (memory 1 1 shared))
             (import "host" "start" (func $start (param i32)))
             (import "host" "done" (func $done (param i32)))
             (export "memory" (memory 0))
             (func (export "wasi_thread_start") (param i32 i32)
               (call $done (local.get 1))
               (i32.atomic.store (i32.const 0) (i32.const 1))
               (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
             (func (export "_start")
               (call $start (i32.const 9))
               (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"#,
    );
    let module = prepare(&engine, &bytes.unwrap()).unwrap();
    let mut linker = Linker::<Arc<Mine>>::new(&engine);
    let start = |caller: Caller<'_, Arc<Mine>>, arg: i32| -> wasmtime::Result<()> {
        let group = caller.data().0.get().and_then(std::sync::Weak::upgrade);
        group.expect("it runs").spawn(arg)?;
        Ok(())
    };
    linker.func_wrap("host", "start", start).unwrap();
    let done = |caller: Caller<'_, Arc<Mine>>, arg: i32| {
        caller.data().1.store(arg as usize, Ordering::SeqCst);
    };
    linker.func_wrap("host", "done", done).unwrap();
    let mine = Arc::new(Mine(std::sync::OnceLock::new(), AtomicUsize::new(0)));
    let data = Arc::clone(&mine);
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(move |_| Arc::clone(&data))
        .build();
    let group = Arc::new(group.unwrap());
    mine.0.set(Arc::downgrade(&group)).unwrap();
    assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
    assert_eq!(mine.1.load(Ordering::SeqCst), 9);
}

/// No policy could say when a thread of the host's runs.
#[test]
fn a_group_with_a_schedule_takes_no_threads_of_the_host() {
    struct First;
    impl Policy for First {
        fn next(&mut self, stop: &Stop<'_>) -> Turn {
            Turn {
                thread: stop.runnable[0],
                budget: 100,
            }
        }
    }
    let engine = engine();
    let mut options = RewriteOptions::default();
    options.points = Some(Points::Atomics);
    let module = prepare_with(&engine, &guest(POOL), &options).unwrap();
    let group = builder(&engine, &module, &Arc::default())
        .schedule(Schedule::Policy(Scheduled::new(First)))
        .build()
        .unwrap();
    assert!(matches!(group.spawn(1), Err(SpawnError::Scheduled)));
}

/// Text and sources of an error, as reporters print them, have each cause once.
#[test]
fn errors_say_each_cause_once() {
    let engine = engine();
    let module = prepare(&engine, &guest(POOL)).unwrap();
    let none = || Linker::<()>::new(&engine);
    let link: Box<dyn std::error::Error> = Box::new(
        ThreadGroup::builder(&engine, &module, none())
            .state(|_| ())
            .build()
            .unwrap_err(),
    );
    let store = builder(&engine, &module, &Arc::default())
        .try_state(|_| Err(wasmtime::Error::msg("no data").context("made of nothing")))
        .build()
        .unwrap_err();
    let group = builder(&engine, &module, &Arc::default())
        .limits(Limits::new().instances(0))
        .build()
        .unwrap();
    let instance = group.start().unwrap_err();
    assert!(matches!(instance, RunError::Instantiate(_)), "{instance}");
    let reactor = builder(&engine, &module, &Arc::default()).build().unwrap();
    let reactor = reactor.into_reactor().unwrap();
    let export = reactor.call::<(), ()>("sum", ()).unwrap_err();
    let words = export.to_string();
    assert!(matches!(export, CallError::ExportType { .. }), "{words}");
    assert!(words.contains("`sum` is a function of type"), "{words}");
    let compile = prepare(&engine, b"\0asm\x01\0\0\0\x01\x01").unwrap_err();
    let errors: [Box<dyn std::error::Error>; 4] =
        [link, Box::new(store), Box::new(instance), Box::new(compile)];
    for error in errors {
        let mut said = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            said.push(error.to_string());
            cause = error.source();
        }
        for (at, words) in said.iter().enumerate() {
            let before = said[..at].join(": ");
            assert!(!before.contains(words.as_str()), "{said:?}");
        }
        // A caller that prints the text alone has the cause all the same, unless there is a source.
        assert!(said.len() > 1 || said[0].contains(": "), "{said:?}");
    }
}
