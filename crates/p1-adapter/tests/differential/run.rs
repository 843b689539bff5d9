//! What each operation is on both sides.

use crate::known::About;
use crate::op::{DEVICES, Fd, LIST, OUT, Op, PATHS, Path};
use crate::twins::{Both, Kind, STRINGS, Twins, i};
use wasmtime::Val;

fn at(path: Path) -> [Val; 2] {
    let before: usize = PATHS[..path.0].iter().map(|p| p.len()).sum();
    [i(STRINGS + before as u32), i(PATHS[path.0].len() as u32)]
}

impl Twins {
    /// Makes one call on both sides; what differed, if anything.
    pub(crate) fn run(&mut self, op: &Op) -> Result<(), String> {
        if self.is_meant_to_differ(op) {
            return Ok(());
        }
        self.about = About::call(op, |fd| self.kind(fd));
        self.call(op)?;
        self.compare_memory()?;
        // A result may have been put there.
        self.write(STRINGS, PATHS.concat().as_bytes());
        Ok(())
    }

    /// Calls for which FIFOs and devices are streams here, and files with a cursor there.
    fn is_meant_to_differ(&self, op: &Op) -> bool {
        let differs = |fd: Fd, as_a_device: bool| match self.kind(fd) {
            Some(Kind::Fifo) => true,
            Some(Kind::Device) => as_a_device,
            _ => false,
        };
        match *op {
            Op::Read(fd, _) | Op::Write(fd, _) => differs(fd, false),
            Op::Pread(fd, ..)
            | Op::Pwrite(fd, ..)
            | Op::Seek(fd, ..)
            | Op::Tell(fd, _)
            | Op::SetSize(fd, _)
            | Op::Advise(fd, ..)
            | Op::SetFlags(fd, _) => differs(fd, true),
            Op::PollFd { fd, and, .. } => {
                differs(fd, true) || and.is_some_and(|(fd, _)| differs(fd, true))
            }
            // Nothing lies below either: `badf` for a stream, `notdir` for a file.
            Op::Open { dir, .. }
            | Op::List(dir, _)
            | Op::PathStat { dir, .. }
            | Op::PathTimes { dir, .. }
            | Op::Mkdir { dir, .. }
            | Op::Rmdir { dir, .. }
            | Op::Unlink { dir, .. }
            | Op::Symlink { dir, .. }
            | Op::Readlink { dir, .. } => differs(dir, true),
            Op::Rename { dir, to, .. } | Op::Link { dir, to, .. } => {
                differs(dir, true) || differs(to, true)
            }
            _ => false,
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
                mut rights,
                flags,
                out,
            } => {
                let [p, n] = at(path);
                // The peer gives the right to write with these.
                const CREAT_OR_TRUNC: u8 = 1 | 8;
                if how & CREAT_OR_TRUNC != 0 {
                    rights.base |= 1 << 6;
                }
                let args = [
                    flag(follow),
                    p,
                    n,
                    i(how.into()),
                    Val::I64(rights.base as i64),
                    Val::I64(rights.inheriting as i64),
                    i(flags.into()),
                    i(out),
                ];
                if self.with_fd("path_open", dir, &args)? == Some(0) {
                    self.opened(out)?;
                }
                Ok(())
            }
            Op::Device { which, how, flags } => {
                const DEV: u32 = 5;
                let name = DEVICES[which];
                self.write(OUT, name.as_bytes());
                let read = Val::I64(1 << 1);
                let args = [
                    i(DEV),
                    i(1),
                    i(OUT),
                    i(name.len() as u32),
                    i(how.into()),
                    read,
                    read,
                    i(flags.into()),
                    i(OUT + 8),
                ];
                let opened = self.alike("path_open", &args)?;
                self.write(OUT, &[0; 8]);
                if opened == Some(0) {
                    self.opened(OUT + 8)?;
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
                    self.copied(from, to);
                    // The number `from` is gone; `to` stays, with the other file behind it.
                    self.forget(from);
                    // A stream under a file's number is left alone from here on: its flags are not
                    // alike.
                    if matches!(from, Fd::Stdio(_)) && matches!(to, Fd::Open(_)) {
                        self.forget(to);
                    }
                }
                Ok(())
            }
            Op::Read(fd, io) => self.transfer("fd_read", fd, io, None),
            Op::Write(fd, io) => {
                self.transfer("fd_write", fd, io, None)?;
                if io.buf.len == 0 {
                    self.align_cursors(fd)?;
                }
                Ok(())
            }
            Op::Pread(fd, io, offset) => self.transfer("fd_pread", fd, io, Some(offset)),
            Op::Pwrite(fd, io, offset) => self.transfer("fd_pwrite", fd, io, Some(offset)),
            Op::Seek(fd, offset, whence, out) => self
                .with_fd("fd_seek", fd, &[Val::I64(offset), i(whence.into()), i(out)])
                .map(drop),
            Op::Tell(fd, out) => self.with_fd("fd_tell", fd, &[i(out)]).map(drop),
            Op::Fdstat(fd, out) => {
                let answer = self.with_fd("fd_fdstat_get", fd, &[i(out)])?;
                let is_stream = matches!(self.kind(fd), Some(Kind::Fifo | Kind::Device));
                match answer {
                    Some(0) if is_stream => {
                        self.write(out + 8, &[0; 16]);
                        // Nor is there an end to append to.
                        const APPEND: u32 = 1 << 16;
                        let (ours, theirs) = (self.ours.u32(out), self.theirs.u32(out));
                        self.ours.write(out, &(ours & !APPEND).to_le_bytes());
                        self.theirs.write(out, &(theirs & !APPEND).to_le_bytes());
                    }
                    // What an opened directory passes on.
                    Some(0) if self.ours.u32(out) & 0xff == 3 => self.write(out + 16, &[0; 8]),
                    Some(_) => {}
                    None => self.spoilt(out),
                }
                Ok(())
            }
            Op::Filestat(fd, out) => {
                let answer = self.with_fd("fd_filestat_get", fd, &[i(out)])?;
                self.mask_stat(answer, out);
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
                let (_, theirs) = self.numbers(fd);
                let preopen = self.theirs.call("fd_prestat_get", &[i(theirs), i(OUT)]);
                self.write(OUT, &[0; 8]);
                if preopen == Some(0) {
                    // Its times cannot be set there.
                    return Ok(());
                }
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
            Op::Prestat(fd, out) => self.with_fd("fd_prestat_get", fd, &[i(out)]).map(drop),
            Op::PrestatName(fd, buf) => self
                .with_fd("fd_prestat_dir_name", fd, &[i(buf.at), i(buf.len)])
                .map(drop),
            Op::List(fd, out) => self.list(fd, out),
            Op::PathStat {
                dir,
                path,
                follow,
                out,
            } => {
                let [p, n] = at(path);
                let (a, c) = self.numbers(dir);
                let followed = follow || PATHS[path.0].ends_with('/');
                let args = |fd, follow| [i(fd), flag(follow), p, n, i(out)];
                let (ours, theirs) = (args(a, follow), args(c, followed));
                let answer = self.both("path_filestat_get", &ours, &theirs)?;
                self.mask_stat(answer, out);
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
            Op::Rmdir { dir, path } => {
                let ([p, n], (a, c)) = (at(path), self.numbers(dir));
                let name = PATHS[path.0];
                let bare = match name.trim_end_matches('/') {
                    "" => name,
                    bare => bare,
                };
                let theirs = [i(c), p, i(bare.len() as u32)];
                self.both("path_remove_directory", &[i(a), p, n], &theirs)
                    .map(drop)
            }
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
            Op::Readlink {
                dir,
                path,
                buf,
                out,
            } => {
                let [p, n] = at(path);
                self.with_fd("path_readlink", dir, &[p, n, i(buf.at), i(buf.len), i(out)])
                    .map(drop)
            }
            Op::PollClock {
                clock,
                absolute,
                places,
            } => {
                let mut subscription = [0; 48];
                subscription[16] = clock;
                subscription[40] = absolute.into();
                self.poll(&subscription, &subscription, places).map(drop)
            }
            Op::PollFd { fd, write, and } => self.poll_fds(fd, write, and),
            Op::Allocate => self
                .with_fd("fd_allocate", Fd::Closed, &[Val::I64(0), Val::I64(1)])
                .map(drop),
            Op::Args(buf, out) => self.strings("args_get", buf, out),
            Op::Environ(buf, out) => self.strings("environ_get", buf, out),
            Op::Sizes(places) => {
                let args = places.map(i);
                self.alike("args_sizes_get", &args)?;
                self.alike("environ_sizes_get", &args).map(drop)
            }
            Op::Resolution(clock, out) => self
                .alike("clock_res_get", &[i(clock.into()), i(out)])
                .map(drop),
            Op::Time(clock, out) => {
                let args = [i(clock.into()), Val::I64(0), i(out)];
                if self.alike("clock_time_get", &args)? == Some(0) {
                    self.write(out, &[0; 8]);
                }
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
            Op::Sock(fd, out) => {
                self.with_fd("sock_accept", fd, &[i(0), i(out)])?;
                self.with_fd("sock_recv", fd, &[i(LIST), i(0), i(0), i(out), i(OUT + 4)])?;
                self.with_fd("sock_send", fd, &[i(LIST), i(0), i(0), i(out)])?;
                self.with_fd("sock_shutdown", fd, &[i(1)]).map(drop)
            }
            Op::Exit(code) => self.alike("proc_exit", &[i(code.into())]).map(drop),
        }
    }

    /// Notes what was opened, whose numbers lie at `out`.
    fn opened(&mut self, out: u32) -> Result<(), String> {
        const DEVICE: u32 = 2;
        const DIRECTORY: u32 = 3;
        const UNKNOWN: u32 = 0;
        let (ours, theirs) = (self.ours.u32(out), self.theirs.u32(out));
        self.write(out, &[0; 4]);
        self.both("fd_fdstat_get", &[i(ours), i(OUT)], &[i(theirs), i(OUT)])?;
        let kind = self.ours.u32(OUT) & 0xff;
        self.write(OUT, &[0; 24]);
        let kind = match kind {
            DEVICE => Kind::Device,
            DIRECTORY => Kind::Directory,
            UNKNOWN => Kind::Fifo,
            _ => Kind::File,
        };
        self.open.push(Both { ours, theirs, kind });
        Ok(())
    }
}
