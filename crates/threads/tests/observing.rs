//! What an observer is told, calls with values, the store of a thread that trapped.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::waits::Width;
use wasi_threads::{
    CallError, FailedSpawn, Limits, Notify, NotifyId, Observer, Outcome, RunError, Spawn,
    SpawnError, ThreadId, Wait, WaitEnd, host_call,
};
use wasmtime::{Caller, Engine, Trap, Val, WasmCoreDump};

/// One call of an observer's method.
#[derive(Clone, Debug)]
enum Told {
    Spawned(u32, u32, Instant, Duration),
    SpawnFailed(u32, String),
    Began(u32),
    Ended(u32),
    WaitBegan(u32, u64, Width, Option<Duration>),
    WaitEnded(u32, u64, WaitEnd),
    Notified(Option<u32>, NotifyId, u64, Instant, u32, u32, Vec<u32>),
    CallBegan(u32, &'static str),
    CallEnded(u32, &'static str),
    Over(String),
}

#[derive(Default)]
struct Book(Mutex<Vec<Told>>);

impl Book {
    fn write(&self, told: Told) {
        self.0.lock().unwrap().push(told);
    }
    fn read(&self) -> Vec<Told> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Book {
    fn spawned(&self, spawn: &Spawn) {
        let ids = (spawn.thread.get(), spawn.parent.get());
        self.write(Told::Spawned(ids.0, ids.1, spawn.began, spawn.took));
    }
    fn spawn_failed(&self, failure: &FailedSpawn<'_>) {
        self.write(Told::SpawnFailed(
            failure.parent.get(),
            failure.error.to_string(),
        ));
    }
    fn thread_began(&self, thread: ThreadId) {
        self.write(Told::Began(thread.get()));
    }
    fn thread_ended(&self, thread: ThreadId) {
        self.write(Told::Ended(thread.get()));
    }
    fn wait_began(&self, wait: &Wait) {
        assert_eq!(wait.memory, Some(0));
        self.write(Told::WaitBegan(
            wait.thread.get(),
            wait.address,
            wait.width,
            wait.timeout,
        ));
    }
    fn wait_ended(&self, wait: &Wait, end: WaitEnd) {
        self.write(Told::WaitEnded(wait.thread.get(), wait.address, end));
    }
    fn notified(&self, notify: &Notify<'_>) {
        self.write(Told::Notified(
            notify.thread.map(ThreadId::get),
            notify.id,
            notify.address,
            notify.at,
            notify.count,
            notify.woken,
            notify.threads.iter().map(|thread| thread.get()).collect(),
        ));
    }
    fn host_call_began(&self, thread: ThreadId, name: &'static str) {
        self.write(Told::CallBegan(thread.get(), name));
    }
    fn host_call_ended(&self, thread: ThreadId, name: &'static str) {
        self.write(Told::CallEnded(thread.get(), name));
    }
    fn ended(&self, outcome: &Outcome) {
        self.write(Told::Over(format!("{outcome:?}")));
    }
}

/// Main spawns two threads, which wait for it; it wakes both at once, is woken by the last of them,
/// and finds the limit of threads ever.
const WAKING: &str = r#"
    (func (export "wasi_thread_start") (param i32 i32)
      (call $signal (i32.const 0))
      (call $await (i32.const 16) (i32.const 1))
      (call $signal (i32.const 32)))
    (func (export "_start")
      (drop (call $spawn (i32.const 0)))
      (drop (call $spawn (i32.const 0)))
      (call $await (i32.const 0) (i32.const 2))
      (call $sleep (i32.const 30))
      (call $signal (i32.const 16))
      (call $await (i32.const 32) (i32.const 2))
      (drop (memory.atomic.wait64 (i32.const 40) (i64.const 5) (i64.const -1)))
      (drop (memory.atomic.wait32 (i32.const 48) (i32.const 0) (i64.const 2000000)))
      (drop (call $spawn (i32.const 0))))"#;

#[test]
fn an_observer_sees_who_woke_whom() {
    let _dog = watchdog("an_observer_sees_who_woke_whom", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(WAKING));
    let book = Arc::<Book>::default();
    let group = builder(&engine, &module, &Arc::default())
        .limits(Limits::new().threads_ever(2))
        .observer(Arc::clone(&book) as Arc<dyn Observer>)
        .build()
        .unwrap();
    let start = Instant::now();
    assert!(matches!(group.run("_start").unwrap(), Outcome::Returned));
    let told = book.read();

    // Threads: two spawned by main, each with a life; a third was refused.
    let mut spawned: Vec<_> = told
        .iter()
        .filter_map(|one| match one {
            Told::Spawned(thread, parent, began, took) => {
                assert!(*began >= start && *took < start.elapsed());
                Some((*thread, *parent))
            }
            _ => None,
        })
        .collect();
    spawned.sort_unstable();
    assert_eq!(spawned, [(1, 0), (2, 0)]);
    for id in 0..3 {
        let begins: Vec<_> = told
            .iter()
            .filter(|one| matches!(one, Told::Began(of) | Told::Ended(of) if *of == id))
            .collect();
        assert!(
            matches!(begins[..], [Told::Began(_), Told::Ended(_)]),
            "{begins:?}"
        );
    }
    let limit = SpawnError::LimitEver(2).to_string();
    assert!(
        told.iter()
            .any(|one| matches!(one, Told::SpawnFailed(0, why) if *why == limit))
    );

    // Waits come in pairs, thread by thread, and each wake-up names a notify that lists the thread.
    let mut woken = 0;
    for id in 0..3 {
        let mut open = None;
        for one in &told {
            match one {
                Told::WaitBegan(thread, address, ..) if *thread == id => {
                    assert_eq!(open.replace(*address), None);
                }
                Told::WaitEnded(thread, address, end) if *thread == id => {
                    assert_eq!(open.take(), Some(*address));
                    let WaitEnd::Woken { by, notify } = end else {
                        continue;
                    };
                    woken += 1;
                    let found = told.iter().find_map(|one| match one {
                        Told::Notified(from, number, at, .., list) if Some(*number) == *notify => {
                            Some((*from, *at, list.contains(&id)))
                        }
                        _ => None,
                    });
                    assert_eq!(found, Some((by.map(ThreadId::get), *address, true)));
                }
                _ => {}
            }
        }
        assert_eq!(open, None);
    }
    let main_wakes = told.iter().find_map(|one| match one {
        Told::Notified(Some(0), _, 16, at, count, woken, list) => {
            assert!(*at > start);
            Some((*count, *woken, list.len()))
        }
        _ => None,
    });
    // Both waited by then, unless this machine was held up for long.
    let (count, both, listed) = main_wakes.expect("main's notify");
    assert_eq!((count, both as usize), (u32::MAX, listed));
    assert!(woken >= both as usize && both <= 2);

    // A wait for another value, and one that ran out of time.
    assert!(
        told.iter()
            .any(|one| matches!(one, Told::WaitBegan(0, 40, Width::W64, None)))
    );
    assert!(
        told.iter()
            .any(|one| matches!(one, Told::WaitEnded(0, 40, WaitEnd::NotEqual)))
    );
    let timeout = Some(Duration::from_millis(2));
    assert!(
        told.iter()
            .any(|one| matches!(one, Told::WaitBegan(0, 48, Width::W32, t) if *t == timeout))
    );
    assert!(
        told.iter()
            .any(|one| matches!(one, Told::WaitEnded(0, 48, WaitEnd::TimedOut)))
    );
    let over: Vec<_> = told
        .iter()
        .filter(|one| matches!(one, Told::Over(how) if how == "Returned"))
        .collect();
    assert_eq!(over.len(), 1);
}

#[test]
fn an_observer_sees_the_host_and_the_end() {
    let _dog = watchdog("an_observer_sees_the_host_and_the_end", 60);
    let engine = engine();
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "named" (func $named)) {PRELUDE}
             (func (export "_start")
               (call $named)
               (call $await (i32.const 0) (i32.const 1))
               (call $count)
               (call $park)))"#
    ))
    .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    let log = Arc::<Log>::default();
    let book = Arc::<Book>::default();
    let mut linker = linker(&engine);
    linker
        .func_wrap("host", "named", |_: Caller<'_, Data>| {
            let _outer = host_call("outer");
            let _inner = host_call("inner");
        })
        .unwrap();
    let group = wasi_threads::ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&log))
        .observer(Arc::clone(&book) as Arc<dyn Observer>)
        .build()
        .unwrap();
    let memory = group.host_memory().unwrap();
    let handle = group.handle();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| group.run("_start").unwrap());
        let waits = || {
            let told = book.read();
            told.iter()
                .any(|one| matches!(one, Told::WaitBegan(0, 0, ..)))
        };
        assert!(eventually(Duration::from_secs(30), waits));
        memory.store32(0, 1).unwrap();
        while memory.notify(0, 1).unwrap() == 0
            && log.count.load(std::sync::atomic::Ordering::SeqCst) == 0
        {
            std::thread::yield_now();
        }
        let parks = || {
            let told = book.read();
            told.iter()
                .any(|one| matches!(one, Told::WaitBegan(0, 64, ..)))
        };
        assert!(eventually(Duration::from_secs(30), parks));
        handle.cancel();
        assert!(matches!(run.join().unwrap(), Outcome::Cancelled));
    });
    let told = book.read();
    let calls: Vec<_> = told
        .iter()
        .filter_map(|one| match one {
            Told::CallBegan(0, name) => Some((*name, true)),
            Told::CallEnded(0, name) => Some((*name, false)),
            _ => None,
        })
        .collect();
    assert_eq!(
        calls,
        [
            ("outer", true),
            ("inner", true),
            ("inner", false),
            ("outer", false)
        ]
    );
    // Host code has no id, and the woken name its notify all the same.
    for one in &told {
        if let Told::WaitEnded(0, 0, WaitEnd::Woken { by, notify }) = one {
            assert_eq!(*by, None);
            assert!(
                told.iter().any(
                    |one| matches!(one, Told::Notified(None, id, 0, ..) if Some(*id) == *notify)
                )
            );
        }
    }
    assert!(
        told.iter()
            .any(|one| matches!(one, Told::WaitEnded(0, 64, WaitEnd::Ended)))
    );
    assert!(
        told.iter()
            .any(|one| matches!(one, Told::Over(how) if how == "Cancelled"))
    );
}

/// A panic of an observer is one of host code, wherever it happens.
#[test]
fn a_panicking_observer_ends_the_group() {
    let _dog = watchdog("a_panicking_observer_ends_the_group", 60);
    #[derive(Default)]
    struct Panics(&'static str);
    impl Panics {
        fn at(&self, place: &str) {
            if self.0 == place {
                panic!("the observer");
            }
        }
    }
    impl Observer for Panics {
        fn spawned(&self, _: &Spawn) {
            self.at("spawned");
        }
        fn thread_began(&self, _: ThreadId) {
            self.at("began");
        }
        fn thread_ended(&self, _: ThreadId) {
            self.at("ended");
        }
        fn wait_began(&self, _: &Wait) {
            self.at("wait began");
        }
        fn wait_ended(&self, _: &Wait, _: WaitEnd) {
            self.at("wait ended");
        }
        fn notified(&self, _: &Notify<'_>) {
            self.at("notified");
        }
        fn ended(&self, _: &Outcome) {
            self.at("over");
        }
    }
    let engine = engine();
    let returns = Door::Prepared.module(&engine, &guest(WAKING));
    // A panic takes long that is printed with its backtrace: main is there until the group ends.
    let stays = Door::Prepared.module(&engine, &guest(&WAKING.replace("2000000", "-1")));
    for place in [
        "spawned",
        "began",
        "ended",
        "wait began",
        "wait ended",
        "notified",
        "over",
    ] {
        let module = if place == "over" { &returns } else { &stays };
        let group = builder(&engine, module, &Arc::default())
            .observer(Arc::new(Panics(place)))
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        match place {
            "over" => assert!(matches!(outcome, Outcome::Returned), "{outcome:?}"),
            _ => assert!(
                matches!(&outcome, Outcome::Panicked { message, .. } if message == "the observer"),
                "{place}: {outcome:?}"
            ),
        }
    }
}

const VALUES: &str = r#"
    (func (export "_initialize") (i32.store (i32.const 8) (i32.const 40)))
    (func (export "many") (param i32 i64 f32 f64) (result i32 i64 f32 f64)
      (i32.add (local.get 0) (i32.load (i32.const 8)))
      (local.get 1) (local.get 2) (local.get 3))
    (func (export "exits") (call $exit (i32.const 9)))
    (func (export "spins") (param i32) (call $spin))
    (func (export "refers") (param externref))
    (func (export "twice") (result i32)
      (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
      (i32.load (i32.const 8)))
    (global (export "global") i32 (i32.const 0))"#;

#[test]
fn values_go_in_and_come_out() {
    let _dog = watchdog("values_go_in_and_come_out", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(VALUES));
    let group = |limits| {
        builder(&engine, &module, &Arc::default())
            .limits(limits)
            .build()
            .unwrap()
    };
    let plain = || group(Limits::new());
    let params = [
        Val::I32(2),
        Val::I64(-7),
        Val::F32(1.5_f32.to_bits()),
        Val::F64(2.5_f64.to_bits()),
    ];
    let check = |results: &[Val]| {
        assert!(
            matches!(results, [Val::I32(42), Val::I64(-7), Val::F32(a), Val::F64(b)]
                if *a == 1.5_f32.to_bits() && *b == 2.5_f64.to_bits()),
            "{results:?}"
        );
    };
    let (outcome, results) = plain().invoke("many", &params).unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    check(&results);

    let (outcome, results) = plain().invoke("exits", &[]).unwrap();
    assert!(matches!(outcome, Outcome::Exited(9)), "{outcome:?}");
    assert!(results.is_empty());
    let limits = Limits::new().timeout(Duration::from_millis(50));
    let (outcome, results) = group(limits).invoke("spins", &[Val::I32(0)]).unwrap();
    assert!(matches!(outcome, Outcome::TimedOut), "{outcome:?}");
    assert!(results.is_empty());
    let (outcome, results) = plain().invoke("_initialize", &[]).unwrap();
    assert!(matches!(outcome, Outcome::Returned) && results.is_empty());

    // What does not fit runs nothing, and the group can still run.
    let it = plain();
    let no = |name: &str, params: &[Val]| it.invoke(name, params).unwrap_err();
    assert!(matches!(no("none", &[]), RunError::NoExport(_)));
    assert!(matches!(no("global", &[]), RunError::ExportType { .. }));
    assert!(matches!(
        no("many", &params[1..]),
        RunError::Parameters { .. }
    ));
    assert!(matches!(
        no("spins", &[Val::I64(0)]),
        RunError::Parameters { .. }
    ));
    assert!(matches!(
        no("refers", &[Val::ExternRef(None)]),
        RunError::References { .. }
    ));
    check(&it.invoke("many", &params).unwrap().1);
    assert!(matches!(no("many", &params), RunError::AlreadyRan));

    let reactor = plain().into_reactor().unwrap();
    check(&reactor.invoke("many", &params).unwrap());
    assert!(matches!(
        reactor.invoke("spins", &[]),
        Err(CallError::Run(RunError::Parameters { .. }))
    ));
    for expected in [41, 42] {
        let results = reactor.invoke("twice", &[]).unwrap();
        assert!(
            matches!(results[..], [Val::I32(n)] if n == expected),
            "{results:?}"
        );
    }
    assert!(matches!(
        reactor.invoke("exits", &[]),
        Err(CallError::Ended(Outcome::Exited(9)))
    ));
}

/// With `coredump_on_trap`, the error of the outcome has the dump, and the hook has the store to
/// write it out.
#[test]
fn a_trap_leaves_a_core_dump() {
    let _dog = watchdog("a_trap_leaves_a_core_dump", 60);
    let mut config = config();
    config.coredump_on_trap(true);
    let engine = Engine::new(&config).unwrap();
    let body = r#"
        (global $g (export "g") (mut i32) (i32.const 1))
        (func (export "wasi_thread_start") (param i32 i32)
          (global.set $g (i32.const 7))
          (unreachable))
        (func (export "_start") (drop (call $spawn (i32.const 0))) (call $spin))
        (func (export "traps") (global.set $g (i32.const 7)) (unreachable))"#;
    let module = Door::Prepared.module(&engine, &guest(body));
    for reactor in [false, true] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&seen);
        let group = builder(&engine, &module, &Arc::default())
            .on_trap(move |thread, error, mut store| {
                assert_eq!(store.data().id, thread);
                let dump = error.downcast_ref::<WasmCoreDump>().expect("a core dump");
                let global = dump.globals()[0].get(&mut store).unwrap_i32();
                let bytes = dump.serialize(&mut store, "guest");
                hook.lock().unwrap().push((thread, global, bytes));
                panic!("a panic of the hook changes nothing");
            })
            .build()
            .unwrap();
        let outcome = if reactor {
            let reactor = group.into_reactor().unwrap();
            match reactor.invoke("traps", &[]) {
                Err(CallError::Ended(outcome)) => outcome,
                other => panic!("{other:?}"),
            }
        } else {
            group.run("_start").unwrap()
        };
        let Outcome::Trapped { trap, error, .. } = &outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(*trap, Some(Trap::UnreachableCodeReached));
        assert!(error.is::<WasmCoreDump>());
        assert!(outcome.backtrace().is_some());
        let seen = seen.lock().unwrap();
        let [(thread, global, bytes)] = &seen[..] else {
            panic!("{} calls", seen.len());
        };
        assert_eq!((thread.get(), *global), (u32::from(!reactor), 7));
        assert!(bytes.starts_with(b"\0asm"));
    }
}

/// A notify on a group's memory by a thread of another group is host code's, whatever the thread's
/// id there.
#[test]
fn a_thread_of_another_group_is_host_code() {
    #[derive(Default)]
    struct Sees(Mutex<Vec<Option<ThreadId>>>);
    impl Observer for Sees {
        fn notified(&self, notify: &Notify<'_>) {
            self.0.lock().unwrap().push(notify.thread);
        }
    }
    let _dog = watchdog("a_thread_of_another_group_is_host_code", 60);
    let engine = engine();
    let sees = Arc::new(Sees::default());
    let observer: Arc<dyn Observer> = sees.clone();
    let body = r#"(func (export "_start") (call $signal (i32.const 0)))"#;
    let watched = builder(
        &engine,
        &Door::Prepared.module(&engine, &guest(body)),
        &Arc::default(),
    )
    .observer(observer)
    .build()
    .unwrap();
    let memory = watched.host_memory().unwrap();
    let mut linker = linker(&engine);
    linker
        .func_wrap("host", "poke", move || {
            memory.notify(8, 1).unwrap();
        })
        .unwrap();
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "poke" (func $poke)) {PRELUDE} (func (export "_start") (call $poke)))"#
    ))
    .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    let other = wasi_threads::ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&Arc::default()))
        .build()
        .unwrap();
    assert!(matches!(other.run("_start"), Ok(Outcome::Returned)));
    assert!(matches!(watched.run("_start"), Ok(Outcome::Returned)));
    assert_eq!(*sees.0.lock().unwrap(), [None, Some(ThreadId::MAIN)]);
}
