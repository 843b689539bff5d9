//! What may be called, with what.

use proptest::prelude::*;

/// A descriptor as the test knows it: an index into the open ones, taken modulo their number, or
/// none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fd {
    Open(u8),
    Stdio(u8),
    Closed,
}

/// The preopened directory that may be written, while it is open. The next one is another, for
/// reading only.
pub(crate) const PREOPEN: Fd = Fd::Open(0);

/// Names that meet, miss, escape and loop; and a FIFO.
pub(crate) const PATHS: [&str; 29] = [
    "file",
    "other",
    "dir",
    "dir/inner",
    "dir/..",
    "dir/../file",
    "dir/",
    "file/",
    "new",
    "dir/new",
    "new/x",
    ".",
    "./file",
    "..",
    "../x",
    "/",
    "/etc",
    "",
    "link",
    "dangling",
    "loop",
    "out",
    "out/x",
    "nul\0",
    "dir/./inner",
    "fifo",
    "dir/../fifo",
    "fifo/",
    "longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-\
     longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-\
     longname-longname-longname-longname-longname",
];

/// An index into [`PATHS`].
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Path(pub(crate) usize);

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", PATHS[self.0])
    }
}

pub(crate) fn path(name: &str) -> Path {
    Path(PATHS.iter().position(|p| *p == name).unwrap())
}

/// A buffer in the guest's memory, which has 64 KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buf {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

/// What a descriptor is opened with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    pub(crate) base: u64,
    pub(crate) inheriting: u64,
}

// Where what a call is passed lies in the memory, unless an operation says otherwise.
pub(crate) const OUT: At = 64;
pub(crate) const LIST: At = 512;
pub(crate) const SUBSCRIPTION: At = 1024;
pub(crate) const EVENT: At = 1152;

/// Where a result goes, or a structure lies: mostly where nothing else does.
pub(crate) type At = u32;

/// What a transfer is passed: a list of one buffer, and where the count goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Io {
    pub(crate) buf: Buf,
    pub(crate) list: At,
    pub(crate) out: At,
}

/// Devices that every Unix has and that do no harm.
pub(crate) const DEVICES: [&str; 2] = ["null", "zero"];

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open {
        dir: Fd,
        path: Path,
        follow: bool,
        how: u8,
        rights: Rights,
        flags: u8,
        out: At,
    },
    /// One of [`DEVICES`], for reading.
    Device {
        which: usize,
        how: u8,
        flags: u8,
    },
    Close(Fd),
    Renumber(Fd, Fd),
    Read(Fd, Io),
    Write(Fd, Io),
    Pread(Fd, Io, i64),
    Pwrite(Fd, Io, i64),
    Seek(Fd, i64, u8, At),
    Tell(Fd, At),
    Fdstat(Fd, At),
    Filestat(Fd, At),
    SetFlags(Fd, u8),
    SetSize(Fd, i64),
    SetTimes(Fd, u64, u64, u8),
    Sync(Fd),
    Datasync(Fd),
    Advise(Fd, u64, u64, u8),
    Prestat(Fd, At),
    PrestatName(Fd, Buf),
    List(Fd, At),
    PathStat {
        dir: Fd,
        path: Path,
        follow: bool,
        out: At,
    },
    PathTimes {
        dir: Fd,
        path: Path,
        follow: bool,
        mtim: u64,
        flags: u8,
    },
    Mkdir {
        dir: Fd,
        path: Path,
    },
    Rmdir {
        dir: Fd,
        path: Path,
    },
    Unlink {
        dir: Fd,
        path: Path,
    },
    Rename {
        dir: Fd,
        old: Path,
        to: Fd,
        new: Path,
    },
    Link {
        dir: Fd,
        old: Path,
        to: Fd,
        new: Path,
        follow: bool,
    },
    Symlink {
        target: Path,
        dir: Fd,
        path: Path,
    },
    Readlink {
        dir: Fd,
        path: Path,
        buf: Buf,
        out: At,
    },
    PollClock {
        clock: u8,
        absolute: bool,
        /// The subscription, the event, how many there are.
        places: [At; 3],
    },
    PollFd {
        fd: Fd,
        write: bool,
        /// Another one in the same call.
        and: Option<(Fd, bool)>,
    },
    Args(Buf, At),
    Environ(Buf, At),
    Sizes([At; 2]),
    Resolution(u8, At),
    Time(u8, At),
    Random(Buf),
    Yield,
    /// Of what is not open: everything else the peer does not support.
    Allocate,
    Sock(Fd, At),
    Exit(u8),
}

fn fd() -> impl Strategy<Value = Fd> {
    prop_oneof![8 => (0u8..6).prop_map(Fd::Open), 2 => (0u8..3).prop_map(Fd::Stdio), 1 => Just(Fd::Closed)]
}

fn dir() -> impl Strategy<Value = Fd> {
    prop_oneof![6 => Just(PREOPEN), 1 => Just(Fd::Open(1)), 2 => fd()]
}

fn a_path() -> impl Strategy<Value = Path> {
    (0..PATHS.len()).prop_map(Path)
}

fn buf() -> BoxedStrategy<Buf> {
    let at = prop_oneof![
        20 => 0x6000u32..0xE000,
        1 => 0xFFF0u32..0x10010,
        1 => Just(u32::MAX),
    ];
    let len = prop_oneof![10 => 0u32..300, 2 => 0u32..9000, 1 => Just(u32::MAX)];
    (at, len).prop_map(|(at, len)| Buf { at, len }).boxed()
}

/// Unaligned, over what the call reads, at the end of the memory and beyond it, `usual` otherwise.
fn at(usual: At) -> BoxedStrategy<At> {
    prop_oneof![
        24 => Just(usual),
        1 => 0u32..0x300,
        1 => 0x1000u32..0x1100,
        1 => 0x6000u32..0xE000,
        2 => 0xFFA0u32..0x10008,
        1 => prop::sample::select(vec![u32::MAX, u32::MAX - 3, u32::MAX - 7, 1 << 31]),
    ]
    .boxed()
}

fn io() -> impl Strategy<Value = Io> {
    (buf(), at(LIST), at(OUT)).prop_map(|(buf, list, out)| Io { buf, list, out })
}

/// The two that choose the mode, and others: of a C library, and unknown ones.
fn rights() -> BoxedStrategy<Rights> {
    let mode = (0u64..4).prop_map(|mode| (mode & 1) << 1 | (mode & 2) << 5);
    let more = prop_oneof![
        4 => Just(0),
        2 => 0u64..1 << 30,
        1 => Just((1 << 30) - 1),
        1 => prop::sample::select(vec![1 << 30, 1 << 63, u64::MAX]),
    ];
    (mode, more.clone(), more)
        .prop_map(|(mode, more, inheriting)| Rights {
            base: mode | more,
            inheriting,
        })
        .boxed()
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![
        10 => -50i64..400,
        1 => prop::sample::select(vec![i64::MIN, -1, 4096, 1 << 31, 1 << 32]),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0, 1, 999_999_999, 1_000_000_000, 12_345_678_901])
}

pub(crate) fn any_op() -> impl Strategy<Value = Op> {
    // Boxed, each: together they are more than the stack of a test's thread holds.
    let data = prop_oneof![
        (fd(), io()).prop_map(|(f, b)| Op::Read(f, b)),
        (fd(), io()).prop_map(|(f, b)| Op::Write(f, b)),
        (fd(), io(), offset()).prop_map(|(f, b, o)| Op::Pread(f, b, o)),
        (fd(), io(), offset()).prop_map(|(f, b, o)| Op::Pwrite(f, b, o)),
        (fd(), offset(), 0u8..4, at(OUT)).prop_map(|(f, o, w, out)| Op::Seek(f, o, w, out)),
        (fd(), at(OUT)).prop_map(|(f, out)| Op::Tell(f, out)),
    ]
    .boxed();
    let open = (
        dir(),
        a_path(),
        any::<bool>(),
        0u8..16,
        rights(),
        open_flags(),
        at(OUT),
    )
        .prop_map(|(dir, path, follow, how, rights, flags, out)| Op::Open {
            dir,
            path,
            follow,
            how,
            rights,
            flags,
            out,
        });
    let likely = (
        a_path(),
        prop::sample::select(vec![0u8, 0, 1, 9]),
        rights(),
        prop::sample::select(vec![0u8, 0, 1, 4]),
    )
        .prop_map(|(path, how, rights, flags)| Op::Open {
            dir: PREOPEN,
            path,
            follow: true,
            how,
            rights,
            flags,
            out: OUT,
        });
    let device = (0..DEVICES.len(), 0u8..16, open_flags())
        .prop_map(|(which, how, flags)| Op::Device { which, how, flags });
    let table = prop_oneof![
        3 => fd().prop_map(Op::Close),
        1 => (fd(), fd()).prop_map(|(a, b)| Op::Renumber(a, b)),
        2 => (fd(), at(OUT)).prop_map(|(f, out)| Op::Fdstat(f, out)),
        2 => (fd(), 0u8..32).prop_map(|(f, flags)| Op::SetFlags(f, flags)),
        1 => (fd(), at(OUT)).prop_map(|(f, out)| Op::Prestat(f, out)),
        1 => (fd(), buf()).prop_map(|(f, b)| Op::PrestatName(f, b)),
    ]
    .boxed();
    let meta = prop_oneof![
        3 => (fd(), at(OUT)).prop_map(|(f, out)| Op::Filestat(f, out)),
        1 => (fd(), offset()).prop_map(|(f, n)| Op::SetSize(f, n)),
        1 => (fd(), time(), time(), 0u8..16).prop_map(|(f, a, m, flags)| Op::SetTimes(f, a, m, flags)),
        1 => fd().prop_map(Op::Sync),
        1 => fd().prop_map(Op::Datasync),
        1 => (fd(), 0u64..100, 0u64..100, 0u8..7).prop_map(|(f, o, n, a)| Op::Advise(f, o, n, a)),
    ]
    .boxed();
    let rest = prop_oneof![
        (
            0u8..2,
            any::<bool>(),
            [at(SUBSCRIPTION), at(EVENT), at(OUT)]
        )
            .prop_map(|(clock, absolute, places)| Op::PollClock {
                clock,
                absolute,
                places
            }),
        (fd(), any::<bool>(), prop::option::of((fd(), any::<bool>())))
            .prop_map(|(fd, write, and)| Op::PollFd { fd, write, and }),
        Just(Op::Allocate),
        (buf(), at(OUT)).prop_map(|(buf, out)| Op::Args(buf, out)),
        (buf(), at(OUT)).prop_map(|(buf, out)| Op::Environ(buf, out)),
        [at(OUT), at(OUT + 4)].prop_map(Op::Sizes),
        (a_clock(), at(OUT)).prop_map(|(clock, out)| Op::Resolution(clock, out)),
        (a_clock(), at(OUT)).prop_map(|(clock, out)| Op::Time(clock, out)),
        buf().prop_map(Op::Random),
        Just(Op::Yield),
        (fd(), at(OUT)).prop_map(|(f, out)| Op::Sock(f, out)),
        (0u8..126).prop_map(Op::Exit),
    ]
    .boxed();
    prop_oneof![4 => likely, 2 => open, 1 => device, 8 => data, 4 => table, 4 => meta, 6 => paths(), 3 => rest]
}

/// `APPEND` and `NONBLOCK`: the peer opens nothing that is to be synchronised.
fn open_flags() -> impl Strategy<Value = u8> {
    (0u8..4).prop_map(|flags| (flags & 1) | (flags & 2) << 1)
}

fn a_clock() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![0u8, 1, 4])
}

/// What names files.
fn paths() -> BoxedStrategy<Op> {
    prop_oneof![
        (dir(), a_path(), any::<bool>(), at(OUT)).prop_map(|(dir, path, follow, out)| {
            Op::PathStat {
                dir,
                path,
                follow,
                out,
            }
        }),
        (dir(), a_path(), any::<bool>(), time(), 0u8..16).prop_map(
            |(dir, path, follow, mtim, flags)| Op::PathTimes {
                dir,
                path,
                follow,
                mtim,
                flags
            }
        ),
        (dir(), a_path()).prop_map(|(dir, path)| Op::Mkdir { dir, path }),
        (dir(), a_path()).prop_map(|(dir, path)| Op::Rmdir { dir, path }),
        (dir(), a_path()).prop_map(|(dir, path)| Op::Unlink { dir, path }),
        (dir(), a_path(), dir(), a_path()).prop_map(|(dir, old, to, new)| Op::Rename {
            dir,
            old,
            to,
            new
        }),
        (dir(), a_path(), dir(), a_path(), any::<bool>()).prop_map(
            |(dir, old, to, new, follow)| Op::Link {
                dir,
                old,
                to,
                new,
                follow
            }
        ),
        (a_path(), dir(), a_path()).prop_map(|(target, dir, path)| Op::Symlink {
            target,
            dir,
            path
        }),
        (dir(), a_path(), buf(), at(OUT)).prop_map(|(dir, path, buf, out)| {
            let len = buf.len.max(1);
            let buf = Buf { len, ..buf };
            Op::Readlink {
                dir,
                path,
                buf,
                out,
            }
        }),
        (dir(), at(OUT)).prop_map(|(dir, out)| Op::List(dir, out)),
    ]
    .boxed()
}
