//! Attributes, sizes and times.

use crate::guest::*;
use crate::sys::symlink;
use std::fs;
use std::time::{Duration, SystemTime};
use wasmtime::Val;

const SECOND: u64 = 1_000_000_000;

fn since_1970(time: std::io::Result<SystemTime>) -> Duration {
    time.unwrap()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
}

#[test]
fn stat_reports_what_the_host_does() {
    both(|guest, dir| {
        let fd = guest.create("f");
        guest.put(fd, b"12345").unwrap();
        fs::hard_link(dir.join("f"), dir.join("g")).unwrap();
        let host = fs::metadata(dir.join("f")).unwrap();
        let mut seen = Vec::new();
        assert_eq!(guest.ask("fd_filestat_get", fd), OK);
        seen.push(guest.read(OUT, 64));
        let [p, n] = guest.path("f");
        assert_eq!(
            guest.call(
                "path_filestat_get",
                &[Val::I32(DIR), Val::I32(1), p, n, Val::I32(OUT as i32)]
            ),
            OK
        );
        seen.push(guest.read(OUT, 64));
        assert_eq!(
            seen[0], seen[1],
            "a descriptor and a path agree in every byte"
        );
        assert_eq!(guest.u64(OUT), 1, "dev");
        assert_eq!(guest.read(OUT + 16, 1), [4], "regular file");
        assert_eq!(guest.read(OUT + 17, 7), [0; 7]);
        assert_eq!(guest.u64(OUT + 24), 2, "nlink");
        assert_eq!(guest.u64(OUT + 32), 5, "size");
        assert_eq!(
            guest.u64(OUT + 48),
            since_1970(host.modified()).as_nanos() as u64
        );
    });
}

#[test]
fn streams_have_a_type_and_nothing_else() {
    both(|guest, _| {
        for fd in 0..3 {
            guest.write(OUT, &[0xAA; 64]);
            assert_eq!(guest.ask("fd_filestat_get", fd), OK);
            assert_eq!(guest.u64(OUT), 0);
            assert_eq!(guest.u64(OUT + 32), 0);
        }
        assert_eq!(guest.ask("fd_filestat_get", 99), BADF);
    });
}

#[test]
fn times_are_set_kept_and_taken_from_now() {
    both(|guest, dir| {
        let fd = guest.create("t");
        let set = |guest: &mut Guest, atim: u64, mtim: u64, flags| {
            let args = [
                Val::I32(fd),
                Val::I64(atim as i64),
                Val::I64(mtim as i64),
                Val::I32(flags),
            ];
            guest.call("fd_filestat_set_times", &args)
        };
        // Windows counts in steps of 100 ns.
        let (atime, mtime) = (3 * SECOND + 500, 4 * SECOND + 700);
        assert_eq!(set(guest, atime, mtime, 1 | 4), OK);
        let accessed = || since_1970(fs::metadata(dir.join("t")).unwrap().accessed());
        let modified = || since_1970(fs::metadata(dir.join("t")).unwrap().modified());
        assert_eq!(accessed(), Duration::from_nanos(atime));
        assert_eq!(modified(), Duration::from_nanos(mtime));
        assert_eq!(set(guest, 0, 9 * SECOND, 4), OK);
        assert_eq!(
            (accessed().as_secs(), modified().as_secs()),
            (3, 9),
            "the other one is kept"
        );
        assert_eq!(set(guest, 0, 0, 2 | 8), OK);
        assert!(modified().as_secs() > 1_600_000_000);
        assert_eq!(
            set(guest, 0, 0, 1 | 2),
            INVAL,
            "a given time and now at once"
        );
        assert_eq!(set(guest, 0, 0, 4 | 8), INVAL);
        // As far as 64 bits of nanoseconds go: the year 2554.
        assert_eq!(set(guest, u64::MAX, u64::MAX, 1 | 4), OK);
        assert_eq!(guest.ask("fd_filestat_get", fd), OK);

        if !symlink("t", dir.join("l")) {
            return;
        }
        let at = |guest: &mut Guest, follow, mtim: u64| {
            let [p, n] = guest.path("l");
            let (zero, time) = (Val::I64(0), Val::I64(mtim as i64));
            guest.call(
                "path_filestat_set_times",
                &[
                    Val::I32(DIR),
                    Val::I32(follow),
                    p,
                    n,
                    zero,
                    time,
                    Val::I32(4),
                ],
            )
        };
        assert_eq!(at(guest, 1, 21 * SECOND), OK);
        assert_eq!(modified().as_secs(), 21);
        assert_eq!(at(guest, 0, 22 * SECOND), OK);
        assert_eq!(modified().as_secs(), 21, "the link's own time was set");
        let link = fs::symlink_metadata(dir.join("l")).unwrap();
        assert_eq!(since_1970(link.modified()).as_secs(), 22);
    });
}

#[test]
fn far_times_on_the_host_do_not_fail_or_panic() {
    both(|guest, dir| {
        let fd = guest.create("old");
        let file = fs::File::options()
            .write(true)
            .open(dir.join("old"))
            .unwrap();
        // 1901, before any time preview1 can tell.
        let old = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 31);
        file.set_modified(old).unwrap();
        assert_eq!(guest.ask("fd_filestat_get", fd), OK);
        assert_eq!(guest.u64(OUT + 48), 0);
        let [p, n] = guest.path("old");
        assert_eq!(
            guest.call(
                "path_filestat_get",
                &[Val::I32(DIR), Val::I32(1), p, n, Val::I32(OUT as i32)]
            ),
            OK
        );
        assert_eq!(guest.u64(OUT + 48), 0);
    });
}

#[test]
fn sizes_and_space() {
    both(|guest, dir| {
        let fd = guest.create("s");
        let size =
            |guest: &mut Guest, n| guest.call("fd_filestat_set_size", &[Val::I32(fd), Val::I64(n)]);
        let len = || fs::metadata(dir.join("s")).unwrap().len();
        assert_eq!(size(guest, 100), OK);
        assert_eq!(len(), 100);
        assert_eq!(size(guest, 10), OK);
        assert_eq!(len(), 10);
        assert_eq!(size(guest, -1), INVAL);
        let allocate = |guest: &mut Guest, at, n| {
            guest.call("fd_allocate", &[Val::I32(fd), Val::I64(at), Val::I64(n)])
        };
        assert_eq!(allocate(guest, 5, 1000), OK);
        assert_eq!(len(), 1005);
        assert_eq!(allocate(guest, 0, 10), OK);
        assert_eq!(len(), 1005, "never shrinks");
        assert_eq!(allocate(guest, 0, 0), INVAL);
        assert_eq!(allocate(guest, -1, 1), INVAL);
        for name in ["fd_sync", "fd_datasync"] {
            assert_eq!(guest.call(name, &[Val::I32(fd)]), OK);
            assert_eq!(
                guest.call(name, &[Val::I32(DIR)]),
                OK,
                "which names it holds"
            );
            assert_eq!(guest.call(name, &[Val::I32(1)]), INVAL);
        }
        for advice in 0..6 {
            assert_eq!(
                guest.call(
                    "fd_advise",
                    &[Val::I32(fd), Val::I64(0), Val::I64(10), Val::I32(advice)]
                ),
                OK
            );
        }
        assert_eq!(
            guest.call(
                "fd_advise",
                &[Val::I32(DIR), Val::I64(0), Val::I64(10), Val::I32(0)]
            ),
            BADF
        );
    });
}
