//! Open descriptors: calls that take, move and free their numbers, which the two sides give out
//! differently.

use super::layout::{NAMES, OUT, PATH};
use super::{OK, Outcome, Twins};
use crate::known::Kind;
use crate::op::Fd;
use crate::side::Arg::{I, L};

/// An open descriptor.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) ours: u32,
    pub(super) theirs: u32,
    pub(super) kind: Kind,
    /// Where it is a socket: which.
    pub(super) socket: usize,
    /// What the guest has asked for, where it matters to the model.
    pub(super) nonblock: bool,
}

const CLOSED: Open = Open {
    ours: 1000,
    theirs: 1000,
    kind: Kind::Closed,
    socket: 0,
    nonblock: false,
};

impl Twins {
    /// The index of an open descriptor, or none for the closed one.
    pub(super) fn index(&self, fd: Fd) -> Option<usize> {
        let (kind, n) = match fd {
            Fd::Any(n) => (None, n),
            Fd::Socket(n) => (Some(Kind::Socket), n),
            Fd::File(n) => (Some(Kind::File), n),
            Fd::Listener(n) => (Some(Kind::Listener), n),
        };
        let of_kind = |(_, open): &(usize, &Open)| kind == Some(open.kind);
        let these: Vec<_> = self.open.iter().enumerate().filter(of_kind).collect();
        if !these.is_empty() {
            return Some(these[usize::from(n) % these.len()].0);
        }
        let index = usize::from(n) % (self.open.len() + 1);
        (index < self.open.len()).then_some(index)
    }

    pub(super) fn get(&self, fd: Fd) -> Open {
        match self.index(fd) {
            Some(index) => self.open[index].clone(),
            None => CLOSED,
        }
    }

    /// What a call has opened: under the lowest number here.
    pub(super) fn opened(&mut self, kind: Kind, socket: usize, nonblock: bool) -> Outcome {
        let (ours, theirs) = (self.ours.u32(OUT), self.theirs.u32(OUT));
        let is_free = |number: &u32| self.open.iter().all(|open| open.ours != *number);
        if (0..).find(is_free) != Some(ours) {
            return Err(format!(
                "{kind:?} has the number {ours}, a lower one is free"
            ));
        }
        self.open.push(Open {
            ours,
            theirs,
            kind,
            socket,
            nonblock,
        });
        self.clear(OUT, 4);
        Ok(())
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

    pub(super) fn path_open(&mut self, name: u8, how: u8, flags: u8) -> Outcome {
        let name = NAMES[usize::from(name) % NAMES.len()];
        self.write(PATH, name.as_bytes());
        // CREAT, EXCL, TRUNC; APPEND, NONBLOCK.
        let how = [0, 1, 1 | 4, 8][usize::from(how) % 4];
        let flags = [0, 1, 4, 5][usize::from(flags) % 4];
        // Not compared: see `known::NOT_COMPARED`.
        if how & 8 != 0 && flags & 1 != 0 {
            return Ok(());
        }
        let dir = self.open.iter().find(|open| open.kind == Kind::Dir);
        let dir = dir.cloned().unwrap_or(CLOSED);
        let rights = L(0x7f | 1 << 21);
        let len = I(name.len() as u32);
        let args = [I(1), I(PATH), len, I(how), rights, rights, I(flags), I(OUT)];
        if self.with("path_open", &dir, &args)? == OK {
            self.opened(Kind::File, 0, flags & 4 != 0)?;
        }
        self.clear(PATH, 16);
        Ok(())
    }

    pub(super) fn close(&mut self, fd: Fd) -> Outcome {
        let open = self.get(fd);
        if self.with("fd_close", &open, &[])? == OK
            && let Some(index) = self.index(fd)
        {
            self.open.remove(index);
            self.closed(&open);
        }
        Ok(())
    }

    pub(super) fn renumber(&mut self, from: Fd, to: Fd) -> Outcome {
        let (from_open, to_open) = (self.get(from), self.get(to));
        let ours = [I(from_open.ours), I(to_open.ours)];
        let theirs = [I(from_open.theirs), I(to_open.theirs)];
        let moved = self.both("fd_renumber", Some(from_open.kind), &ours, &theirs)? == OK;
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
}
