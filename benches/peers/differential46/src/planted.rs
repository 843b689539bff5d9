//! Faults planted in our side: the comparison must be able to fail, in a sequence made for it and
//! in random ones.

use crate::op::{Fd, Op};
use crate::sequences;
use crate::side::{Arg, Guest, Spoil};
use crate::twins::{Outcome, Twins};
use proptest::test_runner::TestError;

/// Random sequences in which a fault must be found.
const SEQUENCES: u32 = 2000;

struct Planted {
    what: &'static str,
    fault: Spoil,
    /// Shows it.
    ops: fn() -> Vec<Op>,
    /// What must be said about it; in random sequences, the others will do as well.
    found: &'static [&'static str],
}

const ALL: [Planted; 6] = [
    Planted {
        what: "a wrong errno",
        fault: |guest, name, args| {
            let answer = guest.call(name, args);
            if name == "fd_fdstat_get" && answer == Some(0) {
                return Some(8);
            }
            answer
        },
        ops: || vec![Op::Fdstat(Fd::Socket(0))],
        found: &["answers Some(8), the peer Some(0)"],
    },
    Planted {
        what: "a wrong result",
        fault: |guest, name, args| {
            let answer = guest.call(name, args);
            if name == "sock_recv" && answer == Some(0) {
                flip(guest, args, 4);
            }
            answer
        },
        ops: || vec![Op::PeerSends(0, 20), Op::Recv(Fd::Socket(0), vec![64], 0)],
        found: &["memory differs"],
    },
    Planted {
        what: "a result of a call that fails",
        fault: |guest, name, args| {
            let answer = guest.call(name, args);
            let aligned = matches!(args, [_, Arg::I(at), ..] if at % 8 == 0);
            if name == "fd_tell" && answer == Some(70) && aligned {
                flip(guest, args, 1);
            }
            answer
        },
        // The answers differ as they are meant to.
        ops: || vec![Op::Tell(Fd::Socket(0))],
        found: &["fails and has written a result"],
    },
    Planted {
        what: "other bytes sent",
        fault: |guest, name, args| other_bytes("sock_send", guest, name, args),
        ops: || vec![Op::Send(Fd::Socket(0), vec![20])],
        found: &["the other ends receive different bytes"],
    },
    Planted {
        what: "an event that is not told",
        fault: |guest, name, args| {
            let answer = guest.call(name, args);
            if name == "poll_oneoff"
                && let [_, _, Arg::I(2..), Arg::I(count)] = *args
            {
                guest.memory_mut()[count as usize] = 0;
            }
            answer
        },
        ops: || vec![Op::Poll(vec![(Fd::Socket(0), true)])],
        found: &["events {}, the peer's {"],
    },
    Planted {
        what: "other bytes in a file",
        fault: |guest, name, args| other_bytes("fd_pwrite", guest, name, args),
        ops: || {
            let new = Op::Open {
                name: 1,
                how: 1,
                flags: 0,
            };
            vec![new, Op::Pwrite(Fd::File(0), vec![20], 0)]
        },
        found: &["files differ", "memory differs"],
    },
];

/// Changes the first byte of what the call wrote to one of its arguments.
fn flip(guest: &mut dyn Guest, args: &[Arg], index: usize) {
    if let Arg::I(at) = args[index] {
        guest.memory_mut()[at as usize] ^= 0x80;
    }
}

/// The call, but with the first byte of its first buffer changed for as long as it runs.
fn other_bytes(which: &str, guest: &mut dyn Guest, name: &str, args: &[Arg]) -> Option<i32> {
    let at = match *args {
        [_, Arg::I(list), Arg::I(1..), ..] if which == name => first_buffer(guest.memory(), list),
        _ => None,
    };
    let Some(at) = at else {
        return guest.call(name, args);
    };
    guest.memory_mut()[at] ^= 0x80;
    let answer = guest.call(name, args);
    guest.memory_mut()[at] ^= 0x80;
    answer
}

/// Where it is, if it is in the memory.
fn first_buffer(memory: &[u8], list: u32) -> Option<usize> {
    let at = memory.get(list as usize..)?.first_chunk()?;
    let at = u32::from_le_bytes(*at) as usize;
    (at < memory.len()).then_some(at)
}

/// Whether each is found, for what it is.
pub fn all_found() -> Outcome {
    for planted in &ALL {
        let ops = (planted.ops)();
        let said = difference(Some(planted.fault), &ops);
        if !said
            .as_ref()
            .is_err_and(|why| why.contains(planted.found[0]))
        {
            return Err(format!("{}: {ops:?} says {said:?}", planted.what));
        }
        if difference(None, &ops).is_err() {
            return Err(format!("{ops:?} differs without {}", planted.what));
        }
        match sequences::run(SEQUENCES, Some(planted.fault)).0 {
            Err(TestError::Fail(why, _))
                if planted
                    .found
                    .iter()
                    .any(|part| why.message().contains(part)) => {}
            Err(other) => return Err(format!("{}: random calls say {other}", planted.what)),
            Ok(()) => return Err(format!("{}: random calls do not find it", planted.what)),
        }
    }
    Ok(())
}

fn difference(fault: Option<Spoil>, ops: &[Op]) -> Outcome {
    let mut twins = Twins::new(fault);
    for op in ops {
        twins.run(op)?;
    }
    twins.compare_files()
}
