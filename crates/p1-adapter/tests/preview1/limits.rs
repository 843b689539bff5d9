//! What happens at the ends of ranges: the last descriptor, the last byte of a memory, more bytes
//! than a call can count.

use crate::dirs::list_from;
use crate::guest::*;
#[cfg(unix)]
use crate::poll::MS;
use crate::poll::{On, poll};
#[cfg(unix)]
use crate::races::waits::blocked;
use crate::sys::symlink;
use p1_adapter::made::MemoryFolder;
use p1_adapter::{P1CtxBuilder, RandomSource, Rights};
use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use wasmtime::Val;
use wasmtime_wasi::FsPerms;

#[test]
fn an_open_that_finds_no_number_leaves_the_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"precious").unwrap();
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .max_descriptors(4)
        .build()
        .unwrap();
    let mut guest = Guest::new(&ctx);
    assert_eq!(guest.open("f", TRUNC, WRITE, 0), Err(MFILE));
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"precious");
    assert_eq!(guest.open("new", CREAT | EXCL, WRITE, 0), Err(MFILE));
    assert!(!dir.path().join("new").exists());
    // An open that fails gives its number back.
    assert_eq!(guest.close(2), OK);
    assert_eq!(guest.open("none", 0, READ, 0), Err(NOENT));
    assert_eq!(guest.open("new", CREAT | EXCL, WRITE, 0), Ok(2));
}

#[test]
fn an_accept_that_finds_no_number_leaves_the_connection_in_the_queue() {
    let ctx = P1CtxBuilder::new().max_descriptors(4).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(ctx.push_listener(listener).unwrap(), 3);
    let mut client = TcpStream::connect(address).unwrap();
    let mut guest = Guest::new(&ctx);
    let args = [3, 0, OUT as i32].map(Val::I32);
    assert_eq!(guest.call("sock_accept", &args), MFILE);
    assert_eq!(guest.close(2), OK);
    assert_eq!(guest.call("sock_accept", &args), OK);
    assert_eq!(guest.u32(OUT), 2);
    assert_eq!(guest.put(2, b"served"), Ok(6));
    let mut got = [0; 6];
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"served");
}

/// Three pipes are closed while three threads poll them: their numbers are free, and they count.
#[test]
#[cfg(unix)]
fn what_was_closed_and_is_still_polled_counts() {
    const LIMIT: u32 = 7;
    let dir = tempfile::tempdir().unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("fifo"), mode).unwrap();
    let ctx = P1CtxBuilder::new()
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .max_descriptors(LIMIT)
        .build()
        .unwrap();
    let mut guest = Guest::shared(&ctx);
    let fifo = |guest: &mut Guest| guest.open("fifo", 0, READ | WRITE, 0);
    let far = On::Clock {
        id: 1,
        timeout: 600_000 * MS,
        absolute: false,
    };
    // Four are open from the start. Each round polls what it has opened, and closes it.
    std::thread::scope(|scope| {
        let mut polling = Vec::new();
        for _ in 4..LIMIT {
            let fd = fifo(&mut guest).unwrap();
            assert_eq!(fd, 4, "the lowest number is free again");
            let mut other = Guest::new(&ctx);
            polling.push(blocked(scope, move || {
                poll(&mut other, &[On::Read(fd as u32), far]).map(|events| events.len())
            }));
            assert_eq!(guest.close(fd), OK);
        }
        assert_eq!(fifo(&mut guest), Err(MFILE));
        // All of them are the same FIFO: what is written wakes every poll.
        let both = fs::File::options().read(true).write(true).clone();
        let mut outside = both.open(dir.path().join("fifo")).unwrap();
        std::io::Write::write_all(&mut outside, b"x").unwrap();
        for one in polling {
            assert_eq!(one.join().unwrap(), Ok(1));
        }
    });
    for number in 4..LIMIT {
        assert_eq!(fifo(&mut guest), Ok(number as i32));
    }
    assert_eq!(fifo(&mut guest), Err(MFILE));
}

#[test]
#[cfg(unix)]
fn a_number_that_is_being_opened_is_no_descriptor_yet() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    let mut guest = Guest::shared(&ctx_with(dir.path()));
    let mut other = guest.thread();
    let opening = std::thread::spawn(move || other.open("fifo", 0, READ, 0));
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(guest.close(4), BADF);
    let renumber = [3, 4].map(Val::I32);
    assert_eq!(guest.call("fd_renumber", &renumber), BADF);
    assert_eq!(guest.open(".", DIRECTORY, READ, 0), Ok(5));
    drop(fs::File::options().write(true).open(&fifo).unwrap());
    assert_eq!(opening.join().unwrap(), Ok(4));
    assert_eq!(guest.close(4), OK);
}

#[test]
fn a_call_transfers_no_more_than_it_can_count() {
    const PAGES: u32 = 80;
    let ctx = P1CtxBuilder::new().build().unwrap();
    let mut guest = Guest::sized(&ctx, PAGES);
    for i in 0..1024 {
        guest.write(DATA + i * 8, &0u32.to_le_bytes());
        guest.write(DATA + i * 8 + 4, &(PAGES << 16).to_le_bytes());
    }
    assert!(u64::from(PAGES << 16) * 1024 > u64::from(u32::MAX));
    let args = [1, DATA as i32, 1024, OUT as i32].map(Val::I32);
    assert_eq!(guest.call("fd_write", &args), OK);
    assert_eq!(guest.u32(OUT), 0x7fff_f000, "as Linux counts");
}

struct Fives;

impl RandomSource for Fives {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(5);
    }
}

#[test]
fn a_buffer_may_end_where_the_memory_ends_at_4_gib() {
    let dir = tempfile::tempdir().unwrap();
    let has_link = symlink("target", dir.path().join("link"));
    for custom in [false, true] {
        let mut builder = P1CtxBuilder::new();
        builder
            .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
            .unwrap()
            .arg("abc");
        if custom {
            builder.secure_random(Fives);
        }
        let ctx = builder.build().unwrap();
        let mut guest = Guest::sized(&ctx, 1 << 16);
        let behind = |len: u32| Val::I32(0u32.wrapping_sub(len) as i32);
        for len in [16, 512] {
            let args = [behind(len), Val::I32(len as i32)];
            assert_eq!(guest.call("random_get", &args), OK);
        }
        let [p, n] = guest.path("link");
        let args = [
            Val::I32(DIR),
            p,
            n,
            behind(6),
            Val::I32(6),
            Val::I32(OUT as i32),
        ];
        let read = if has_link { OK } else { NOENT };
        assert_eq!(guest.call("path_readlink", &args), read);
        let args = [Val::I32(DIR), behind(1), Val::I32(1)];
        assert_eq!(guest.call("fd_prestat_dir_name", &args), OK);
        let args = [Val::I32(DATA as i32), behind(4)];
        assert_eq!(guest.call("args_get", &args), OK);
        let args = [
            Val::I32(DIR),
            behind(10),
            Val::I32(10),
            Val::I64(0),
            Val::I32(OUT as i32),
        ];
        assert_eq!(guest.call("fd_readdir", &args), OK);
        assert_eq!(guest.u32(OUT), 10);
        // One byte further is out of bounds.
        let args = [behind(16), Val::I32(17)];
        assert!(guest.try_call("random_get", &args).is_err());
    }
}

#[test]
fn a_directory_is_not_pushed_as_a_file_or_a_stream() {
    use p1_adapter::StreamAccess;
    use wasmtime_wasi::OpenMode;
    let dir = tempfile::tempdir().unwrap();
    let ctx = P1CtxBuilder::new().build().unwrap();
    let open = || crate::sys::open_dir(dir.path());
    assert!(
        ctx.push_file(open(), FsPerms::ReadOnly, OpenMode::READ)
            .is_err()
    );
    assert!(ctx.push_stream(open(), StreamAccess::Read).is_err());
    let limited = ctx.limited_to(Rights::all(), Rights::all());
    assert_eq!(
        limited.push_dir(open(), None, FsPerms::ReadOnly).unwrap(),
        3
    );
}

/// Bytes that are left.
struct Budget(std::sync::atomic::AtomicU64);

impl p1_adapter::MemoryBudget for Budget {
    fn take(&self, bytes: u64) -> bool {
        let order = std::sync::atomic::Ordering::SeqCst;
        let less = |left: u64| left.checked_sub(bytes);
        self.0.try_update(order, order, less).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.0.fetch_add(bytes, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn lists_of_polls_are_within_a_budget() {
    let budget = std::sync::Arc::new(Budget(100_000.into()));
    let left = || budget.0.load(std::sync::atomic::Ordering::SeqCst);
    let given = std::sync::Arc::clone(&budget);
    let ctx = P1CtxBuilder::new().memory_budget(given).build().unwrap();
    let mut guest = Guest::new(&ctx);
    let now = On::Clock {
        id: 1,
        timeout: 0,
        absolute: false,
    };
    // 1,000 of them make the host keep some 320 KB.
    for (count, came) in [(100, Ok(100)), (1000, Err(NOMEM)), (100, Ok(100))] {
        let events = poll(&mut guest, &vec![now; count]);
        assert_eq!(events.map(|events| events.len()), came, "{count}");
        assert_eq!(left(), 100_000);
    }
}

/// How many entries a listing has, a kilobyte at a time.
fn entries(guest: &mut Guest, fd: i32) -> Result<usize, i32> {
    let (mut all, mut cookie) = (0, 0);
    loop {
        let (found, used) = list_from(guest, fd, 1024, cookie)?;
        cookie = found.last().map_or(cookie, |entry| entry.next);
        all += found.len();
        if used < 1024 {
            return Ok(all);
        }
    }
}

/// Each descriptor keeps something of the listing of its directory. That was once two megabytes for
/// each, outside any budget.
#[test]
fn listings_are_within_a_budget() {
    const FILES: usize = 3000;
    // 3,000 positions of the system's take 144 KB, the lists some 250 KB.
    const BYTES: u64 = 500_000;
    let dir = tempfile::tempdir().unwrap();
    let folder = MemoryFolder::new(1 << 24);
    for n in 0..FILES {
        fs::write(dir.path().join(format!("{n:04}")), b"").unwrap();
        folder.write(&format!("{n:04}"), b"").unwrap();
    }
    let budget = std::sync::Arc::new(Budget(BYTES.into()));
    let left = || budget.0.load(std::sync::atomic::Ordering::SeqCst);
    for (made, ordered) in [(false, false), (false, true), (true, false)] {
        let mut builder = P1CtxBuilder::new();
        builder
            .memory_budget(budget.clone())
            .ordered_listings(ordered);
        match made {
            true => builder.made_folder(folder.clone(), "/", FsPerms::ReadOnly),
            false => builder
                .preopened_dir(dir.path(), "/", FsPerms::ReadOnly)
                .unwrap(),
        };
        let mut guest = Guest::new(&builder.build().unwrap());
        let mut refused = 0;
        let opened: Vec<i32> = (0..8)
            .map(|_| {
                let fd = guest.open(".", DIRECTORY, READ, 0).unwrap();
                match entries(&mut guest, fd) {
                    Ok(all) => assert_eq!(all, FILES + 2),
                    Err(NOMEM) => refused += 1,
                    Err(errno) => panic!("{errno}"),
                }
                fd
            })
            .collect();
        assert!(
            left() < BYTES - 100_000,
            "{made} {ordered}: {} left",
            left()
        );
        // The system's own positions are as good, and are not kept.
        assert_eq!(refused > 0, made || ordered, "{refused}");
        assert!(refused < 8);
        for fd in opened {
            assert_eq!(guest.close(fd), OK);
        }
        assert_eq!(left(), BYTES);
        assert_eq!(entries(&mut guest, DIR), Ok(FILES + 2));
        drop(guest);
        assert_eq!(left(), BYTES);
    }
}
