//! `sock_*` as a guest calls them, on sockets the host hands over.

use crate::guest::{
    AGAIN, BADF, DATA, Guest, INVAL, NONBLOCK, NOTCONN, NOTSOCK, OK, OUT, ctx_with,
};
use crate::support::{blocked, eventually, sockets, soon, tcp};
use crate::sys::{connect, connected, listen};
use p1_adapter::{P1Ctx, P1CtxBuilder, StreamAccess};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixDatagram;
use std::thread;
use wasmtime::Val::I32;

pub(crate) const PEEK: i32 = 1;
const WAITALL: i32 = 2;
const TRUNCATED: u32 = 1;

fn ctx() -> P1Ctx {
    P1CtxBuilder::new().build().unwrap()
}

impl Guest {
    pub(crate) fn recv(&mut self, fd: i32, len: u32, flags: i32) -> Result<(Vec<u8>, u32), i32> {
        let halves = [(DATA, len / 2), (DATA + len / 2, len - len / 2)];
        self.recv_into(fd, &halves, flags)
    }

    /// Into buffers that lie one behind the other, from `DATA` on.
    fn recv_into(
        &mut self,
        fd: i32,
        buffers: &[(u32, u32)],
        flags: i32,
    ) -> Result<(Vec<u8>, u32), i32> {
        let [list, count] = self.iovs(buffers);
        let args = [
            I32(fd),
            list,
            count,
            I32(flags),
            I32(OUT as i32),
            I32(OUT as i32 + 4),
        ];
        match self.call("sock_recv", &args) {
            OK => Ok((self.read(DATA, self.u32(OUT)), self.u32(OUT + 4) & 0xffff)),
            errno => Err(errno),
        }
    }

    fn send(&mut self, fd: i32, bytes: &[u8], flags: i32) -> Result<u32, i32> {
        self.write(DATA, bytes);
        let [list, count] = self.iovs(&[(DATA, bytes.len() as u32)]);
        match self.call(
            "sock_send",
            &[I32(fd), list, count, I32(flags), I32(OUT as i32)],
        ) {
            OK => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    pub(crate) fn accept(&mut self, fd: i32, flags: i32) -> Result<i32, i32> {
        match self.call("sock_accept", &[I32(fd), I32(flags), I32(OUT as i32)]) {
            OK => Ok(self.u32(OUT) as i32),
            errno => Err(errno),
        }
    }

    pub(crate) fn shutdown(&mut self, fd: i32, how: i32) -> i32 {
        self.call("sock_shutdown", &[I32(fd), I32(how)])
    }
}

fn serve(guest: &mut Guest, listener: i32, mut client: impl Read + Write + Send + 'static) {
    let client = thread::spawn(move || {
        client.write_all(b"question").unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        (answer, rest)
    });
    let fd = guest.accept(listener, 0).unwrap();
    assert_eq!(guest.recv(fd, 8, PEEK), Ok((b"question".to_vec(), 0)));
    assert_eq!(guest.get(fd, 5), Ok(b"quest".to_vec()));
    assert_eq!(guest.recv(fd, 100, 0), Ok((b"ion".to_vec(), 0)));
    assert_eq!(guest.send(fd, b"ans", 0), Ok(3));
    assert_eq!(guest.put(fd, b"wer"), Ok(3));
    assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
    assert_eq!(guest.read(OUT, 1), [6], "a stream socket");
    assert_eq!(guest.shutdown(fd, 2), OK);
    assert_eq!(client.join().unwrap(), (*b"answer", vec![]));
    assert_eq!(guest.recv(fd, 8, 0), Ok((vec![], 0)), "the end");
    assert_eq!(guest.close(fd), OK);
}

#[test]
fn a_guest_serves_connections() {
    soon(|| {
        for make in [Guest::new, Guest::shared] {
            let ctx = ctx();
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = tcp.local_addr().unwrap();
            let dir = tempfile::tempdir().unwrap();
            let (local, path) = listen(dir.path(), "socket");
            let fd = ctx.push_listener(tcp).unwrap() as i32;
            let inherited = ctx.push_inherited_listener(local).unwrap() as i32;
            assert_eq!((fd, inherited), (3, 4));
            let mut guest = make(&ctx);
            serve(&mut guest, fd, TcpStream::connect(address).unwrap());
            serve(&mut guest, inherited, connect(&path).unwrap());
            assert_eq!(
                guest.call("fd_fdstat_set_flags", &[I32(fd), I32(NONBLOCK)]),
                OK
            );
            assert_eq!(guest.accept(fd, 0), Err(AGAIN));
            // NONBLOCK for the new descriptor only.
            let _client = connect(&path).unwrap();
            let quick = guest.accept(inherited, NONBLOCK).unwrap();
            assert_eq!(guest.recv(quick, 8, 0), Err(AGAIN));
            assert_eq!(guest.get(quick, 8), Err(AGAIN));
        }
    });
}

#[test]
fn a_receive_that_wants_all_waits_for_all() {
    soon(|| {
        let ctx = ctx();
        let (a, b) = tcp();
        let fd = ctx.push_stream(a, StreamAccess::ReadWrite).unwrap() as i32;
        let mut peer = TcpStream::from(b);
        let mut guest = Guest::shared(&ctx);
        let mut other = guest.thread();
        peer.write_all(b"one ").unwrap();
        let blocked = blocked(move || other.recv(fd, 11, WAITALL));
        assert!(!blocked.is_finished());
        peer.write_all(b"two three").unwrap();
        assert!(eventually(|| blocked.is_finished()));
        assert_eq!(blocked.join().unwrap(), Ok((b"one two thr".to_vec(), 0)));
        // Cut short by the end.
        drop(peer);
        assert_eq!(guest.recv(fd, 11, WAITALL), Ok((b"ee".to_vec(), 0)));
    });
}

/// Two sockets of datagrams that are connected.
#[cfg(unix)]
fn datagrams() -> (UnixDatagram, UnixDatagram) {
    UnixDatagram::pair().unwrap()
}

/// Two sockets of datagrams that are connected.
#[cfg(windows)]
fn datagrams() -> (std::net::UdpSocket, std::net::UdpSocket) {
    let [a, b] = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    a.connect(b.local_addr().unwrap()).unwrap();
    b.connect(a.local_addr().unwrap()).unwrap();
    (a, b)
}

#[test]
fn a_datagram_cut_short_is_flagged() {
    soon(|| {
        let ctx = ctx();
        let (a, b) = datagrams();
        let fd = ctx.push_stream(a, StreamAccess::ReadWrite).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        b.send(b"0123456789").unwrap();
        b.send(b"ab").unwrap();
        assert_eq!(guest.recv(fd, 4, 0), Ok((b"0123".to_vec(), TRUNCATED)));
        assert_eq!(guest.recv(fd, 4, WAITALL), Ok((b"ab".to_vec(), 0)));
        assert_eq!(guest.send(fd, b"reply", 0), Ok(5));
        let mut buffer = [0; 16];
        assert_eq!(b.recv(&mut buffer).unwrap(), 5);
        assert_eq!(guest.ask("fd_fdstat_get", fd), OK);
        assert_eq!(guest.read(OUT, 1), [5], "a datagram socket");
    });
}

#[test]
fn faults_have_their_numbers() {
    soon(|| {
        let dir = tempfile::tempdir().unwrap();
        let ctx = ctx_with(dir.path());
        let listener = ctx
            .push_listener(TcpListener::bind("127.0.0.1:0").unwrap())
            .unwrap() as i32;
        let (a, _b) = sockets();
        let socket = ctx.push_stream(a, StreamAccess::Read).unwrap() as i32;
        let (_read, write) = crate::support::pipe();
        let pipe = ctx.push_stream(write, StreamAccess::Write).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        let file = guest.create("file");
        for fd in [0, 1, 3, file, pipe] {
            assert_eq!(guest.recv(fd, 4, 0), Err(NOTSOCK), "{fd}");
            assert_eq!(guest.send(fd, b"x", 0), Err(NOTSOCK));
            assert_eq!(guest.accept(fd, 0), Err(NOTSOCK));
            assert_eq!(guest.shutdown(fd, 1), NOTSOCK);
        }
        assert_eq!(guest.accept(99, 0), Err(BADF));
        assert_eq!(guest.recv(99, 4, 0), Err(BADF));
        assert_eq!(guest.recv(listener, 4, 0), Err(NOTCONN));
        assert_eq!(guest.send(listener, b"x", 0), Err(NOTCONN));
        assert_eq!(guest.shutdown(listener, 1), NOTCONN);
        assert_eq!(guest.accept(socket, 0), Err(INVAL));
        assert_eq!(guest.accept(listener, 1), Err(INVAL), "APPEND");
        assert_eq!(guest.send(socket, b"x", 0), Err(BADF), "given to be read");
        assert_eq!(guest.shutdown(socket, 0), INVAL);
        assert_eq!(guest.put(pipe, b"x"), Ok(1));
        assert_eq!(guest.get(pipe, 1), Err(BADF), "given to be written");
    });
}

/// Windows has no such sockets.
#[test]
#[cfg(unix)]
fn a_record_is_not_a_part_of_a_stream() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, recv, send, socketpair};
    use rustix::net::{RecvFlags, SendFlags};
    soon(|| {
        let ctx = ctx();
        let kind = SocketType::SEQPACKET;
        let (a, b) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        let fd = ctx.push_stream(a, StreamAccess::ReadWrite).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        send(&b, b"0123456789", SendFlags::empty()).unwrap();
        send(&b, b"ab", SendFlags::empty()).unwrap();
        send(&b, b"cd", SendFlags::empty()).unwrap();
        assert_eq!(guest.recv(fd, 4, 0), Ok((b"0123".to_vec(), TRUNCATED)));
        assert_eq!(guest.recv(fd, 4, WAITALL), Ok((b"ab".to_vec(), 0)));
        assert_eq!(guest.recv(fd, 4, 0), Ok((b"cd".to_vec(), 0)));
        assert_eq!(guest.send(fd, b"reply", 0), Ok(5));
        let mut buffer = [0; 16];
        let got = recv(&b, &mut buffer[..], RecvFlags::empty()).unwrap();
        assert_eq!(got.0, 5);
    });
}

/// The limit is Unix's.
#[test]
#[cfg(unix)]
fn a_record_of_more_buffers_than_the_system_takes_is_refused_whole() {
    const MSGSIZE: i32 = 35;
    soon(|| {
        let ctx = ctx();
        let (a, b) = UnixDatagram::pair().unwrap();
        let fd = ctx.push_stream(a, StreamAccess::ReadWrite).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        let list: Vec<(u32, u32)> = (0..1025).map(|i| (DATA + i, 1)).collect();
        let [list, count] = guest.iovs(&list);
        let out = I32(OUT as i32);
        let send = [I32(fd), list, count, I32(0), out];
        assert_eq!(guest.call("sock_send", &send), MSGSIZE);
        assert_eq!(
            guest.call("fd_write", &[I32(fd), list, count, out]),
            MSGSIZE
        );
        b.send(b"kept").unwrap();
        let receive = [I32(fd), list, count, I32(0), out, I32(OUT as i32 + 4)];
        assert_eq!(guest.call("sock_recv", &receive), MSGSIZE);
        assert_eq!(guest.call("fd_read", &[I32(fd), list, count, out]), MSGSIZE);
        assert_eq!(guest.recv(fd, 8, 0), Ok((b"kept".to_vec(), 0)));
    });
}

#[test]
fn a_direction_that_was_not_given_is_not_shut_down() {
    soon(|| {
        let ctx = ctx();
        let (a, b) = connected();
        let mut host = a.try_clone().unwrap();
        let reader = ctx.push_stream(a, StreamAccess::Read).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        assert_eq!(
            guest.shutdown(reader, 2),
            BADF,
            "the writing half is the host's"
        );
        assert_eq!(guest.shutdown(reader, 3), BADF);
        host.write_all(b"still").unwrap();
        let mut got = [0; 5];
        (&b).read_exact(&mut got).unwrap();
        assert_eq!(guest.shutdown(reader, 1), OK);
        // On Windows a poll does not see that.
        #[cfg(unix)]
        assert_eq!(guest.recv(reader, 8, 0), Ok((vec![], 0)));
    });
}

/// A receive into one buffer is another call of the system's, and says the same. (On Windows it is
/// the same call.)
#[test]
#[cfg(unix)]
fn one_buffer_is_received_into_as_several_are() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let kinds = [
        (SocketType::STREAM, 0),
        (SocketType::SEQPACKET, TRUNCATED),
        (SocketType::DGRAM, TRUNCATED),
    ];
    soon(move || {
        for (kind, cut) in kinds {
            let pair = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
            let (a, b) = pair.unwrap();
            let ctx = ctx();
            let fd = ctx.push_stream(a, StreamAccess::ReadWrite).unwrap() as i32;
            let mut guest = Guest::new(&ctx);
            let one = [(DATA, 4)];
            for _ in 0..3 {
                assert_eq!(crate::sys::write(&b, b"012345").unwrap(), 6);
                assert_eq!(crate::sys::write(&b, b"ab").unwrap(), 2);
            }
            let four = Ok((b"0123".to_vec(), cut));
            for flags in [PEEK, PEEK, 0] {
                assert_eq!(guest.recv_into(fd, &one, flags), four, "{kind:?}");
            }
            let next = if cut == 0 {
                b"45ab".to_vec()
            } else {
                b"ab".to_vec()
            };
            assert_eq!(guest.recv_into(fd, &one, 0), Ok((next.clone(), 0)));
            assert_eq!(guest.get(fd, 4), Ok(b"0123".to_vec()));
            assert_eq!(guest.get(fd, 4), Ok(next));
            assert_eq!(guest.recv(fd, 4, PEEK), four);
            assert_eq!(guest.recv_into(fd, &one, 0), four);
            assert_eq!(
                guest.recv_into(fd, &[(DATA, 0)], PEEK).map(|got| got.0),
                Ok(vec![])
            );
            drop(b);
        }
    });
}

/// A connection is not asked what it is: it is of its listener's kind. (Windows has no listeners of
/// records.)
#[test]
#[cfg(unix)]
fn connections_of_a_listener_of_records_carry_records() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen, socket};
    soon(|| {
        let dir = tempfile::tempdir().unwrap();
        let at = SocketAddrUnix::new(dir.path().join("socket")).unwrap();
        let new = || socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        let (listener, peer) = (new(), new());
        bind(&listener, &at).unwrap();
        listen(&listener, 1).unwrap();
        connect(&peer, &at).unwrap();
        let ctx = ctx();
        let listener = ctx.push_listener(listener).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        let fd = guest.accept(listener, 0).unwrap();
        assert_eq!(crate::sys::write(&peer, b"012345").unwrap(), 6);
        assert_eq!(crate::sys::write(&peer, b"ab").unwrap(), 2);
        assert_eq!(guest.recv(fd, 4, 0), Ok((b"0123".to_vec(), TRUNCATED)));
        assert_eq!(guest.recv(fd, 4, 0), Ok((b"ab".to_vec(), 0)));
        assert_eq!(guest.recv(listener, 4, 0), Err(NOTCONN));
        assert_eq!(guest.send(fd, b"reply", 0), Ok(5));
        let mut buffer = [0; 16];
        assert_eq!(crate::sys::read(&peer, &mut buffer).unwrap(), 5);
    });
}
