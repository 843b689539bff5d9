//! Whether a FIFO lies at a path.

use super::operations::WasiPaths;
use crate::abi::error::Result;
use crate::blocking::Fifo;
use crate::descriptor::Dir;
use crate::sys::fd::AsFd as _;
use std::ffi::OsStr;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, OpenFlags, PathFlags,
};

/// As many symbolic links as Linux follows.
const MAX_LINKS: usize = 40;

/// The FIFO at a path, and the path without links at its end. Its directory, and the target of each
/// link, are wasmtime-wasi's to resolve.
pub(super) fn find_fifo(
    paths: &mut WasiPaths,
    dir: &Dir,
    follow: PathFlags,
    mut path: String,
) -> Result<Option<(Fifo, String)>> {
    match paths.type_at(dir, follow, path.clone()) {
        // wasmtime-wasi has a name for a FIFO and, as of 48, uses it nowhere on Unix: it says
        // "unknown".
        Ok(DescriptorType::Fifo | DescriptorType::Unknown) => {}
        _ => return Ok(None),
    }
    for _ in 0..MAX_LINKS {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if matches!(name, "" | "." | "..") {
            return Ok(None);
        }
        let opened;
        let directory = match parent {
            "" => dir.fd()?,
            parent => {
                opened = paths.open_at(
                    dir,
                    PathFlags::SYMLINK_FOLLOW,
                    parent.to_owned(),
                    OpenFlags::DIRECTORY,
                    DescriptorFlags::READ,
                )?;
                match &opened {
                    Descriptor::Dir(dir) => dir.dir.as_fd(),
                    Descriptor::File(_) => return Ok(None),
                }
            }
        };
        if let Ok(Some(fifo)) = Fifo::find(directory, OsStr::new(name)) {
            return Ok(Some((fifo, path)));
        }
        let prefix = path.len() - name.len();
        let Ok(target) = paths.readlink_at(dir, path.clone()) else {
            return Ok(None);
        };
        path.truncate(prefix);
        path.push_str(&target);
    }
    Ok(None)
}
