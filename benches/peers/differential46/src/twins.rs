//! Both adapters side by side: what is open in them, and what would wait.
//!
//! One thread makes all calls, so none may wait for it: the test keeps count of what each socket has to give, and leaves a
//! call out that would block.

use crate::known::{self, Kind};
use crate::op::Op;
use crate::side::{Arg, Peer, Side};
use Arg::{I, L};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsRawFd as _;

type Outcome = Result<(), String>;
/// Ours, the peer's.
type Answers = (Option<i32>, Option<i32>);

const OK: Answers = (Some(0), Some(0));
// Where things lie in the memory.
const OUT: u32 = 64;
const LIST: u32 = 512;
const PATH: u32 = 768;
const SUBSCRIPTIONS: u32 = 1024;
const EVENTS: u32 = 2048;
const BYTES: u32 = 0x4000;
const INTO: u32 = 0xA000;
const NAMES: [&str; 3] = ["file", "new", "missing/x"];
/// More clients are not needed.
const MOST_PEERS: usize = 7;

/// An open descriptor.
#[derive(Clone, Debug)]
struct Open {
    ours: u32,
    theirs: u32,
    kind: Kind,
    /// Where it is a socket.
    socket: usize,
    /// What the guest has asked for, where it matters to the model.
    nonblock: bool,
}

/// What is known of a socket of the guest's, and of one that is still to be accepted.
#[derive(Clone, Debug, Default)]
struct Socket {
    /// Bytes sent by the other end and not received yet.
    waiting: usize,
    /// Nothing more will come.
    finished: bool,
    /// The guest sends no more.
    shut: bool,
    /// The guest has closed it.
    gone: bool,
}

/// Both sides and what is open in them.
pub struct Twins {
    pub ours: Side,
    pub theirs: Side,
    open: Vec<Open>,
    sockets: Vec<Socket>,
    /// Clients that nobody has accepted.
    pending: VecDeque<usize>,
    listening: bool,
    /// How often each known difference was seen.
    pub seen: Vec<u64>,
    sent: u8,
}

impl Twins {
    pub fn new() -> Self {
        let (mut ours, mut theirs) = (Side::ours(), Side::theirs());
        let bytes: Vec<u8> = (0..0x2000u32).map(|n| (n % 251) as u8).collect();
        for side in [&mut ours, &mut theirs] {
            side.write(BYTES, &bytes);
        }
        let kinds = [
            Kind::Input,
            Kind::Output,
            Kind::Output,
            Kind::Dir,
            Kind::Listener,
            Kind::Socket,
        ];
        let open = (0..).zip(kinds).map(|(number, kind)| Open {
            ours: number,
            theirs: number,
            kind,
            socket: 0,
            nonblock: false,
        });
        Self {
            ours,
            theirs,
            open: open.collect(),
            sockets: vec![Socket::default()],
            pending: VecDeque::new(),
            listening: true,
            seen: vec![0; known::ALL.len()],
            sent: 0,
        }
    }

    /// Makes one call on both sides; what differed, if anything.
    pub fn run(&mut self, op: &Op) -> Outcome {
        self.call(op)?;
        self.compare_memory()
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        self.ours.write(at, bytes);
        self.theirs.write(at, bytes);
    }

    fn clear(&mut self, at: u32, len: usize) {
        self.write(at, &vec![0; len]);
    }

    /// The index of an open descriptor, or none for the closed one.
    fn index(&self, fd: u8) -> Option<usize> {
        let index = usize::from(fd) % (self.open.len() + 1);
        (index < self.open.len()).then_some(index)
    }

    fn get(&self, fd: u8) -> Open {
        match self.index(fd) {
            Some(index) => self.open[index].clone(),
            None => Open {
                ours: 1000,
                theirs: 1000,
                kind: Kind::Closed,
                socket: 0,
                nonblock: false,
            },
        }
    }

    fn compare(
        &mut self,
        name: &str,
        kind: Option<Kind>,
        answers: Answers,
    ) -> Result<Answers, String> {
        let (ours, theirs) = answers;
        if ours != theirs {
            match known::find(name, kind, ours, theirs) {
                Some(index) => self.seen[index] += 1,
                None => {
                    return Err(format!(
                        "{name} on {kind:?} answers {ours:?}, the peer {theirs:?} (none: trap)"
                    ));
                }
            }
        }
        Ok(answers)
    }

    fn alike(&mut self, name: &str, args: &[Arg]) -> Result<Answers, String> {
        let answers = (self.ours.call(name, args), self.theirs.call(name, args));
        self.compare(name, None, answers)
    }

    fn with(&mut self, name: &str, open: &Open, args: &[Arg]) -> Result<Answers, String> {
        let ours = self.ours.call(name, &[&[I(open.ours)], args].concat());
        let theirs = self.theirs.call(name, &[&[I(open.theirs)], args].concat());
        self.compare(name, Some(open.kind), (ours, theirs))
    }

    fn socket(&mut self, open: &Open) -> Option<&mut Socket> {
        (open.kind == Kind::Socket).then(|| &mut self.sockets[open.socket])
    }

    /// Whether a receive would wait for the test.
    fn would_wait(&mut self, open: &Open) -> bool {
        let nonblock = open.nonblock;
        self.socket(open)
            .is_some_and(|socket| socket.waiting == 0 && !socket.finished && !nonblock)
    }

    /// Buffers one behind the other, filled with what there is to write.
    fn buffers(&mut self, lens: &[u16], from: u32) -> usize {
        let mut at = from;
        for (i, len) in (0..).zip(lens) {
            self.write(LIST + 8 * i, &at.to_le_bytes());
            self.write(LIST + 8 * i + 4, &u32::from(*len).to_le_bytes());
            at += u32::from(*len);
        }
        (at - from) as usize
    }

    fn call(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Connect => {
                if self.listening && self.sockets.len() < MOST_PEERS {
                    self.ours.connect();
                    self.theirs.connect();
                    self.pending.push_back(self.sockets.len());
                    self.sockets.push(Socket::default());
                }
                Ok(())
            }
            Op::PeerSends(peer, len) => self.peer_sends(*peer, *len),
            Op::PeerFinishes(peer) => {
                let peer = usize::from(*peer) % self.sockets.len();
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
            Op::Accept(fd, nonblock) => self.accept(*fd, *nonblock),
            Op::Recv(fd, len, flags) => self.recv(*fd, *len, *flags),
            Op::Send(fd, lens) => self.send("sock_send", *fd, lens),
            Op::Write(fd, lens) => self.send("fd_write", *fd, lens),
            Op::Shutdown(fd, how) => {
                let open = self.get(*fd);
                // What comes after this side has refused it is told to the other side or not, as the timing goes.
                if how & 1 != 0 && self.socket(&open).is_some_and(|socket| !socket.finished) {
                    return Ok(());
                }
                let answers = self.with("sock_shutdown", &open, &[I((*how).into())])?;
                if answers == OK
                    && how & 2 != 0
                    && let Some(socket) = self.socket(&open)
                {
                    socket.shut = true;
                }
                Ok(())
            }
            Op::Open { name, how, flags } => {
                let name = NAMES[usize::from(*name) % NAMES.len()];
                self.write(PATH, name.as_bytes());
                // CREAT, EXCL, TRUNC; APPEND, NONBLOCK.
                let how = [0, 1, 1 | 4, 8][usize::from(*how) % 4];
                let flags = [0, 1, 4, 5][usize::from(*flags) % 4];
                // Not compared: see `known::NOT_COMPARED`.
                if how & 8 != 0 && flags & 1 != 0 {
                    return Ok(());
                }
                let dir = self.get_kind(Kind::Dir);
                let rights = L(0x7f | 1 << 21);
                let len = I(name.len() as u32);
                let args = [I(1), I(PATH), len, I(how), rights, rights, I(flags), I(OUT)];
                if self.with("path_open", &dir, &args)? == OK {
                    self.opened(Kind::File, 0, flags & 4 != 0);
                }
                self.clear(PATH, 16);
                Ok(())
            }
            Op::Close(fd) => {
                let open = self.get(*fd);
                if self.with("fd_close", &open, &[])? == OK
                    && let Some(index) = self.index(*fd)
                {
                    self.open.remove(index);
                    self.closed(&open);
                }
                Ok(())
            }
            Op::Renumber(from, to) => self.renumber(*from, *to),
            Op::Read(fd, len) => {
                let open = self.get(*fd);
                if *len != 0 && self.would_wait(&open) {
                    return Ok(());
                }
                self.buffers(&[*len], INTO);
                if self.with("fd_read", &open, &[I(LIST), I(1), I(OUT)])? == OK {
                    self.received(&open);
                }
                Ok(())
            }
            Op::Pread(fd, len, at) => {
                let open = self.get(*fd);
                self.buffers(&[*len], INTO);
                self.with("fd_pread", &open, &[I(LIST), I(1), L((*at).into()), I(OUT)])
                    .map(drop)
            }
            Op::Pwrite(fd, lens, at) => {
                let open = self.get(*fd);
                self.buffers(lens, BYTES);
                let count = I(lens.len() as u32);
                self.with(
                    "fd_pwrite",
                    &open,
                    &[I(LIST), count, L((*at).into()), I(OUT)],
                )
                .map(drop)
            }
            Op::Seek(fd, by, whence) => {
                let open = self.get(*fd);
                self.with(
                    "fd_seek",
                    &open,
                    &[L((*by).into()), I((*whence).into()), I(OUT)],
                )
                .map(drop)
            }
            Op::Tell(fd) => {
                let open = self.get(*fd);
                self.with("fd_tell", &open, &[I(OUT)]).map(drop)
            }
            Op::Fdstat(fd) => {
                let open = self.get(*fd);
                self.with("fd_fdstat_get", &open, &[I(OUT)])?;
                // Rights.
                self.clear(OUT + 8, 16);
                if matches!(open.kind, Kind::Input | Kind::Output) {
                    self.clear(OUT + 2, 2);
                }
                Ok(())
            }
            Op::SetFlags(fd, flags) => {
                let open = self.get(*fd);
                let answers = self.with("fd_fdstat_set_flags", &open, &[I((*flags).into())])?;
                if answers == OK
                    && let Some(index) = self.index(*fd)
                {
                    self.open[index].nonblock = flags & 4 != 0;
                }
                Ok(())
            }
            Op::SetRights(fd) => {
                let open = self.get(*fd);
                // All there are: who has them gives none up, who has not is refused.
                let all = L((1 << 30) - 1);
                self.with("fd_fdstat_set_rights", &open, &[all, all])
                    .map(drop)
            }
            Op::Filestat(fd) => {
                let open = self.get(*fd);
                self.with("fd_filestat_get", &open, &[I(OUT)])?;
                self.clear(OUT, 16);
                self.clear(OUT + 40, 24);
                Ok(())
            }
            Op::SetSize(fd, size) => {
                let open = self.get(*fd);
                self.with("fd_filestat_set_size", &open, &[L((*size).into())])
                    .map(drop)
            }
            Op::Allocate(fd, at, len) => self.allocate(*fd, *at, *len),
            Op::Advise(fd, advice) => {
                let open = self.get(*fd);
                self.with("fd_advise", &open, &[L(0), L(100), I((*advice).into())])
                    .map(drop)
            }
            Op::Sync(fd) => {
                let open = self.get(*fd);
                self.with("fd_sync", &open, &[]).map(drop)
            }
            Op::Datasync(fd) => {
                let open = self.get(*fd);
                self.with("fd_datasync", &open, &[]).map(drop)
            }
            Op::Prestat(fd) => {
                let open = self.get(*fd);
                self.with("fd_prestat_get", &open, &[I(OUT)]).map(drop)
            }
            Op::PrestatName(fd) => {
                let open = self.get(*fd);
                self.with("fd_prestat_dir_name", &open, &[I(INTO), I(16)])
                    .map(drop)
            }
            Op::Poll(on) => self.poll(on),
            Op::PollClock {
                clock,
                absolute,
                nanoseconds,
            } => {
                // Not compared: see `known::NOT_COMPARED`.
                if matches!(clock, 2 | 3) || (*clock == 0 && *absolute) {
                    return Ok(());
                }
                let mut subscription = [0; 48];
                subscription[0] = 77;
                subscription[16] = *clock;
                subscription[24..28].copy_from_slice(&nanoseconds.to_le_bytes());
                subscription[40] = (*absolute).into();
                self.write(SUBSCRIPTIONS, &subscription);
                self.alike("poll_oneoff", &[I(SUBSCRIPTIONS), I(EVENTS), I(1), I(OUT)])?;
                self.compare_memory()?;
                self.clear(SUBSCRIPTIONS, 48);
                self.clear(EVENTS, 32);
                Ok(())
            }
            Op::Time(clock) => {
                self.alike("clock_time_get", &[I((*clock).into()), L(0), I(OUT)])?;
                self.clear(OUT, 8);
                Ok(())
            }
            Op::Resolution(clock) => {
                self.alike("clock_res_get", &[I((*clock).into()), I(OUT)])?;
                self.clear(OUT, 8);
                Ok(())
            }
            Op::Raise(signal) => self.alike("proc_raise", &[I((*signal).into())]).map(drop),
            Op::Yield => self.alike("sched_yield", &[]).map(drop),
            Op::Random(len) => {
                self.alike("random_get", &[I(INTO), I((*len).into())])?;
                self.clear(INTO, (*len).into());
                Ok(())
            }
        }
    }

    /// The first descriptor of a kind, or the closed one.
    fn get_kind(&self, kind: Kind) -> Open {
        let index = self.open.iter().position(|open| open.kind == kind);
        self.get(index.unwrap_or(self.open.len()) as u8)
    }

    fn opened(&mut self, kind: Kind, socket: usize, nonblock: bool) {
        self.open.push(Open {
            ours: self.ours.u32(OUT),
            theirs: self.theirs.u32(OUT),
            kind,
            socket,
            nonblock,
        });
        self.clear(OUT, 4);
    }

    /// After the last number of a descriptor has gone.
    fn closed(&mut self, open: &Open) {
        match open.kind {
            Kind::Socket => self.sockets[open.socket].gone = true,
            Kind::Listener => {
                self.listening = false;
                for client in self.pending.drain(..) {
                    self.sockets[client].gone = true;
                }
            }
            _ => {}
        }
    }

    fn renumber(&mut self, from: u8, to: u8) -> Outcome {
        let (from_open, to_open) = (self.get(from), self.get(to));
        let answers = (
            self.ours
                .call("fd_renumber", &[I(from_open.ours), I(to_open.ours)]),
            self.theirs
                .call("fd_renumber", &[I(from_open.theirs), I(to_open.theirs)]),
        );
        let moved = self.compare("fd_renumber", Some(from_open.kind), answers)? == OK;
        if let (true, Some(source), Some(target)) = (moved, self.index(from), self.index(to))
            && source != target
        {
            self.open[target] = Open {
                ours: to_open.ours,
                theirs: to_open.theirs,
                ..from_open
            };
            self.open.remove(source);
            self.closed(&to_open);
        }
        Ok(())
    }

    fn peer_sends(&mut self, peer: u8, len: u16) -> Outcome {
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

    fn accept(&mut self, fd: u8, nonblock: bool) -> Outcome {
        let open = self.get(fd);
        if open.kind == Kind::Listener {
            if self.pending.is_empty() && !open.nonblock {
                return Ok(());
            }
            if !self.pending.is_empty() {
                // A connection is there when the client's call returns, or the moment after.
                self.poll_now(&[(open.clone(), false)])?;
            }
        }
        let flags = if nonblock { 4 } else { 0 };
        if self.with("sock_accept", &open, &[I(flags), I(OUT)])? == OK {
            let socket = self
                .pending
                .pop_front()
                .ok_or("a connection nobody has made")?;
            self.opened(Kind::Socket, socket, nonblock);
        }
        Ok(())
    }

    fn recv(&mut self, fd: u8, len: u16, flags: u8) -> Outcome {
        let open = self.get(fd);
        let (peek, all) = (flags & 1 != 0, flags & 2 != 0);
        let waits = self.would_wait(&open);
        if let Some(socket) = self.socket(&open) {
            if (len != 0 || peek) && waits {
                return Ok(());
            }
            // See `known::NOT_COMPARED`; and an empty look at an empty socket waits there.
            if all && !peek && socket.waiting < usize::from(len) || peek && len == 0 {
                return Ok(());
            }
        }
        self.buffers(&[len], INTO);
        let args = [I(LIST), I(1), I(flags.into()), I(OUT), I(OUT + 4)];
        if self.with("sock_recv", &open, &args)? == OK && !peek {
            self.received(&open);
        }
        Ok(())
    }

    /// Counts what a read has taken.
    fn received(&mut self, open: &Open) {
        let count = self.ours.u32(OUT) as usize;
        if let Some(socket) = self.socket(open) {
            socket.waiting = socket.waiting.saturating_sub(count);
        }
    }

    fn send(&mut self, name: &str, fd: u8, lens: &[u16]) -> Outcome {
        let open = self.get(fd);
        let all = self.buffers(lens, BYTES);
        // Nothing, to a socket that sends no more: nothing happens there, `pipe` here.
        if all == 0 && self.socket(&open).is_some_and(|socket| socket.shut) {
            return Ok(());
        }
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

    /// The peer allocates nothing, so its file is made as long as ours by other means.
    fn allocate(&mut self, fd: u8, at: u16, len: u16) -> Outcome {
        let open = self.get(fd);
        let args = [L(at.into()), L(len.into())];
        if self.with("fd_allocate", &open, &args)?.0 == Some(0) {
            if self.ours.call("fd_filestat_get", &[I(open.ours), I(OUT)]) != Some(0) {
                return Err("a file that was allocated has no attributes".to_owned());
            }
            let size =
                u64::from_le_bytes(self.ours.read(OUT + 32, 8).try_into().expect("eight bytes"));
            self.clear(OUT, 64);
            let args = [I(open.theirs), L(size as i64)];
            if self.theirs.call("fd_filestat_set_size", &args) != Some(0) {
                return Err("the peer's file cannot be made longer".to_owned());
            }
        }
        Ok(())
    }

    fn poll(&mut self, on: &[(u8, bool)]) -> Outcome {
        let mut ready = Vec::new();
        for (fd, write) in on {
            let open = self.get(*fd);
            let is_ready = match (open.kind, write) {
                (Kind::File, _) => true,
                (Kind::Listener, false) => !self.pending.is_empty(),
                (Kind::Socket, true) => true,
                (Kind::Socket, false) => {
                    let socket = &self.sockets[open.socket];
                    socket.waiting != 0 || socket.finished
                }
                // On its own: the error is that of the whole call on both sides.
                (Kind::Dir | Kind::Closed, _) => on.len() == 1,
                // Not compared: see `known::NOT_COMPARED`.
                (Kind::Input | Kind::Output, _) | (Kind::Listener, true) => false,
            };
            if is_ready {
                ready.push((open, *write));
            }
        }
        self.poll_now(&ready)
    }

    /// Polls what is ready, with a clock that is not.
    fn poll_now(&mut self, on: &[(Open, bool)]) -> Outcome {
        if on.is_empty() {
            return Ok(());
        }
        let alone = matches!(on, [(open, _)] if matches!(open.kind, Kind::Dir | Kind::Closed));
        let mut subscriptions = [Vec::new(), Vec::new()];
        for (user, (open, write)) in (1u8..).zip(on) {
            for (bytes, number) in subscriptions.iter_mut().zip([open.ours, open.theirs]) {
                let mut one = [0; 48];
                one[0] = user;
                one[8] = 1 + u8::from(*write);
                one[16..20].copy_from_slice(&number.to_le_bytes());
                bytes.extend(one);
            }
        }
        let mut count = on.len() as u32;
        if !alone {
            let mut clock = [0; 48];
            clock[0] = 99;
            clock[16] = 1;
            clock[24..32].copy_from_slice(&5_000_000_000u64.to_le_bytes());
            subscriptions
                .iter_mut()
                .for_each(|bytes| bytes.extend(clock));
            count += 1;
        }
        let args = [I(SUBSCRIPTIONS), I(EVENTS), I(count), I(OUT)];
        self.ours.write(SUBSCRIPTIONS, &subscriptions[0]);
        self.theirs.write(SUBSCRIPTIONS, &subscriptions[1]);
        let answers = self.alike("poll_oneoff", &args);
        self.clear(SUBSCRIPTIONS, subscriptions[0].len());
        let answers = answers?;
        if answers == OK {
            let (ours, theirs) = (self.events(&self.ours, on), self.events(&self.theirs, on));
            if ours != theirs || ours.len() != on.len() {
                return Err(format!(
                    "events {ours:?}, the peer's {theirs:?} (number: type, error, bytes, flags)"
                ));
            }
        }
        self.clear(EVENTS, 32 * count as usize);
        self.clear(OUT, 4);
        Ok(())
    }

    /// The events of a poll by the number of their subscription, as far as they are compared.
    fn events(&self, side: &Side, on: &[(Open, bool)]) -> BTreeMap<u64, (u8, u16, u64, u16)> {
        let mut all = BTreeMap::new();
        for bytes in side.read(EVENTS, 32 * side.u32(OUT)).chunks_exact(32) {
            let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
            let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            let mut count = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes"));
            let mut flags = word(24);
            let subscription = usize::try_from(number)
                .ok()
                .and_then(|n| on.get(n.wrapping_sub(1)));
            if let Some((open, write)) = subscription {
                let finished = open.kind == Kind::Socket && self.sockets[open.socket].finished;
                if *write || open.kind == Kind::File {
                    count = 0;
                }
                if finished && self.sockets[open.socket].waiting == 0 {
                    count = 0;
                }
                if finished || open.kind == Kind::File {
                    flags = 0;
                }
            }
            all.insert(number, (bytes[10], word(8), count, flags));
        }
        all
    }

    pub fn compare_memory(&self) -> Outcome {
        let (ours, theirs) = (self.ours.memory(), self.theirs.memory());
        if ours == theirs {
            return Ok(());
        }
        let at = ours
            .iter()
            .zip(theirs)
            .position(|(a, b)| a != b)
            .unwrap_or(0);
        let end = (at + 16).min(ours.len());
        Err(format!(
            "memory differs at {at:#x}: {:?}, the peer's {:?}",
            &ours[at..end],
            &theirs[at..end]
        ))
    }

    /// The files in the guest's directory.
    pub fn compare_files(&self) -> Outcome {
        let files = |side: &Side| -> std::io::Result<BTreeMap<_, _>> {
            std::fs::read_dir(side.dir.path())?
                .map(|entry| {
                    let entry = entry?;
                    Ok((entry.file_name(), std::fs::read(entry.path())?))
                })
                .collect()
        };
        let read = |side| files(side).map_err(|e| format!("the files cannot be read: {e}"));
        let (ours, theirs) = (read(&self.ours)?, read(&self.theirs)?);
        if ours == theirs {
            return Ok(());
        }
        Err(format!("files differ: {ours:?}\nthe peer's: {theirs:?}"))
    }
}

/// Waits until the system has handed everything sent to the other end: on loopback that is so at once, or nearly.
fn delivered(peer: &Peer) {
    let Peer::Tcp(stream) = peer else {
        return;
    };
    for _ in 0..1_000_000 {
        let mut unsent: libc::c_int = 0;
        // SAFETY: `TIOCOUTQ` writes one `int`, which `unsent` is, and the descriptor is open.
        let answer = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut unsent) };
        if answer != 0 || unsent == 0 {
            return;
        }
        std::thread::yield_now();
    }
}
