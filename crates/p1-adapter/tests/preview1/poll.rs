//! `poll_oneoff`.

#[cfg(unix)]
use crate::alone::{allow_descriptors, alone};
use crate::guest::emulated::{less, slower};
use crate::guest::*;
use p1_adapter::{Interrupted, P1CtxBuilder};
use std::time::{Duration, Instant};
use wasmtime::Val;

pub(crate) const MS: u64 = 1_000_000;
const EVENTS: u32 = DATA + 0x4000;

#[derive(Clone, Copy)]
pub(crate) enum On {
    Clock {
        id: u32,
        timeout: u64,
        absolute: bool,
    },
    Read(u32),
    Write(u32),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    userdata: u64,
    pub(crate) error: u16,
    pub(crate) kind: u8,
    pub(crate) nbytes: u64,
    pub(crate) flags: u16,
}

pub(crate) fn subscribe(guest: &mut Guest, all: &[On]) -> [Val; 4] {
    for (i, on) in (0..).zip(all) {
        let mut bytes = [0u8; 48];
        bytes[..8].copy_from_slice(&(100 + u64::from(i)).to_le_bytes());
        match *on {
            On::Clock {
                id,
                timeout,
                absolute,
            } => {
                bytes[16..20].copy_from_slice(&id.to_le_bytes());
                bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
                bytes[40] = absolute.into();
            }
            On::Read(fd) => {
                bytes[8] = 1;
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            }
            On::Write(fd) => {
                bytes[8] = 2;
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            }
        }
        guest.write(DATA + i * 48, &bytes);
    }
    [
        Val::I32(DATA as i32),
        Val::I32(EVENTS as i32),
        Val::I32(all.len() as i32),
        Val::I32(OUT as i32),
    ]
}

pub(crate) fn poll(guest: &mut Guest, all: &[On]) -> Result<Vec<Event>, i32> {
    let args = subscribe(guest, all);
    guest.write(EVENTS, &[0xAA; 320]);
    match guest.call("poll_oneoff", &args) {
        OK => {}
        errno => return Err(errno),
    }
    let count = guest.u32(OUT);
    assert!(count as usize <= all.len());
    Ok((0..count)
        .map(|i| {
            let e = guest.read(EVENTS + i * 32, 32);
            Event {
                userdata: u64::from_le_bytes(e[..8].try_into().unwrap()),
                error: u16::from_le_bytes(e[8..10].try_into().unwrap()),
                kind: e[10],
                nbytes: u64::from_le_bytes(e[16..24].try_into().unwrap()),
                flags: u16::from_le_bytes(e[24..26].try_into().unwrap()),
            }
        })
        .collect())
}

fn now(guest: &mut Guest, clock: i32) -> u64 {
    assert_eq!(
        guest.call(
            "clock_time_get",
            &[Val::I32(clock), Val::I64(0), Val::I32(OUT as i32)]
        ),
        OK
    );
    guest.u64(OUT)
}

fn clock(userdata: u64) -> Event {
    Event {
        userdata,
        error: 0,
        kind: 0,
        nbytes: 0,
        flags: 0,
    }
}

#[test]
fn every_clock_relative_and_absolute() {
    both(|guest, _| {
        for id in [0, 1] {
            for absolute in [false, true] {
                // Before the time is asked for, which may take long.
                let start = Instant::now();
                let base = if absolute { now(guest, id) } else { 0 };
                let on = On::Clock {
                    id: id as u32,
                    timeout: base + 30 * MS,
                    absolute,
                };
                assert_eq!(poll(guest, &[on]).unwrap(), [clock(100)]);
                let took = start.elapsed();
                assert!(
                    took >= Duration::from_millis(29),
                    "{id} {absolute}: {took:?}"
                );
                assert!(
                    took < slower(Duration::from_secs(5)),
                    "{id} {absolute}: {took:?}"
                );
            }
        }
    });
}

#[test]
fn a_past_or_zero_time_does_not_wait() {
    both(|guest, _| {
        for id in [0, 1] {
            for absolute in [false, true] {
                assert_eq!(
                    poll(
                        guest,
                        &[On::Clock {
                            id,
                            timeout: 0,
                            absolute
                        }]
                    )
                    .unwrap(),
                    [clock(100)]
                );
            }
        }
    });
}

#[test]
fn only_what_is_due_is_reported() {
    both(|guest, _| {
        let far = On::Clock {
            id: 1,
            timeout: u64::MAX,
            absolute: false,
        };
        let soon = On::Clock {
            id: 1,
            timeout: 10 * MS,
            absolute: false,
        };
        assert_eq!(poll(guest, &[far, soon, far]).unwrap(), [clock(101)]);
        let far = On::Clock {
            id: 0,
            timeout: u64::MAX,
            absolute: true,
        };
        assert_eq!(poll(guest, &[far, soon]).unwrap(), [clock(101)]);
    });
}

#[test]
fn files_and_null_streams_are_always_ready() {
    both(|guest, _| {
        let fd = guest.create("f");
        guest.put(fd, b"12345").unwrap();
        guest.seek(fd, 2, 0).unwrap();
        let far = On::Clock {
            id: 1,
            timeout: less(1000, 20_000) * MS,
            absolute: false,
        };
        let start = Instant::now();
        let events = poll(
            guest,
            &[
                far,
                On::Read(fd as u32),
                On::Write(fd as u32),
                On::Write(1),
                On::Read(0),
            ],
        )
        .unwrap();
        assert!(start.elapsed() < slower(Duration::from_millis(900)));
        let event = |userdata, kind, nbytes, flags| Event {
            userdata,
            error: 0,
            kind,
            nbytes,
            flags,
        };
        assert_eq!(
            events[..3],
            [
                event(101, 1, 3, 0),
                event(102, 2, 1, 0),
                event(103, 2, 1, 0)
            ]
        );
        assert_eq!(events[3].userdata, 104);
        guest.seek(fd, 0, 2).unwrap();
        assert_eq!(
            poll(guest, &[On::Read(fd as u32)]).unwrap(),
            [event(100, 1, 0, 0)],
            "the end: ready, and no hangup"
        );
    });
}

#[test]
fn faults_are_errnos() {
    both(|guest, _| {
        assert_eq!(poll(guest, &[]), Err(INVAL));
        assert_eq!(poll(guest, &[On::Read(99)]), Err(BADF));
        assert_eq!(poll(guest, &[On::Read(1)]), Err(BADF));
        assert_eq!(poll(guest, &[On::Write(0)]), Err(BADF));
    });
}

#[test]
fn it_is_paid_for_with_fuel() {
    let mut guest = Guest::new(&P1CtxBuilder::new().build().unwrap());
    guest.store.set_hostcall_fuel(500);
    let on = On::Clock {
        id: 1,
        timeout: 0,
        absolute: false,
    };
    assert_eq!(poll(&mut guest, &[on]).unwrap(), [clock(100)]);
    assert_eq!(poll(&mut guest, &[on, on]), Err(NOMEM));
}

#[test]
fn a_raised_signal_ends_a_sleep() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let mut guest = Guest::shared(&ctx);
    let end = ctx.end_signal().clone();
    let raiser = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        end.raise();
        Instant::now()
    });
    let args = subscribe(
        &mut guest,
        &[On::Clock {
            id: 1,
            timeout: 3600 * 1000 * MS,
            absolute: false,
        }],
    );
    let error = guest.try_call("poll_oneoff", &args).unwrap_err();
    assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
    assert!(raiser.join().unwrap().elapsed() < slower(Duration::from_secs(1)));
}

/// `poll(2)` takes no more entries than a process may have descriptors. (Windows has no
/// such limit.)
#[test]
#[cfg(unix)]
fn more_subscriptions_than_the_process_may_have_descriptors() {
    alone(
        "poll::more_subscriptions_than_the_process_may_have_descriptors",
        || {
            let ctx = P1CtxBuilder::new().build().unwrap();
            let (a, b) = crate::sys::connected();
            let access = p1_adapter::StreamAccess::ReadWrite;
            let fd = ctx.push_stream(a, access).unwrap();
            let (c, _d) = crate::sys::connected();
            let other = ctx.push_stream(c, access).unwrap();
            let mut guest = Guest::new(&ctx);
            allow_descriptors(12);
            // In turns, so that no two in a row are in the same descriptor.
            let mut all = [On::Read(fd), On::Read(other)].repeat(150);
            all.push(On::Clock {
                id: 1,
                // Longer than it takes to look at all of them.
                timeout: less(20, 3000) * MS,
                absolute: false,
            });
            let args = subscribe(&mut guest, &all);
            assert_eq!(guest.call("poll_oneoff", &args), OK);
            assert_eq!(guest.u32(OUT), 1, "the clock");
            std::io::Write::write_all(&mut &b, b"x").unwrap();
            all.extend([On::Write(fd); 50]);
            let args = subscribe(&mut guest, &all);
            assert_eq!(guest.call("poll_oneoff", &args), OK);
            assert_eq!(guest.u32(OUT), 200, "each of them, and not the clock");
        },
    );
}
