//! What each operation is on both sides, and what is taken out before comparing.

use crate::op::{Buf, Fd, Op, PATHS, Path};
use crate::side::Side;
use crate::twins::{STRINGS, Twins, i};
use std::collections::BTreeSet;
use wasmtime::Val;

// Where the other things lie in the memory.
const OUT: u32 = 64;
const LIST: u32 = 512;
const SUBSCRIPTION: u32 = 1024;
const EVENT: u32 = 1152;
const LISTING: u32 = 0x3000;
const LISTING_LEN: u32 = 0x2000;

fn at(path: Path) -> [Val; 2] {
    let before: usize = PATHS[..path.0].iter().map(|p| p.len()).sum();
    [i(STRINGS + before as u32), i(PATHS[path.0].len() as u32)]
}

impl Twins {
    /// Makes one call on both sides; what differed, if anything.
    pub(crate) fn run(&mut self, op: &Op) -> Result<(), String> {
        self.call(op)?;
        self.compare_memory()
    }

    fn transfer(
        &mut self,
        name: &str,
        fd: Fd,
        buf: Buf,
        offset: Option<i64>,
    ) -> Result<(), String> {
        self.write(LIST, &buf.at.to_le_bytes());
        self.write(LIST + 4, &buf.len.to_le_bytes());
        let mut args = vec![i(LIST), i(1)];
        args.extend(offset.map(Val::I64));
        args.push(i(OUT));
        if buf.len != 0 && u64::from(buf.at) + u64::from(buf.len) > 65536 {
            return self.transfer_out_of_bounds(name, fd, buf, &args);
        }
        self.with_fd(name, fd, &args).map(drop)
    }

    /// A trap here. The peer traps where it comes to the end of the memory, after it has read the file; or does not, where
    /// the file has no more than there is room for.
    fn transfer_out_of_bounds(
        &mut self,
        name: &str,
        fd: Fd,
        buf: Buf,
        args: &[Val],
    ) -> Result<(), String> {
        let (ours, theirs) = self.numbers(fd);
        let answer = self.theirs.call(name, &[&[i(theirs)], args].concat());
        let count = self.theirs.u32(OUT);
        self.write(OUT, &[0; 4]);
        let reads = name.ends_with("read");
        // Which leaves a time of access behind.
        self.read_there_only |= reads;
        if answer == Some(0) && count != 0 {
            if !reads || buf.at.checked_add(count).is_none_or(|end| end > 65536) {
                return Err(format!("the peer's {name} transferred {count} bytes"));
            }
            let before = self.ours.read(buf.at, count).to_vec();
            self.theirs.write(buf.at, &before);
            self.align_cursors(fd)?;
        }
        match self.ours.call(name, &[&[i(ours)], args].concat()) {
            None => Ok(()),
            errno => Err(format!("{name} out of bounds answers {errno:?}")),
        }
    }

    fn call(&mut self, op: &Op) -> Result<(), String> {
        let flag = |yes: bool| i(yes.into());
        match *op {
            Op::Open {
                dir,
                path,
                follow,
                how,
                rights,
                flags,
            } => {
                let [p, n] = at(path);
                // The peer gives the right to write with these.
                const CREAT_OR_TRUNC: u8 = 1 | 8;
                let rights = if how & CREAT_OR_TRUNC != 0 {
                    rights | 2
                } else {
                    rights
                };
                let rights = Val::I64(i64::from(rights & 1) << 1 | i64::from(rights & 2) << 5);
                let args = [
                    flag(follow),
                    p,
                    n,
                    i(how.into()),
                    rights,
                    rights,
                    i(flags.into()),
                    i(OUT),
                ];
                if self.with_fd("path_open", dir, &args)? == Some(0) {
                    self.open.push((self.ours.u32(OUT), self.theirs.u32(OUT)));
                    self.write(OUT, &[0; 4]);
                }
                Ok(())
            }
            Op::Close(fd) => {
                let closed = self.with_fd("fd_close", fd, &[])?;
                if closed == Some(0) {
                    self.forget(fd);
                }
                Ok(())
            }
            Op::Renumber(from, to) => {
                let ((a, c), (b, d)) = (self.numbers(from), self.numbers(to));
                let moved = self.both("fd_renumber", &[i(a), i(b)], &[i(c), i(d)])?;
                if moved == Some(0) && (a, c) != (b, d) {
                    // The number `from` is gone; `to` stays, with the other file behind it.
                    self.forget(from);
                    // A stream under a file's number is left alone from here on: its flags are not alike.
                    if matches!(from, Fd::Stdio(_)) && matches!(to, Fd::Open(_)) {
                        self.forget(to);
                    }
                }
                Ok(())
            }
            Op::Read(fd, buf) => self.transfer("fd_read", fd, buf, None),
            Op::Write(fd, buf) => {
                self.transfer("fd_write", fd, buf, None)?;
                if buf.len == 0 {
                    self.align_cursors(fd)?;
                }
                Ok(())
            }
            Op::Pread(fd, buf, offset) => self.transfer("fd_pread", fd, buf, Some(offset)),
            Op::Pwrite(fd, buf, offset) => self.transfer("fd_pwrite", fd, buf, Some(offset)),
            Op::Seek(fd, offset, whence) => self
                .with_fd("fd_seek", fd, &[Val::I64(offset), i(whence.into()), i(OUT)])
                .map(drop),
            Op::Tell(fd, out) => self.with_fd("fd_tell", fd, &[i(out)]).map(drop),
            Op::Fdstat(fd) => self.with_fd("fd_fdstat_get", fd, &[i(OUT)]).map(drop),
            Op::Filestat(fd) => {
                self.with_fd("fd_filestat_get", fd, &[i(OUT)])?;
                self.mask_stat();
                Ok(())
            }
            // The peer has no flags for streams.
            Op::SetFlags(Fd::Stdio(_), _) => Ok(()),
            Op::SetFlags(fd, flags) => self
                .with_fd("fd_fdstat_set_flags", fd, &[i(flags.into())])
                .map(drop),
            Op::SetSize(fd, size) => self
                .with_fd("fd_filestat_set_size", fd, &[Val::I64(size)])
                .map(drop),
            Op::SetTimes(fd, atim, mtim, flags) => {
                let args = [
                    Val::I64(atim as i64),
                    Val::I64(mtim as i64),
                    i(flags.into()),
                ];
                self.with_fd("fd_filestat_set_times", fd, &args).map(drop)
            }
            Op::Sync(fd) => self.with_fd("fd_sync", fd, &[]).map(drop),
            Op::Datasync(fd) => self.with_fd("fd_datasync", fd, &[]).map(drop),
            Op::Advise(fd, offset, len, advice) => {
                let args = [
                    Val::I64(offset as i64),
                    Val::I64(len as i64),
                    i(advice.into()),
                ];
                self.with_fd("fd_advise", fd, &args).map(drop)
            }
            Op::Prestat(fd) => self.with_fd("fd_prestat_get", fd, &[i(OUT)]).map(drop),
            Op::PrestatName(fd, buf) => self
                .with_fd("fd_prestat_dir_name", fd, &[i(buf.at), i(buf.len)])
                .map(drop),
            Op::List(fd) => self.list(fd),
            Op::PathStat { dir, path, follow } => {
                let [p, n] = at(path);
                self.with_fd("path_filestat_get", dir, &[flag(follow), p, n, i(OUT)])?;
                self.mask_stat();
                Ok(())
            }
            Op::PathTimes {
                dir,
                path,
                follow,
                mtim,
                flags,
            } => {
                let [p, n] = at(path);
                let time = Val::I64(mtim as i64);
                let args = [flag(follow), p, n, time, time, i(flags.into())];
                self.with_fd("path_filestat_set_times", dir, &args)
                    .map(drop)
            }
            Op::Mkdir { dir, path } => self
                .with_fd("path_create_directory", dir, &at(path))
                .map(drop),
            Op::Rmdir { dir, path } => self
                .with_fd("path_remove_directory", dir, &at(path))
                .map(drop),
            Op::Unlink { dir, path } => self.with_fd("path_unlink_file", dir, &at(path)).map(drop),
            Op::Rename { dir, old, to, new } => {
                let ([o, ol], [n, nl]) = (at(old), at(new));
                let ((a, c), (b, d)) = (self.numbers(dir), self.numbers(to));
                self.both(
                    "path_rename",
                    &[i(a), o, ol, i(b), n, nl],
                    &[i(c), o, ol, i(d), n, nl],
                )
                .map(drop)
            }
            Op::Link {
                dir,
                old,
                to,
                new,
                follow,
            } => {
                let ([o, ol], [n, nl], f) = (at(old), at(new), flag(follow));
                let ((a, c), (b, d)) = (self.numbers(dir), self.numbers(to));
                self.both(
                    "path_link",
                    &[i(a), f, o, ol, i(b), n, nl],
                    &[i(c), f, o, ol, i(d), n, nl],
                )
                .map(drop)
            }
            Op::Symlink { target, dir, path } => {
                let ([o, ol], [n, nl]) = (at(target), at(path));
                let (a, c) = self.numbers(dir);
                self.both("path_symlink", &[o, ol, i(a), n, nl], &[o, ol, i(c), n, nl])
                    .map(drop)
            }
            Op::Readlink { dir, path, buf } => {
                let [p, n] = at(path);
                self.with_fd("path_readlink", dir, &[p, n, i(buf.at), i(buf.len), i(OUT)])
                    .map(drop)
            }
            Op::PollClock { clock, absolute } => {
                let mut subscription = [0; 48];
                subscription[16] = clock;
                subscription[40] = absolute.into();
                self.poll(&subscription, &subscription).map(drop)
            }
            Op::PollFd { fd, write, and } => {
                let subscriptions = |this: &Self, fd: Fd, write: bool| {
                    let (a, b) = this.numbers(fd);
                    [a, b].map(|fd| {
                        let mut bytes = [0; 48];
                        bytes[8] = 1 + u8::from(write);
                        bytes[16..20].copy_from_slice(&fd.to_le_bytes());
                        bytes
                    })
                };
                let [ours, theirs] = subscriptions(self, fd, write);
                let one = self.poll(&ours, &theirs)?;
                let Some((fd, write)) = and else {
                    return Ok(());
                };
                let [our_other, their_other] = subscriptions(self, fd, write);
                let other = self.poll(&our_other, &their_other)?;
                // The peer fails for one that is at fault, this adapter reports it beside the others.
                if (one, other) == (Some(0), Some(0)) {
                    self.poll(&[ours, our_other].concat(), &[theirs, their_other].concat())?;
                    // And of several that are ready not all are reported there.
                    self.write(EVENT, &[0; 64]);
                    self.write(OUT, &[0; 4]);
                }
                Ok(())
            }
            Op::Allocate => self
                .with_fd("fd_allocate", Fd::Closed, &[Val::I64(0), Val::I64(1)])
                .map(drop),
            Op::Args(buf) => self.strings("args_get", buf),
            Op::Environ(buf) => self.strings("environ_get", buf),
            Op::Sizes => {
                self.alike("args_sizes_get", &[i(OUT), i(OUT + 4)])?;
                self.alike("environ_sizes_get", &[i(OUT + 8), i(OUT + 12)])
                    .map(drop)
            }
            Op::Resolution(clock) => self
                .alike("clock_res_get", &[i(clock.into()), i(OUT)])
                .map(drop),
            Op::Time(clock) => {
                self.alike("clock_time_get", &[i(clock.into()), Val::I64(0), i(OUT)])?;
                self.write(OUT, &[0; 8]);
                Ok(())
            }
            Op::Random(buf) => {
                self.alike("random_get", &[i(buf.at), i(buf.len)])?;
                // Whatever part of it lies in the memory.
                let end = u64::from(buf.at).saturating_add(buf.len.into()).min(65536);
                if u64::from(buf.at) < end {
                    self.write(buf.at, &vec![0; (end - u64::from(buf.at)) as usize]);
                }
                self.write(STRINGS, PATHS.concat().as_bytes());
                Ok(())
            }
            Op::Yield => self.alike("sched_yield", &[]).map(drop),
            Op::Sock(fd) => {
                self.with_fd("sock_accept", fd, &[i(0), i(OUT)])?;
                self.with_fd("sock_recv", fd, &[i(LIST), i(0), i(0), i(OUT), i(OUT + 4)])?;
                self.with_fd("sock_send", fd, &[i(LIST), i(0), i(0), i(OUT)])?;
                self.with_fd("sock_shutdown", fd, &[i(1)]).map(drop)
            }
            Op::Exit(code) => self.alike("proc_exit", &[i(code.into())]).map(drop),
        }
    }

    /// After what moves the peer's cursor only. (An empty write with `APPEND` moves it to the end.)
    fn align_cursors(&mut self, fd: Fd) -> Result<(), String> {
        let (ours, theirs) = self.numbers(fd);
        if self.theirs.call("fd_tell", &[i(theirs), i(OUT)]) == Some(0) {
            let at = u64::from_le_bytes(self.theirs.read(OUT, 8).try_into().unwrap());
            let args = [i(ours), Val::I64(at as i64), i(0), i(OUT)];
            if self.ours.call("fd_seek", &args) != Some(0) {
                return Err("a file that the peer has a cursor in has none here".to_owned());
            }
            self.write(OUT, &[0; 8]);
        }
        Ok(())
    }

    /// Twin files have inodes of their own, and times of real events; times that were set are old.
    fn mask_stat(&mut self) {
        const OLD: u64 = 1_000_000_000_000;
        for offset in [40, 48] {
            let recent = |side: &[u8]| u64::from_le_bytes(side.try_into().unwrap()) > OLD;
            let (a, b) = (
                self.ours.read(OUT + offset, 8),
                self.theirs.read(OUT + offset, 8),
            );
            let accessed = offset == 40 && self.read_there_only && recent(b);
            if recent(a) && recent(b) || accessed {
                self.write(OUT + offset, &[0; 8]);
            }
        }
        self.write(OUT + 8, &[0; 8]);
        self.write(OUT + 56, &[0; 8]);
    }

    /// What a call that trapped has written before it found out is nobody's concern.
    fn strings(&mut self, name: &str, buf: Buf) -> Result<(), String> {
        if self.alike(name, &[i(OUT), i(buf.at)])?.is_none() {
            self.write(OUT, &[0; 16]);
            self.write(0xFF00, &[0; 256]);
        }
        Ok(())
    }

    fn poll(&mut self, ours: &[u8], theirs: &[u8]) -> Result<Option<i32>, String> {
        self.ours.write(SUBSCRIPTION, ours);
        self.theirs.write(SUBSCRIPTION, theirs);
        let count = (ours.len() / 48) as u32;
        let stdin = ours[8] == 1 && ours[16..20] == [0; 4];
        let args = [i(SUBSCRIPTION), i(EVENT), i(count), i(OUT)];
        let result = self.alike("poll_oneoff", &args);
        self.write(SUBSCRIPTION, &[0; 96]);
        // The peer reports 1 byte for whatever is ready, and no end of standard input.
        self.write(EVENT + 16, &[0; 8]);
        if stdin {
            self.write(EVENT + 24, &[0; 2]);
        }
        result
    }

    /// The names and types of a whole listing.
    fn list(&mut self, fd: Fd) -> Result<(), String> {
        fn entries<T: Send>(side: &Side<T>) -> BTreeSet<(Vec<u8>, u8)> {
            let mut rest = side.read(LISTING, side.u32(OUT));
            let mut all = BTreeSet::new();
            while let Some((head, tail)) = rest.split_at_checked(24) {
                let (name, tail) =
                    tail.split_at(u32::from_le_bytes(head[16..20].try_into().unwrap()) as usize);
                assert!(all.insert((name.to_vec(), head[20])), "listed twice");
                rest = tail;
            }
            all
        }
        if self.with_fd(
            "fd_readdir",
            fd,
            &[i(LISTING), i(LISTING_LEN), Val::I64(0), i(OUT)],
        )? == Some(0)
        {
            let (ours, theirs) = (entries(&self.ours), entries(&self.theirs));
            if ours != theirs {
                return Err(format!("listings differ: {ours:?}, the peer's {theirs:?}"));
            }
        }
        self.write(LISTING, &vec![0; LISTING_LEN as usize]);
        Ok(())
    }
}
