//! Accesses that an observer is told of: all of them, in order, and in the same run as without.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use wasi_threads::rewrite::{AccessOp, Points, Recorded, RewriteOptions};
use wasi_threads::schedule::{AccessObserver, GuestAccess, Schedule, ScheduleRefusal, Scheduled};
use wasi_threads::{GroupError, Outcome, ThreadId, ThreadModule, prepare_with};
use wasmtime::Engine;

use super::support::{Log, builder, engine, guest, watchdog};
use super::{LOCKS, pointed, run, walk};

/// Thread, point, operation, address, length.
type Access = (u32, u64, AccessOp, u64, u64);

/// Notes all accesses, and for one in so many also its place.
#[derive(Default)]
struct Noting {
    told: Mutex<Vec<Access>>,
    /// Function and offset of the instruction, and of the frame.
    places: Mutex<Vec<[(u32, u64); 2]>>,
    module: Option<ThreadModule>,
}

impl AccessObserver for Noting {
    fn access(&self, access: &GuestAccess<'_>) {
        let GuestAccess {
            thread,
            point,
            instruction,
            memory,
            address,
            length,
            ..
        } = *access;
        assert_eq!(memory, Some(0), "{access:?}");
        let mut told = self.told.lock().unwrap();
        told.push((thread.get(), point, instruction.op, address, length));
        let Some(module) = self.module.as_ref().filter(|_| told.len() % 16 == 1) else {
            return;
        };
        assert_eq!(module.access_sites()[access.site as usize], *instruction);
        let trace = access.backtrace().expect("a group");
        let frame = trace.frames().next().expect("a frame");
        let offset = module.original_offset(frame.module_offset().expect("an offset"));
        let places = [
            (instruction.function, instruction.offset),
            (frame.func_index(), offset as u64),
        ];
        self.places.lock().unwrap().push(places);
    }
}

fn recorded(engine: &Engine, bytes: &[u8], points: Points, recorded: Recorded) -> ThreadModule {
    let mut options = RewriteOptions::default();
    (options.points, options.recorded) = (Some(points), Some(recorded));
    prepare_with(engine, bytes, &options).unwrap()
}

#[test]
fn the_run_is_the_same_and_every_access_is_told_in_order() {
    let _watchdog = watchdog("the_run_is_the_same", 600);
    let engine = engine();
    let bytes = guest(LOCKS);
    for points in [Points::Atomics, Points::Accesses, Points::Loops] {
        let plain = pointed(&engine, &bytes, points);
        let module = recorded(&engine, &bytes, points, Recorded::Accesses);
        for seed in 0..6 {
            let (without, _) = run(&engine, &plain, Scheduled::new(walk(seed, 5)));
            let noting = Arc::new(Noting {
                module: Some(module.clone()),
                ..Noting::default()
            });
            let scheduled = Scheduled::new(walk(seed, 5)).observe_accesses(noting.clone());
            let (with, _) = run(&engine, &module, scheduled);
            assert_eq!(with, without, "{points:?}, seed {seed}");
            let told = noting.told.lock().unwrap();
            // The sum is under a lock: each load of it is followed by the store of the same thread.
            let sum: Vec<_> = told.iter().filter(|one| one.3 == 4).collect();
            assert_eq!(sum.len(), 31);
            for pair in sum.chunks_exact(2) {
                assert_eq!((pair[0].2, pair[1].2), (AccessOp::Load, AccessOp::Store));
                assert_eq!(pair[0].0, pair[1].0);
                assert_eq!((pair[0].4, pair[1].4), (4, 4));
            }
            // Points never go back, even if an id is given again.
            for thread in 0..4 {
                let points = told.iter().filter(|one| one.0 == thread);
                let points: Vec<_> = points.map(|one| one.1).collect();
                assert!(points.is_sorted(), "{points:?}");
            }
            let places = noting.places.lock().unwrap();
            assert!(places.len() > 3);
            for [instruction, frame] in places.iter() {
                assert_eq!(instruction, frame);
            }
        }
    }
}

/// Threads that run at once: of each access is told, between its thread's beginning and end.
#[test]
fn threads_that_run_at_once_tell_as_well() {
    #[derive(Default)]
    struct Following {
        alive: Mutex<BTreeSet<u32>>,
        ended: AtomicU32,
        sums: AtomicU32,
    }
    impl AccessObserver for Following {
        fn access(&self, access: &GuestAccess<'_>) {
            let alive = self.alive.lock().unwrap();
            assert!(access.thread == ThreadId::MAIN || alive.contains(&access.thread.get()));
            assert_eq!((access.memory, access.point), (Some(0), 0));
            assert!(access.backtrace().is_some());
            self.sums.fetch_add(u32::from(access.address == 4), Relaxed);
        }

        fn spawned(&self, thread: ThreadId, _: ThreadId) {
            assert!(self.alive.lock().unwrap().insert(thread.get()));
        }

        fn ended(&self, thread: ThreadId) {
            self.alive.lock().unwrap().remove(&thread.get());
            self.ended.fetch_add(1, Relaxed);
        }
    }

    let _watchdog = watchdog("threads_that_run_at_once_tell", 600);
    let engine = engine();
    let mut options = RewriteOptions::default();
    options.recorded = Some(Recorded::Accesses);
    let module = prepare_with(&engine, &guest(LOCKS), &options).unwrap();
    for _ in 0..20 {
        let (log, following) = (Arc::<Log>::default(), Arc::<Following>::default());
        let group = builder(&engine, &module, &log).observe_accesses(following.clone());
        let outcome = group.build().unwrap().run("_start").unwrap();
        assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
        // As under a schedule: it is what each thread adds to the sum.
        assert_eq!(following.sums.load(Relaxed), 31);
    }
    let plain = prepare_with(&engine, &guest(LOCKS), &RewriteOptions::default()).unwrap();
    let group =
        builder(&engine, &plain, &Arc::default()).observe_accesses(Arc::new(Following::default()));
    let refused = group.build().map(|_| ()).unwrap_err();
    assert!(matches!(refused, GroupError::NotRecorded), "{refused}");
}

#[test]
fn atomics_alone_are_told_where_no_more_was_asked_for() {
    let _watchdog = watchdog("atomics_alone_are_told", 600);
    let engine = engine();
    let module = recorded(&engine, &guest(LOCKS), Points::Accesses, Recorded::Atomics);
    assert_eq!(module.recorded(), Some(Recorded::Atomics));
    let noting = Arc::<Noting>::default();
    let scheduled = Scheduled::new(walk(1, 5)).observe_accesses(noting.clone());
    let (ran, _) = run(&engine, &module, scheduled);
    assert_eq!(ran.outcome, "Returned");
    let told = noting.told.lock().unwrap();
    assert!(told.iter().all(|one| one.2.is_atomic() && one.3 != 4));
    assert!(told.iter().any(|one| one.2 == AccessOp::Wait));
    assert!(told.iter().any(|one| one.2 == AccessOp::Notify));
    // A group without an observer may also run such a module; one with an observer may not run any
    // other.
    let (ran, _) = run(&engine, &module, Scheduled::new(walk(1, 5)));
    assert_eq!(ran.outcome, "Returned");
    let plain = pointed(&engine, &guest(LOCKS), Points::Atomics);
    assert_eq!((plain.recorded(), plain.access_sites().len()), (None, 0));
    let scheduled = Scheduled::new(walk(1, 5)).observe_accesses(noting.clone());
    let log = Arc::<Log>::default();
    let group = builder(&engine, &plain, &log)
        .schedule(Schedule::Policy(scheduled))
        .build();
    let refused = group.map(|_| ()).unwrap_err();
    let expected = ScheduleRefusal::NotRecorded;
    assert!(
        matches!(refused, GroupError::NoSchedule(why) if why == expected),
        "{refused}"
    );
}
