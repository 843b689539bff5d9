//! Features for embedders. Stores: data that may fail, stores that the embedder sets up, memory and
//! handle in the data. Groups: a lower maximum than a module declares, exported globals, calls from
//! async code, names of host threads, a forgotten hook.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use support::{builder, config, engine, guest, linker, watchdog};
use wasi_threads::memory::WordError;
use wasi_threads::{
    CallError, GroupError, Limits, Outcome, SpawnError, Termination, ThreadGroup, ThreadInfo,
    prepare,
};
use wasmtime::{Caller, Engine, Error, Linker, StoreLimits, StoreLimitsBuilder, Val};

/// Drives a future on the calling thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn bytes_are_read_and_written_within_the_memory_only() {
    let engine = engine();
    let body = r#"(func (export "_start")
        (i32.store8 (i32.const 100) (i32.load8_u (i32.const 99))))"#;
    let module = prepare(&engine, &guest(body)).unwrap();
    let group = builder(&engine, &module, &Arc::default()).build().unwrap();
    let memory = group.host_memory().unwrap();
    memory.write(97, b"abc").unwrap();
    assert!(matches!(group.run("_start").unwrap(), Outcome::Returned));
    let mut read = [0; 4];
    memory.read(97, &mut read).unwrap();
    assert_eq!(read, *b"abcc");
    assert_eq!(memory.read_vec(98, 2).unwrap(), b"bc");
    assert_eq!(memory.bytes(97, 4).unwrap().len(), 4);
    let end = memory.memory().data_size() as u64;
    assert_eq!(memory.read_vec(end, 0).unwrap(), b"");
    memory.write(end - 1, b"x").unwrap();
    let out = Err(WordError::OutOfBounds);
    assert_eq!(memory.write(end - 1, b"yz"), out);
    assert_eq!(memory.read_vec(end - 1, 1).unwrap(), b"x");
    assert_eq!(memory.read(u64::MAX, &mut read), out);
    assert_eq!(read, *b"abcc");
    // An invalid length from a guest allocates nothing.
    assert!(memory.read_vec(0, usize::MAX).is_err());
    assert!(memory.read_vec(u64::MAX, usize::MAX).is_err());
}

#[test]
fn a_memory_that_declares_too_much_is_made_smaller_if_that_is_asked_for() {
    let _dog = watchdog("clamp", 60);
    let engine = engine();
    // It declares 64 pages, and asks for two more than it has, then for three.
    let body = r#"(func (export "_start")
        (call $log (memory.grow (i32.const 2)))
        (call $log (memory.grow (i32.const 1))))"#;
    let module = prepare(&engine, &guest(body)).unwrap();
    let limits = Limits::new().shared_memory(3 << 16);
    let build =
        |limits: Limits, log: &Arc<_>| builder(&engine, &module, log).limits(limits).build();
    let refused = build(limits.clone(), &Arc::default()).unwrap_err();
    assert!(matches!(refused, GroupError::SharedMemoryTooLarge { .. }));
    let log = Arc::default();
    let group = build(limits.clamp_shared_memory(true), &log).unwrap();
    assert_eq!(group.memory().unwrap().ty().maximum(), Some(3));
    assert!(matches!(group.run("_start").unwrap(), Outcome::Returned));
    assert_eq!(*log.values.lock().unwrap(), [1, -1]);
    // The initial size must fit, and a memory that declares less is unchanged.
    let none = Limits::new().shared_memory(65535).clamp_shared_memory(true);
    let refused = build(none, &Arc::default()).unwrap_err();
    assert!(matches!(refused, GroupError::SharedMemoryTooLarge { .. }));
    let much = Limits::new()
        .shared_memory(1 << 30)
        .clamp_shared_memory(true);
    let group = build(much, &Arc::default()).unwrap();
    assert_eq!(group.memory().unwrap().ty().maximum(), Some(64));
}

const SPAWNS_ONE: &str = r#"
    (func (export "_start") (call $log (call $spawn (i32.const 0))))
    (func (export "wasi_thread_start") (param i32 i32))"#;

/// For the main thread the builder fails; for another its spawn fails.
#[test]
fn data_that_cannot_be_made_is_a_failure_with_its_words() {
    let _dog = watchdog("try_state", 60);
    let engine = engine();
    let module = prepare(&engine, &guest(SPAWNS_ONE)).unwrap();
    let of = |most: usize, log: &Arc<support::Log>| {
        let (made, data) = (AtomicUsize::new(0), support::data_of(log));
        builder(&engine, &module, log)
            .try_state(move |thread| match made.fetch_add(1, Ordering::SeqCst) {
                made if made < most => Ok(data(thread)),
                _ => Err(Error::msg("no more data")),
            })
            .build()
    };
    let error = of(0, &Arc::default()).unwrap_err();
    assert!(matches!(error, GroupError::Store(_)), "{error:?}");
    assert!(error.to_string().ends_with(": no more data"), "{error}");
    let log = Arc::default();
    let group = of(1, &log).unwrap();
    assert!(matches!(group.run("_start").unwrap(), Outcome::Returned));
    assert_eq!(*log.values.lock().unwrap(), [-6]);
    let failures = group.spawn_failures();
    let last = failures.last.unwrap();
    assert!(matches!(&last, SpawnError::Instantiate(words) if words == "no more data"));
}

/// A limiter and fuel of the embedder's own, in every thread; and the end still reaches the
/// threads.
#[test]
fn a_store_is_set_up_as_the_embedder_wants_it() {
    let _dog = watchdog("store", 60);
    let engine = Engine::new(config().consume_fuel(true)).unwrap();
    let body = r#"
        (table $t 1 funcref)
        (func $grow (result i32) (table.grow $t (ref.null func) (i32.const 8)))
        (func (export "_start")
          (call $log (call $grow))
          (drop (call $spawn (i32.const 0)))
          (call $await (i32.const 0) (i32.const 1))
          (call $spin))
        (func (export "wasi_thread_start") (param i32 i32)
          (call $log (call $grow))
          (call $signal (i32.const 0)))"#;
    let module = prepare(&engine, &guest(body)).unwrap();
    struct Mine {
        inner: support::Data,
        limits: StoreLimits,
    }
    let log = Arc::<support::Log>::default();
    let mut linker = Linker::<Mine>::new(&engine);
    linker
        .func_wrap("host", "log", |caller: Caller<'_, Mine>, value: i32| {
            let log = &caller.data().inner.log;
            log.values.lock().unwrap().push(value);
        })
        .unwrap();
    for import in module.module().imports() {
        if import.module() == "host" && import.name() != "log" {
            let ty = import.ty().unwrap_func().clone();
            let unused = |_: Caller<'_, Mine>, _: &[Val], _: &mut [Val]| Ok(());
            linker.func_new("host", import.name(), ty, unused).unwrap();
        }
    }
    let data = support::data_of(&log);
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(move |thread| Mine {
            inner: data(thread),
            limits: StoreLimitsBuilder::new().table_elements(4).build(),
        })
        .store(|thread, store| {
            store.limiter(|data| &mut data.limits);
            if thread.id().get() == 0 {
                store.set_fuel(1_000_000)?;
            }
            Ok(())
        })
        .build()
        .unwrap();
    // The spinning main thread runs out of its own fuel, and of no other.
    let outcome = group.run("_start").unwrap();
    let trap = match &outcome {
        Outcome::Trapped { trap, .. } => *trap,
        _ => None,
    };
    assert_eq!(trap, Some(wasmtime::Trap::OutOfFuel), "{outcome}");
    assert_eq!(*log.values.lock().unwrap(), [-1, -1]);
}

/// A host function reads and notifies the memory, and ends the group, using only its store's data.
#[test]
fn the_data_has_the_memory_and_a_handle() {
    let _dog = watchdog("the_data_has_the_memory_and_a_handle", 60);
    let engine = engine();
    let text = r#"(module
        (import "env" "memory" (memory 1 1 shared))
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (import "own" "wake" (func $wake (param i32)))
        (import "own" "cancel" (func $cancel))
        (export "memory" (memory 0))
        (func (export "_start")
          (drop (call $spawn (i32.const 0)))
          (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))
          (call $cancel)
          (loop $l (br $l)))
        (func (export "wasi_thread_start") (param i32 i32)
          (call $wake (i32.const 8))
          (loop $l (br $l))))"#;
    let module = prepare(&engine, &wat::parse_str(text).unwrap()).unwrap();
    let mut linker = Linker::<ThreadInfo>::new(&engine);
    linker
        .func_wrap("own", "wake", |caller: Caller<'_, ThreadInfo>, at: i32| {
            let memory = caller.data().host_memory().unwrap();
            memory.store32(at as u64, 1).unwrap();
            memory.notify(at as u64, 1).unwrap();
        })
        .unwrap();
    linker
        .func_wrap("own", "cancel", |caller: Caller<'_, ThreadInfo>| {
            assert!(caller.data().handle().cancel());
            assert!(caller.data().token().is_ended());
        })
        .unwrap();
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(ThreadInfo::clone)
        .build()
        .unwrap();
    assert!(matches!(group.run("_start").unwrap(), Outcome::Cancelled));
}

const LIBRARY: &str = r#"
    (global $calls (export "calls") (mut i32) (i32.const 0))
    (global (export "fixed") i64 (i64.const 7))
    (global (export "reference") (mut funcref) (ref.null func))
    (func (export "add") (param i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.add (local.get 0) (local.get 1)))
    (func (export "park") (call $park))"#;

#[test]
fn a_reactor_has_globals_and_its_data() {
    let _dog = watchdog("a_reactor_has_globals_and_its_data", 60);
    let engine = engine();
    let module = prepare(&engine, &guest(LIBRARY)).unwrap();
    let group = builder(&engine, &module, &Arc::default()).build().unwrap();
    let reactor = group.into_reactor().unwrap();
    assert_eq!(reactor.call::<_, i32>("add", (2, 3)).unwrap(), 5);
    let calls = |reactor: &wasi_threads::Reactor<_>| reactor.global("calls").unwrap().unwrap_i32();
    assert_eq!(calls(&reactor), 1);
    reactor.set_global("calls", Val::I32(40)).unwrap();
    reactor.call::<_, i32>("add", (2, 3)).unwrap();
    assert_eq!(calls(&reactor), 41);
    assert_eq!(reactor.global("fixed").unwrap().unwrap_i64(), 7);
    let error = reactor.global("none").unwrap_err();
    assert!(matches!(error, CallError::NoExport(_)), "{error:?}");
    let error = reactor.global("add").unwrap_err();
    assert!(matches!(error, CallError::ExportType { .. }), "{error:?}");
    for error in [
        reactor.global("reference").unwrap_err(),
        reactor.set_global("fixed", Val::I64(1)).unwrap_err(),
        reactor.set_global("calls", Val::I64(1)).unwrap_err(),
        reactor
            .set_global("reference", Val::FuncRef(None))
            .unwrap_err(),
    ] {
        assert!(matches!(error, CallError::Global { .. }), "{error:?}");
    }
    let id = reactor.with(|store, _| store.data().id.get()).unwrap();
    assert_eq!(id, 0);
    // A panic ends the group, and is not a panic of the calling thread.
    let ended = reactor.with(|_, _| panic!("in the embedder's code"));
    assert!(
        matches!(ended, Err(CallError::Ended(Outcome::Panicked { .. }))),
        "{ended:?}"
    );
    assert!(matches!(reactor.global("calls"), Err(CallError::Ended(_))));
}

#[test]
fn a_reactor_is_called_from_async_code() {
    let _dog = watchdog("a_reactor_is_called_from_async_code", 60);
    let engine = engine();
    let module = prepare(&engine, &guest(LIBRARY)).unwrap();
    let group = builder(&engine, &module, &Arc::default()).build().unwrap();
    let reactor = Arc::new(group.into_reactor().unwrap());
    let calls: Vec<_> = (0..8)
        .map(|n| reactor.call_async::<_, i32>("add", (n, 1)).unwrap())
        .collect();
    for (n, call) in (0..).zip(calls) {
        assert_eq!(block_on(call).unwrap(), n + 1);
    }
    // A call whose future is dropped goes on.
    drop(reactor.call_async::<_, i32>("add", (1, 1)).unwrap());
    assert!(support::eventually(Duration::from_secs(20), || {
        reactor.global("calls").unwrap().unwrap_i32() == 9
    }));
    // A call that waits ends with the group.
    let parked = reactor.call_async::<_, ()>("park", ()).unwrap();
    reactor.handle().cancel();
    let ended = block_on(parked);
    assert!(
        matches!(ended, Err(CallError::Ended(Outcome::Cancelled))),
        "{ended:?}"
    );
}

/// `/proc` names the host thread after the guest thread that it runs.
#[cfg(target_os = "linux")]
#[test]
fn host_threads_have_the_names_of_their_guest_threads() {
    let _dog = watchdog("names", 60);
    let engine = engine();
    let body = r#"
        (func (export "_start")
          (call $count)
          (drop (call $spawn (i32.const 0)))
          (call $await (i32.const 0) (i32.const 1)))
        (func (export "wasi_thread_start") (param i32 i32)
          (call $count)
          (call $signal (i32.const 0)))"#;
    let module = prepare(&engine, &guest(body)).unwrap();
    let names = Arc::<Mutex<Vec<String>>>::default();
    let mut linker = linker(&engine);
    linker.allow_shadowing(true);
    let noted = Arc::clone(&names);
    linker
        .func_wrap("host", "count", move || {
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            noted.lock().unwrap().push(name.trim_end().to_owned());
        })
        .unwrap();
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(support::data_of(&Arc::default()))
        .build()
        .unwrap();
    assert!(matches!(group.run("_start").unwrap(), Outcome::Returned));
    assert_eq!(*names.lock().unwrap(), ["wasi-main", "wasi-1"]);
}

/// If nothing would end blocked WASI calls, that is an error before anything runs.
#[test]
fn a_group_that_is_not_joined_with_its_wasi_is_refused() {
    let engine = engine();
    let bytes = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff"
              (func (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")))"#,
    )
    .unwrap();
    let module = prepare(&engine, &bytes).unwrap();
    let builder = || {
        let mut linker = Linker::<()>::new(&engine);
        linker
            .define_unknown_imports_as_traps(module.module())
            .unwrap();
        ThreadGroup::builder(&engine, &module, linker).state(|_| ())
    };
    let error = builder().build().unwrap_err();
    assert!(
        matches!(&error, GroupError::NotJoined { name, .. } if name == "poll_oneoff"),
        "{error:?}"
    );
    assert!(error.to_string().contains("on_end"), "{error}");
    builder().on_end(|| ()).build().unwrap();
    builder().without_on_end().build().unwrap();
}

/// If only host calls end threads, nothing ends wasm that computes for ever: the group leaves it
/// behind after the grace period, and says so.
#[test]
fn a_thread_that_computes_for_ever_is_left_behind_where_only_host_calls_end() {
    let _dog = watchdog("at_host_calls", 60);
    let engine = engine();
    let body = r#"
        (func (export "_start")
          (i32.atomic.store (i32.const 132) (i32.const 1))
          (loop $l (br_if $l (i32.eqz (i32.atomic.load (i32.const 128))))))"#;
    let module = prepare(&engine, &guest(body)).unwrap();
    let group = builder(&engine, &module, &Arc::default())
        .termination(Termination::AtHostCalls)
        .grace(Duration::from_millis(50))
        .build()
        .unwrap();
    let (memory, handle) = (group.host_memory().unwrap(), group.handle());
    let canceller = std::thread::spawn(move || {
        // Wait until the thread is in its loop.
        let began = || memory.load32(132).unwrap() == 1;
        assert!(support::eventually(Duration::from_secs(30), began));
        handle.cancel();
    });
    assert!(matches!(group.run("_start").unwrap(), Outcome::Cancelled));
    canceller.join().unwrap();
    let left = group.left_behind();
    assert_eq!(left.len(), 1);
    assert!(left[0].computing && left[0].thread.get() == 0);
    let memory = group.host_memory().unwrap();
    drop(group);
    // Otherwise it would go on computing beside the other tests.
    memory.store32(128, 1).unwrap();
}
