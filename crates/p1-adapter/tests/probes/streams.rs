//! The standard streams a program is started with, and what it has left of them.

use crate::guest::terminal;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{FileType, OFlags, SeekFrom, fcntl_getfl, fcntl_setfl};
use std::fs::{File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Input, output, error; and the other sides, which are to be held while the program runs.
pub(crate) struct Streams {
    pub(crate) three: [OwnedFd; 3],
    others: Vec<OwnedFd>,
}

/// What the streams may be.
pub(crate) const ALL: [&str; 12] = [
    "files",
    "files both ways",
    "files synchronous",
    "one file",
    "null",
    "devices",
    "pipes",
    "pipes nonblocking",
    "terminal",
    "sockets",
    "folder",
    "closed",
];

/// Starts a program with its standard streams closed.
pub(crate) fn closing() -> [String; 4] {
    ["sh", "-c", r#"exec "$@" <&- >&- 2>&-"#, "closed"].map(str::to_owned)
}

fn open(path: &Path, options: &mut OpenOptions) -> File {
    let opened = options.open(path);
    opened.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `O_SYNC` and `O_DSYNC` of Linux. (rustix has one value for both.)
const SYNC: i32 = 0o4_010_000;
const DSYNC: i32 = 0o10_000;

impl Streams {
    /// Makes the streams called `name`, the files among them in `place`.
    ///
    /// # Panics
    ///
    /// If that fails, or there are none of this name.
    pub(crate) fn make(name: &str, place: &Path) -> Self {
        let mut others = Vec::new();
        let file = |name: &str| {
            let path = place.join(name);
            std::fs::write(&path, b"abcdefghijklmnopqrstuvwxyz").expect("a file for a stream");
            path
        };
        let three: [OwnedFd; 3] = match name {
            "files" => {
                let mut input = open(&file("input"), OpenOptions::new().read(true));
                input.seek(std::io::SeekFrom::Start(3)).expect("a seek");
                let output = open(
                    &file("output"),
                    OpenOptions::new().write(true).truncate(true),
                );
                let error = open(&file("error"), OpenOptions::new().append(true));
                [input.into(), output.into(), error.into()]
            }
            "files both ways" => ["input", "output", "error"].map(|name| {
                let mut both = OpenOptions::new();
                open(&file(name), both.read(true).write(true)).into()
            }),
            "files synchronous" => {
                [("input", 0), ("output", SYNC), ("error", DSYNC)].map(|(name, flags)| {
                    let mut both = OpenOptions::new();
                    let both = both.read(true).write(true).custom_flags(flags);
                    open(&file(name), both).into()
                })
            }
            "one file" => {
                let mut both = OpenOptions::new();
                let file = open(&file("output"), both.read(true).write(true));
                let clone = || file.try_clone().expect("a descriptor").into();
                [clone(), clone(), clone()]
            }
            // Every Rust program puts this in their place when it starts, so that no file gets
            // their numbers. So a guest's host always has it, and the native twin is given the
            // same.
            "closed" => std::array::from_fn(|_| {
                let mut both = OpenOptions::new();
                open(Path::new("/dev/null"), both.read(true).write(true)).into()
            }),
            "null" => [(true, false), (false, true), (false, true)].map(|(read, write)| {
                let mut options = OpenOptions::new();
                open(Path::new("/dev/null"), options.read(read).write(write)).into()
            }),
            "devices" => ["/dev/zero", "/dev/full", "/dev/null"].map(|path| {
                let mut both = OpenOptions::new();
                open(Path::new(path), both.read(true).write(true)).into()
            }),
            "pipes" | "pipes nonblocking" => {
                let pipe = || std::io::pipe().expect("a pipe");
                let [
                    (input, mut to_input),
                    (from_output, output),
                    (from_error, error),
                ] = [pipe(), pipe(), pipe()];
                to_input.write_all(&[b'b'; 64]).expect("a write");
                others = vec![to_input.into(), from_output.into(), from_error.into()];
                let three: [OwnedFd; 3] = [input.into(), output.into(), error.into()];
                if name != "pipes" {
                    for fd in &three {
                        let flags = fcntl_getfl(fd).expect("flags") | OFlags::NONBLOCK;
                        fcntl_setfl(fd, flags).expect("flags");
                    }
                }
                three
            }
            "terminal" => {
                let (outer, inner) = terminal().expect("a terminal");
                rustix::io::write(&outer, &[b'b'; 64]).expect("a write");
                others.push(outer);
                let clone = || inner.try_clone().expect("a descriptor");
                [clone(), clone(), clone()]
            }
            "sockets" => std::array::from_fn(|_| {
                let (mut ours, theirs) = UnixStream::pair().expect("sockets");
                ours.write_all(&[b'b'; 64]).expect("a write");
                others.push(ours.into());
                theirs.into()
            }),
            "folder" => std::array::from_fn(|_| open(place, OpenOptions::new().read(true)).into()),
            name => panic!("no streams are called {name}"),
        };
        Self { three, others }
    }

    /// What the program has left of each: its position, its flags, its contents, as cells.
    ///
    /// # Panics
    ///
    /// If they cannot be looked at.
    pub(crate) fn left(&self, place: &Path) -> String {
        debug_assert!(self.others.len() <= 3);
        let mut cells = String::new();
        for (name, fd) in ["input", "output", "error"].iter().zip(&self.three) {
            let stat = rustix::fs::fstat(fd).expect("a stream that is open");
            let flags = fcntl_getfl(fd).expect("a stream that is open");
            let at = rustix::fs::seek(fd.as_fd(), SeekFrom::Current(0));
            let position = match (FileType::from_raw_mode(stat.st_mode), at) {
                (FileType::RegularFile, Ok(at)) => format!("at {at} of {}", stat.st_size),
                _ => "no position".to_owned(),
            };
            let (append, nonblock) = (OFlags::APPEND, OFlags::NONBLOCK);
            let on = [("append", append), ("nonblock", nonblock)]
                .map(|(name, flag)| if flags.contains(flag) { name } else { "" });
            cells += &format!("streams.left.{name}\t{position} {}\n", on.join(" "));
            if let Ok(bytes) = std::fs::read(place.join(name)) {
                let bytes = String::from_utf8_lossy(&bytes).escape_debug().to_string();
                cells += &format!("streams.contents.{name}\t{bytes}\n");
            }
        }
        cells
    }
}
