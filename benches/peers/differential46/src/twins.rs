//! Both adapters side by side: what is open in them, and what would wait.
//!
//! One thread makes all calls, so no call may wait for it. The test counts what each socket can
//! give, and leaves out a call that would block.

mod calls;
mod compare;
mod layout;
mod poll;
mod sockets;
mod table;

use crate::known::{Case, Kind};
use crate::op::Op;
use crate::seen::Seen;
use crate::side::{Side, Spoil};
use layout::BYTES;
use sockets::Socket;
use std::collections::VecDeque;
use table::Open;

/// What differed, if anything.
pub type Outcome = Result<(), String>;

/// The answer of ours and of the peer's.
type Answers = (Option<i32>, Option<i32>);

const OK: Answers = (Some(0), Some(0));

/// Both sides and what is open in them.
pub struct Twins {
    ours: Side,
    theirs: Side,
    open: Vec<Open>,
    sockets: Vec<Socket>,
    /// Clients that were not accepted.
    pending: VecDeque<usize>,
    listening: bool,
    /// What is particular about the arguments of the call that is made.
    case: Case,
    pub seen: Seen,
    sent: u8,
}

impl Twins {
    /// With `spoil`, our side does one thing wrong, which must be found.
    pub fn new(spoil: Option<Spoil>) -> Self {
        let (mut ours, mut theirs) = (Side::ours(spoil), Side::theirs());
        let bytes: Vec<u8> = (0..0x2000u32).map(|n| (n % 251) as u8).collect();
        for side in [&mut ours, &mut theirs] {
            side.write(BYTES, &bytes);
        }
        let kinds = [
            Kind::Input,
            Kind::Output,
            Kind::Output,
            Kind::Dir,
            Kind::Listener,
            Kind::Socket,
        ];
        let open = (0..).zip(kinds).map(|(number, kind)| Open {
            ours: number,
            theirs: number,
            kind,
            socket: 0,
            nonblock: false,
        });
        Self {
            ours,
            theirs,
            open: open.collect(),
            sockets: vec![Socket::default()],
            pending: VecDeque::new(),
            listening: true,
            case: Case::Any,
            seen: Seen::default(),
            sent: 0,
        }
    }

    /// Makes one call on both sides; what differed, if anything.
    pub fn run(&mut self, op: &Op) -> Outcome {
        self.case = Case::of(op);
        self.call(op)?;
        self.compare_memory()
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        self.ours.write(at, bytes);
        self.theirs.write(at, bytes);
    }

    fn clear(&mut self, at: u32, len: usize) {
        self.write(at, &vec![0; len]);
    }
}
