//! Answers that are meant to differ, where both sides leave everything as it is.

use crate::guest::emulated::emulated;
use crate::op::{Fd, Op, PATHS};
use crate::twins::Kind;
use std::sync::atomic::{AtomicUsize, Ordering};

const ACCES: i32 = 2;
const BADF: i32 = 8;
const EXIST: i32 = 20;
const INVAL: i32 = 28;
const ISDIR: i32 = 31;
const LOOP: i32 = 32;
const NOENT: i32 = 44;
const NOTDIR: i32 = 54;
const NOTEMPTY: i32 = 55;
const PERM: i32 = 63;
const SPIPE: i32 = 70;

/// What a call is about, as far as a difference depends on it.
#[derive(Clone, Copy, Default)]
pub(crate) struct About {
    /// What its descriptors are: one, or those of two paths.
    kinds: [Option<Kind>; 2],
    /// Its path; of two paths, the one that is to be made.
    path: &'static str,
    /// Opens a directory and does not follow a link.
    directory_nofollow: bool,
    /// An argument has a value that the interface does not have.
    odd: bool,
}

/// Whether an argument has a value that the interface does not have.
fn is_odd(op: &Op) -> bool {
    const RIGHTS: u64 = (1 << 30) - 1;
    match *op {
        Op::Seek(_, _, whence, _) => whence > 2,
        Op::Advise(_, _, _, advice) => advice > 5,
        Op::Time(clock, _) | Op::Resolution(clock, _) => clock > 3,
        Op::Open { rights, .. } => (rights.base | rights.inheriting) & !RIGHTS != 0,
        _ => false,
    }
}

impl About {
    pub(crate) fn call(op: &Op, kind: impl Fn(Fd) -> Option<Kind>) -> Self {
        const DIRECTORY: u8 = 2;
        let on = |fd: Fd| Self {
            kinds: [kind(fd), None],
            ..Self::default()
        };
        let about = match *op {
            Op::Open {
                dir,
                path,
                follow,
                how,
                ..
            } => Self {
                path: PATHS[path.0],
                directory_nofollow: how & DIRECTORY != 0 && !follow,
                ..on(dir)
            },
            Op::PathStat { dir, path, .. }
            | Op::PathTimes { dir, path, .. }
            | Op::Mkdir { dir, path }
            | Op::Rmdir { dir, path }
            | Op::Unlink { dir, path }
            | Op::Symlink { dir, path, .. }
            | Op::Readlink { dir, path, .. } => Self {
                path: PATHS[path.0],
                ..on(dir)
            },
            Op::Rename { dir, to, new, .. } | Op::Link { dir, to, new, .. } => Self {
                kinds: [kind(dir), kind(to)],
                path: PATHS[new.0],
                ..Self::default()
            },
            Op::PollFd { fd, and, .. } => Self {
                kinds: [kind(fd), and.and_then(|(fd, _)| kind(fd))],
                ..Self::default()
            },
            Op::Read(fd, _)
            | Op::Pread(fd, ..)
            | Op::SetSize(fd, _)
            | Op::Sync(fd)
            | Op::Datasync(fd)
            | Op::Advise(fd, ..)
            | Op::List(fd, _) => on(fd),
            _ => Self::default(),
        };
        Self {
            odd: is_odd(op),
            ..about
        }
    }

    fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&Some(kind))
    }

    fn is_directory(&self) -> bool {
        self.kinds == [Some(Kind::Directory), None]
    }

    fn is_standard(&self) -> bool {
        self.kinds == [Some(Kind::Standard), None]
    }

    /// A path below what is open and no directory.
    fn is_below_no_directory(&self) -> bool {
        self.has(Kind::File) || self.has(Kind::Standard)
    }

    fn has_slash_behind(&self) -> bool {
        self.path.ends_with('/') && self.path != "/"
    }

    fn is_a_parent(&self) -> bool {
        self.path == ".." || self.path.ends_with("/..")
    }

    /// Opens a directory, and a link is there (or another, which the sequence has put there) and is
    /// not followed.
    fn is_a_link_opened_as_directory(&self) -> bool {
        self.directory_nofollow && !self.path.ends_with('/')
    }
}

struct Known {
    functions: &'static [&'static str],
    about: fn(&About) -> bool,
    /// What this adapter answers, and what the peer does.
    says: (&'static [i32], &'static [i32]),
    why: &'static str,
}

const PATH_FUNCTIONS: &[&str] = &[
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
];

const ALL: [Known; 13] = [
    Known {
        functions: PATH_FUNCTIONS,
        about: About::is_below_no_directory,
        says: (&[NOTDIR], &[BADF]),
        why: "POSIX: nothing lies below what is no directory",
    },
    Known {
        functions: &["fd_readdir"],
        about: About::is_below_no_directory,
        says: (&[NOTDIR], &[BADF]),
        why: "POSIX: what is no directory is not listed",
    },
    Known {
        functions: &["fd_read", "fd_pread"],
        about: About::is_directory,
        says: (&[ISDIR], &[BADF]),
        why: "POSIX: a directory is not read as a file",
    },
    Known {
        functions: &["fd_sync", "fd_datasync"],
        about: About::is_directory,
        says: (&[0], &[BADF]),
        why: "POSIX: a preopened directory is synchronised as every other",
    },
    Known {
        functions: &["fd_sync", "fd_datasync"],
        about: About::is_standard,
        says: (&[INVAL], &[BADF]),
        why: "POSIX: a stream cannot be synchronised",
    },
    Known {
        functions: &["fd_filestat_set_size"],
        about: |about| about.is_directory() || about.is_standard(),
        says: (&[INVAL], &[BADF]),
        why: "Linux: what is no file has no size to set",
    },
    Known {
        functions: &["fd_advise"],
        about: About::is_standard,
        says: (&[SPIPE], &[BADF]),
        why: "POSIX: a stream has no place to advise about",
    },
    Known {
        functions: &["poll_oneoff"],
        about: |about| about.has(Kind::Directory),
        says: (&[0], &[BADF]),
        why: "POSIX: a directory is ready",
    },
    Known {
        functions: &["path_remove_directory"],
        about: About::is_a_parent,
        says: (&[NOTEMPTY], &[INVAL]),
        why: "Linux: `..` is not empty",
    },
    Known {
        functions: &["path_unlink_file"],
        about: About::has_slash_behind,
        says: (&[NOTDIR], &[ISDIR, LOOP, NOENT, PERM]),
        why: "Linux: slashes behind a link, which is not followed",
    },
    Known {
        functions: &["path_symlink"],
        about: About::has_slash_behind,
        says: (&[EXIST], &[NOTDIR, LOOP, NOENT]),
        why: "Linux: slashes behind a name that is there",
    },
    Known {
        functions: &["path_link"],
        about: About::has_slash_behind,
        says: (&[EXIST], &[NOTDIR, LOOP, NOENT]),
        why: "Linux: slashes behind a name that is there",
    },
    Known {
        functions: &["path_open"],
        about: About::is_a_link_opened_as_directory,
        says: (&[NOTDIR], &[LOOP]),
        why: "Linux: a link that is not followed is no directory",
    },
];

/// How often each has been met.
static MET: [AtomicUsize; ALL.len()] = [const { AtomicUsize::new(0) }; ALL.len()];

/// Whether this difference is known.
pub(crate) fn is_known(name: &str, about: &About, ours: Option<i32>, theirs: Option<i32>) -> bool {
    if (ours, theirs) == (Some(INVAL), None) {
        // POSIX: a program's own mistake; the peer ends the program.
        return about.odd;
    }
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return false;
    };
    let found = ALL.iter().position(|known| {
        known.functions.contains(&name)
            && (known.about)(about)
            && known.says.0.contains(&ours)
            && known.says.1.contains(&theirs)
    });
    if let Some(place) = found {
        MET[place].fetch_add(1, Ordering::Relaxed);
    }
    found.is_some()
        || cfg!(windows) && is_known_on_windows(name, about, ours, theirs)
        || emulated() && is_known_without_openat2(name, about, ours, theirs)
}

/// qemu 7.2 lacks `openat2`. Without it the peer does not set the times of a directory whose name
/// ends in a slash, and has other errors for names that cannot be made.
fn is_known_without_openat2(name: &str, about: &About, ours: i32, theirs: i32) -> bool {
    match (name, ours, theirs) {
        ("path_filestat_set_times", 0, BADF) | ("path_open", ISDIR, INVAL) => {
            about.has_slash_behind()
        }
        ("path_open", EXIST, ISDIR) => true,
        _ => false,
    }
}

/// Windows denies what it should say more of; the peer passes that on.
fn is_known_on_windows(name: &str, about: &About, ours: i32, theirs: i32) -> bool {
    match (name, ours) {
        ("path_remove_directory", NOTEMPTY) => about.is_a_parent() && theirs == ACCES,
        ("path_unlink_file", ISDIR) => theirs == ACCES,
        // POSIX: it was not opened to be read, or to be written.
        ("fd_read" | "fd_pread" | "fd_write" | "fd_pwrite", BADF) => {
            [ACCES, PERM].contains(&theirs)
        }
        _ => false,
    }
}

/// Prints how often each has been met.
///
/// # Panics
///
/// If one has not been.
pub(crate) fn check_met() {
    for (known, met) in ALL.iter().zip(&MET) {
        let (met, functions) = (met.load(Ordering::Relaxed), known.functions.join(", "));
        eprintln!("{met:8} {functions}: {}", known.why);
    }
    let is_met = |met: &AtomicUsize| met.load(Ordering::Relaxed) > 0;
    assert!(
        MET.iter().all(is_met),
        "nothing differs in this way any more"
    );
}
