//! Hosts whose filter of system calls refuses some, as those of containers do.
#![cfg(target_os = "linux")]

use crate::alone::alone;
use crate::guest::emulated::left_out;
use crate::guest::*;
use crate::seccomp::{Filter, OPENAT2, PREADV2, PWRITEV2, Refused, STATX, refuse};
use p1_adapter::{P1Ctx, P1CtxBuilder, StreamAccess};
use rustix::fs::OFlags;
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;
use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

/// Of the emulator's.
const NO_FILTERS: &str = "it has no filters of system calls";

#[test]
fn attributes_are_there_without_statx() {
    if left_out(NO_FILTERS) {
        return;
    }
    alone("refused::attributes_are_there_without_statx", || {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "12345").unwrap();
        let attributes = |guest: &mut Guest| {
            let fd = guest.open("f", 0, READ, 0).unwrap();
            let all = [fd, DIR].map(|fd| {
                assert_eq!(guest.ask("fd_filestat_get", fd), OK);
                guest.read(OUT, 64)
            });
            let [path, len] = guest.path("f");
            let args = [DIR, 0].map(wasmtime::Val::I32);
            let args = [args[0], args[1], path, len, wasmtime::Val::I32(OUT as i32)];
            assert_eq!(guest.call("path_filestat_get", &args), OK);
            (all, guest.read(OUT, 64))
        };
        let mut guest = Guest::new(&ctx_with(dir.path()));
        let before = attributes(&mut guest);
        refuse(&[STATX]);
        let after = attributes(&mut guest);
        // All but the time of birth, which comes last.
        let known = |(fds, path): &([Vec<u8>; 2], Vec<u8>)| {
            [&fds[0], &fds[1], path].map(|bytes| bytes[..56].to_vec())
        };
        assert_eq!(known(&before), known(&after));
        assert_eq!(before.0[0][32], 5, "the size");
    });
}

/// Without `openat2` wasmtime-wasi resolves paths by itself.
#[test]
fn opens_without_openat2_fail_as_with_it() {
    if left_out(NO_FILTERS) {
        return;
    }
    alone("refused::opens_without_openat2_fail_as_with_it", || {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        std::fs::write(dir.path().join("folder/file"), "12345").unwrap();
        let long = format!("folder/{}file", "./".repeat(2043));
        assert_eq!(long.len(), 4097);
        let errors = |guest: &mut Guest| {
            let mut all = Vec::new();
            for path in [
                "folder/file/",
                "folder/",
                "folder/none/",
                "none/none/",
                "folder/file/none/",
                "folder/.",
                "folder/./",
                "folder/..",
                "folder/../",
                ".",
                "./",
                "folder/none",
                &long[..4095],
                &long[..4096],
                &long,
            ] {
                // Long ones are told apart by their length.
                let name = (path.len(), path.chars().take(20).collect::<String>());
                for how in [0, CREAT, CREAT | EXCL, CREAT | TRUNC, DIRECTORY] {
                    for rights in [READ, WRITE] {
                        let opened = guest.open(path, how, rights, 0);
                        all.push((name.clone(), how, rights, opened.map(|fd| guest.close(fd))));
                    }
                }
                let [at, len] = guest.path(path);
                let out = [DIR, 0, OUT as i32].map(wasmtime::Val::I32);
                let args = [out[0], out[1], at, len, out[2]];
                let stat = guest.call("path_filestat_get", &args);
                all.push((name, 0, 0, Err(stat)));
                // What was made.
                for made in ["folder/none", "folder/fi"] {
                    let _ = std::fs::remove_file(dir.path().join(made));
                }
            }
            all
        };
        let mut guest = Guest::new(&ctx_with(dir.path()));
        let before = errors(&mut guest);
        Filter::new(&[OPENAT2], libc::ENOSYS).install().unwrap();
        let pairs = before.into_iter().zip(errors(&mut guest));
        let differ: Vec<_> = pairs.filter(|(with, without)| with != without).collect();
        assert!(differ.is_empty(), "{differ:#?}");
    });
}

/// wasmtime-wasi only names such directories, and the system is asked what it would not say.
#[test]
fn directories_that_may_not_be_read_are_refused_without_openat2() {
    if left_out(NO_FILTERS) {
        return;
    }
    const ACCES: i32 = 2;
    const NOBODY: u32 = 65_534;
    const NAME: &str = "refused::directories_that_may_not_be_read_are_refused_without_openat2";
    alone(NAME, || {
        let dir = tempfile::tempdir().unwrap();
        let is_root = geteuid().is_root();
        let set_mode = |path: &Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        for (name, mode) in [("passed", 0o100), ("blind", 0o200), ("listed", 0o400)] {
            let path = dir.path().join("outer").join(name);
            std::fs::create_dir_all(&path).unwrap();
            set_mode(&path, mode);
            if is_root {
                chown(&path, Some(NOBODY), None).unwrap();
            }
        }
        set_mode(dir.path(), 0o755);
        // Root may read all. What it was is kept, for it has to remove the folder.
        let become_user = |user| set_thread_res_uid(None, Uid::from_raw(user), None).unwrap();
        if is_root {
            become_user(NOBODY);
        }
        let opens = |guest: &mut Guest| {
            ["passed", "blind", "listed"].map(|name| {
                let path = format!("outer/{name}");
                let slashed = format!("{path}/");
                [(&path, DIRECTORY), (&slashed, DIRECTORY), (&slashed, 0)].map(|(path, how)| {
                    let opened = guest.open(path, how, READ, 0);
                    opened.map(|fd| guest.close(fd))
                })
            })
        };
        let mut guest = Guest::new(&ctx_with(dir.path()));
        let before = opens(&mut guest);
        assert_eq!(before[0], [Err(ACCES); 3]);
        assert_eq!(before[1], [Err(ACCES); 3]);
        assert!(before[2].iter().all(Result::is_ok), "{before:?}");
        Filter::new(&[OPENAT2], libc::ENOSYS).install().unwrap();
        assert_eq!(opens(&mut guest), before);
        if is_root {
            become_user(0);
        }
    });
}

/// `openat` with the flags of a pipe's end that is opened anew, through `/proc`.
fn reopening(access: OFlags) -> Refused {
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    (libc::SYS_openat, Some(flags.bits() as i32))
}

/// A pipe that cannot be opened anew is asked whether it is ready, and then used. Two processes are
/// two contexts here: they share no lock.
#[test]
fn writes_of_several_processes_stay_whole() {
    if left_out(NO_FILTERS) {
        return;
    }
    const LONG: usize = 4096;
    const WRITES: usize = 200;
    alone("refused::writes_of_several_processes_stay_whole", || {
        refuse(&[
            PREADV2,
            PWRITEV2,
            reopening(OFlags::WRONLY),
            reopening(OFlags::RDONLY),
        ]);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let writing: Vec<_> = [b'a', b'b']
            .into_iter()
            .map(|letter| {
                let writer = writer.try_clone().unwrap();
                std::thread::spawn(move || {
                    let ctx: P1Ctx = P1CtxBuilder::new().build().unwrap();
                    let fd = ctx.push_stream(writer, StreamAccess::Write).unwrap() as i32;
                    let mut guest = Guest::new(&ctx);
                    for _ in 0..WRITES {
                        assert_eq!(guest.put(fd, &[letter; LONG]), Ok(LONG as u32));
                    }
                })
            })
            .collect();
        drop(writer);
        let mut whole = [0; LONG];
        for write in 0..2 * WRITES {
            reader.read_exact(&mut whole).unwrap();
            assert!(whole.iter().all(|byte| *byte == whole[0]), "write {write}");
        }
        assert_eq!(reader.read(&mut whole).unwrap(), 0);
        for one in writing {
            one.join().unwrap();
        }
        // A guest reads from such a pipe, too.
        let (reader, mut writer) = std::io::pipe().unwrap();
        let ctx = P1CtxBuilder::new().build().unwrap();
        let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap() as i32;
        std::io::Write::write_all(&mut writer, b"come").unwrap();
        assert_eq!(Guest::new(&ctx).get(fd, 9).unwrap(), b"come");
    });
}
