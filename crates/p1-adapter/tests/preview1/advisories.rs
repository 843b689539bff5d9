//! One test per advisory about WASI preview1 hosts, and per fault of the same kind that peers have
//! or had.
//!
//! | what | was | shown by |
//! |---|---|---|
//! | CVE-2025-53901 (GHSA-fm79) | `fd_renumber` panics | [`renumbering_never_panics`] |
//! | CVE-2026-54786 (GHSA-3p27) | `fd_renumber` leaks what it replaces | [`renumbering_closes_what_it_replaces`] |
//! | CVE-2026-47261 (GHSA-2r75) | `TRUNC` changes what is read-only | [`truncating_needs_permission`] |
//! | CVE-2026-58494 (GHSA-4ch3) | links and renames gain permissions | [`links_and_renames_need_permission_on_both_sides`] |
//! | GHSA-vqjp (RUSTSEC-2026-0269) | a slash behind a link leads out of the sandbox | [`a_slash_behind_a_link_leads_nowhere`] |
//! | GHSA-852m | what a call makes the host allocate has no limit | [`every_allocation_has_a_limit`] |
//! | GHSA-j2g9 (RUSTSEC-2026-0314) | far times panic | [`far_times_neither_panic_nor_wrap`] |
//! | GHSA-j366 (RUSTSEC-2026-0321) | `wasi_unstable`'s `poll_oneoff` costs no fuel | `unstable::polling_costs_fuel` |
//! | GHSA-gqmc (RUSTSEC-2026-0322) | writes to no standard stream allocate | [`writing_to_nothing_allocates_nothing`] |
//! | GHSA-96f6 (RUSTSEC-2026-0323) | `fd_readdir` leaks padding | [`nothing_of_the_host_is_in_padding`] |
//! | GHSA-5m8g | an empty write to an embedder's stream | [`an_empty_write_to_an_embedders_stream_is_nothing`] |
//! | CVE-2025-64345 (GHSA-hc7m) | a shared memory seen as an unshared one | `memory::*` on both kinds; no `Memory` is made of a shared one |
//! | CVE-2024-51745 | Windows device names | paths are wasmtime-wasi's there |
//! | wasmtime 46: `poll_oneoff` panics with `/dev/null` as standard input | | [`polling_the_null_device_does_not_panic`] |
//! | wasmtime 46: `fd_fdstat_set_flags`, `fd_allocate`, `fd_fdstat_set_rights` fail once threads run | | [`nothing_is_unsupported_because_threads_run`] |
//! | wasmtime 46: a number closed by another thread fails a call in flight | | `races::numbers::a_call_keeps_the_descriptor_it_found` |
//! | wasmtime 46: only the first buffer, through a bounce buffer | | `files::every_buffer_of_a_list_takes_part_in_one_call` |
//! | wasmtime 46: `proc_exit` above 125 is an error | | `ending::proc_exit_passes_its_status_on` |
//! | wasmtime 46: real time, absolute, cannot be polled | | `poll::every_clock_relative_and_absolute` |
//! | wasmtime-wasi 48: position loaded, then stored | | `races::files::*` |
//! | wasmtime-wasi 48: an entry that vanishes fails the listing | | `dirs::cookies_stay_good_while_the_directory_changes` |
//! | wasmtime #14065: standard input is read ahead | | `blocking/flags::unread_bytes_are_left` |
//! | toywasm: `O_NONBLOCK` is left on the caller's pipes | | `blocking/flags::inherited_flags_stay` |
//! | wasmtime #8687: a sleep cannot be ended | | `poll::a_raised_signal_ends_a_sleep` |

use crate::alone::alone;
use crate::guest::*;
use crate::sys::{NULL, most_resident};
use p1_adapter::{P1CtxBuilder, StreamAccess};
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};
use wasmtime::Val;
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::cli::AsyncStdoutStream;

fn renumber(guest: &mut Guest, from: i32, to: i32) -> i32 {
    guest.call("fd_renumber", &[Val::I32(from), Val::I32(to)])
}

#[test]
fn renumbering_never_panics() {
    both(|guest, _| {
        let fd = guest.create("f");
        let odd = [fd + 1, 63, 64, 4096, 1 << 20, i32::MAX, i32::MIN, -1];
        for number in odd {
            assert_eq!(renumber(guest, fd, number), BADF, "{number}");
            assert_eq!(renumber(guest, number, fd), BADF, "{number}");
            assert_eq!(renumber(guest, number, number), BADF, "{number}");
        }
        assert_eq!(renumber(guest, fd, fd), OK);
        assert_eq!(guest.put(fd, b"still there"), Ok(11));
        // Onto a standard stream and onto a preopen, and what is left of them.
        assert_eq!(renumber(guest, fd, 1), OK);
        assert_eq!(guest.put(1, b"x"), Ok(1));
        assert_eq!(renumber(guest, 1, DIR), OK);
        assert_eq!(guest.ask("fd_prestat_get", DIR), BADF);
        assert_eq!(guest.put(DIR, b"x"), Ok(1));
        assert_eq!(guest.close(DIR), OK);
    });
}

#[test]
fn renumbering_closes_what_it_replaces() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = ctx_with(dir.path());
    let mut guest = Guest::new(&ctx);
    for _ in 0..100 {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let pipe = ctx.push_stream(writer, StreamAccess::Write).unwrap() as i32;
        let file = guest.create("f");
        assert_eq!(renumber(&mut guest, file, pipe), OK);
        // The writing end was closed: this would wait for ever.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        assert_eq!(guest.close(pipe), OK);
    }
}

/// A context with `w`, to be written, as number 3 and `r`, to be read, as number 4; `f` in each.
fn two_preopens(dir: &Path) -> Guest {
    let mut builder = P1CtxBuilder::new();
    for (name, perms) in [("w", FsPerms::ReadWrite), ("r", FsPerms::ReadOnly)] {
        fs::create_dir(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("f"), name).unwrap();
        builder.preopened_dir(dir.join(name), name, perms).unwrap();
    }
    Guest::new(&builder.build().unwrap())
}

const READ_ONLY: i32 = 4;

#[test]
fn truncating_needs_permission() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = two_preopens(dir.path());
    for rights in [0, READ, WRITE, READ | WRITE] {
        for how in [TRUNC, CREAT | TRUNC, CREAT] {
            let opened = guest.open_at(READ_ONLY, "f", how, rights, 0);
            assert_eq!(opened, Err(PERM), "{how} {rights}");
        }
    }
    assert_eq!(fs::read(dir.path().join("r/f")).unwrap(), b"r");
    guest.open_at(DIR, "f", TRUNC, WRITE, 0).unwrap();
    assert_eq!(fs::read(dir.path().join("w/f")).unwrap(), b"");
}

#[test]
fn links_and_renames_need_permission_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = two_preopens(dir.path());
    for (from, to) in [(DIR, READ_ONLY), (READ_ONLY, DIR), (READ_ONLY, READ_ONLY)] {
        let ([o, ol], [n, nl]) = guest.two_paths("f", "g");
        let rename = [Val::I32(from), o, ol, Val::I32(to), n, nl];
        assert_eq!(guest.call("path_rename", &rename), PERM, "{from} {to}");
        let link = [Val::I32(from), Val::I32(0), o, ol, Val::I32(to), n, nl];
        assert_eq!(guest.call("path_link", &link), PERM, "{from} {to}");
    }
    for name in ["w", "r"] {
        assert_eq!(fs::read_dir(dir.path().join(name)).unwrap().count(), 1);
    }
}

/// (A program on Windows needs a privilege to make links.)
#[test]
#[cfg(unix)]
fn a_slash_behind_a_link_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = two_preopens(dir.path());
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), b"secret").unwrap();
    let inside = dir.path().join("w");
    std::os::unix::fs::symlink("../outside", inside.join("up")).unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("abs")).unwrap();
    std::os::unix::fs::symlink("../outside/new", inside.join("dangling")).unwrap();
    for link in ["up", "abs", "dangling"] {
        for tail in [
            "/",
            "//",
            "/.",
            "/./",
            "/secret",
            "/secret/",
            "/../outside/",
        ] {
            let path = format!("{link}{tail}");
            for follow in [0, 1] {
                for how in [0, DIRECTORY, CREAT, CREAT | EXCL, TRUNC] {
                    let [p, n] = guest.path(&path);
                    let args = [
                        Val::I32(DIR),
                        Val::I32(follow),
                        p,
                        n,
                        Val::I32(how),
                        Val::I64(READ),
                        Val::I64(READ),
                        Val::I32(0),
                        Val::I32(OUT as i32),
                    ];
                    assert_ne!(guest.call("path_open", &args), OK, "{path} {how}");
                }
            }
            for name in ["path_create_directory", "path_remove_directory"] {
                assert_ne!(guest.at(name, DIR, &path), OK, "{name} {path}");
            }
            if path.contains("secret") {
                assert_ne!(guest.at("path_unlink_file", DIR, &path), OK, "{path}");
                assert_ne!(guest.rename(&path, "stolen"), OK, "{path}");
            }
            assert_ne!(guest.rename("f", &path), OK, "{path}");
        }
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
}

#[test]
fn every_allocation_has_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .max_descriptors(6)
        .max_path_length(10)
        .max_random_size(16)
        .hostcall_fuel(64)
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    // 0 to 3 are taken.
    for expected in [Ok(4), Ok(5), Err(MFILE), Err(MFILE)] {
        assert_eq!(guest.open("f", CREAT, WRITE, 0), expected);
    }
    assert_eq!(guest.at("path_unlink_file", DIR, "0123456789"), NOENT);
    assert_eq!(
        guest.at("path_unlink_file", DIR, "0123456789a"),
        NAMETOOLONG
    );
    // Eight bytes a buffer: eight of them are what 64 bytes pay for. Nothing is read of a list too
    // long for that.
    let write = |count| [4, 1024, count, OUT as i32].map(Val::I32);
    assert_eq!(guest.call("fd_write", &write(8)), OK);
    assert_eq!(guest.call("fd_write", &write(9)), NOMEM);
    assert_eq!(guest.call("fd_write", &write(-1)), NOMEM);
    let random = |len| [Val::I32(DATA as i32), Val::I32(len)];
    assert_eq!(guest.call("random_get", &random(16)), OK);
    assert!(guest.try_call("random_get", &random(17)).is_err());
}

#[test]
fn far_times_neither_panic_nor_wrap() {
    both(|guest, dir| {
        let fd = guest.create("f");
        for time in [u64::MAX, i64::MAX as u64 + 1, i64::MAX as u64, 0] {
            let time = Val::I64(time as i64);
            // The file system may know no such time: it says so, or cuts it.
            let args = [Val::I32(fd), time, time, Val::I32(1 | 4)];
            let _ = guest.call("fd_filestat_set_times", &args);
            let [p, n] = guest.path("f");
            let args = [
                Val::I32(DIR),
                Val::I32(1),
                p,
                n,
                time,
                time,
                Val::I32(1 | 4),
            ];
            let _ = guest.call("path_filestat_set_times", &args);
            assert_eq!(guest.ask("fd_filestat_get", fd), OK);
        }
        let file = fs::File::options().write(true).open(dir.join("f")).unwrap();
        let second = Duration::from_secs(1);
        for time in [
            SystemTime::UNIX_EPOCH - second,
            SystemTime::UNIX_EPOCH - (1 << 31) * second,
            SystemTime::UNIX_EPOCH + ((1 << 31) - 1) * second * 2,
        ] {
            file.set_modified(time).unwrap();
            assert_eq!(guest.ask("fd_filestat_get", fd), OK);
            let nanoseconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => after.as_nanos() as u64,
                // preview1 has no number for it.
                Err(_) => 0,
            };
            assert_eq!(guest.u64(OUT + 48), nanoseconds);
            let [p, n] = guest.path("f");
            let args = [Val::I32(DIR), Val::I32(0), p, n, Val::I32(OUT as i32)];
            assert_eq!(guest.call("path_filestat_get", &args), OK);
            assert_eq!(guest.u64(OUT + 48), nanoseconds);
        }
    });
}

/// Gigabytes would have to be allocated here if anything were.
#[test]
fn writing_to_nothing_allocates_nothing() {
    // The most memory a process had is the whole process's.
    alone(
        "advisories::writing_to_nothing_allocates_nothing",
        write_much_to_nothing,
    );
}

fn write_much_to_nothing() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    for mut guest in [Guest::new(&ctx), Guest::shared(&ctx)] {
        let list: Vec<(u32, u32)> = vec![(0, 4 << 16); 1000];
        for (i, (at, len)) in (0..).zip(&list) {
            guest.write(DATA + i * 8, &at.to_le_bytes());
            guest.write(DATA + i * 8 + 4, &len.to_le_bytes());
        }
        for fd in [1, 2] {
            let args = [fd, DATA as i32, 1000, OUT as i32].map(Val::I32);
            let before = most_resident();
            for _ in 0..100 {
                assert_eq!(guest.call("fd_write", &args), OK);
                guest.write(DATA, &0u32.to_le_bytes());
            }
            let grown = most_resident().saturating_sub(before);
            // The list is copied, the 262 MB are not.
            assert!(grown < 1 << 23, "{grown} bytes");
            assert_eq!(guest.u32(OUT), 1000 * (4 << 16));
        }
        assert_eq!(guest.get(0, 3 << 16), Ok(Vec::new()));
    }
}

/// Each structure is written over a pattern twice, with calls in between that leave other things on
/// the host's stack.
#[test]
fn nothing_of_the_host_is_in_padding() {
    both(|guest, dir| {
        fs::write(dir.join("a"), b"").unwrap();
        let fd = guest.create("f");
        // Fdstat, filestat, prestat, a directory entry, an event: `p` is padding.
        let structures = [
            ("fd_fdstat_get", "-p--pppp----------------"),
            (
                "fd_filestat_get",
                "-----------------ppppppp----------------------------------------",
            ),
            ("fd_prestat_get", "-ppp----"),
            ("fd_readdir", "---------------------ppp"),
            ("poll_oneoff", "-----------ppppp----------------"),
        ];
        for (name, layout) in structures {
            for pattern in [0xAAu8, 0x55] {
                guest.write(DATA, &[pattern; 256]);
                let args: Vec<Val> = match name {
                    "fd_readdir" => vec![
                        Val::I32(DIR),
                        Val::I32(DATA as i32),
                        Val::I32(64),
                        Val::I64(0),
                        Val::I32(OUT as i32),
                    ],
                    "poll_oneoff" => {
                        guest.write(1024, &[0; 48]);
                        [1024, DATA as i32, 1, OUT as i32].map(Val::I32).to_vec()
                    }
                    "fd_prestat_get" => [DIR, DATA as i32].map(Val::I32).to_vec(),
                    _ => [fd, DATA as i32].map(Val::I32).to_vec(),
                };
                assert_eq!(guest.call(name, &args), OK);
                let bytes = guest.read(DATA, layout.len() as u32);
                for (byte, what) in bytes.iter().zip(layout.chars()) {
                    assert!(
                        what != 'p' || [0, pattern].contains(byte),
                        "{name}: {bytes:x?}"
                    );
                }
            }
        }
    });
}

#[test]
fn an_empty_write_to_an_embedders_stream_is_nothing() {
    let (ours, _theirs) = tokio::io::duplex(8);
    let ctx = P1CtxBuilder::new()
        .stdout(AsyncStdoutStream::new(8, ours))
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    for _ in 0..20 {
        assert_eq!(guest.put(1, b""), Ok(0));
    }
    let none = [1, 1024, 0, OUT as i32].map(Val::I32);
    assert_eq!(guest.call("fd_write", &none), OK);
    assert_eq!(guest.u32(OUT), 0);
    assert_eq!(guest.put(1, b"12345678"), Ok(8));
}

#[test]
fn polling_the_null_device_does_not_panic() {
    let ctx = P1CtxBuilder::new().build().unwrap();
    let null = || {
        fs::File::options()
            .read(true)
            .write(true)
            .open(NULL)
            .unwrap()
    };
    let stream = ctx.push_stream(null(), StreamAccess::ReadWrite).unwrap();
    let mode = wasmtime_wasi::OpenMode::READ | wasmtime_wasi::OpenMode::WRITE;
    let file = ctx.push_file(null(), FsPerms::ReadWrite, mode).unwrap();
    let mut guest = Guest::new(&ctx);
    for fd in [stream, file] {
        // As standard input: programs look for it under that number.
        assert_eq!(renumber(&mut guest, fd as i32, 0), OK);
        let mut subscription = [0u8; 48];
        subscription[8] = 1;
        guest.write(1024, &subscription);
        let args = [1024, DATA as i32, 1, OUT as i32].map(Val::I32);
        assert_eq!(guest.call("poll_oneoff", &args), OK);
        assert_eq!((guest.u32(OUT), guest.read(DATA + 8, 2)), (1, vec![0, 0]));
        assert_eq!(guest.get(0, 10), Ok(Vec::new()));
    }
}

#[test]
fn nothing_is_unsupported_because_threads_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let fd = guest.create("f");
    let mut other = guest.thread();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let fd = Val::I32(fd);
            assert_eq!(
                other.call("fd_fdstat_set_flags", &[fd, Val::I32(APPEND)]),
                OK
            );
            assert_eq!(
                other.call("fd_allocate", &[fd, Val::I64(0), Val::I64(100)]),
                OK
            );
            let rights = Val::I64(READ | WRITE);
            assert_eq!(
                other.call("fd_fdstat_set_rights", &[fd, rights, rights]),
                OK
            );
        });
    });
    assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
    assert_eq!(guest.read(OUT + 2, 1), [APPEND as u8]);
    assert_eq!(fs::metadata(dir.path().join("f")).unwrap().len(), 100);
}
