//! wiggle's trait, delegated to the modules of [`calls`](crate::calls).

use crate::abi::error::{Error, Result};
use crate::abi::types::{self as t, CiovecArray, Fd, IovecArray, Size};
use crate::abi::wasi_snapshot_preview1::WasiSnapshotPreview1;
use crate::call::Call;
use crate::calls::{
    args_env, clock_get, fd_table, file_io, file_meta, paths, poll, process, random_get, readdir,
    sockets,
};
use crate::guest::memory::Memory;
use wiggle::GuestPtr;

// The parameters are the witx file's.
#[allow(clippy::too_many_arguments)]
impl WasiSnapshotPreview1 for Call<'_> {
    fn args_get(
        &mut self,
        memory: Memory<'_, '_>,
        argv: GuestPtr<GuestPtr<u8>>,
        buf: GuestPtr<u8>,
    ) -> Result<()> {
        args_env::get(memory, &self.shared.args, argv, buf)
    }

    fn args_sizes_get(&mut self, _: Memory<'_, '_>) -> Result<(Size, Size)> {
        args_env::sizes(&self.shared.args)
    }

    fn environ_get(
        &mut self,
        memory: Memory<'_, '_>,
        environ: GuestPtr<GuestPtr<u8>>,
        buf: GuestPtr<u8>,
    ) -> Result<()> {
        args_env::get(memory, &self.shared.env.load(), environ, buf)
    }

    fn environ_sizes_get(&mut self, _: Memory<'_, '_>) -> Result<(Size, Size)> {
        args_env::sizes(&self.shared.env.load())
    }

    fn clock_res_get(&mut self, _: Memory<'_, '_>, id: t::Clockid) -> Result<t::Timestamp> {
        clock_get::resolution(self, id)
    }

    #[inline]
    fn clock_time_get(
        &mut self,
        _: Memory<'_, '_>,
        id: t::Clockid,
        _precision: t::Timestamp,
    ) -> Result<t::Timestamp> {
        clock_get::time(self, id)
    }

    fn fd_advise(
        &mut self,
        _: Memory<'_, '_>,
        fd: Fd,
        offset: u64,
        len: u64,
        advice: t::Advice,
    ) -> Result<()> {
        file_meta::advise(self, fd, offset, len, advice)
    }

    fn fd_allocate(&mut self, _: Memory<'_, '_>, fd: Fd, offset: u64, len: u64) -> Result<()> {
        file_meta::allocate(self, fd, offset, len)
    }

    fn fd_close(&mut self, _: Memory<'_, '_>, fd: Fd) -> Result<()> {
        fd_table::close(self, fd)
    }

    fn fd_datasync(&mut self, _: Memory<'_, '_>, fd: Fd) -> Result<()> {
        file_meta::datasync(self, fd)
    }

    fn fd_fdstat_get(&mut self, _: Memory<'_, '_>, fd: Fd) -> Result<t::Fdstat> {
        fd_table::fdstat(self, fd)
    }

    fn fd_fdstat_set_flags(&mut self, _: Memory<'_, '_>, fd: Fd, flags: t::Fdflags) -> Result<()> {
        fd_table::set_flags(self, fd, flags)
    }

    fn fd_fdstat_set_rights(
        &mut self,
        _: Memory<'_, '_>,
        fd: Fd,
        base: t::Rights,
        inheriting: t::Rights,
    ) -> Result<()> {
        fd_table::set_rights(self, fd, base, inheriting)
    }

    fn fd_filestat_get(&mut self, _: Memory<'_, '_>, fd: Fd) -> Result<t::Filestat> {
        file_meta::filestat(self, fd)
    }

    fn fd_filestat_set_size(&mut self, _: Memory<'_, '_>, fd: Fd, size: t::Filesize) -> Result<()> {
        file_meta::set_size(self, fd, size)
    }

    fn fd_filestat_set_times(
        &mut self,
        _: Memory<'_, '_>,
        fd: Fd,
        atim: t::Timestamp,
        mtim: t::Timestamp,
        flags: t::Fstflags,
    ) -> Result<()> {
        file_meta::set_times(self, fd, atim, mtim, flags)
    }

    fn fd_pread(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        iovs: IovecArray,
        offset: t::Filesize,
    ) -> Result<Size> {
        file_io::pread(self, memory, fd, iovs, offset)
    }

    fn fd_prestat_get(&mut self, _: Memory<'_, '_>, fd: Fd) -> Result<t::Prestat> {
        fd_table::prestat(self, fd)
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<u8>,
        len: Size,
    ) -> Result<()> {
        fd_table::prestat_dir_name(self, memory, fd, path, len)
    }

    fn fd_pwrite(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        iovs: CiovecArray,
        offset: t::Filesize,
    ) -> Result<Size> {
        file_io::pwrite(self, memory, fd, iovs, offset)
    }

    fn fd_read(&mut self, memory: Memory<'_, '_>, fd: Fd, iovs: IovecArray) -> Result<Size> {
        file_io::read(self, memory, fd, iovs)
    }

    fn fd_readdir(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        buf: GuestPtr<u8>,
        len: Size,
        cookie: t::Dircookie,
    ) -> Result<Size> {
        readdir::readdir(self, memory, fd, buf, len, cookie)
    }

    fn fd_renumber(&mut self, _: Memory<'_, '_>, from: Fd, to: Fd) -> Result<()> {
        fd_table::renumber(self, from, to)
    }

    fn fd_seek(
        &mut self,
        _: Memory<'_, '_>,
        fd: Fd,
        offset: t::Filedelta,
        whence: t::Whence,
    ) -> Result<t::Filesize> {
        file_io::seek(self, fd, offset, whence)
    }

    fn fd_sync(&mut self, _: Memory<'_, '_>, fd: Fd) -> Result<()> {
        file_meta::sync(self, fd)
    }

    fn fd_tell(&mut self, _: Memory<'_, '_>, fd: Fd) -> Result<t::Filesize> {
        file_io::tell(self, fd)
    }

    fn fd_write(&mut self, memory: Memory<'_, '_>, fd: Fd, iovs: CiovecArray) -> Result<Size> {
        let written = file_io::write(self, memory, fd, iovs);
        if self.shared.raise_sigpipe && matches!(written, Err(Error::Errno(t::Errno::Pipe))) {
            return process::broken_pipe(self, fd);
        }
        written
    }

    fn path_create_directory(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        paths::create_directory(self, memory, fd, path)
    }

    fn path_filestat_get(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        flags: t::Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<t::Filestat> {
        paths::filestat(self, memory, fd, flags, path)
    }

    fn path_filestat_set_times(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        lookup: t::Lookupflags,
        path: GuestPtr<str>,
        atim: t::Timestamp,
        mtim: t::Timestamp,
        flags: t::Fstflags,
    ) -> Result<()> {
        paths::set_times(self, memory, fd, lookup, path, (atim, mtim, flags))
    }

    fn path_link(
        &mut self,
        memory: Memory<'_, '_>,
        old_fd: Fd,
        flags: t::Lookupflags,
        old: GuestPtr<str>,
        new_fd: Fd,
        new: GuestPtr<str>,
    ) -> Result<()> {
        paths::link(self, memory, (old_fd, flags, old), (new_fd, new))
    }

    fn path_open(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        lookup: t::Lookupflags,
        path: GuestPtr<str>,
        how: t::Oflags,
        rights: t::Rights,
        _inheriting: t::Rights,
        flags: t::Fdflags,
    ) -> Result<Fd> {
        paths::open(self, memory, (fd, lookup, path), how, rights, flags)
    }

    fn path_readlink(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<str>,
        buf: GuestPtr<u8>,
        len: Size,
    ) -> Result<Size> {
        paths::readlink(self, memory, fd, path, buf, len)
    }

    fn path_remove_directory(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        paths::remove_directory(self, memory, fd, path)
    }

    fn path_rename(
        &mut self,
        memory: Memory<'_, '_>,
        old_fd: Fd,
        old: GuestPtr<str>,
        new_fd: Fd,
        new: GuestPtr<str>,
    ) -> Result<()> {
        paths::rename(self, memory, (old_fd, old), (new_fd, new))
    }

    fn path_symlink(
        &mut self,
        memory: Memory<'_, '_>,
        target: GuestPtr<str>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        paths::symlink(self, memory, target, fd, path)
    }

    fn path_unlink_file(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        paths::unlink_file(self, memory, fd, path)
    }

    fn poll_oneoff(
        &mut self,
        memory: Memory<'_, '_>,
        subscriptions: GuestPtr<t::Subscription>,
        events: GuestPtr<t::Event>,
        count: Size,
    ) -> Result<Size> {
        poll::oneoff(
            self,
            memory,
            subscriptions.offset(),
            events,
            count,
            poll::Layout::PREVIEW1,
        )
    }

    fn proc_exit(&mut self, _: Memory<'_, '_>, code: t::Exitcode) -> wasmtime::Error {
        process::exit(code)
    }

    fn proc_raise(&mut self, _: Memory<'_, '_>, signal: t::Signal) -> Result<()> {
        process::raise(signal)
    }

    fn sched_yield(&mut self, _: Memory<'_, '_>) -> Result<()> {
        process::sched_yield(self)
    }

    fn random_get(&mut self, memory: Memory<'_, '_>, buf: GuestPtr<u8>, len: Size) -> Result<()> {
        random_get::get(self, memory, buf, len)
    }

    fn sock_accept(&mut self, _: Memory<'_, '_>, fd: Fd, flags: t::Fdflags) -> Result<Fd> {
        sockets::accept(self, fd, flags)
    }

    fn sock_recv(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        iovs: IovecArray,
        flags: t::Riflags,
    ) -> Result<(Size, t::Roflags)> {
        sockets::recv(self, memory, fd, iovs, flags)
    }

    fn sock_send(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        iovs: CiovecArray,
        flags: t::Siflags,
    ) -> Result<Size> {
        sockets::send(self, memory, fd, iovs, flags)
    }

    fn sock_shutdown(&mut self, _: Memory<'_, '_>, fd: Fd, how: t::Sdflags) -> Result<()> {
        sockets::shutdown(self, fd, how)
    }
}
