//! Why a path operation failed, where wasmtime-wasi has no name for it.
//!
//! Preview2's error codes, and wasmtime-wasi's translation to them, cannot express two file systems
//! (`EXDEV`), a read-only mount (`EROFS`) or a process without descriptors (`EMFILE`). All of these
//! come out as `io`. Programs depend on them: `mv` copies when it is told `EXDEV`. So after an `io`
//! the circumstances are looked at, through the same sandbox. Nothing is asked after a success or
//! another error. What cannot be seen afterwards stays `io`. (Opens and changes are first made once
//! more by the system, which has a name for everything: [`once_more`](super::once_more).)

use super::operations::WasiPaths;
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::descriptor::Dir;
use crate::sys::attributes::Mount;
use crate::sys::fd::AsFd as _;
use crate::sys::file::check_descriptor_left;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

/// A directory, and the path below it that an operation was about.
pub(crate) type PathBelow<'a> = (&'a Dir, &'a str);

impl WasiPaths {
    /// `result`, with `io` replaced where the reason can be told. `changes` says whether the
    /// operation would have changed a file system.
    pub(crate) fn explained<T>(
        &mut self,
        result: Result<T>,
        changes: bool,
        places: &[PathBelow<'_>],
    ) -> Result<T> {
        match result {
            Err(Error::Errno(Errno::Io)) => {
                Err(self.reason(changes, places).unwrap_or(Errno::Io).into())
            }
            other => other,
        }
    }

    #[cold]
    fn reason(&mut self, changes: bool, places: &[PathBelow<'_>]) -> Option<Errno> {
        let (first, _) = places.first()?;
        if let Err(errno) = check_descriptor_left(first.fd().ok()?) {
            return Some(crate::abi::errno::of_os(errno));
        }
        let mounts: Vec<Mount> = places
            .iter()
            .map_while(|place| self.mount_of(*place))
            .collect();
        match &mounts[..] {
            [from, to] if !from.is_same(to) => Some(Errno::Xdev),
            mounts if changes && mounts.iter().any(|mount| mount.read_only) => Some(Errno::Rofs),
            _ => None,
        }
    }

    /// That of the directory in which the path's last name is looked up.
    fn mount_of(&mut self, (dir, path): PathBelow<'_>) -> Option<Mount> {
        let path = path.trim_end_matches('/');
        let Some((parent, _)) = path.rsplit_once('/') else {
            return Mount::of(dir.fd().ok()?);
        };
        let opened = self.open_at(
            dir,
            PathFlags::SYMLINK_FOLLOW,
            parent.to_owned(),
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ,
        );
        match opened.ok()? {
            Descriptor::Dir(parent) => Mount::of(parent.dir.as_fd()),
            Descriptor::File(_) => None,
        }
    }
}
