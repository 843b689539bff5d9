//! What may be called, with what.

use proptest::prelude::*;

/// A descriptor as the test knows it: an index into the open ones, taken modulo how many there are; or none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fd {
    Open(u8),
    Stdio(u8),
    Closed,
}

/// The preopened directory that may be written, while it is open. The next one is another, for reading only.
pub(crate) const PREOPEN: Fd = Fd::Open(0);

/// Names that meet, miss, escape and loop.
pub(crate) const PATHS: [&str; 26] = [
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

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open {
        dir: Fd,
        path: Path,
        follow: bool,
        how: u8,
        rights: u8,
        flags: u8,
    },
    Close(Fd),
    Renumber(Fd, Fd),
    Read(Fd, Buf),
    Write(Fd, Buf),
    Pread(Fd, Buf, i64),
    Pwrite(Fd, Buf, i64),
    Seek(Fd, i64, u8),
    Tell(Fd, u32),
    Fdstat(Fd),
    Filestat(Fd),
    SetFlags(Fd, u8),
    SetSize(Fd, i64),
    SetTimes(Fd, u64, u64, u8),
    Sync(Fd),
    Datasync(Fd),
    Advise(Fd, u64, u64, u8),
    Prestat(Fd),
    PrestatName(Fd, Buf),
    List(Fd),
    PathStat {
        dir: Fd,
        path: Path,
        follow: bool,
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
    },
    PollClock {
        clock: u8,
        absolute: bool,
    },
    PollFd {
        fd: Fd,
        write: bool,
        /// Another one in the same call.
        and: Option<(Fd, bool)>,
    },
    Args(Buf),
    Environ(Buf),
    Sizes,
    Resolution(u8),
    Time(u8),
    Random(Buf),
    Yield,
    /// Of what is not open: everything else the peer does not support.
    Allocate,
    Sock(Fd),
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

fn buf() -> impl Strategy<Value = Buf> {
    let at = prop_oneof![
        20 => 0x6000u32..0xE000,
        1 => 0xFFF0u32..0x10010,
        1 => Just(u32::MAX),
    ];
    let len = prop_oneof![10 => 0u32..300, 2 => 0u32..9000, 1 => Just(u32::MAX)];
    (at, len).prop_map(|(at, len)| Buf { at, len })
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
    let io = prop_oneof![
        (fd(), buf()).prop_map(|(f, b)| Op::Read(f, b)),
        (fd(), buf()).prop_map(|(f, b)| Op::Write(f, b)),
        (fd(), buf(), offset()).prop_map(|(f, b, o)| Op::Pread(f, b, o)),
        (fd(), buf(), offset()).prop_map(|(f, b, o)| Op::Pwrite(f, b, o)),
        (fd(), offset(), 0u8..4).prop_map(|(f, o, w)| Op::Seek(f, o, w)),
        (fd(), prop_oneof![9 => Just(64u32), 1 => 0xFFF0u32..0x10008])
            .prop_map(|(f, at)| Op::Tell(f, at)),
    ];
    let open = (
        dir(),
        a_path(),
        proptest::bool::ANY,
        0u8..16,
        0u8..4,
        0u8..32,
    )
        .prop_map(|(dir, path, follow, how, rights, flags)| Op::Open {
            dir,
            path,
            follow,
            how,
            rights,
            flags,
        });
    let likely = (
        a_path(),
        prop::sample::select(vec![0u8, 0, 1, 9]),
        0u8..4,
        prop::sample::select(vec![0u8, 0, 1, 4]),
    )
        .prop_map(|(path, how, rights, flags)| Op::Open {
            dir: PREOPEN,
            path,
            follow: true,
            how,
            rights,
            flags,
        });
    let table = prop_oneof![
        3 => fd().prop_map(Op::Close),
        1 => (fd(), fd()).prop_map(|(a, b)| Op::Renumber(a, b)),
        2 => fd().prop_map(Op::Fdstat),
        2 => (fd(), 0u8..32).prop_map(|(f, flags)| Op::SetFlags(f, flags)),
        1 => fd().prop_map(Op::Prestat),
        1 => (fd(), buf()).prop_map(|(f, b)| Op::PrestatName(f, b)),
    ];
    let meta = prop_oneof![
        3 => fd().prop_map(Op::Filestat),
        1 => (fd(), offset()).prop_map(|(f, n)| Op::SetSize(f, n)),
        1 => (fd(), time(), time(), 0u8..16).prop_map(|(f, a, m, flags)| Op::SetTimes(f, a, m, flags)),
        1 => fd().prop_map(Op::Sync),
        1 => fd().prop_map(Op::Datasync),
        1 => (fd(), 0u64..100, 0u64..100, 0u8..7).prop_map(|(f, o, n, a)| Op::Advise(f, o, n, a)),
    ];
    let paths = prop_oneof![
        (dir(), a_path(), proptest::bool::ANY).prop_map(|(dir, path, follow)| Op::PathStat {
            dir,
            path,
            follow
        }),
        (dir(), a_path(), proptest::bool::ANY, time(), 0u8..16).prop_map(
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
        (dir(), a_path(), dir(), a_path(), proptest::bool::ANY).prop_map(
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
        (dir(), a_path(), buf()).prop_map(|(dir, path, buf)| Op::Readlink { dir, path, buf }),
        dir().prop_map(Op::List),
    ];
    let rest = prop_oneof![
        (0u8..2, proptest::bool::ANY)
            .prop_map(|(clock, absolute)| Op::PollClock { clock, absolute }),
        (
            fd(),
            proptest::bool::ANY,
            prop::option::of((fd(), proptest::bool::ANY))
        )
            .prop_map(|(fd, write, and)| Op::PollFd { fd, write, and }),
        Just(Op::Allocate),
        buf().prop_map(Op::Args),
        buf().prop_map(Op::Environ),
        Just(Op::Sizes),
        prop::sample::select(vec![0u8, 1, 4]).prop_map(Op::Resolution),
        prop::sample::select(vec![0u8, 1, 4]).prop_map(Op::Time),
        buf().prop_map(Op::Random),
        Just(Op::Yield),
        fd().prop_map(Op::Sock),
        (0u8..126).prop_map(Op::Exit),
    ];
    prop_oneof![4 => likely, 2 => open, 8 => io, 4 => table, 4 => meta, 6 => paths, 3 => rest]
}
