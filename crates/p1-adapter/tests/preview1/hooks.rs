//! What an embedder puts in place of the host: clocks that are slept by, hooks before calls and for
//! yields.

use crate::asynchronous::Task;
use crate::guest::emulated::slower;
use crate::guest::*;
use crate::observer::Notes;
use crate::poll::{MS, On, poll, subscribe};
use p1_adapter::{ClockSource, GuestClock, P1CtxBuilder, StreamAccess};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wasmtime::Val;

const HOUR: u64 = 3_600_000_000_000;

/// What happens when a guest sleeps.
type OnSleep = Box<dyn FnMut() -> wasmtime::Result<()> + Send>;

/// Time that passes when a thread sleeps. The real-time clock is a day ahead of the other.
pub(crate) struct Virtual {
    now: AtomicU64,
    slept: Mutex<Vec<(GuestClock, u64)>>,
    on_sleep: Mutex<OnSleep>,
}

impl Virtual {
    pub(crate) fn new(
        on_sleep: impl FnMut() -> wasmtime::Result<()> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            now: AtomicU64::new(1000),
            slept: Mutex::default(),
            on_sleep: Mutex::new(Box::new(on_sleep)),
        })
    }

    fn ahead(clock: GuestClock) -> u64 {
        match clock {
            GuestClock::Realtime => 24 * HOUR,
            _ => 0,
        }
    }

    fn slept(&self) -> Vec<(GuestClock, u64)> {
        std::mem::take(&mut self.slept.lock().unwrap())
    }
}

impl ClockSource for Virtual {
    fn now(&self, clock: GuestClock) -> u64 {
        match clock {
            GuestClock::ProcessCpu => 77,
            GuestClock::ThreadCpu => 78,
            clock => self.now.load(Ordering::SeqCst) + Self::ahead(clock),
        }
    }

    fn resolution(&self, clock: GuestClock) -> u64 {
        match clock {
            GuestClock::ThreadCpu => 5,
            _ => 0,
        }
    }

    fn sleep_until(&self, clock: GuestClock, deadline: u64) -> wasmtime::Result<()> {
        self.slept.lock().unwrap().push((clock, deadline));
        (self.on_sleep.lock().unwrap())()?;
        let until = deadline - Self::ahead(clock);
        self.now.fetch_max(until, Ordering::SeqCst);
        Ok(())
    }
}

fn clock(id: u32, timeout: u64, absolute: bool) -> On {
    On::Clock {
        id,
        timeout,
        absolute,
    }
}

#[test]
fn a_guest_sleeps_by_the_embedders_clock() {
    let source = Virtual::new(|| Ok(()));
    let ctx = P1CtxBuilder::new().clocks(source.clone()).build().unwrap();
    let start = Instant::now();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        let now = source.now(GuestClock::Monotonic);
        let (real, other) = (GuestClock::Realtime, GuestClock::Monotonic);
        poll(&mut guest, &[clock(1, HOUR, false)]).unwrap();
        assert_eq!(source.slept(), [(other, now + HOUR)]);
        poll(&mut guest, &[clock(0, HOUR, false)]).unwrap();
        let now = now + 2 * HOUR;
        assert_eq!(source.slept(), [(real, now + 24 * HOUR)]);
        // Of several the first to come, on whichever clock.
        let both = [
            clock(0, now + 25 * HOUR, true),
            clock(1, now + HOUR / 2, true),
        ];
        assert_eq!(poll(&mut guest, &both).unwrap().len(), 1);
        assert_eq!(source.slept(), [(other, now + HOUR / 2)]);
        // What is past is not waited for.
        poll(&mut guest, &[clock(1, 5, true)]).unwrap();
        poll(&mut guest, &[clock(0, 0, false)]).unwrap();
        assert_eq!(source.slept(), []);
        assert_eq!(poll(&mut guest, &[clock(2, 1, false)]), Err(INVAL));
        for (id, shows, resolution) in [(2, 77, 1), (3, 78, 5)] {
            let args = [Val::I32(id), Val::I64(0), Val::I32(OUT as i32)];
            assert_eq!(guest.call("clock_time_get", &args), OK);
            assert_eq!(guest.u64(OUT), shows);
            assert_eq!(guest.ask("clock_res_get", id), OK);
            assert_eq!(guest.u64(OUT), resolution);
        }
    }
    assert!(start.elapsed() < Duration::from_secs(600));
}

#[test]
fn a_clock_that_wakes_early_is_asked_again() {
    struct Early(AtomicU64);
    impl ClockSource for Early {
        fn now(&self, _: GuestClock) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
        fn sleep_until(&self, _: GuestClock, deadline: u64) -> wasmtime::Result<()> {
            assert_eq!(deadline, 10);
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
    let source = Arc::new(Early(AtomicU64::new(0)));
    let ctx = P1CtxBuilder::new().clocks(source.clone()).build().unwrap();
    poll(&mut Guest::new(&ctx), &[clock(1, 10, false)]).unwrap();
    assert_eq!(source.0.load(Ordering::SeqCst), 10);
}

#[test]
fn a_poll_of_descriptors_sleeps_in_rounds() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut rounds = 0;
    // Something comes while the guest sleeps for the third time.
    let source = Virtual::new(move || {
        rounds += 1;
        if rounds == 3 {
            writer.write_all(b"x")?;
        }
        Ok(())
    });
    let ctx = P1CtxBuilder::new().clocks(source.clone()).build().unwrap();
    let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap();
    let mut guest = Guest::new(&ctx);
    let round = |n| (GuestClock::Monotonic, 1000 + n * MS);
    let all = [On::Read(fd), clock(1, HOUR, false)];
    let events = poll(&mut guest, &all).unwrap();
    assert_eq!((events.len(), events[0].kind), (1, 1));
    assert_eq!(source.slept(), [1, 2, 3].map(round));
    // Ready at once, and not slept for; a timeout of none is a look.
    assert_eq!(poll(&mut guest, &all).unwrap().len(), 1);
    assert_eq!(guest.get(fd as i32, 1).unwrap(), b"x");
    let look = [On::Read(fd), clock(1, 0, false)];
    assert_eq!(poll(&mut guest, &look).unwrap()[0].kind, 0);
    assert_eq!(source.slept(), []);
    // The timeout ends it in the middle of a round.
    let short = [On::Read(fd), clock(1, 3 * MS / 2, false)];
    assert_eq!(poll(&mut guest, &short).unwrap()[0].kind, 0);
    let end = (GuestClock::Monotonic, 1000 + 3 * MS + 3 * MS / 2);
    assert_eq!(source.slept(), [round(4), end]);
}

#[test]
fn a_sleep_that_the_embedder_ends_ends_the_guest() {
    let source = Virtual::new(|| Err(wasmtime::Error::msg("it is over")));
    let ctx = P1CtxBuilder::new().clocks(source).build().unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap();
    let mut guest = Guest::new(&ctx);
    for all in [&[clock(1, 1, false)][..], &[On::Read(fd)]] {
        let args = subscribe(&mut guest, all);
        let error = guest.try_call("poll_oneoff", &args).unwrap_err();
        assert!(format!("{error:?}").contains("it is over"), "{error:?}");
    }
    ctx.end_signal().raise();
    let args = subscribe(&mut guest, &[On::Read(fd)]);
    let error = guest.try_call("poll_oneoff", &args).unwrap_err();
    assert!(error.is::<p1_adapter::Interrupted>(), "{error:?}");
}

#[test]
fn a_task_sleeps_by_the_embedders_clock() {
    let source = Virtual::new(|| Ok(()));
    let ctx = P1CtxBuilder::new().clocks(source.clone()).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let errno = runtime.block_on(async {
        let mut task = Task::new(&ctx).await;
        let args = subscribe(&mut task, &[clock(1, HOUR, false)]);
        task.try_call("poll_oneoff", &args).await.unwrap()
    });
    assert_eq!(errno, OK);
    assert_eq!(source.slept(), [(GuestClock::Monotonic, 1000 + HOUR)]);
}

/// Writes down what is called, and refuses one function.
fn noting(called: &Arc<Mutex<Vec<&'static str>>>, builder: &mut P1CtxBuilder) {
    let called = Arc::clone(called);
    builder.before_call(move |function| {
        called.lock().unwrap().push(function);
        match function {
            "path_create_directory" | "fd_read" => Err(wasmtime::Error::msg("refused here")),
            _ => Ok(()),
        }
    });
}

#[test]
fn a_hook_runs_before_each_call_and_may_refuse_it() {
    let dir = tempfile::tempdir().unwrap();
    let (called, notes) = (Arc::default(), Arc::new(Notes::default()));
    let mut builder = P1CtxBuilder::new();
    noting(&called, &mut builder);
    let ctx = builder
        .preopened_dir(dir.path(), "/", wasmtime_wasi::FsPerms::ReadWrite)
        .unwrap()
        .call_observer(notes.clone())
        .observe_waiting_calls_only(true)
        .build()
        .unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        let fd = guest.create("f");
        assert_eq!(guest.put(fd, b"abc"), Ok(3));
        let [path, len] = guest.path("made");
        let args = [Val::I32(DIR), path, len];
        let error = guest.try_call("path_create_directory", &args).unwrap_err();
        assert!(format!("{error:?}").contains("refused here"), "{error:?}");
        assert!(!dir.path().join("made").exists(), "nothing was done");
        let [list, count] = guest.iovs(&[(DATA, 4)]);
        let args = [Val::I32(fd), list, count, Val::I32(OUT as i32)];
        assert!(guest.try_call("fd_read", &args).is_err());
        let all = std::mem::take(&mut *called.lock().unwrap());
        let expected = ["path_open", "fd_write", "path_create_directory", "fd_read"];
        assert_eq!(all, expected);
        let told = [
            "fd_write starts",
            "fd_write returns 0",
            "fd_read starts",
            "fd_read traps",
        ];
        assert_eq!(notes.take(), told);
    }
}

#[test]
fn a_hook_runs_once_before_a_call_of_a_task() {
    let called = Arc::default();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut builder = P1CtxBuilder::new();
    noting(&called, &mut builder);
    let ctx = builder.build().unwrap();
    let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut task = Task::new(&ctx).await;
        let later = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(20));
            writer.write_all(b"x").unwrap();
            writer
        });
        let args = subscribe(&mut task, &[On::Read(fd)]);
        assert_eq!(task.try_call("poll_oneoff", &args).await.unwrap(), OK);
        drop(later.await.unwrap());
        let args = task.args(fd, 1);
        assert!(task.try_call("fd_read", &args).await.is_err());
    });
    assert_eq!(*called.lock().unwrap(), ["poll_oneoff", "fd_read"]);
}

#[test]
fn a_yield_is_the_embedders() {
    let yields = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&yields);
    let ctx = P1CtxBuilder::new()
        .on_yield(move || match counted.fetch_add(1, Ordering::SeqCst) {
            2 => Err(wasmtime::Error::msg("no more")),
            _ => Ok(()),
        })
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.call("sched_yield", &[]), OK);
    assert_eq!(guest.call("sched_yield", &[]), OK);
    let error = guest.try_call("sched_yield", &[]).unwrap_err();
    assert!(format!("{error:?}").contains("no more"), "{error:?}");
    assert_eq!(yields.load(Ordering::SeqCst), 3);
}

/// A thread that waited in the kernel would keep the writing thread from running.
#[test]
fn a_read_of_a_socket_waits_in_rounds() {
    let (here, mut there) = crate::sys::connected();
    let mut rounds = 0;
    let source = Virtual::new(move || {
        rounds += 1;
        if rounds == 3 {
            there.write_all(b"x")?;
        }
        if rounds > 3 {
            return Err(wasmtime::Error::msg("it is over"));
        }
        Ok(())
    });
    let mut builder = P1CtxBuilder::new();
    builder.clocks(source.clone()).whole_reads(true);
    let ctx = builder.build().unwrap();
    let fd = ctx.push_stream(here, StreamAccess::ReadWrite).unwrap() as i32;
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.get(fd, 4).unwrap(), b"x");
    let round = |n| (GuestClock::Monotonic, 1000 + n * MS);
    assert_eq!(source.slept(), [1, 2, 3].map(round));
    let [list, count] = guest.iovs(&[(DATA, 4)]);
    let args = [Val::I32(fd), list, count, Val::I32(OUT as i32)];
    let error = guest.try_call("fd_read", &args).unwrap_err();
    assert!(format!("{error:?}").contains("it is over"), "{error:?}");
    assert_eq!(source.slept(), [round(4)]);
}

/// A wait for a pipe does not show on the clock that others see.
#[test]
fn a_whole_read_of_a_pipe_waits_in_place() {
    for whole in [true, false] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let source = Virtual::new(|| Ok(()));
        let mut builder = P1CtxBuilder::new();
        builder.clocks(source.clone()).whole_reads(whole);
        let ctx = builder.build().unwrap();
        let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        let later = std::thread::spawn(move || {
            std::thread::sleep(slower(Duration::from_millis(50)));
            writer.write_all(b"x").unwrap();
        });
        assert_eq!(guest.get(fd, 4).unwrap(), b"x");
        later.join().unwrap();
        assert_eq!(source.slept().is_empty(), whole);
    }
}

/// The lock is held across the rounds of a write, and its own wait is made in rounds, too. (On
/// Windows a socket that others have takes all of a write.)
#[test]
#[cfg(unix)]
fn a_write_lock_is_waited_for_in_rounds() {
    let (here, there) = crate::sys::connected();
    there.set_nonblocking(true).unwrap();
    let others: Arc<Mutex<Option<(Guest, i32)>>> = Arc::default();
    let (second, depth) = (Arc::clone(&others), AtomicU64::new(0));
    let blocked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&blocked);
    struct Nesting<F>(F);
    impl<F: Fn() -> wasmtime::Result<()> + Send + Sync> ClockSource for Nesting<F> {
        fn now(&self, _: GuestClock) -> u64 {
            0
        }
        fn sleep_until(&self, _: GuestClock, _: u64) -> wasmtime::Result<()> {
            (self.0)()
        }
    }
    let source = Nesting(move || {
        if depth.fetch_add(1, Ordering::SeqCst) > 0 {
            // The other guest, in the middle of the first one's write.
            return Err(wasmtime::Error::msg("the lock is taken"));
        }
        if let Some((mut guest, fd)) = second.lock().unwrap().take() {
            let [list, count] = guest.iovs(&[(DATA, 4)]);
            let args = [Val::I32(fd), list, count, Val::I32(OUT as i32)];
            let error = guest.try_call("fd_write", &args).unwrap_err();
            assert!(format!("{error:?}").contains("the lock is taken"));
            counted.fetch_add(1, Ordering::SeqCst);
        }
        let mut sink = [0; 4096];
        while std::io::Read::read(&mut &there, &mut sink).is_ok_and(|n| n > 0) {}
        depth.store(0, Ordering::SeqCst);
        Ok(())
    });
    let mut builder = P1CtxBuilder::new();
    let ctx = builder.clocks(Arc::new(source)).build().unwrap();
    let fd = ctx.push_stream(here, StreamAccess::ReadWrite).unwrap() as i32;
    *others.lock().unwrap() = Some((Guest::new(&ctx), fd));
    let mut guest = Guest::sized(&ctx, 32);
    assert_eq!(guest.put(fd, &[7; 1 << 20]), Ok(1 << 20));
    assert_eq!(blocked.load(Ordering::SeqCst), 1);
}
