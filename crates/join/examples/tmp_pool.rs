// A pool: a library with a host function and per-thread state; the host starts the guest's threads.
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wasi_threads_p1::JoinP1;
use wasi_threads_p1::p1_adapter::{P1CtxBuilder, P1State, add_to_linker_sync};
use wasi_threads_p1::wasi_threads::{GroupPre, Limits, prepare};
use wasmtime::{Caller, Config, Engine, Linker};

struct Data {
    wasi: P1State,
    id: u32,
    done: Arc<AtomicU32>,
}

const LIB: &str = r#"(module
  (import "env" "memory" (memory 1 16 shared))
  (import "host" "done" (func $done (param i32)))
  (export "memory" (memory 0))
  (func (export "_initialize"))
  (func (export "wasi_thread_start") (param $id i32) (param $arg i32)
    (call $done (local.get $arg))
    (drop (i32.atomic.rmw.add (i32.const 0) (local.get $arg)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const -1))))
  (func (export "await") (param $sum i32) (local $seen i32)
    (loop $l
      (local.set $seen (i32.atomic.load (i32.const 0)))
      (if (i32.lt_s (local.get $seen) (local.get $sum))
        (then (drop (memory.atomic.wait32 (i32.const 0) (local.get $seen) (i64.const -1))) (br $l))))))"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
    let module = prepare(&engine, &wat::parse_str(LIB)?)?;
    let mut linker = Linker::<Data>::new(&engine);
    add_to_linker_sync(&mut linker, |data: &mut Data| &mut data.wasi)?;
    linker.func_wrap("host", "done", |caller: Caller<'_, Data>, n: i32| {
        assert!(caller.data().id > 0);
        caller.data().done.fetch_add(n as u32, Ordering::SeqCst);
    })?;
    let pre = GroupPre::new(&engine, &module, linker)?;
    for round in 1..=3 {
        let ctx = P1CtxBuilder::new().inherit_stderr().build()?;
        let done = Arc::new(AtomicU32::new(0));
        let (threads, counts) = (ctx.clone(), Arc::clone(&done));
        let reactor = pre
            .builder()
            .join(&ctx)
            .limits(Limits::new().threads(8))
            .state(move |thread| Data {
                wasi: P1State::new(threads.clone()),
                id: thread.id().get(),
                done: Arc::clone(&counts),
            })
            .build()?
            .into_reactor()?;
        for n in 1..=4 {
            reactor.group().spawn(n * round)?;
        }
        reactor.call::<_, ()>("await", 10 * round)?;
        println!(
            "round {round}: {} {}",
            done.load(Ordering::SeqCst),
            reactor.finish()
        );
    }
    Ok(())
}
