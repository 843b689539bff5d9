//! Every call with its arguments, and what of its results cannot be alike.

use super::layout::{BYTES, INTO, LIST, OUT};
use super::table::Open;
use super::{Answers, OK, Outcome, Twins};
use crate::known::Kind;
use crate::op::{Fd, Op};
use crate::side::Arg::{self, I, L};

impl Twins {
    pub(super) fn call(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Connect => {
                self.connect();
                Ok(())
            }
            Op::PeerSends(peer, len) => self.peer_sends(*peer, *len),
            Op::PeerFinishes(peer) => self.peer_finishes(*peer),
            Op::Accept(fd, nonblock) => self.accept(*fd, *nonblock),
            Op::Recv(fd, lens, flags) => self.recv(*fd, lens, *flags),
            Op::Send(fd, lens) => self.send("sock_send", *fd, lens),
            Op::Write(fd, lens) => self.send("fd_write", *fd, lens),
            Op::SendFlags(fd, flags) => {
                let open = self.get(*fd);
                let args = [I(LIST), I(0), I((*flags).into()), I(OUT)];
                self.with("sock_send", &open, &args).map(drop)
            }
            Op::Shutdown(fd, how) => self.shutdown(*fd, *how),
            Op::Open { name, how, flags } => self.path_open(*name, *how, *flags),
            Op::Close(fd) => self.close(*fd),
            Op::Renumber(from, to) => self.renumber(*from, *to),
            Op::Read(fd, lens) => {
                let open = self.get(*fd);
                if lens.iter().any(|len| *len != 0) && self.would_wait(&open) {
                    return Ok(());
                }
                if self.reading("fd_read", &open, lens, &[I(OUT)])? == OK {
                    self.received(&open);
                }
                Ok(())
            }
            Op::Pread(fd, lens, at) => {
                let open = self.get(*fd);
                let rest = [L((*at).into()), I(OUT)];
                self.reading("fd_pread", &open, lens, &rest).map(drop)
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
                for side in [&mut self.ours, &mut self.theirs] {
                    // FD_READ and FD_WRITE: not compared otherwise, see `known::NOT_COMPARED`.
                    let rights = match open.kind {
                        Kind::Dir | Kind::Listener => 0,
                        _ => side.read(OUT + 8, 1)[0] & 0x42,
                    };
                    side.write(OUT + 8, &[rights]);
                }
                self.clear(OUT + 9, 15);
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
                // All there are: a descriptor that has them gives none up, one that has not is
                // refused.
                let all = L((1 << 30) - 1);
                self.with("fd_fdstat_set_rights", &open, &[all, all])
                    .map(drop)
            }
            Op::Filestat(fd) => {
                let open = self.get(*fd);
                self.with("fd_filestat_get", &open, &[I(OUT)])?;
                self.clear(OUT, 16);
                self.clear(OUT + 40, 24);
                if matches!(open.kind, Kind::Listener | Kind::Socket) {
                    self.clear(OUT + 24, 8);
                }
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
            } => self.poll_clock(*clock, *absolute, *nanoseconds),
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
            Op::Odd { fd, call, how } => self.odd(*fd, *call, *how),
            Op::Random(len) => {
                self.alike("random_get", &[I(INTO), I((*len).into())])?;
                self.clear(INTO, (*len).into());
                Ok(())
            }
        }
    }

    /// No memory where the pointer points, or none that is aligned: to a list of buffers, a buffer
    /// or a result.
    fn odd(&mut self, fd: Fd, call: u8, how: u8) -> Outcome {
        let open = self.get(fd);
        let end = self.ours.memory().len() as u32;
        let (list, buffer) = match how {
            0 => (LIST, end - 16),
            1 => (LIST, u32::MAX - 16),
            2 => (LIST + 1, INTO),
            _ => (end - 4, INTO),
        };
        if how < 2 {
            self.write(LIST, &[buffer.to_le_bytes(), 64u32.to_le_bytes()].concat());
        }
        let out = if how.is_multiple_of(2) {
            OUT + 1
        } else {
            end - 4
        };
        let (list, one, at, none) = (I(list), I(1), L(0), I(0));
        let (name, args): (_, &[Arg]) = match call {
            0 => ("fd_read", &[list, one, I(OUT)]),
            1 => ("fd_pread", &[list, one, at, I(OUT)]),
            2 => ("fd_write", &[list, one, I(OUT)]),
            3 => ("fd_pwrite", &[list, one, at, I(OUT)]),
            4 => ("sock_recv", &[list, one, none, I(OUT), I(OUT + 4)]),
            5 => ("sock_send", &[list, one, none, I(OUT)]),
            6 => ("fd_tell", &[I(out)]),
            7 => ("fd_fdstat_get", &[I(out)]),
            _ => ("fd_filestat_get", &[I(out)]),
        };
        self.with(name, &open, args)?;
        // Flags, of which there may be room for no more.
        if matches!(open.kind, Kind::Input | Kind::Output) {
            self.clear(end - 2, 2);
        }
        Ok(())
    }

    /// Buffers one behind the other, filled with what there is to write.
    pub(super) fn buffers(&mut self, lens: &[u16], from: u32) -> usize {
        let mut at = from;
        for (i, len) in (0..).zip(lens) {
            self.write(LIST + 8 * i, &at.to_le_bytes());
            self.write(LIST + 8 * i + 4, &u32::from(*len).to_le_bytes());
            at += u32::from(*len);
        }
        (at - from) as usize
    }

    /// A read into several buffers, one behind the other. The peer fills the first only, so it gets
    /// one of the whole length.
    pub(super) fn reading(
        &mut self,
        name: &'static str,
        open: &Open,
        lens: &[u16],
        rest: &[Arg],
    ) -> Result<Answers, String> {
        let all = self.buffers(lens, INTO);
        let one = [INTO.to_le_bytes(), (all as u32).to_le_bytes()].concat();
        self.theirs.write(LIST, &one);
        let ours = [&[I(open.ours), I(LIST), I(lens.len() as u32)], rest].concat();
        let theirs = [&[I(open.theirs), I(LIST), I(1)], rest].concat();
        let answers = self.both(name, Some(open.kind), &ours, &theirs);
        self.clear(LIST, 8 * (lens.len() + 1));
        answers
    }

    /// The peer allocates nothing, so its file is made as long as ours by other means.
    fn allocate(&mut self, fd: Fd, at: u16, len: u16) -> Outcome {
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
}
