//! What may be called, with what.

use proptest::prelude::*;

/// Names that meet, miss, escape and loop.
pub(crate) const PATHS: [&str; 33] = [
    "file",
    "other",
    "dir",
    "dir/inner",
    "dir/..",
    "dir/../file",
    "dir/",
    "file/",
    "file/..",
    "new",
    "new/",
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
    "link/",
    "dangling",
    "dangling/",
    "loop",
    "out",
    "out/x",
    "into",
    "into/",
    "into/inner",
    "into/..",
    "dir/./inner",
    LONG,
];

const LONG: &str = "longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-\
    longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-longname-\
    longname-longname-longname-longname-longname";

/// An index into [`PATHS`].
#[derive(Clone, Copy)]
pub(crate) struct Path(pub(crate) usize);

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        PATHS[self.0].fmt(f)
    }
}

impl Arbitrary for Path {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (0..PATHS.len()).prop_map(Path).boxed()
    }
}

/// One call. A descriptor is a number: both sides give out the lowest that is free.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open {
        dir: i32,
        path: Path,
        follow: bool,
        how: i32,
        rights: i64,
        flags: i32,
    },
    Close(i32),
    Read(i32, u32),
    Write(i32, u32),
    Pread(i32, u32, i64),
    Pwrite(i32, u32, i64),
    Seek(i32, i64, i32),
    Tell(i32),
    SetSize(i32, i64),
    Allocate(i32, i64, i64),
    Advise(i32, i64, i64),
    Sync(i32),
    Stat(i32),
    Fdstat(i32),
    SetFlags(i32, i32),
    List(i32),
    PollRead(i32),
    PathStat(i32, Path, bool),
    SetTimes(i32, Path, bool, i32),
    Mkdir(i32, Path),
    Rmdir(i32, Path),
    Unlink(i32, Path),
    Symlink(Path, i32, Path),
    Readlink(i32, Path),
    Link(i32, Path, bool, i32, Path),
    Rename(i32, Path, i32, Path),
}

impl Arbitrary for Op {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let fd = || prop_oneof![3 => Just(3), 7 => 4..8];
        let dir = || prop_oneof![5 => Just(3), 2 => 4..6];
        let path = any::<Path>;
        let len = || prop_oneof![Just(0u32), 1..50u32, Just(200_000)];
        let offset = || prop_oneof![-3..60i64, Just(i64::MAX), Just(i64::MIN)];
        // How far a position may be is the file system's.
        let near = prop_oneof![-3..60i64, Just(100_000), Just(i64::MIN)];
        let rights = prop_oneof![Just(0), Just(2), Just(64), Just(66)];
        let open = (dir(), path(), any::<bool>(), 0..16i32, rights, 0..2i32);
        let open = open.prop_map(|(dir, path, follow, how, rights, flags)| Op::Open {
            dir,
            path,
            follow,
            how,
            rights,
            flags,
        });
        prop_oneof![
            6 => open,
            1 => fd().prop_map(Op::Close),
            2 => (fd(), len()).prop_map(|(a, b)| Op::Read(a, b)),
            3 => (fd(), len()).prop_map(|(a, b)| Op::Write(a, b)),
            2 => (fd(), len(), offset()).prop_map(|(a, b, c)| Op::Pread(a, b, c)),
            2 => (fd(), len(), -3..60i64).prop_map(|(a, b, c)| Op::Pwrite(a, b, c)),
            2 => (fd(), near, 0..3).prop_map(|(a, b, c)| Op::Seek(a, b, c)),
            1 => fd().prop_map(Op::Tell),
            1 => (fd(), -3..100i64).prop_map(|(a, b)| Op::SetSize(a, b)),
            1 => (fd(), -3..60i64, -3..60i64).prop_map(|(a, b, c)| Op::Allocate(a, b, c)),
            1 => (fd(), offset(), offset()).prop_map(|(a, b, c)| Op::Advise(a, b, c)),
            1 => fd().prop_map(Op::Sync),
            2 => fd().prop_map(Op::Stat),
            1 => fd().prop_map(Op::Fdstat),
            1 => (fd(), prop_oneof![Just(0), Just(1), Just(4), Just(5)]).prop_map(|(a, b)| Op::SetFlags(a, b)),
            1 => fd().prop_map(Op::List),
            1 => fd().prop_map(Op::PollRead),
            3 => (dir(), path(), any::<bool>()).prop_map(|(a, b, c)| Op::PathStat(a, b, c)),
            1 => (dir(), path(), any::<bool>(), 1..16).prop_map(|(a, b, c, d)| Op::SetTimes(a, b, c, d)),
            2 => (dir(), path()).prop_map(|(a, b)| Op::Mkdir(a, b)),
            2 => (dir(), path()).prop_map(|(a, b)| Op::Rmdir(a, b)),
            2 => (dir(), path()).prop_map(|(a, b)| Op::Unlink(a, b)),
            2 => (path(), dir(), path()).prop_map(|(a, b, c)| Op::Symlink(a, b, c)),
            1 => (dir(), path()).prop_map(|(a, b)| Op::Readlink(a, b)),
            2 => (dir(), path(), prop::bool::weighted(0.1), dir(), path())
                .prop_map(|(a, b, c, d, e)| Op::Link(a, b, c, d, e)),
            3 => (dir(), path(), dir(), path()).prop_map(|(a, b, c, d)| Op::Rename(a, b, c, d)),
        ]
        .boxed()
    }
}
