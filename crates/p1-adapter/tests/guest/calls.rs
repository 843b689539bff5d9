//! Calls a guest makes in one line.

use super::abi::*;
use super::world::Guest;
use p1_adapter::{P1Ctx, P1CtxBuilder};
use std::path::Path;
use wasmtime::Val::{self, I32, I64};
use wasmtime_wasi::FsPerms;

/// A context with `dir` as its only preopen, to be read and written.
pub(crate) fn ctx_with(dir: &Path) -> P1Ctx {
    P1CtxBuilder::new()
        .preopened_dir(dir, "/", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap()
}

impl Guest {
    /// Writes a list of buffers; what to pass for it.
    pub(crate) fn iovs(&mut self, list: &[(u32, u32)]) -> [Val; 2] {
        for (i, (buf, len)) in (0..).zip(list) {
            self.write(LIST + i * 8, &buf.to_le_bytes());
            self.write(LIST + i * 8 + 4, &len.to_le_bytes());
        }
        [I32(LIST as i32), I32(list.len() as i32)]
    }

    /// Writes a path; what to pass for it.
    pub(crate) fn path(&mut self, path: &str) -> [Val; 2] {
        self.path_at(PATH, path)
    }

    fn path_at(&mut self, at: u32, path: &str) -> [Val; 2] {
        self.write(at, path.as_bytes());
        [I32(at as i32), I32(path.len() as i32)]
    }

    /// `name(fd, path)`.
    pub(crate) fn at(&mut self, name: &str, fd: i32, path: &str) -> i32 {
        let [p, n] = self.path(path);
        self.call(name, &[I32(fd), p, n])
    }

    /// Opens a path below the first preopen; its number, or the errno.
    pub(crate) fn open(
        &mut self,
        path: &str,
        how: i32,
        rights: i64,
        flags: i32,
    ) -> Result<i32, i32> {
        self.open_at(DIR, path, how, rights, flags)
    }

    pub(crate) fn open_at(
        &mut self,
        dir: i32,
        path: &str,
        how: i32,
        rights: i64,
        flags: i32,
    ) -> Result<i32, i32> {
        let args = self.open_args(dir, path, how, rights, flags);
        self.done("path_open", &args)?;
        Ok(self.u32(OUT) as i32)
    }

    /// What to pass to `path_open`, following links.
    pub(crate) fn open_args(
        &mut self,
        dir: i32,
        path: &str,
        how: i32,
        rights: i64,
        flags: i32,
    ) -> [Val; 9] {
        let [path, len] = self.path(path);
        let rights = I64(rights);
        [
            I32(dir),
            I32(1),
            path,
            len,
            I32(how),
            rights,
            rights,
            I32(flags),
            I32(OUT as i32),
        ]
    }

    /// Opens a file to be read and written, made if need be.
    pub(crate) fn create(&mut self, path: &str) -> i32 {
        self.open(path, CREAT, READ | WRITE, 0).unwrap()
    }

    pub(crate) fn close(&mut self, fd: i32) -> i32 {
        self.call("fd_close", &[I32(fd)])
    }

    /// The result of a call, or its errno.
    fn done(&mut self, name: &str, args: &[Val]) -> Result<(), i32> {
        match self.call(name, args) {
            OK => Ok(()),
            errno => Err(errno),
        }
    }

    /// `fd_write` of `bytes` in one buffer.
    pub(crate) fn put(&mut self, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        self.write(DATA, bytes);
        let [list, count] = self.iovs(&[(DATA, bytes.len() as u32)]);
        self.done("fd_write", &[I32(fd), list, count, I32(OUT as i32)])?;
        Ok(self.u32(OUT))
    }

    /// `fd_read` of up to `len` bytes in one buffer.
    pub(crate) fn get(&mut self, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        let [list, count] = self.iovs(&[(DATA, len)]);
        self.done("fd_read", &[I32(fd), list, count, I32(OUT as i32)])?;
        Ok(self.read(DATA, self.u32(OUT)))
    }

    /// `fd_pread` of up to `len` bytes in one buffer.
    pub(crate) fn get_at(&mut self, fd: i32, len: u32, offset: i64) -> Result<Vec<u8>, i32> {
        let [list, count] = self.iovs(&[(DATA, len)]);
        let args = [I32(fd), list, count, I64(offset), I32(OUT as i32)];
        self.done("fd_pread", &args)?;
        Ok(self.read(DATA, self.u32(OUT)))
    }

    /// `fd_pwrite` of `bytes` in one buffer.
    pub(crate) fn put_at(&mut self, fd: i32, bytes: &[u8], offset: i64) -> Result<u32, i32> {
        self.write(DATA, bytes);
        let [list, count] = self.iovs(&[(DATA, bytes.len() as u32)]);
        let args = [I32(fd), list, count, I64(offset), I32(OUT as i32)];
        self.done("fd_pwrite", &args)?;
        Ok(self.u32(OUT))
    }

    /// `fd_seek`; whence is 0 for the start, 1 for the cursor, 2 for the end.
    pub(crate) fn seek(&mut self, fd: i32, offset: i64, whence: i32) -> Result<u64, i32> {
        let args = [I32(fd), I64(offset), I32(whence), I32(OUT as i32)];
        self.done("fd_seek", &args)?;
        Ok(self.u64(OUT))
    }

    /// `name(fd, OUT)`.
    pub(crate) fn ask(&mut self, name: &str, fd: i32) -> i32 {
        self.call(name, &[I32(fd), I32(OUT as i32)])
    }

    /// Two paths at once: for links and renames.
    pub(crate) fn two_paths(&mut self, old: &str, new: &str) -> ([Val; 2], [Val; 2]) {
        let second = PATH + 0x2000;
        (self.path_at(PATH, old), self.path_at(second, new))
    }

    pub(crate) fn rename(&mut self, old: &str, new: &str) -> i32 {
        let ([o, ol], [n, nl]) = self.two_paths(old, new);
        self.call("path_rename", &[I32(DIR), o, ol, I32(DIR), n, nl])
    }
}

/// Runs a test with a guest in its own memory and with one in a shared memory, each with a fresh
/// directory.
pub(crate) fn both(test: impl Fn(&mut Guest, &Path)) {
    for make in [Guest::new, Guest::shared] {
        let dir = tempfile::tempdir().unwrap();
        test(&mut make(&ctx_with(dir.path())), dir.path());
    }
}
