//! What the operating system reports, as far as wasmtime-wasi passes it on or it can be found out
//! afterwards.

#[cfg(unix)]
use crate::alone::{allow_descriptors, alone};
use crate::guest::emulated::left_out;
use crate::guest::*;
use std::fs;
#[cfg(unix)]
use std::path::Path;

#[cfg(unix)]
const ROFS: i32 = 69;
#[cfg(unix)]
const XDEV: i32 = 75;

/// Directories on two file systems, and a guest that has the root of both as its preopen: names
/// relative to it. (On Windows no root has both.)
#[cfg(unix)]
fn two_file_systems() -> Option<(tempfile::TempDir, tempfile::TempDir)> {
    use std::os::unix::fs::MetadataExt as _;
    let here = tempfile::tempdir().unwrap();
    let there = tempfile::tempdir_in("/dev/shm").ok()?;
    let device = |dir: &Path| fs::metadata(dir).unwrap().dev();
    (device(here.path()) != device(there.path())).then_some((here, there))
}

#[cfg(unix)]
fn below(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    path.to_str().unwrap().trim_start_matches('/').to_owned()
}

#[test]
#[cfg(unix)]
fn a_rename_to_another_file_system_says_so() {
    if left_out("it opens the folder with its libraries as `/`") {
        return;
    }
    let Some((here, there)) = two_file_systems() else {
        eprintln!("there is one file system only: nothing to see");
        return;
    };
    fs::write(here.path().join("f"), b"abc").unwrap();
    let mut guest = Guest::new(&ctx_with(Path::new("/")));
    let (old, new) = (below(here.path(), "f"), below(there.path(), "g"));
    assert_eq!(guest.rename(&old, &new), XDEV);
    let ([o, ol], [n, nl]) = guest.two_paths(&old, &new);
    use wasmtime::Val::I32;
    let args = [I32(DIR), I32(0), o, ol, I32(DIR), n, nl];
    assert_eq!(guest.call("path_link", &args), XDEV);
    assert!(here.path().join("f").exists());
    assert!(!there.path().join("g").exists());
}

/// Windows has no such limit.
#[test]
#[cfg(unix)]
fn an_open_without_a_descriptor_left_in_the_process_says_so() {
    alone(
        "errors::an_open_without_a_descriptor_left_in_the_process_says_so",
        || {
            let dir = tempfile::tempdir().unwrap();
            let mut guest = Guest::new(&ctx_with(dir.path()));
            let first = guest.create("f");
            allow_descriptors(0);
            assert_eq!(guest.open("f", 0, READ, 0), Err(MFILE));
            assert_eq!(guest.close(first), OK);
            assert_eq!(guest.open("f", 0, READ, 0), Ok(first));
        },
    );
}

/// A directory that is mounted read-only, if this machine has one and says so.
#[cfg(unix)]
fn read_only_mount() -> Option<String> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields[3].split(',').any(|option| option == "ro"))
        .map(|fields| fields[1].to_owned())
        .find(|path| Path::new(path).is_dir())
}

#[test]
#[cfg(unix)]
fn a_change_on_a_read_only_file_system_says_so() {
    let Some(mount) = read_only_mount() else {
        eprintln!("nothing is mounted read-only here: nothing to see");
        return;
    };
    let mut guest = Guest::new(&ctx_with(Path::new(&mount)));
    assert_eq!(guest.open("new", CREAT, WRITE, 0), Err(ROFS));
    assert_eq!(guest.at("path_create_directory", DIR, "new"), ROFS);
}

#[test]
fn creating_a_file_gives_no_right_to_write_it() {
    both(|guest, dir| {
        fs::write(dir.join("f"), b"abc").unwrap();
        for how in [CREAT, TRUNC] {
            let fd = guest.open("f", how, READ, 0).unwrap();
            assert_eq!(guest.put(fd, b"x"), Err(BADF));
            assert_eq!(guest.put_at(fd, b"x", 0), Err(BADF));
            assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
            assert_eq!(guest.u64(OUT + 8) as i64 & (READ | WRITE), READ);
            let size = [wasmtime::Val::I32(fd), wasmtime::Val::I64(1)];
            assert_eq!(guest.call("fd_filestat_set_size", &size), INVAL);
            assert_eq!(
                guest.get(fd, 3).unwrap().len(),
                if how == CREAT { 3 } else { 0 }
            );
        }
    });
}

/// What a path, a descriptor and the host say of one object is the same.
#[test]
#[cfg(unix)]
fn a_fifo_has_its_attributes_under_its_number_too() {
    both(|guest, dir| {
        use std::os::unix::fs::MetadataExt as _;
        use wasmtime::Val::{I32, I64};
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("fifo"), mode).unwrap();
        let fd = guest.open("fifo", 0, READ | WRITE, 0).unwrap();
        let [p, n] = guest.path("fifo");
        let args = [I32(DIR), I32(1), p, n, I32(DATA as i32)];
        assert_eq!(guest.call("path_filestat_get", &args), OK);
        assert_eq!(guest.ask("fd_filestat_get", fd), OK);
        assert_eq!(guest.read(OUT, 64), guest.read(DATA, 64));
        assert_ne!(guest.u64(OUT + 8), 0);
        let times = [I32(fd), I64(1_000_000_000), I64(2_000_000_000), I32(1 | 4)];
        assert_eq!(guest.call("fd_filestat_set_times", &times), OK);
        assert_eq!(fs::metadata(dir.join("fifo")).unwrap().mtime(), 2);
        assert_eq!(
            guest.call("fd_sync", &[I32(fd)]),
            INVAL,
            "as the system says"
        );
        assert_eq!(guest.call("fd_datasync", &[I32(fd)]), INVAL);
        // What it is reported to be allowed to do it can be limited to.
        let poll = 1 << 27;
        let rights = [I32(fd), I64(READ | poll), I64(0)];
        assert_eq!(guest.call("fd_fdstat_set_rights", &rights), OK);
        assert_eq!(guest.call("fd_filestat_set_times", &times), NOTCAPABLE);
    });
}

#[test]
#[cfg(unix)]
fn a_fifo_below_a_read_only_preopen_keeps_its_times() {
    use p1_adapter::P1CtxBuilder;
    use wasmtime::Val::{I32, I64};
    use wasmtime_wasi::FsPerms;
    let dir = tempfile::tempdir().unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("fifo"), mode).unwrap();
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path(), "/", FsPerms::ReadOnly)
        .unwrap()
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    let fd = guest.open("fifo", 0, READ, NONBLOCK).unwrap();
    let times = [I32(fd), I64(1), I64(2), I32(1 | 4)];
    assert_eq!(guest.call("fd_filestat_set_times", &times), PERM);
}
