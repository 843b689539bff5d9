//! Every answer that is meant to differ, with the reason.

use crate::op::Op;

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

use Kind::{Closed, Dir, File, Input, Listener, Output, Socket};

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

/// One difference: in these functions, on these kinds of descriptor (on any, or without one, if none is named), this
/// adapter answers the first errno and wasi-common the second. `None`: a trap.
pub struct Known {
    functions: &'static [&'static str],
    kinds: &'static [Kind],
    /// The only case, or `Any`.
    case: Case,
    ours: Option<i32>,
    theirs: Option<i32>,
    pub why: &'static str,
}

const SUCCESS: Option<i32> = Some(0);
const BADF: Option<i32> = Some(8);
const INVAL: Option<i32> = Some(28);
const ISDIR: Option<i32> = Some(31);
const NODEV: Option<i32> = Some(43);
const NOTCONN: Option<i32> = Some(53);
const NOTDIR: Option<i32> = Some(54);
const NOTSOCK: Option<i32> = Some(57);
const NOTSUP: Option<i32> = Some(58);
const SPIPE: Option<i32> = Some(70);
const NOTCAPABLE: Option<i32> = Some(76);

/// The list.
pub const ALL: [Known; 34] = [
    Known {
        functions: &["sock_send"],
        kinds: &[Socket],
        case: Case::OtherFlags,
        ours: INVAL,
        theirs: SUCCESS,
        why: "no flag of it is defined; wasi-common ignores them",
    },
    Known {
        functions: &[
            "fd_read",
            "fd_pread",
            "fd_write",
            "fd_pwrite",
            "sock_recv",
            "sock_send",
        ],
        kinds: &[Input, Output, Dir, Closed],
        case: Case::Odd,
        ours: None,
        theirs: BADF,
        why: "buffers that are not there are a trap; wasi-common looks at the descriptor first",
    },
    Known {
        functions: &["fd_read", "fd_pread"],
        kinds: &[Listener],
        case: Case::Nothing,
        ours: BADF,
        theirs: SUCCESS,
        why: "a read of nothing: wasi-common is done before it looks at what is to be read",
    },
    Known {
        functions: &["fd_pread"],
        kinds: &[Input, Socket],
        case: Case::Nothing,
        ours: SPIPE,
        theirs: SUCCESS,
        why: "a read of nothing: wasi-common is done before it looks at what is to be read",
    },
    Known {
        functions: &["fd_seek"],
        kinds: &[Input, Output, Listener, Socket],
        case: Case::Negative,
        ours: SPIPE,
        theirs: INVAL,
        why: "a negative position: wasi-common looks at it before it looks at the descriptor",
    },
    Known {
        functions: &["fd_seek"],
        kinds: &[Dir, Closed],
        case: Case::Negative,
        ours: BADF,
        theirs: INVAL,
        why: "a negative position: wasi-common looks at it before it looks at the descriptor",
    },
    Known {
        functions: &["sock_accept", "sock_recv", "sock_send", "sock_shutdown"],
        kinds: &[Input, Output, Dir, File],
        case: Case::Any,
        ours: NOTSOCK,
        theirs: BADF,
        why: "POSIX: a descriptor that is no socket is notsock",
    },
    Known {
        functions: &["sock_recv", "sock_send", "sock_shutdown"],
        kinds: &[Listener],
        case: Case::Any,
        ours: NOTCONN,
        theirs: BADF,
        why: "POSIX: a socket that listens is not connected",
    },
    Known {
        functions: &["sock_accept"],
        kinds: &[Socket],
        case: Case::Any,
        ours: INVAL,
        theirs: BADF,
        why: "POSIX: accepting from a socket that does not listen is inval",
    },
    Known {
        functions: &["fd_seek", "fd_tell"],
        kinds: &[Input, Output, Listener, Socket],
        case: Case::Any,
        ours: SPIPE,
        theirs: BADF,
        why: "POSIX: what has no position is spipe",
    },
    Known {
        functions: &["fd_pread"],
        kinds: &[Input, Socket],
        case: Case::Any,
        ours: SPIPE,
        theirs: BADF,
        why: "POSIX: what has no position is spipe",
    },
    Known {
        functions: &["fd_pwrite"],
        kinds: &[Output, Socket],
        case: Case::Any,
        ours: SPIPE,
        theirs: BADF,
        why: "POSIX: what has no position is spipe",
    },
    Known {
        functions: &["fd_sync", "fd_datasync"],
        kinds: &[Input, Output, Listener, Socket],
        case: Case::Any,
        ours: INVAL,
        theirs: SUCCESS,
        why: "POSIX: a stream cannot be synchronised",
    },
    Known {
        functions: &["fd_sync", "fd_datasync"],
        kinds: &[Dir],
        case: Case::Any,
        ours: SUCCESS,
        theirs: BADF,
        why: "an open directory can be synchronised, which makes a rename durable",
    },
    Known {
        functions: &["fd_fdstat_set_flags"],
        kinds: &[Input, Output],
        case: Case::Nonblock,
        ours: SUCCESS,
        theirs: BADF,
        why: "wasi-common cannot change the flags of these; NONBLOCK is a flag of every stream",
    },
    Known {
        functions: &["fd_fdstat_set_flags"],
        kinds: &[Input, Output],
        case: Case::OtherFlags,
        ours: INVAL,
        theirs: BADF,
        why: "wasi-common cannot change the flags of these; APPEND and SYNC are flags of no stream",
    },
    Known {
        functions: &["fd_fdstat_set_rights"],
        kinds: &[File],
        case: Case::Any,
        ours: SUCCESS,
        theirs: NOTSUP,
        why: "wasi-common has no rights to give up; a file has all, as in wasmtime-wasi, and here keeps them",
    },
    Known {
        functions: &["fd_fdstat_set_rights"],
        kinds: &[Input, Output, Dir, Listener, Socket],
        case: Case::Any,
        ours: NOTCAPABLE,
        theirs: NOTSUP,
        why: "wasi-common has no rights to give up; witx: one that is not held is notcapable",
    },
    Known {
        functions: &["fd_allocate"],
        kinds: &[File],
        case: Case::Any,
        ours: SUCCESS,
        theirs: NOTSUP,
        why: "wasi-common does not allocate",
    },
    Known {
        functions: &["fd_allocate"],
        kinds: &[File],
        case: Case::Nothing,
        ours: INVAL,
        theirs: NOTSUP,
        why: "wasi-common does not allocate; POSIX: no bytes are inval",
    },
    Known {
        functions: &["fd_allocate"],
        kinds: &[Input, Output, Listener, Socket],
        case: Case::Any,
        ours: SPIPE,
        theirs: NOTSUP,
        why: "wasi-common does not allocate; POSIX: what has no position is spipe",
    },
    Known {
        functions: &["fd_allocate"],
        kinds: &[Input, Output, Listener, Socket],
        case: Case::Any,
        ours: BADF,
        theirs: NOTSUP,
        why: "wasi-common does not allocate",
    },
    Known {
        functions: &["fd_filestat_set_size"],
        kinds: &[Input, Output, Listener, Socket, Dir],
        case: Case::Any,
        ours: INVAL,
        theirs: BADF,
        why: "POSIX: what is no file has no size to set",
    },
    Known {
        functions: &["fd_advise"],
        kinds: &[Input, Output],
        case: Case::Any,
        ours: SPIPE,
        theirs: BADF,
        why: "POSIX: what has no position is spipe",
    },
    Known {
        functions: &["fd_advise"],
        kinds: &[Listener, Socket],
        case: Case::Any,
        ours: SUCCESS,
        theirs: BADF,
        why: "as on Linux, where a socket takes advice",
    },
    Known {
        functions: &["fd_read", "fd_pread"],
        kinds: &[Dir],
        case: Case::Any,
        ours: ISDIR,
        theirs: BADF,
        why: "POSIX: a directory cannot be read as a file",
    },
    Known {
        functions: &["fd_allocate"],
        kinds: &[Listener, Socket],
        case: Case::Any,
        ours: NODEV,
        theirs: NOTSUP,
        why: "wasi-common does not allocate; Linux: a socket is no device that could",
    },
    Known {
        functions: &["poll_oneoff"],
        kinds: &[],
        case: Case::Any,
        ours: SUCCESS,
        theirs: BADF,
        why: "a number that nothing has is an event with badf, as POLLNVAL is; wasi-common fails the whole call",
    },
    Known {
        functions: &["fd_allocate"],
        kinds: &[Input, Output, Listener, Socket],
        case: Case::Nothing,
        ours: INVAL,
        theirs: NOTSUP,
        why: "wasi-common does not allocate; POSIX: no bytes are inval",
    },
    Known {
        functions: &["clock_time_get", "clock_res_get"],
        kinds: &[],
        case: Case::Cpu,
        ours: SUCCESS,
        theirs: BADF,
        why: "wasi-common has no CPU-time clocks",
    },
    Known {
        functions: &["fd_prestat_dir_name"],
        kinds: &[Closed],
        case: Case::Any,
        ours: BADF,
        theirs: NOTDIR,
        why: "a number that is not open is badf everywhere",
    },
    Known {
        functions: &[
            "clock_res_get",
            "clock_time_get",
            "fd_advise",
            "fd_fdstat_set_flags",
            "fd_seek",
            "proc_raise",
            "sock_recv",
            "sock_shutdown",
        ],
        kinds: &[],
        case: Case::Any,
        ours: INVAL,
        theirs: None,
        why: "an argument with a value that the interface has not is a program's own mistake (POSIX: EINVAL), and no trap",
    },
    Known {
        functions: &["proc_raise"],
        kinds: &[],
        case: Case::Ignored,
        ours: SUCCESS,
        theirs: None,
        why: "wasi-common traps for every signal; POSIX ignores some",
    },
    Known {
        functions: &["proc_raise"],
        kinds: &[],
        case: Case::Stops,
        ours: NOTSUP,
        theirs: None,
        why: "wasi-common traps for every signal; stopping is not supported here",
    },
];

/// What is not compared in a call that answers alike, or not generated, and why.
pub const NOT_COMPARED: [(&str, &str); 15] = [
    (
        "path_open with TRUNC and APPEND",
        "cap-std refuses the two together (inval)",
    ),
    (
        "descriptor numbers",
        "here it must be the lowest, there it is one never used before; the test maps them",
    ),
    (
        "rights other than FD_READ and FD_WRITE, and of a directory or a listener any, in fd_fdstat_get",
        "wasi-common reports these two and nothing else, for a listener as well",
    ),
    (
        "flags of standard streams",
        "wasi-common says APPEND for its virtual pipes",
    ),
    (
        "dev, ino and times of a file",
        "real device and inode there, wasmtime-wasi's hash here; the twins are two files",
    ),
    ("links of a socket", "what the system says here, none there"),
    (
        "the peer's events for what is not ready in a poll where something is",
        "wasi-common reports all descriptors once one is ready",
    ),
    (
        "polls of a standard stream or a directory among others",
        "one that cannot be polled fails the whole call there; here its own event",
    ),
    (
        "the order of events, nbytes of writes and where there are none to read, flags at the end of a stream",
        "reads first there; wasi-common says at least 1, and 0 for writes",
    ),
    (
        "nbytes of a file whose cursor is beyond its end in a poll",
        "wasi-common subtracts the one from the other, which wraps around",
    ),
    (
        "absolute deadlines on the real-time clock, CPU-time clocks in a poll",
        "notsup there; CPU-time clocks sleep for real time there if they are alone, inval here",
    ),
    (
        "sock_accept with flags other than NONBLOCK",
        "wasi-common accepts first and then drops the connection",
    ),
    (
        "RECV_WAITALL with fewer bytes than asked for",
        "wasi-common fails and loses what it has read",
    ),
    (
        "RECV_PEEK of no bytes at a socket that has none",
        "a Unix socket there waits for some, or is again; nothing is to be done here",
    ),
    (
        "sock_shutdown of the receiving side before the other end has finished",
        "what comes afterwards is refused or taken, as the timing of the two connections goes",
    ),
];

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
