//! Accesses that an observer is told of: all of them, in order, and of the same run as without.

use std::sync::{Arc, Mutex};

use wasi_threads::rewrite::{AccessOp, Points, Recorded, RewriteOptions};
use wasi_threads::schedule::{AccessObserver, GuestAccess, Schedule, ScheduleRefusal, Scheduled};
use wasi_threads::{GroupError, ThreadModule, prepare_with};
use wasmtime::Engine;

use super::support::{Log, builder, engine, guest, watchdog};
use super::{LOCKS, pointed, run, walk};

/// Thread, point, operation, address, length.
type Access = (u32, u64, AccessOp, u64, u64);

/// Notes what it is told; of every so manieth access also where it is.
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
            // Points do not go back, also where an id is given again.
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
    // A group without an observer may run such a module, too; one with an observer may not run
    // another.
    let (ran, _) = run(&engine, &module, Scheduled::new(walk(1, 5)));
    assert_eq!(ran.outcome, "Returned");
    assert!(module.serialize().is_err());
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
