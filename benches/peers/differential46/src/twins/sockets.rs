//! Sockets and their other ends, which are the test's.

use super::layout::{BYTES, LIST, OUT};
use super::poll::On;
use super::table::Open;
use super::{OK, Outcome, Twins};
use crate::known::Kind;
use crate::op::Fd;
use crate::side::Arg::I;
use crate::side::{Peer, Side};
use crate::sys;

/// More clients are not needed.
const MOST_PEERS: usize = 7;

/// What is known of a socket of the guest's, and of one that is still to be accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct Socket {
    /// Bytes sent by the other end and not received yet.
    pub(super) waiting: usize,
    /// Nothing more will come.
    pub(super) finished: bool,
    /// The guest has closed it.
    pub(super) gone: bool,
}

impl Twins {
    pub(super) fn socket(&mut self, open: &Open) -> Option<&mut Socket> {
        (open.kind == Kind::Socket).then(|| &mut self.sockets[open.socket])
    }

    /// Whether a receive would wait for the test.
    pub(super) fn would_wait(&mut self, open: &Open) -> bool {
        let nonblock = open.nonblock;
        self.socket(open)
            .is_some_and(|socket| socket.waiting == 0 && !socket.finished && !nonblock)
    }

    pub(super) fn connect(&mut self) {
        if self.listening && self.sockets.len() < MOST_PEERS {
            self.ours.connect();
            self.theirs.connect();
            self.pending.push_back(self.sockets.len());
            self.sockets.push(Socket::default());
        }
    }

    pub(super) fn peer_sends(&mut self, peer: u8, len: u16) -> Outcome {
        let peer = usize::from(peer) % self.sockets.len();
        let socket = &mut self.sockets[peer];
        if socket.gone || socket.finished || socket.waiting > 30_000 {
            return Ok(());
        }
        socket.waiting += usize::from(len);
        self.sent = self.sent.wrapping_add(1);
        let bytes: Vec<u8> = (0..len)
            .map(|n| (n as u8).wrapping_mul(7).wrapping_add(self.sent))
            .collect();
        for side in [&mut self.ours, &mut self.theirs] {
            side.peers[peer]
                .send(&bytes)
                .map_err(|e| format!("a peer cannot send: {e}"))?;
            delivered(&side.peers[peer]);
        }
        Ok(())
    }

    pub(super) fn peer_finishes(&mut self, peer: u8) -> Outcome {
        let peer = usize::from(peer) % self.sockets.len();
        if !self.sockets[peer].gone && !self.sockets[peer].finished {
            self.sockets[peer].finished = true;
            for side in [&mut self.ours, &mut self.theirs] {
                side.peers[peer]
                    .finish()
                    .map_err(|e| format!("a peer cannot finish: {e}"))?;
                delivered(&side.peers[peer]);
            }
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, fd: Fd, nonblock: bool) -> Outcome {
        let open = self.get(fd);
        if open.kind == Kind::Listener {
            if self.pending.is_empty() && !open.nonblock {
                return Ok(());
            }
            if !self.pending.is_empty() {
                // A connection is there when the client's call returns, or the moment after.
                self.poll_on(&[On {
                    open: open.clone(),
                    write: false,
                    ready: true,
                }])?;
            }
        }
        let flags = if nonblock { 4 } else { 0 };
        if self.with("sock_accept", &open, &[I(flags), I(OUT)])? == OK {
            let socket = self
                .pending
                .pop_front()
                .ok_or("a connection nobody has made")?;
            self.opened(Kind::Socket, socket, nonblock)?;
        }
        Ok(())
    }

    pub(super) fn recv(&mut self, fd: Fd, lens: &[u16], flags: u8) -> Outcome {
        let open = self.get(fd);
        let len: usize = lens.iter().map(|len| usize::from(*len)).sum();
        let (peek, all) = (flags & 1 != 0, flags & 2 != 0);
        let waits = self.would_wait(&open);
        if let Some(socket) = self.socket(&open) {
            if (len != 0 || peek) && waits {
                return Ok(());
            }
            // Not compared: see `known::NOT_COMPARED`.
            let nothing = peek && len == 0 && socket.waiting == 0 && !socket.finished;
            if nothing || all && !peek && socket.waiting < len {
                return Ok(());
            }
        }
        let rest = [I(flags.into()), I(OUT), I(OUT + 4)];
        if self.reading("sock_recv", &open, lens, &rest)? == OK && !peek {
            self.received(&open);
        }
        Ok(())
    }

    /// Counts what a read has taken.
    pub(super) fn received(&mut self, open: &Open) {
        let count = self.ours.u32(OUT) as usize;
        if let Some(socket) = self.socket(open) {
            socket.waiting = socket.waiting.saturating_sub(count);
        }
    }

    pub(super) fn send(&mut self, name: &'static str, fd: Fd, lens: &[u16]) -> Outcome {
        let open = self.get(fd);
        self.buffers(lens, BYTES);
        let mut args = vec![I(LIST), I(lens.len() as u32)];
        if name == "sock_send" {
            args.push(I(0));
        }
        args.push(I(OUT));
        if self.with(name, &open, &args)? == OK && open.kind == Kind::Socket {
            let (ours, theirs) = (self.ours.u32(OUT) as usize, self.theirs.u32(OUT) as usize);
            let take = |side: &mut Side, count| {
                side.peers[open.socket]
                    .take(count)
                    .map_err(|e| format!("what was sent does not come: {e}"))
            };
            if take(&mut self.ours, ours)? != take(&mut self.theirs, theirs)? {
                return Err(format!("{name}: the other ends receive different bytes"));
            }
        }
        Ok(())
    }

    pub(super) fn shutdown(&mut self, fd: Fd, how: u8) -> Outcome {
        let open = self.get(fd);
        // Not compared: see `known::NOT_COMPARED`.
        if how & 1 != 0 && self.socket(&open).is_some_and(|socket| !socket.finished) {
            return Ok(());
        }
        self.with("sock_shutdown", &open, &[I(how.into())])
            .map(drop)
    }
}

/// Waits until the system has handed everything sent to the other end: on loopback that is so at
/// once, or nearly.
fn delivered(peer: &Peer) {
    let Peer::Tcp(stream) = peer else {
        return;
    };
    for _ in 0..1_000_000 {
        if sys::unsent(stream).is_none_or(|count| count == 0) {
            return;
        }
        std::thread::yield_now();
    }
}
