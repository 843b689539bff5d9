//! Answers that are meant to differ, where both sides leave everything as it is.

const BADF: i32 = 8;
const EXIST: i32 = 20;
const INVAL: i32 = 28;
const IO: i32 = 29;
const ISDIR: i32 = 31;
const LOOP: i32 = 32;
const NOTDIR: i32 = 54;
const NOTEMPTY: i32 = 55;
const NXIO: i32 = 60;
const SPIPE: i32 = 70;
const TXTBSY: i32 = 74;

/// Functions by the start of their names; what this adapter answers, what the peer does, and why.
type Known = (&'static str, &'static [i32], &'static [i32], &'static str);

const ALL: &[Known] = &[
    (
        "path_",
        &[NOTDIR],
        &[BADF],
        "POSIX: nothing lies below what is no directory",
    ),
    (
        "fd_readdir",
        &[NOTDIR],
        &[BADF],
        "POSIX: what is no directory is not listed",
    ),
    (
        "fd_read",
        &[ISDIR],
        &[BADF],
        "POSIX: a directory is not read as a file",
    ),
    (
        "fd_pread",
        &[ISDIR],
        &[BADF],
        "POSIX: a directory is not read as a file",
    ),
    (
        "fd_sync",
        &[0, INVAL],
        &[BADF],
        "POSIX: a directory is synchronised, a stream cannot be",
    ),
    (
        "fd_datasync",
        &[0, INVAL],
        &[BADF],
        "POSIX: a directory is synchronised, a stream cannot be",
    ),
    (
        "fd_filestat_set_size",
        &[INVAL],
        &[BADF],
        "Linux: what is no file has no size to set",
    ),
    (
        "fd_advise",
        &[SPIPE],
        &[BADF],
        "POSIX: a stream has no place to advise about",
    ),
    ("poll_oneoff", &[0], &[BADF], "POSIX: a directory is ready"),
    (
        "path_remove_directory",
        &[NOTEMPTY],
        &[INVAL],
        "Linux: `..` is not empty",
    ),
    (
        "path_unlink_file",
        &[ISDIR, NOTDIR],
        &[NOTDIR, ISDIR, LOOP, 44],
        "Linux: slashes, by what is there",
    ),
    (
        "path_symlink",
        &[EXIST],
        &[NOTDIR, LOOP, 44],
        "Linux: slashes, by what is there",
    ),
    (
        "path_link",
        &[EXIST],
        &[NOTDIR, LOOP, 44],
        "Linux: slashes, by what is there",
    ),
    (
        "path_open",
        &[NOTDIR],
        &[LOOP],
        "Linux: a link that is not followed is no directory",
    ),
    (
        "path_open",
        &[NXIO, TXTBSY],
        &[IO],
        "wasmtime-wasi has no name for these",
    ),
    ("path_filestat_set_times", &[0], &[IO], "nothing is opened"),
];

/// Whether this difference is known.
pub(crate) fn is_known(name: &str, ours: Option<i32>, theirs: Option<i32>) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return false;
    };
    ALL.iter().any(|(function, we, they, _)| {
        let named = name == *function || (*function == "path_" && name.starts_with(function));
        named && we.contains(&ours) && they.contains(&theirs)
    })
}
