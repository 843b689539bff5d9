//! Clocks and random numbers.

use crate::guest::{DATA, Guest, INVAL, OK, OUT};
use p1_adapter::{P1CtxBuilder, RandomSource};
use std::time::{Duration, SystemTime};
use wasmtime::Val;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

fn now(guest: &mut Guest, clock: i32) -> u64 {
    let args = [Val::I32(clock), Val::I64(0), Val::I32(OUT as i32)];
    assert_eq!(guest.call("clock_time_get", &args), OK);
    guest.u64(OUT)
}

fn resolution(guest: &mut Guest, clock: i32) -> u64 {
    assert_eq!(guest.ask("clock_res_get", clock), OK);
    guest.u64(OUT)
}

#[test]
fn real_time_is_the_hosts() {
    let mut guest = Guest::new(&P1CtxBuilder::new().build().unwrap());
    let since = |t: SystemTime| t.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let before = since(SystemTime::now());
    let seen = now(&mut guest, 0);
    assert!(before <= seen && seen <= since(SystemTime::now()));
}

#[test]
fn monotonic_time_starts_with_the_context_and_never_goes_back() {
    let mut guest = Guest::new(&P1CtxBuilder::new().build().unwrap());
    let first = now(&mut guest, 1);
    assert!(first > 0 && first < 60_000_000_000, "{first}");
    let mut last = first;
    for _ in 0..1000 {
        let next = now(&mut guest, 1);
        assert!(next >= last);
        last = next;
    }
}

#[test]
fn cpu_time_counts_work_and_not_sleep() {
    let mut guest = Guest::new(&P1CtxBuilder::new().build().unwrap());
    let before = now(&mut guest, 3);
    std::thread::sleep(Duration::from_millis(50));
    let slept = now(&mut guest, 3);
    assert!(slept - before < 40_000_000, "{}", slept - before);
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_millis(20) {
        std::hint::spin_loop();
    }
    assert!(now(&mut guest, 3) > slept);
    assert!(now(&mut guest, 2) > 0);
}

#[test]
fn every_clock_has_a_resolution_and_no_other_exists() {
    let mut guest = Guest::new(&P1CtxBuilder::new().build().unwrap());
    for clock in 0..4 {
        let resolution = resolution(&mut guest, clock);
        assert!(
            (1..=1_000_000_000).contains(&resolution),
            "{clock}: {resolution}"
        );
    }
    for clock in [4, -1] {
        let args = [Val::I32(clock), Val::I32(OUT as i32)];
        assert_eq!(guest.call("clock_res_get", &args), INVAL, "{clock}");
    }
}

struct Fixed;

impl HostWallClock for Fixed {
    fn resolution(&self) -> Duration {
        Duration::from_micros(7)
    }
    fn now(&self) -> Duration {
        Duration::from_secs(42)
    }
}

impl HostMonotonicClock for Fixed {
    fn resolution(&self) -> u64 {
        0
    }
    fn now(&self) -> u64 {
        99
    }
}

struct Counting;

impl RandomSource for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = i as u8;
        }
    }
}

#[test]
fn an_embedders_clocks_and_random_numbers_are_used() {
    let ctx = P1CtxBuilder::new()
        .wall_clock(Fixed)
        .monotonic_clock(Fixed)
        .secure_random(Counting)
        .build()
        .unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        assert_eq!(now(&mut guest, 0), 42_000_000_000);
        assert_eq!(now(&mut guest, 1), 99);
        assert_eq!(resolution(&mut guest, 0), 7_000);
        assert_eq!(resolution(&mut guest, 1), 1, "never 0");
        assert_eq!(
            guest.call("random_get", &[Val::I32(DATA as i32), Val::I32(5000)]),
            OK
        );
        let bytes = guest.read(DATA, 5001);
        assert_eq!(bytes[255], 255);
        assert_eq!(bytes[4096], 0, "asked for again after 4096 bytes");
        assert_eq!(bytes[4999], (4999 - 4096) as u8);
        assert_eq!(bytes[5000], 0, "not one byte more");
    }
}

#[test]
fn random_bytes_differ_and_stay_in_their_buffer() {
    let ctx = P1CtxBuilder::new().max_random_size(1024).build().unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        let mut get = |at: u32, len: i32| {
            assert_eq!(
                guest.call("random_get", &[Val::I32(at as i32), Val::I32(len)]),
                OK
            );
            guest.read(at, 1025)
        };
        let first = get(DATA, 1024);
        assert_eq!(first[1024], 0);
        assert_ne!(first, get(DATA + 0x1000, 1024));
        assert_eq!(get(DATA + 0x2000, 0), [0; 1025]);
        let big = guest
            .try_call("random_get", &[Val::I32(DATA as i32), Val::I32(1025)])
            .unwrap_err();
        assert!(format!("{big:?}").contains("limit"), "{big:?}");
        assert!(
            guest
                .try_call("random_get", &[Val::I32(-1), Val::I32(16)])
                .is_err()
        );
    }
}

#[test]
fn waiting_for_cpu_time_is_refused() {
    let mut guest = Guest::new(&P1CtxBuilder::new().build().unwrap());
    let mut subscription = [0; 48];
    subscription[16] = 3;
    guest.write(DATA, &subscription);
    let args = [
        Val::I32(DATA as i32),
        Val::I32(DATA as i32 + 64),
        Val::I32(1),
        Val::I32(OUT as i32),
    ];
    assert_eq!(guest.call("poll_oneoff", &args), INVAL);
}
