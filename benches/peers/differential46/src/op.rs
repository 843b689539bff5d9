//! What may be called, with what.

use proptest::prelude::*;

/// A descriptor. If none is of the kind asked for, any.
#[derive(Clone, Copy, Debug)]
pub enum Fd {
    /// An index into all that are open, taken modulo how many there are and one more, which is
    /// closed.
    Any(u8),
    /// An index into those of one kind.
    Socket(u8),
    File(u8),
    Listener(u8),
}

/// Buffers of a call, by length. They lie one behind the other.
pub type Lens = Vec<u16>;

#[derive(Clone, Debug)]
pub enum Op {
    /// A client connects.
    Connect,
    /// The other end of a socket sends so many bytes.
    PeerSends(u8, u16),
    /// The other end of a socket sends no more.
    PeerFinishes(u8),
    Accept(Fd, bool),
    Recv(Fd, Lens, u8),
    Send(Fd, Lens),
    /// Of nothing, with flags, of which none is defined.
    SendFlags(Fd, u16),
    Shutdown(Fd, u8),
    Open {
        name: u8,
        how: u8,
        flags: u8,
    },
    Close(Fd),
    Renumber(Fd, Fd),
    Read(Fd, Lens),
    Pread(Fd, Lens, u16),
    Write(Fd, Lens),
    Pwrite(Fd, Lens, u16),
    Seek(Fd, i16, u8),
    Tell(Fd),
    Fdstat(Fd),
    SetFlags(Fd, u8),
    SetRights(Fd),
    Filestat(Fd),
    SetSize(Fd, u16),
    Allocate(Fd, u16, u16),
    Advise(Fd, u8),
    Sync(Fd),
    Datasync(Fd),
    Prestat(Fd),
    PrestatName(Fd),
    /// Descriptors, each to be read or written.
    Poll(Vec<(Fd, bool)>),
    PollClock {
        clock: u8,
        absolute: bool,
        nanoseconds: u32,
    },
    Time(u8),
    Resolution(u8),
    Raise(u8),
    Yield,
    Random(u16),
    /// A call with a pointer it cannot use.
    Odd {
        fd: Fd,
        call: u8,
        how: u8,
    },
}

pub fn any_op() -> impl Strategy<Value = Op> {
    let index = || 0u8..12;
    let fd = move || {
        prop_oneof![
            3 => index().prop_map(Fd::Any),
            1 => index().prop_map(Fd::Socket),
            1 => index().prop_map(Fd::File),
        ]
    };
    let socket = move || prop_oneof![1 => fd(), 3 => index().prop_map(Fd::Socket)];
    let file = move || prop_oneof![1 => fd(), 2 => index().prop_map(Fd::File)];
    let listener = move || prop_oneof![1 => fd(), 3 => index().prop_map(Fd::Listener)];
    let len = || prop_oneof![1 => Just(0u16), 8 => 1u16..64, 2 => 64u16..3000];
    let lens = move || prop::collection::vec(len(), 0..4);
    let sockets = prop_oneof![
        2 => Just(Op::Connect),
        4 => (0u8..7, 1u16..400).prop_map(|(peer, n)| Op::PeerSends(peer, n)),
        1 => (0u8..7).prop_map(Op::PeerFinishes),
        4 => (listener(), any::<bool>()).prop_map(|(fd, nonblock)| Op::Accept(fd, nonblock)),
        6 => (socket(), lens(), 0u8..5).prop_map(|(fd, lens, flags)| Op::Recv(fd, lens, flags)),
        5 => (socket(), lens()).prop_map(|(fd, lens)| Op::Send(fd, lens)),
        1 => (socket(), 1u16..4).prop_map(|(fd, flags)| Op::SendFlags(fd, flags)),
        1 => (socket(), 0u8..6).prop_map(|(fd, how)| Op::Shutdown(fd, how)),
    ];
    let io = prop_oneof![
        (file(), lens()).prop_map(|(fd, lens)| Op::Read(fd, lens)),
        (socket(), lens()).prop_map(|(fd, lens)| Op::Read(fd, lens)),
        (file(), lens(), 0u16..4000).prop_map(|(fd, lens, at)| Op::Pread(fd, lens, at)),
        (file(), lens()).prop_map(|(fd, lens)| Op::Write(fd, lens)),
        (file(), lens(), 0u16..4000).prop_map(|(fd, lens, at)| Op::Pwrite(fd, lens, at)),
        (file(), -50i16..4000, 0u8..4).prop_map(|(fd, by, whence)| Op::Seek(fd, by, whence)),
        (fd(), -50i16..0).prop_map(|(fd, by)| Op::Seek(fd, by, 0)),
        file().prop_map(Op::Tell),
    ];
    // APPEND and NONBLOCK, or any.
    let flags = prop_oneof![prop::sample::select(vec![0, 1, 4, 5]), 0u8..33];
    let table = prop_oneof![
        3 => (0u8..3, 0u8..4, 0u8..4).prop_map(|(name, how, flags)| Op::Open { name, how, flags }),
        1 => fd().prop_map(Op::Close),
        1 => (fd(), fd()).prop_map(|(a, b)| Op::Renumber(a, b)),
        2 => fd().prop_map(Op::Fdstat),
        3 => (fd(), flags).prop_map(|(fd, flags)| Op::SetFlags(fd, flags)),
        1 => fd().prop_map(Op::SetRights),
        1 => fd().prop_map(Op::Prestat),
        1 => fd().prop_map(Op::PrestatName),
    ];
    let meta = prop_oneof![
        file().prop_map(Op::Filestat),
        (file(), 0u16..5000).prop_map(|(fd, n)| Op::SetSize(fd, n)),
        (
            file(),
            0u16..5000,
            prop_oneof![1 => Just(0), 3 => 1u16..5000]
        )
            .prop_map(|(fd, at, n)| Op::Allocate(fd, at, n)),
        (file(), 0u8..7).prop_map(|(fd, advice)| Op::Advise(fd, advice)),
        file().prop_map(Op::Sync),
        file().prop_map(Op::Datasync),
    ];
    let rest = prop_oneof![
        5 => prop::collection::vec((fd(), any::<bool>()), 1..4).prop_map(Op::Poll),
        2 => (0u8..5, any::<bool>(), 0u32..300_000).prop_map(|(clock, absolute, nanoseconds)| {
            Op::PollClock { clock, absolute, nanoseconds }
        }),
        1 => (0u8..5).prop_map(Op::Time),
        1 => (0u8..5).prop_map(Op::Resolution),
        1 => (0u8..33).prop_map(Op::Raise),
        1 => Just(Op::Yield),
        1 => (0u16..2000).prop_map(Op::Random),
        2 => (fd(), 0u8..9, 0u8..4).prop_map(|(fd, call, how)| Op::Odd { fd, call, how }),
    ];
    prop_oneof![6 => sockets, 4 => io, 4 => table, 2 => meta, 3 => rest]
}
