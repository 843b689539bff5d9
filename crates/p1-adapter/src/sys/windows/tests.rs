//! What the calls do on files, pipes and sockets of the system's.

use super::attributes::Attributes;
use super::blocked::Cancellable;
use super::errno::Errno;
use super::fd::AsFd as _;
use super::file::{self, FileType, OFlags, SeekFrom};
use super::listing::{KnownDirectory, Listing, open_directory};
use super::object::{Object, is_terminal};
use super::poll::{PollFd, PollFlags, poll};
use super::socket::{self, SocketType};
use super::time::{NewTime, timespec};
use super::wake_fd::WakeFd;
use crate::sys::iovec::Iovecs;
use std::fs::File;
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use wiggle::GuestMemory;

/// Room for what is read or written, and the buffers in it.
struct Memory([u8; 64]);

impl Memory {
    fn of(bytes: &[u8]) -> Self {
        let mut memory = [0; 64];
        memory[..bytes.len()].copy_from_slice(bytes);
        Self(memory)
    }

    fn with<R>(&mut self, buffers: &[(u32, u32)], call: impl FnOnce(&Iovecs<'_>) -> R) -> R {
        let mut memory = GuestMemory::Unshared(&mut self.0);
        let mut all = Iovecs::none();
        assert!(all.add(&mut memory, buffers.iter().copied()).is_ok());
        call(&all)
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn new_file(folder: &tempfile::TempDir) -> File {
    let mut options = File::options();
    let options = options.read(true).write(true).create(true);
    options.open(folder.path().join("file")).unwrap()
}

#[test]
fn calls_at_a_place_leave_the_cursor_and_others_move_it() {
    let folder = folder();
    let file = new_file(&folder);
    let fd = file.as_fd();
    let mut memory = Memory::of(b"0123456789");
    let two = [(0, 4), (4, 6)];
    assert_eq!(memory.with(&two, |all| all.write(fd)), Ok(10));
    assert_eq!(file::seek(fd, SeekFrom::Current(0)), Ok(10));
    assert_eq!(memory.with(&two, |all| all.write_at(fd, 20)), Ok(10));
    assert_eq!(memory.with(&two, |all| all.read_at(fd, 15)), Ok(10));
    assert_eq!(&memory.0[..10], b"\0\0\0\0\x0001234");
    assert_eq!(file::seek(fd, SeekFrom::Current(0)), Ok(10));
    assert_eq!(file::seek(fd, SeekFrom::Start(2)), Ok(2));
    assert_eq!(memory.with(&two, |all| all.read(fd)), Ok(10));
    assert_eq!(&memory.0[..10], b"23456789\0\0");
    assert_eq!(memory.with(&two, |all| all.read_at(fd, 30)), Ok(0));
    assert_eq!(memory.with(&two, |all| all.read_at(fd, 1 << 40)), Ok(0));
    assert_eq!(memory.with(&[], |all| all.read(fd)), Ok(0));
    let beyond = i64::MAX.cast_unsigned() + 1;
    assert_eq!(
        memory.with(&two, |all| all.read_at(fd, beyond)),
        Err(Errno::INVAL)
    );
    assert_eq!(file::seek(fd, SeekFrom::Current(-99)), Err(Errno::INVAL));
}

#[test]
fn what_is_appended_goes_to_the_end() {
    let folder = folder();
    let file = new_file(&folder);
    let fd = file.as_fd();
    for (bytes, buffers) in [
        (b"one", &[(0, 3)][..]),
        (b"two", &[(0, 1), (1, 2)]),
        (b"tri", &[(0, 3)]),
    ] {
        file::seek(fd, SeekFrom::Start(0)).unwrap();
        let mut memory = Memory::of(bytes);
        assert_eq!(memory.with(buffers, |all| all.append(fd)), Ok(3));
    }
    let all = std::fs::read(folder.path().join("file")).unwrap();
    assert_eq!(all, b"onetwotri");
}

#[test]
fn sizes_flags_and_times() {
    let folder = folder();
    let path = folder.path().join("file");
    let file = new_file(&folder);
    let fd = file.as_fd();
    assert_eq!(file::flags(&file), Ok(OFlags::RDWR));
    assert_eq!(file::set_size(fd, 100), Ok(()));
    assert_eq!(file::allocate(fd, 50, 10), Ok(()));
    assert_eq!(file::allocate(fd, 150, 10), Ok(()));
    // As POSIX says it of numbers that no file has.
    let (beyond, most) = (u64::MAX, i64::MAX.cast_unsigned());
    assert_eq!(file::set_size(fd, beyond), Err(Errno::INVAL));
    assert_eq!(file::allocate(fd, beyond, 1), Err(Errno::INVAL));
    assert_eq!(file::allocate(fd, 1, beyond), Err(Errno::INVAL));
    assert_eq!(file::allocate(fd, most, 1), Err(Errno::FBIG));
    assert_eq!(file::allocate(fd, 0, 0), Err(Errno::INVAL));
    let found = Attributes::of(fd).unwrap();
    assert_eq!(
        (found.file_type, found.size, found.links),
        (FileType::RegularFile, 160, 1)
    );
    assert_eq!(file::sync(fd), Ok(()));
    let readable = File::open(&path).unwrap();
    assert_eq!(file::flags(&readable), Ok(OFlags::RDONLY));
    assert_eq!(file::sync(readable.as_fd()), Ok(()));
    let appends = File::options().append(true).open(&path).unwrap();
    assert_eq!(file::flags(&appends), Ok(OFlags::WRONLY | OFlags::APPEND));
    let time = NewTime::At(1_000_000_000_123_456_700);
    assert_eq!(
        file::set_times(readable.as_fd(), NewTime::Keep, time),
        Ok(())
    );
    let set = Attributes::of(fd).unwrap().modified;
    assert_eq!((set.seconds, set.nanoseconds), (1_000_000_000, 123_456_700));
    let again = file::duplicate(&readable).unwrap();
    assert_eq!(
        Object::of(&again).unwrap().id(),
        Object::of(fd).unwrap().id()
    );
}

#[test]
fn a_directory_is_listed_and_a_listing_goes_on_where_it_was() {
    let folder = folder();
    for number in 0..100 {
        std::fs::write(folder.path().join(format!("name-{number:03}-\u{e4}")), b"").unwrap();
    }
    std::fs::create_dir(folder.path().join("below")).unwrap();
    let dir = open_directory(folder.path()).unwrap();
    assert_eq!(Object::of(&dir).unwrap().file_type(), FileType::Directory);
    let list = |position| {
        let listing = Listing::open(dir.as_fd(), position, &KnownDirectory).unwrap();
        let mut buffer = [MaybeUninit::uninit(); 512];
        let mut entries = listing.entries(&mut buffer);
        let mut names = Vec::new();
        while let Some(entry) = entries.next().unwrap() {
            let found = listing.find(entry.name(), entry.said()).unwrap().unwrap();
            let name = entry.name().to_str().unwrap().to_owned();
            names.push((name, entry.position(), found.file_type, found.inode));
        }
        names
    };
    let all = list(None);
    assert_eq!(all.len(), 103);
    assert_eq!((&*all[0].0, &*all[1].0), (".", ".."));
    let below = all.iter().find(|(name, ..)| name == "below").unwrap();
    assert_eq!(below.2, FileType::Directory);
    let (name, position, kind, inode) = &all[50];
    assert_eq!(*kind, FileType::RegularFile);
    let file = File::open(folder.path().join(name)).unwrap();
    assert_eq!(Object::of(&file).unwrap().id().1, *inode);
    assert_eq!(list(Some(*position)), all[51..]);
    assert_eq!(list(Some(103)), []);
}

fn found(fd: &impl super::fd::AsFd, asked: PollFlags, limit: u64) -> PollFlags {
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), asked)];
    poll(&mut fds, Some(&timespec(limit))).unwrap();
    fds[0].revents()
}

#[test]
fn a_pipe_is_ready_when_there_is_something_or_its_end() {
    let (reader, mut writer) = io::pipe().unwrap();
    assert_eq!(Object::of(&reader).unwrap().file_type(), FileType::Fifo);
    assert!(!is_terminal(reader.as_fd()));
    assert_eq!(found(&reader, PollFlags::IN, 5_000_000), PollFlags::empty());
    assert_eq!(found(&writer, PollFlags::OUT, 0), PollFlags::OUT);
    writer.write_all(b"abc").unwrap();
    assert_eq!(found(&reader, PollFlags::IN, 0), PollFlags::IN);
    assert_eq!(file::readable_bytes(&reader), Ok(3));
    let mut memory = Memory::of(b"");
    // No more than what is there, and no wait for the rest.
    let two = [(0, 2), (2, 8)];
    assert_eq!(memory.with(&two, |all| all.read(reader.as_fd())), Ok(2));
    assert_eq!(
        memory.with(&two[1..], |all| all.read(reader.as_fd())),
        Ok(1)
    );
    assert_eq!(&memory.0[..3], b"abc");
    drop(writer);
    assert_eq!(found(&reader, PollFlags::IN, 0), PollFlags::HUP);
    assert_eq!(memory.with(&two, |all| all.read(reader.as_fd())), Ok(0));
    assert_eq!(
        memory.with(&two, |all| all.read_at(reader.as_fd(), 0)),
        Err(Errno::SPIPE)
    );
}

#[test]
fn an_event_ends_a_wait_for_a_pipe() {
    let (reader, _writer) = io::pipe().unwrap();
    let event = WakeFd::new().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            event.set();
        });
        let mut fds = [
            PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(event.descriptor(), PollFlags::IN),
        ];
        assert_eq!(poll(&mut fds, None), Ok(1));
        assert_eq!(fds[0].revents(), PollFlags::empty());
        assert_eq!(fds[1].revents(), PollFlags::IN);
    });
}

#[test]
fn a_call_that_waits_is_cancelled_whenever_that_is_asked() {
    for late in [0, 1, 30] {
        let (reader, _writer) = io::pipe().unwrap();
        let (give, take) = mpsc::channel();
        let waits = std::thread::spawn(move || {
            let (call, cancel) = Cancellable::begin().unwrap();
            give.send(cancel).unwrap();
            let done = Memory::of(b"").with(&[(0, 8)], |all| all.read(reader.as_fd()));
            drop(call);
            done
        });
        let cancel = take.recv().unwrap();
        std::thread::sleep(Duration::from_millis(late));
        cancel();
        assert_eq!(waits.join().unwrap(), Err(Errno::INTR), "after {late} ms");
    }
}

#[test]
fn a_write_to_a_full_pipe_is_cancelled() {
    let (_reader, writer) = io::pipe().unwrap();
    let (give, take) = mpsc::channel();
    let waits = std::thread::spawn(move || {
        let (call, cancel) = Cancellable::begin().unwrap();
        give.send(cancel).unwrap();
        let mut memory = Memory::of(b"");
        let done = loop {
            let all = memory.with(&[(0, 64)], |all| all.write(writer.as_fd()));
            if all != Ok(64) {
                break all;
            }
        };
        drop(call);
        done
    });
    let cancel = take.recv().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    cancel();
    let begun = Instant::now();
    assert_eq!(waits.join().unwrap(), Err(Errno::INTR));
    assert!(begun.elapsed() < Duration::from_secs(60));
}

/// A socket that others have, too: its calls wait.
#[test]
fn a_full_socket_takes_a_piece_at_a_time_and_then_says_so() {
    static BYTES: [u8; 1 << 20] = [7; 1 << 20];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    let mut bytes = BYTES.to_vec();
    let mut sent = 0;
    let said = loop {
        let mut memory = GuestMemory::Unshared(&mut bytes);
        let all = Iovecs::one(&mut memory, 0, 1 << 20).unwrap();
        match all.send(ours.as_fd()) {
            Ok(count) => sent += count,
            Err(errno) => break errno,
        }
        assert!(sent < 1 << 30);
    };
    assert_eq!(said, Errno::AGAIN);
    drop(theirs);
}

/// The standard library's pipes to child processes are asynchronous.
#[test]
fn a_childs_pipe_is_read_and_a_read_of_it_is_cancelled() {
    let mut child = Command::new("cmd")
        .args(["/c", "echo here& set /p line="])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut memory = Memory::of(b"");
    let mut said = 0;
    while said < 6 {
        let room = [(said, 64 - said)];
        said += memory.with(&room, |all| all.read(stdout.as_fd())).unwrap() as u32;
    }
    assert_eq!(&memory.0[..6], b"here\r\n");
    for late in [0, 30] {
        let (give, take) = mpsc::channel();
        let done = std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let (call, cancel) = Cancellable::begin().unwrap();
                give.send(cancel).unwrap();
                let done = Memory::of(b"").with(&[(0, 8)], |all| all.read(stdout.as_fd()));
                drop(call);
                done
            });
            let cancel = take.recv().unwrap();
            std::thread::sleep(Duration::from_millis(late));
            cancel();
            waits.join().unwrap()
        });
        assert_eq!(done, Err(Errno::INTR), "after {late} ms");
    }
    let mut memory = Memory::of(b"a line\r\n");
    let line = [(0, 8)];
    assert_eq!(memory.with(&line, |all| all.write(stdin.as_fd())), Ok(8));
    assert_eq!(memory.with(&line, |all| all.read(stdout.as_fd())), Ok(0));
    child.wait().unwrap();
}

#[test]
fn a_socket_is_received_from_and_sent_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ours = socket::accept(&super::fd::OwnedFd::from(listener)).unwrap();
    let fd = ours.as_fd();
    assert_eq!(Object::of(&ours).unwrap().file_type(), FileType::Socket);
    assert_eq!(socket::kind(&ours), Ok(SocketType::STREAM));
    socket::own(&ours).unwrap();
    let mut memory = Memory::of(b"0123456789");
    let two = [(0, 4), (4, 6)];
    assert_eq!(
        memory.with(&two, |all| all.recv(fd, false, false)),
        Err(Errno::AGAIN)
    );
    assert_eq!(memory.with(&two, |all| all.send(theirs.as_fd())), Ok(10));
    assert_eq!(found(&ours, PollFlags::IN, 5_000_000_000), PollFlags::IN);
    let mut memory = Memory::of(b"");
    assert_eq!(
        memory.with(&two, |all| all.recv(fd, true, false)),
        Ok((10, false))
    );
    assert_eq!(file::readable_bytes(&ours), Ok(10));
    assert_eq!(
        memory.with(&two, |all| all.recv(fd, false, false)),
        Ok((10, false))
    );
    assert_eq!(&memory.0[..10], b"0123456789");
    socket::shutdown(&theirs, std::net::Shutdown::Write).unwrap();
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&timespec(5_000_000_000))), Ok(1));
    assert_eq!(
        memory.with(&two, |all| all.recv(fd, false, false)),
        Ok((0, false))
    );
}
