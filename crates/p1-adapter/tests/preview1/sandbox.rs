//! What the guest may not reach or change.

use crate::guest::*;
use crate::sys::symlink;
use p1_adapter::P1CtxBuilder;
use std::fs;
use std::path::Path;
use wasmtime::Val;
use wasmtime_wasi::FsPerms;

/// A directory with `in/`, which the guest gets, and `out/`, which it does not.
fn world(perms: FsPerms) -> (tempfile::TempDir, Guest) {
    let dir = tempfile::tempdir().unwrap();
    for sub in ["in", "in/sub", "out"] {
        fs::create_dir(dir.path().join(sub)).unwrap();
    }
    fs::write(dir.path().join("in/f"), b"inside").unwrap();
    fs::write(dir.path().join("out/secret"), b"outside").unwrap();
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path().join("in"), "/", perms)
        .unwrap()
        .build()
        .unwrap();
    (dir, Guest::new(&ctx))
}

fn escapes(dir: &Path) -> Vec<String> {
    symlink("../out", dir.join("in/up"));
    symlink(dir.join("out"), dir.join("in/abs"));
    let secret = dir.join("out/secret");
    let mut paths: Vec<String> = vec![
        "../out/secret".into(),
        "sub/../../out/secret".into(),
        "up/secret".into(),
        "abs/secret".into(),
        "abs/secret/".into(),
        secret.to_str().unwrap().into(),
        "/etc/passwd".into(),
        "..".into(),
        "up/".into(),
        "up/.".into(),
        "abs/".into(),
    ];
    // wine says that it has made a link, and has not: then these are new names.
    if cfg!(windows) && dir.join("in/up").symlink_metadata().is_err() {
        paths.retain(|path| !path.starts_with("up/") && !path.starts_with("abs/"));
    }
    paths
}

#[test]
fn no_path_leads_out() {
    let (dir, mut guest) = world(FsPerms::ReadWrite);
    for path in escapes(dir.path()) {
        let opened = guest.open(&path, 0, READ, 0);
        assert!(
            matches!(opened, Err(PERM | NOTDIR | NOENT)),
            "{path}: {opened:?}"
        );
        let [p, n] = guest.path(&path);
        let stat = guest.call(
            "path_filestat_get",
            &[Val::I32(DIR), Val::I32(1), p, n, Val::I32(OUT as i32)],
        );
        assert_ne!(stat, OK, "{path}");
        assert_ne!(guest.at("path_unlink_file", DIR, &path), OK, "{path}");
        assert_ne!(guest.at("path_create_directory", DIR, &path), OK, "{path}");
        assert_ne!(guest.at("path_remove_directory", DIR, &path), OK, "{path}");
        assert_ne!(guest.rename("f", &path), OK, "{path}");
        assert_ne!(guest.rename(&path, "g"), OK, "{path}");
    }
    assert_eq!(fs::read(dir.path().join("out/secret")).unwrap(), b"outside");
    assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 1);
    assert_eq!(fs::read(dir.path().join("in/f")).unwrap(), b"inside");
    // An absolute target is not written either.
    let ([o, ol], [n, nl]) = guest.two_paths("/etc/passwd", "new");
    assert_ne!(
        guest.call("path_symlink", &[o, ol, Val::I32(DIR), n, nl]),
        OK
    );
}

#[test]
fn a_read_only_directory_is_not_changed_by_any_call() {
    let (dir, mut guest) = world(FsPerms::ReadOnly);
    let before = fs::metadata(dir.path().join("in/f"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(guest.open("f", 0, READ | WRITE, 0), Err(PERM));
    assert_eq!(
        guest.open("f", TRUNC, READ, 0),
        Err(PERM),
        "TRUNC needs no right to write"
    );
    assert_eq!(guest.open("new", CREAT, READ, 0), Err(PERM));
    assert_eq!(guest.at("path_create_directory", DIR, "new"), PERM);
    assert_eq!(guest.at("path_remove_directory", DIR, "sub"), PERM);
    assert_eq!(guest.at("path_unlink_file", DIR, "f"), PERM);
    assert_eq!(guest.rename("f", "g"), PERM);
    let ([o, ol], [n, nl]) = guest.two_paths("f", "g");
    let dir_fd = Val::I32(DIR);
    assert_eq!(
        guest.call("path_link", &[dir_fd, Val::I32(0), o, ol, dir_fd, n, nl]),
        PERM
    );
    assert_eq!(guest.call("path_symlink", &[o, ol, dir_fd, n, nl]), PERM);
    let (zero, flags) = (Val::I64(0), Val::I32(4));
    assert_eq!(
        guest.call(
            "path_filestat_set_times",
            &[dir_fd, Val::I32(0), o, ol, zero, zero, flags]
        ),
        PERM
    );
    assert_eq!(
        guest.call("fd_filestat_set_times", &[dir_fd, zero, zero, flags]),
        PERM
    );

    let fd = guest.open("f", 0, READ, 0).unwrap();
    assert_eq!(guest.get(fd, 10).unwrap(), b"inside");
    assert_eq!(guest.put(fd, b"x"), Err(BADF));
    assert_eq!(guest.put_at(fd, b"x", 0), Err(BADF));
    assert_eq!(
        guest.call("fd_filestat_set_size", &[Val::I32(fd), Val::I64(1)]),
        PERM
    );
    assert_eq!(
        guest.call("fd_allocate", &[Val::I32(fd), Val::I64(0), Val::I64(100)]),
        BADF
    );
    assert_eq!(
        guest.call("fd_filestat_set_times", &[Val::I32(fd), zero, zero, flags]),
        PERM
    );
    let sub = guest.open("sub", DIRECTORY, READ, 0).unwrap();
    assert_eq!(
        guest.open_at(sub, "new", CREAT, WRITE, 0),
        Err(PERM),
        "what is below is read-only too"
    );

    let host = fs::metadata(dir.path().join("in/f")).unwrap();
    assert_eq!((host.len(), host.modified().unwrap()), (6, before));
    assert_eq!(fs::read_dir(dir.path().join("in")).unwrap().count(), 2);
}

#[test]
fn links_and_renames_do_not_gain_permissions() {
    let dir = tempfile::tempdir().unwrap();
    for sub in ["ro", "rw"] {
        fs::create_dir(dir.path().join(sub)).unwrap();
    }
    fs::write(dir.path().join("ro/f"), b"keep").unwrap();
    fs::write(dir.path().join("rw/f"), b"mine").unwrap();
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path().join("ro"), "/ro", FsPerms::ReadOnly)
        .unwrap()
        .preopened_dir(dir.path().join("rw"), "/rw", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    for (from, to) in [(3, 4), (4, 3)] {
        let (from, to) = (Val::I32(from), Val::I32(to));
        let ([o, ol], [n, nl]) = guest.two_paths("f", "g");
        assert_eq!(
            guest.call("path_link", &[from, Val::I32(0), o, ol, to, n, nl]),
            PERM
        );
        assert_eq!(guest.call("path_rename", &[from, o, ol, to, n, nl]), PERM);
    }
    assert_eq!(fs::read_dir(dir.path().join("ro")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(dir.path().join("rw")).unwrap().count(), 1);
}
