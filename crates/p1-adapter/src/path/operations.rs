//! Path operations, carried out by wasmtime-wasi through its public preview2 traits.
//!
//! The sandbox is wasmtime-wasi's: no path of the guest's is resolved by any other code. Its
//! operations are `async`, but on directories that allow blocking the current thread they never
//! wait. So each future is ready when it is polled first; no runtime exists and no thread is
//! started.

use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::descriptor::Dir;
use crate::sys::name::PATH_MAX;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::component::Resource;
use wasmtime_wasi::ResourceTable;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, HostDescriptor, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};

/// A file system context of wasmtime-wasi's, and a table that holds descriptors for the time of one
/// operation.
///
/// One per store, so that no two threads meet in it.
pub(crate) struct WasiPaths {
    fs: WasiFilesystemCtx,
    table: ResourceTable,
}

impl WasiPaths {
    /// `fs` must allow blocking the current thread.
    pub(crate) fn new(fs: WasiFilesystemCtx) -> Self {
        Self {
            fs,
            table: ResourceTable::new(),
        }
    }

    /// The same for another thread.
    pub(super) fn another(&self) -> Self {
        Self::new(self.fs.clone())
    }

    /// Runs `operation` with `dir` lent to the table.
    fn with<R>(
        &mut self,
        dir: &Dir,
        operation: impl FnOnce(&mut WasiFilesystemCtxView<'_>, Resource<Descriptor>) -> Result<R>,
    ) -> Result<R> {
        let lent = self.table.push(dir.inner.clone()).map_err(Error::trap)?;
        let mut view = WasiFilesystemCtxView {
            ctx: &mut self.fs,
            table: &mut self.table,
        };
        let result = operation(&mut view, Resource::new_borrow(lent.rep()));
        let returned = self.table.delete(lent);
        debug_assert!(returned.is_ok(), "an operation must leave what it was lent");
        result
    }

    /// As `with`, for the operations on two directories.
    fn with_two<R>(
        &mut self,
        first: &Dir,
        second: &Dir,
        operation: impl FnOnce(
            &mut WasiFilesystemCtxView<'_>,
            Resource<Descriptor>,
            Resource<Descriptor>,
        ) -> Result<R>,
    ) -> Result<R> {
        let other = self.table.push(second.inner.clone()).map_err(Error::trap)?;
        let rep = other.rep();
        let result = self.with(first, |view, dir| {
            operation(view, dir, Resource::new_borrow(rep))
        });
        let returned = self.table.delete(other);
        debug_assert!(returned.is_ok(), "an operation must leave what it was lent");
        result
    }

    /// Opens `path`; the descriptor's file system calls may block the current thread, as all here
    /// do.
    pub(crate) fn open_at(
        &mut self,
        dir: &Dir,
        follow: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Descriptor> {
        check_length(&path)?;
        self.with(dir, |view, fd| {
            let opened = ready(view.open_at(fd, follow, path, how, flags))?;
            view.table.delete(opened).map_err(Error::trap)
        })
    }

    /// Type, size and times, and the hash that stands for device and inode.
    ///
    /// wasmtime-wasi answers these in two calls.
    pub(crate) fn stat_at(
        &mut self,
        dir: &Dir,
        follow: PathFlags,
        path: String,
    ) -> Result<(DescriptorStat, MetadataHashValue)> {
        check_length(&path)?;
        self.with(dir, |view, fd| {
            let again = || Resource::new_borrow(fd.rep());
            let stat = ready(view.stat_at(again(), follow, path.clone()))?;
            let hash = ready(view.metadata_hash_at(again(), follow, path))?;
            Ok((stat, hash))
        })
    }

    /// What lies at `path`.
    pub(crate) fn type_at(
        &mut self,
        dir: &Dir,
        follow: PathFlags,
        path: String,
    ) -> Result<DescriptorType> {
        check_length(&path)?;
        self.with(dir, |view, fd| {
            Ok(ready(view.stat_at(fd, follow, path))?.type_)
        })
    }

    pub(crate) fn create_directory_at(&mut self, dir: &Dir, path: String) -> Result<()> {
        self.with(dir, |view, fd| ready(view.create_directory_at(fd, path)))
    }

    pub(crate) fn set_times_at(
        &mut self,
        dir: &Dir,
        follow: PathFlags,
        path: String,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Result<()> {
        self.with(dir, |view, fd| {
            ready(view.set_times_at(fd, follow, path, access, modification))
        })
    }

    pub(crate) fn readlink_at(&mut self, dir: &Dir, path: String) -> Result<String> {
        self.with(dir, |view, fd| ready(view.readlink_at(fd, path)))
    }

    pub(crate) fn remove_directory_at(&mut self, dir: &Dir, path: String) -> Result<()> {
        self.with(dir, |view, fd| ready(view.remove_directory_at(fd, path)))
    }

    pub(crate) fn unlink_file_at(&mut self, dir: &Dir, path: String) -> Result<()> {
        self.with(dir, |view, fd| ready(view.unlink_file_at(fd, path)))
    }

    pub(crate) fn symlink_at(&mut self, dir: &Dir, target: String, path: String) -> Result<()> {
        self.with(dir, |view, fd| ready(view.symlink_at(fd, target, path)))
    }

    pub(crate) fn link_at(
        &mut self,
        from: &Dir,
        follow: PathFlags,
        old: String,
        to: &Dir,
        new: String,
    ) -> Result<()> {
        self.with_two(from, to, |view, from, to| {
            ready(view.link_at(from, follow, old, to, new))
        })
    }

    pub(crate) fn rename_at(
        &mut self,
        from: &Dir,
        old: String,
        to: &Dir,
        new: String,
    ) -> Result<()> {
        self.with_two(from, to, |view, from, to| {
            ready(view.rename_at(from, old, to, new))
        })
    }
}

/// Fails if no call of the system takes a path of that length. Without `openat2` wasmtime-wasi
/// walks a path by its names, and would find what lies at it.
fn check_length(path: &str) -> Result<()> {
    if path.len() >= PATH_MAX {
        return Err(Errno::Nametoolong.into());
    }
    Ok(())
}

/// The result of a future that must not wait.
fn ready<T>(future: impl Future<Output = FsResult<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Ok(result?),
        Poll::Pending => Err(Error::trap(wasmtime::Error::msg(
            "wasmtime-wasi waited in a file system operation that was allowed to block this thread; this is a bug in p1-adapter",
        ))),
    }
}
