//! Both adapters, side by side.

use crate::known::{About, is_known};
use crate::op::{Fd, PATHS};
use crate::side::{Manner, PEER, Side, WORLD};
use p1_adapter::{P1CtxBuilder, P1State};
use std::path::Path;
use wasmtime::Val;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// Where the paths lie in the memory.
pub(crate) const STRINGS: u32 = 0x1000;

/// The folder with devices, or another one where there is none.
fn devices(other: &Path) -> &Path {
    match cfg!(unix) {
        true => Path::new("/dev"),
        false => other,
    }
}

pub(crate) fn i(n: u32) -> Val {
    Val::I32(n as i32)
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    File,
    Directory,
    Standard,
    Fifo,
    Device,
}

/// A descriptor open in both.
#[derive(Clone, Copy)]
pub(crate) struct Both {
    pub(crate) ours: u32,
    pub(crate) theirs: u32,
    pub(crate) kind: Kind,
}

/// Both adapters and the descriptors open in both.
pub(crate) struct Twins {
    pub(crate) ours: Side<P1State>,
    pub(crate) theirs: Side<WasiP1Ctx>,
    pub(crate) open: Vec<Both>,
    /// What is under the numbers of the standard streams, where they have not been closed.
    stdio: [Option<Kind>; 3],
    /// Whether the peer has read a file in a call that trapped afterwards, or in a poll.
    pub(crate) read_there_only: bool,
    /// The call that is being made.
    pub(crate) about: About,
}

impl Twins {
    /// The peer has its sync linker and a memory of the same kind.
    pub(crate) fn new(manner: Manner) -> Self {
        const ARGS: [&str; 2] = ["prog", "arg"];
        let linker = if manner.asynchronous {
            &WORLD.tasks
        } else {
            &WORLD.linker
        };
        let ours = Side::new(linker, manner, |dir, kept| {
            let ctx = P1CtxBuilder::new()
                .args(&ARGS)
                .env("NAME", "value")
                .preopened_dir(dir, "/pre", FsPerms::ReadWrite)
                .unwrap()
                .preopened_dir(kept, "/kept", FsPerms::ReadOnly)
                .unwrap()
                .preopened_dir(devices(kept), "/dev", FsPerms::ReadOnly)
                .unwrap()
                .build()
                .unwrap();
            P1State::new(ctx)
        });
        let manner = Manner {
            asynchronous: false,
            ..manner
        };
        let theirs = Side::new(&PEER, manner, |dir, kept| {
            WasiCtxBuilder::new()
                .allow_blocking_current_thread(true)
                .args(&ARGS)
                .env("NAME", "value")
                .preopened_dir(dir, "/pre", FsPerms::ReadWrite)
                .unwrap()
                .preopened_dir(kept, "/kept", FsPerms::ReadOnly)
                .unwrap()
                .preopened_dir(devices(kept), "/dev", FsPerms::ReadOnly)
                .unwrap()
                .build_p1()
        });
        let mut twins = Self {
            ours,
            theirs,
            open: [3, 4]
                .map(|n| Both {
                    ours: n,
                    theirs: n,
                    kind: Kind::Directory,
                })
                .to_vec(),
            stdio: [Some(Kind::Standard); 3],
            read_there_only: false,
            about: About::default(),
        };
        twins.write(STRINGS, PATHS.concat().as_bytes());
        // Something to write.
        let bytes: Vec<u8> = (0..0x8000u32).map(|n| (n % 251) as u8).collect();
        twins.write(0x6000, &bytes);
        twins
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) {
        self.ours.write(at, bytes);
        self.theirs.write(at, bytes);
    }

    fn index(&self, fd: Fd) -> Option<usize> {
        match fd {
            Fd::Open(n) if !self.open.is_empty() => Some(usize::from(n) % self.open.len()),
            _ => None,
        }
    }

    /// Which numbers a descriptor has on the two sides.
    pub(crate) fn numbers(&self, fd: Fd) -> (u32, u32) {
        match (self.index(fd), fd) {
            (Some(index), _) => (self.open[index].ours, self.open[index].theirs),
            (None, Fd::Stdio(n)) if self.stdio[usize::from(n)].is_some() => (n.into(), n.into()),
            (None, _) => (1000, 1000),
        }
    }

    /// What a descriptor is, if it is open.
    pub(crate) fn kind(&self, fd: Fd) -> Option<Kind> {
        match (self.index(fd), fd) {
            (Some(index), _) => Some(self.open[index].kind),
            (None, Fd::Stdio(n)) => self.stdio[usize::from(n)],
            (None, _) => None,
        }
    }

    /// What is `from` is now `to` as well.
    pub(crate) fn copied(&mut self, from: Fd, to: Fd) {
        let kind = self.kind(from);
        match (self.index(to), to, kind) {
            (Some(index), _, Some(kind)) => self.open[index].kind = kind,
            (None, Fd::Stdio(n), kind) => self.stdio[usize::from(n)] = kind,
            _ => {}
        }
    }

    /// A number that means nothing any more.
    pub(crate) fn forget(&mut self, fd: Fd) {
        match (self.index(fd), fd) {
            (Some(index), _) => {
                self.open.remove(index);
            }
            (None, Fd::Stdio(n)) => self.stdio[usize::from(n)] = None,
            (None, _) => {}
        }
    }

    /// Calls `name(fd, args)` on both sides.
    pub(crate) fn with_fd(
        &mut self,
        name: &str,
        fd: Fd,
        args: &[Val],
    ) -> Result<Option<i32>, String> {
        let (ours, theirs) = self.numbers(fd);
        self.both(
            name,
            &[&[i(ours)], args].concat(),
            &[&[i(theirs)], args].concat(),
        )
    }

    pub(crate) fn alike(&mut self, name: &str, args: &[Val]) -> Result<Option<i32>, String> {
        self.both(name, args, args)
    }

    pub(crate) fn both(
        &mut self,
        name: &str,
        ours: &[Val],
        theirs: &[Val],
    ) -> Result<Option<i32>, String> {
        let (a, b) = (self.ours.call(name, ours), self.theirs.call(name, theirs));
        if a != b && !is_known(name, &self.about, a, b) {
            return Err(format!("{name} answers {a:?}, the peer {b:?} (none: trap)"));
        }
        Ok(a)
    }

    pub(crate) fn compare_memory(&self) -> Result<(), String> {
        let (ours, theirs) = (self.ours.bytes(0, 65536), self.theirs.bytes(0, 65536));
        if ours == theirs {
            return Ok(());
        }
        match ours.iter().zip(&theirs[..]).position(|(a, b)| a != b) {
            None => Ok(()),
            Some(at) => {
                let end = (at + 16).min(65536);
                let (ours, theirs) = (&ours[at..end], &theirs[at..end]);
                Err(format!(
                    "memory differs at {at:#x}: {ours:?}, the peer's {theirs:?}"
                ))
            }
        }
    }

    /// The files outside and inside the guest's directory.
    pub(crate) fn compare_files(&self) -> Result<(), String> {
        let (ours, theirs) = (self.ours.files(), self.theirs.files());
        if ours == theirs {
            Ok(())
        } else {
            Err(format!("files differ: {ours:?}\nthe peer's: {theirs:?}"))
        }
    }
}
