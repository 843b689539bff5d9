//! Every answer that is meant to differ, with the reason.

mod list;
mod not_compared;

use crate::op::Op;

pub use list::ALL;
pub use not_compared::NOT_COMPARED;

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Standard input: nothing to read.
    Input,
    /// Standard output and error: writes are swallowed.
    Output,
    Dir,
    File,
    Listener,
    Socket,
    Closed,
}

/// What is particular about a call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Any,
    /// A read into no bytes, an allocation of none.
    Nothing,
    /// A seek to before the start.
    Negative,
    /// `NONBLOCK` or no flag.
    Nonblock,
    /// Flags that are not defined, or not for this.
    OtherFlags,
    /// A pointer that cannot be used.
    Odd,
    /// A clock of CPU time.
    Cpu,
    /// A signal that is ignored unless a program handles it.
    Ignored,
    /// A signal that stops a process.
    Stops,
}

impl Case {
    pub fn of(op: &Op) -> Self {
        match op {
            Op::Read(_, lens) | Op::Pread(_, lens, _) if lens.iter().all(|len| *len == 0) => {
                Case::Nothing
            }
            Op::Allocate(_, _, 0) => Case::Nothing,
            Op::Seek(_, ..0, 0) => Case::Negative,
            Op::SetFlags(_, 0 | 4) => Case::Nonblock,
            Op::SetFlags(..) | Op::SendFlags(..) => Case::OtherFlags,
            Op::Odd { .. } => Case::Odd,
            Op::Time(2 | 3) | Op::Resolution(2 | 3) => Case::Cpu,
            // None, CHLD, CONT, URG, WINCH.
            Op::Raise(0 | 16 | 17 | 22 | 27) => Case::Ignored,
            // STOP, TSTP, TTIN, TTOU.
            Op::Raise(18..=21) => Case::Stops,
            _ => Case::Any,
        }
    }
}

/// One difference: this adapter answers the first errno and wasi-common the second. It holds in
/// these functions, on these kinds of descriptor (on any, or without one, if none is named).
/// `None`: a trap.
pub struct Known {
    functions: &'static [&'static str],
    kinds: &'static [Kind],
    /// The only case, or `Any`.
    case: Case,
    ours: Option<i32>,
    theirs: Option<i32>,
    pub why: &'static str,
}

/// The difference this is, by its place in the list.
pub fn find(
    function: &str,
    kind: Option<Kind>,
    case: Case,
    ours: Option<i32>,
    theirs: Option<i32>,
) -> Option<usize> {
    ALL.iter().position(|known| {
        known.functions.contains(&function)
            && (known.kinds.is_empty() || kind.is_some_and(|kind| known.kinds.contains(&kind)))
            && (known.case == Case::Any || known.case == case)
            && known.ours == ours
            && known.theirs == theirs
    })
}

impl Known {
    /// Where it shows.
    pub fn place(&self) -> String {
        let kinds: Vec<_> = self
            .kinds
            .iter()
            .map(|kind| format!("{kind:?}").to_lowercase())
            .collect();
        if kinds.is_empty() {
            self.functions.join(", ")
        } else {
            format!("{} on {}", self.functions.join(", "), kinds.join(", "))
        }
    }
}
