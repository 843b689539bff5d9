//! Profiles: where the threads of a group spend their time, for an embedder.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{
    CancelOnDrop, Data, Log, builder, engine, eventually, guest, in_a_process, watchdog,
};
use wasi_threads::{
    Activity, GroupBuilder, Outcome, Profile, Sample, ThreadGroup, ThreadId, prepare,
};

fn profiled(body: &str) -> GroupBuilder<Data> {
    let engine = engine();
    let module = prepare(&engine, &guest(body)).unwrap();
    builder(&engine, &module, &Arc::<Log>::default()).profile(Duration::from_millis(1))
}

/// Functions that compute for a given number of steps.
const WORK: &str = r#"
    (func $work (param $n i32) (local $x i64)
      (loop $l
        (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (i64.store (i32.const 1024) (local.get $x)))
    (func $light (param $n i32) (call $work (local.get $n)) (call $nothing))
    (func $heavy (param $n i32) (call $work (local.get $n)) (call $nothing))
    (func $nothing)"#;

/// A guest whose threads do `work`: `at_once` threads at a time, for `rounds` rounds.
fn workers(at_once: u32, rounds: u32, work: &str) -> String {
    format!(
        r#"{WORK}
           (func (export "wasi_thread_start") (param i32 i32) {work} (call $signal (i32.const 128)))
           (func $_start (export "_start") (local $i i32) (local $started i32)
             (loop $round
               (local.set $i (i32.const {at_once}))
               (loop $l
                 (if (i32.le_s (call $spawn (i32.const 0)) (i32.const 0)) (then (unreachable)))
                 (local.set $started (i32.add (local.get $started) (i32.const 1)))
                 (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
               (call $await (i32.const 128) (local.get $started))
               (br_if $round (i32.lt_u (local.get $started) (i32.const {})))))"#,
        at_once * rounds
    )
}

fn run(group: &ThreadGroup<Data>) -> Profile {
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    group.handle().profile().unwrap()
}

/// The names of a sample's functions, the innermost first.
fn names<'a>(profile: &'a Profile, sample: &'a Sample) -> Vec<&'a str> {
    let frames = profile.frames_of(sample);
    frames.filter_map(|frame| frame.func_name()).collect()
}

/// Weight of the samples that `wanted` takes.
fn weight(profile: &Profile, wanted: impl Fn(&Sample) -> bool) -> f64 {
    let samples = profile.threads.iter().flat_map(|thread| &thread.samples);
    let wanted = samples.filter(|sample| wanted(sample));
    wanted.map(|sample| f64::from(sample.weight)).sum()
}

#[test]
fn processor_time_is_where_it_was_spent() {
    // 3 to 7 pieces of work in each round, of different lengths, during which the kernel's clock
    // ticks a few times.
    let work = r#"(local $n i32) (local $k i32)
        (local.set $k (i32.const 10))
        (loop $l
          (local.set $n (i32.add (i32.const 1500000) (i32.rem_u (i32.mul (local.get $k) (i32.const 791900)) (i32.const 1000003))))
          (call $light (i32.mul (local.get $n) (i32.const 3)))
          (call $heavy (i32.mul (local.get $n) (i32.const 7)))
          (br_if $l (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))"#;
    let group = profiled(&workers(4, 2, work)).build().unwrap();
    assert!(group.handle().profile().is_none(), "nothing has run");
    let profile = run(&group);
    let of = |name: &str| {
        weight(&profile, |sample| {
            sample.blocked.is_none() && names(&profile, sample).contains(&name)
        })
    };
    let (light, heavy) = (of("light"), of("heavy"));
    let share = light / (light + heavy);
    assert!((share - 0.3).abs() < 0.05, "{light} {heavy}");
    let all = weight(&profile, |sample| sample.blocked.is_none());
    assert!(light + heavy > 0.9 * all, "{light} {heavy} {all}");
    assert_eq!(profile.processor_time(), Duration::from_millis(all as u64));
    let rate = profile.rate().unwrap();
    assert!((1.0..=1100.0).contains(&rate), "{rate}");
    assert_eq!((profile.lost, profile.without_timer), (0, 0));
    // Whether or not ids were reused, no thread is there twice, and each has ended.
    let ids: Vec<_> = profile.threads.iter().map(|thread| thread.thread).collect();
    assert_eq!(ids[0], ThreadId::MAIN);
    assert!(ids.len() > 4 && ids.is_sorted(), "{ids:?}");
    for thread in &profile.threads {
        assert!(thread.ended.unwrap() > thread.began);
        assert!(thread.samples.is_sorted_by_key(|sample| sample.at));
        assert!(
            thread
                .samples
                .iter()
                .all(|sample| sample.at <= profile.lasted)
        );
    }
    // Main waits for the others, as long as they take.
    let waits = |sample: &Sample| {
        let blocked = sample.blocked.is_some() && sample.activity == Activity::Wait;
        blocked && names(&profile, sample)[..] == ["await", "_start"]
    };
    let main = &profile.threads[0];
    let waited: f64 = main
        .samples
        .iter()
        .filter(|one| waits(one))
        .map(|one| f64::from(one.weight))
        .sum();
    let lived = (main.ended.unwrap() - main.began).as_secs_f64() * 1000.0;
    assert!(
        waited > 0.5 * lived && waited <= lived,
        "{waited} of {lived}"
    );
}

/// A profile during the run has everything until then, also waits that go on, with their places.
#[test]
fn a_profile_may_be_asked_for_at_any_time() {
    let _dog = watchdog("a_profile_may_be_asked_for_at_any_time", 120);
    let body = format!(
        r#"{WORK}
           (func (export "wasi_thread_start") (param i32 i32)
             (loop $l (call $heavy (i32.const 100000)) (br $l)))
           (func $_start (export "_start") (drop (call $spawn (i32.const 0))) (call $park))"#
    );
    let group = Arc::new(profiled(&body).build().unwrap());
    let _end = CancelOnDrop(group.handle());
    let runs = {
        let group = Arc::clone(&group);
        std::thread::spawn(move || group.run("_start").unwrap())
    };
    let mut before = (0.0, 0.0);
    for _ in 0..3 {
        let mut seen = None;
        let found = eventually(Duration::from_secs(60), || {
            let Some(profile) = group.handle().profile() else {
                return false;
            };
            let parked = |sample: &Sample| {
                sample.blocked.is_some() && names(&profile, sample)[..] == ["park", "_start"]
            };
            let heavy = |sample: &Sample| names(&profile, sample).contains(&"heavy");
            let now = (weight(&profile, parked), weight(&profile, heavy));
            // Main has no more time than has passed.
            let lasted = profile.lasted.as_secs_f64() * 1000.0 + 1.0;
            assert!(now.0 <= lasted, "{now:?} in {lasted}");
            seen = Some(now);
            now.0 > before.0 + 50.0 && now.1 > before.1 + 50.0
        });
        assert!(found, "{before:?}, then {seen:?}");
        before = seen.unwrap();
    }
    group.handle().cancel();
    assert!(matches!(runs.join().unwrap(), Outcome::Cancelled));
}

#[test]
fn notifies_and_spawns_are_known_by_name() {
    let work = "(local $k i32) (local.set $k (i32.const 300000))
        (loop $l (call $signal (i32.const 4096))
          (br_if $l (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))";
    let group = profiled(&workers(2, 2, work)).build().unwrap();
    let profile = run(&group);
    let notify = Activity::HostCall(Some("memory.atomic.notify"));
    let notifies = |sample: &Sample| {
        sample.activity == notify && names(&profile, sample).first() == Some(&"signal")
    };
    assert!(weight(&profile, notifies) > 0.0);
}

/// A group that is not profiled has no profile, and nothing that samples.
#[test]
fn no_timer_is_left_and_none_is_there_unasked() {
    if !in_a_process("no_timer_is_left_and_none_is_there_unasked", "true") {
        return;
    }
    // Not every kernel has this file.
    let timers = || std::fs::read_to_string("/proc/self/timers").unwrap_or_default();
    let body = workers(4, 50, "(call $heavy (i32.const 1000))");
    let engine = engine();
    let module = prepare(&engine, &guest(&body)).unwrap();
    let group = builder(&engine, &module, &Arc::<Log>::default());
    let group = group.see_threads(true).build().unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    assert!(group.handle().profile().is_none());
    assert_eq!(timers(), "");
    let group = profiled(&body).build().unwrap();
    let profile = run(&group);
    assert_eq!(profile.lost, 0);
    assert!(profile.threads.len() > 4);
    assert_eq!(timers(), "");
    let handle = group.handle();
    drop(group);
    // The samples outlive the group.
    assert_eq!(handle.profile().unwrap().samples(), profile.samples());
}

/// Without timers programs run as usual, and the profile says what it lacks.
#[test]
fn threads_without_timers_are_counted() {
    if !in_a_process(
        "threads_without_timers_are_counted",
        "prlimit --pid $$ --sigpending=0",
    ) {
        return;
    }
    let group = profiled(&workers(2, 2, "(call $heavy (i32.const 1000000))"))
        .build()
        .unwrap();
    let profile = run(&group);
    assert_eq!(profile.without_timer, 5);
    assert_eq!((profile.samples(), profile.rate()), (0, None));
    let waits = weight(&profile, |sample| sample.blocked.is_some());
    assert!(waits >= 0.0);
}
