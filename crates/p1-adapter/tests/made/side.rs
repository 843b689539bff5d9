//! One of the two folders, with its guest.

use crate::guest::*;
use crate::op::{Op, PATHS};
use crate::sys::symlink;
use p1_adapter::made::{MadeFolder as _, MemoryFolder};
use p1_adapter::{FsPerms, P1CtxBuilder};
use std::collections::BTreeSet;
use std::fs;
use tempfile::TempDir;
use wasmtime::Val::{self, I32, I64};

/// Links that both folders have.
const LINKS: [(&str, &str); 5] = [
    ("link", "file"),
    ("dangling", "nowhere"),
    ("loop", "loop"),
    ("out", ".."),
    ("into", "dir"),
];
const FOX: &[u8] = b"The quick brown fox jumps over the lazy dog.";

const REGULAR: u8 = 4;
const DIRECTORY_TYPE: u8 = 3;
const SYMBOLIC_LINK: u8 = 7;

pub(crate) struct Side {
    guest: Guest,
    _dir: Option<TempDir>,
}

/// What a call has answered: its errno, and what is to be compared of the results.
pub(crate) type Answer = (i32, Vec<u8>);

/// A folder in memory.
pub(crate) fn made(perms: FsPerms) -> Side {
    let folder = MemoryFolder::new(1 << 30);
    folder.write("file", FOX).unwrap();
    folder
        .create("dir")
        .unwrap()
        .write("inner", b"inner")
        .unwrap();
    for (name, target) in LINKS {
        folder.create_link(name, target).unwrap();
    }
    let ctx = P1CtxBuilder::new()
        .made_folder(folder, "/", perms)
        .build()
        .unwrap();
    Side {
        guest: Guest::new(&ctx),
        _dir: None,
    }
}

/// One of the file system.
pub(crate) fn real(perms: FsPerms) -> Side {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("dir")).unwrap();
    fs::write(root.join("file"), FOX).unwrap();
    fs::write(root.join("dir/inner"), b"inner").unwrap();
    for (name, target) in LINKS {
        symlink(target, root.join(name));
    }
    let ctx = P1CtxBuilder::new()
        .preopened_dir(&root, "/", perms)
        .unwrap()
        .build()
        .unwrap();
    Side {
        guest: Guest::new(&ctx),
        _dir: Some(dir),
    }
}

/// Where a second path lies.
const SECOND: u32 = PATH + 0x2000;
const OUT_ARG: Val = I32(OUT as i32);

impl Side {
    fn path_at(&mut self, at: u32, path: &str) -> [Val; 2] {
        self.guest.write(at, path.as_bytes());
        [I32(at as i32), I32(path.len() as i32)]
    }

    fn call(&mut self, name: &str, args: &[Val], compared: u32) -> Answer {
        self.guest.write(OUT, &[0xAA; 256]);
        let errno = self.guest.call(name, args);
        (errno, self.guest.read(OUT, compared))
    }

    /// The attributes without what is the file system's own.
    fn stat(&mut self, name: &str, args: &[Val]) -> Answer {
        let (errno, mut found) = self.call(name, args, 64);
        if errno == OK {
            // Inode and times.
            found[8..16].fill(0);
            found[40..64].fill(0);
            if found[16] == DIRECTORY_TYPE {
                // Links and size.
                found[24..40].fill(0);
            }
        }
        (errno, found)
    }

    fn bufs(&mut self, len: u32) -> [Val; 2] {
        // More than the memory has behind it: the same piece several times.
        const PIECE: u32 = 0x10000;
        let mut list = Vec::new();
        let mut left = len;
        while left > 0 {
            let piece = left.min(PIECE);
            list.push((DATA, piece));
            left -= piece;
        }
        self.guest.iovs(&list)
    }

    fn transfer(&mut self, name: &str, fd: i32, len: u32, offset: Option<i64>) -> Answer {
        let pattern: Vec<u8> = (0..len.min(0x10000)).map(|at| (at % 251) as u8).collect();
        self.guest.write(DATA, &pattern);
        let [list, count] = self.bufs(len);
        let mut args = vec![I32(fd), list, count];
        args.extend(offset.map(I64));
        args.push(OUT_ARG);
        let (errno, mut all) = self.call(name, &args, 4);
        all.extend(self.guest.read(DATA, len.min(0x10000)));
        (errno, all)
    }

    pub(crate) fn run(&mut self, op: &Op) -> Answer {
        match *op {
            Op::Open {
                dir,
                path,
                follow,
                how,
                rights,
                flags,
            } => {
                let [at, len] = self.path_at(PATH, PATHS[path.0]);
                let args = [
                    I32(dir),
                    I32(follow.into()),
                    at,
                    len,
                    I32(how),
                    I64(rights),
                    I64(rights),
                    I32(flags),
                    OUT_ARG,
                ];
                self.call("path_open", &args, 4)
            }
            // The preopen stays.
            Op::Close(3) => (0, Vec::new()),
            Op::Close(fd) => self.call("fd_close", &[I32(fd)], 0),
            Op::Read(fd, len) => self.transfer("fd_read", fd, len, None),
            Op::Write(fd, len) => self.transfer("fd_write", fd, len, None),
            Op::Pread(fd, len, at) => self.transfer("fd_pread", fd, len, Some(at)),
            Op::Pwrite(fd, len, at) => self.transfer("fd_pwrite", fd, len, Some(at)),
            Op::Seek(fd, offset, whence) => {
                self.call("fd_seek", &[I32(fd), I64(offset), I32(whence), OUT_ARG], 8)
            }
            Op::Tell(fd) => self.call("fd_tell", &[I32(fd), OUT_ARG], 8),
            Op::SetSize(fd, size) => self.call("fd_filestat_set_size", &[I32(fd), I64(size)], 0),
            Op::Allocate(fd, at, len) => self.call("fd_allocate", &[I32(fd), I64(at), I64(len)], 0),
            Op::Advise(fd, at, len) => {
                self.call("fd_advise", &[I32(fd), I64(at), I64(len), I32(0)], 0)
            }
            Op::Sync(fd) => self.call("fd_sync", &[I32(fd)], 0),
            Op::Stat(fd) => self.stat("fd_filestat_get", &[I32(fd), OUT_ARG]),
            Op::Fdstat(fd) => self.call("fd_fdstat_get", &[I32(fd), OUT_ARG], 24),
            Op::SetFlags(fd, flags) => self.call("fd_fdstat_set_flags", &[I32(fd), I32(flags)], 0),
            Op::List(fd) => match self.list(fd) {
                Ok(names) => (OK, format!("{names:?}").into_bytes()),
                Err(errno) => (errno, Vec::new()),
            },
            Op::PollRead(fd) => {
                let mut subscription = [0; 48];
                subscription[8] = 1;
                subscription[16..20].copy_from_slice(&fd.to_le_bytes());
                self.guest.write(DATA, &subscription);
                self.guest.write(DATA + 64, &[0; 32]);
                let args = [I32(DATA as i32), I32(DATA as i32 + 64), I32(1), OUT_ARG];
                let (errno, mut all) = self.call("poll_oneoff", &args, 4);
                all.extend(self.guest.read(DATA + 64, 32));
                (errno, all)
            }
            ref on_paths => self.run_on_paths(on_paths),
        }
    }

    fn run_on_paths(&mut self, op: &Op) -> Answer {
        match *op {
            Op::PathStat(dir, path, follow) => {
                let [at, len] = self.path_at(PATH, PATHS[path.0]);
                let args = [I32(dir), I32(follow.into()), at, len, OUT_ARG];
                self.stat("path_filestat_get", &args)
            }
            Op::SetTimes(dir, path, follow, flags) => {
                let [at, len] = self.path_at(PATH, PATHS[path.0]);
                let times = [I64(1_000_000_007), I64(2_000_000_011)];
                let mut args = vec![I32(dir), I32(follow.into()), at, len];
                args.extend(times);
                args.push(I32(flags));
                self.call("path_filestat_set_times", &args, 0)
            }
            Op::Mkdir(dir, path) => self.one("path_create_directory", dir, PATHS[path.0]),
            Op::Rmdir(dir, path) => self.one("path_remove_directory", dir, PATHS[path.0]),
            Op::Unlink(dir, path) => self.one("path_unlink_file", dir, PATHS[path.0]),
            Op::Symlink(target, dir, path) => {
                let [to, to_len] = self.path_at(SECOND, PATHS[target.0]);
                let [at, len] = self.path_at(PATH, PATHS[path.0]);
                self.call("path_symlink", &[to, to_len, I32(dir), at, len], 0)
            }
            Op::Readlink(dir, path) => self.readlink(dir, PATHS[path.0]),
            // Which of several faults is said first.
            Op::Link(_, path, _, _, new) | Op::Rename(_, path, _, new)
                if [path, new].iter().any(|path| PATHS[path.0].len() > 255) =>
            {
                (0, Vec::new())
            }
            Op::Link(dir, path, follow, to, new) => {
                let [at, len] = self.path_at(PATH, PATHS[path.0]);
                let [new, new_len] = self.path_at(SECOND, PATHS[new.0]);
                let from = [I32(dir), I32(follow.into()), at, len];
                let args = [&from[..], &[I32(to), new, new_len]].concat();
                self.call("path_link", &args, 0)
            }
            Op::Rename(dir, path, to, new) => {
                let [at, len] = self.path_at(PATH, PATHS[path.0]);
                let [new, new_len] = self.path_at(SECOND, PATHS[new.0]);
                let args = [I32(dir), at, len, I32(to), new, new_len];
                self.call("path_rename", &args, 0)
            }
            _ => unreachable!("{op:?}"),
        }
    }

    fn one(&mut self, name: &str, dir: i32, path: &str) -> Answer {
        let [at, len] = self.path_at(PATH, path);
        self.call(name, &[I32(dir), at, len], 0)
    }

    fn readlink(&mut self, dir: i32, path: &str) -> Answer {
        let [at, len] = self.path_at(PATH, path);
        self.guest.write(DATA, &[0; 300]);
        let args = [I32(dir), at, len, I32(DATA as i32), I32(300), OUT_ARG];
        let (errno, mut all) = self.call("path_readlink", &args, 4);
        all.extend(self.guest.read(DATA, 300));
        (errno, all)
    }

    /// Names and types.
    fn list(&mut self, fd: i32) -> Result<BTreeSet<(String, u8)>, i32> {
        const ROOM: u32 = 400;
        let mut all = BTreeSet::new();
        let mut cookie = 0;
        loop {
            let args = [
                I32(fd),
                I32(DATA as i32),
                I32(ROOM as i32),
                I64(cookie),
                OUT_ARG,
            ];
            let (errno, used) = self.call("fd_readdir", &args, 4);
            if errno != OK {
                return Err(errno);
            }
            let used = u32::from_le_bytes(used[..].try_into().unwrap());
            let bytes = self.guest.read(DATA, used);
            let mut rest = &bytes[..];
            while let Some((head, tail)) = rest.split_at_checked(24) {
                let len = u32::from_le_bytes(head[16..20].try_into().unwrap());
                let Some((name, tail)) = tail.split_at_checked(len as usize) else {
                    break;
                };
                cookie = i64::from_le_bytes(head[..8].try_into().unwrap());
                let new = all.insert((String::from_utf8(name.to_vec()).unwrap(), head[20]));
                assert!(new, "twice: {name:?}");
                rest = tail;
            }
            if used < ROOM {
                return Ok(all);
            }
        }
    }

    /// Everything below a directory, a line each.
    pub(crate) fn tree(&mut self, fd: i32, place: &str, lines: &mut Vec<String>) {
        for (name, kind) in self.list(fd).unwrap() {
            if name == "." || name == ".." {
                continue;
            }
            let place = format!("{place}/{name}");
            match kind {
                SYMBOLIC_LINK => {
                    let target = self.readlink(fd, &name);
                    lines.push(format!("{place} -> {target:?}"));
                }
                REGULAR => {
                    let file = self.guest.open_at(fd, &name, 0, READ, 0).unwrap();
                    let bytes = self.transfer("fd_read", file, 0x10000, None);
                    lines.push(format!("{place}: {bytes:?}"));
                    self.guest.close(file);
                }
                _ => {
                    lines.push(format!("{place}/"));
                    let dir = self.guest.open_at(fd, &name, DIRECTORY, READ, 0).unwrap();
                    self.tree(dir, &place, lines);
                    self.guest.close(dir);
                }
            }
        }
    }
}
