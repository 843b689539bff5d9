//! Setting the times of what lies at a path.

use super::fifo_open::{OpenInProgress, Opens};
use super::operations::WasiPaths;
use super::single::{Single, is_single_name, single};
use super::slashes;
use crate::abi::convert;
use crate::abi::error::Result;
use crate::abi::types::Errno;
use crate::blocking::FifoAccess;
use crate::descriptor::Dir;
use crate::sys::file::FileType;
use crate::sys::name::file_type;
use crate::sys::time::NewTime;
use std::sync::Arc;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

/// As many symbolic links as Linux follows.
const MAX_LINKS: usize = 40;

/// Sets the times of what lies at a path.
///
/// They are set by its name in its directory, where no link is followed and nothing is opened. So
/// no FIFO is waited for, and any process that may write may set "now", owner or not.
/// (wasmtime-wasi opens what it finds, and takes the time itself.) wasmtime-wasi does it if there
/// is no such name. If a FIFO has taken its place, the signal frees the open.
pub(crate) fn set_times(
    (paths, in_progress, opens): (&mut WasiPaths, &mut OpenInProgress, &Arc<Opens>),
    dir: &Dir,
    follow: PathFlags,
    path: String,
    (access, modification): (NewTime, NewTime),
) -> Result<()> {
    if let Some(single) = single(dir, &path)
        && single.set_times(follow, access, modification)?
    {
        return Ok(());
    }
    // What cannot be looked for here is for wasmtime-wasi to report.
    if let Ok(Some((parent, name))) = last_name(paths, dir, follow, &path) {
        let dir = parent.as_ref().unwrap_or(dir);
        let name = Single { dir, name: &name };
        let set = name.set_times(PathFlags::empty(), access, modification);
        return set.map(drop);
    }
    let (p2_access, p2_modification) = (convert::p2_time(access), convert::p2_time(modification));
    let followed = follow.contains(PathFlags::SYMLINK_FOLLOW);
    let entered = match followed {
        true => Some(in_progress.enter((dir, follow, &path), FifoAccess::Write, paths, opens)?),
        false => None,
    };
    let set = paths.set_times_at(dir, follow, path.clone(), p2_access, p2_modification);
    if let Some(entered) = entered {
        entered.leave()?;
    }
    paths.once_more(set, (dir, &path), |name| {
        match name.set_times(follow, access, modification)? {
            true => Ok(()),
            false => Err(Errno::Io.into()),
        }
    })
}

/// The directory that `path` leads to, and the name in it; no directory if it is `dir` itself.
/// Links at the path's end are followed if that is asked for or a slash is behind it. Nothing for
/// what has no name of its own (`.`), for a slash behind what is no directory, and for a link that
/// is not relative. The way to the directory is wasmtime-wasi's to resolve.
pub(super) fn last_name(
    paths: &mut WasiPaths,
    dir: &Dir,
    follow: PathFlags,
    path: &str,
) -> Result<Option<(Option<Dir>, String)>> {
    let (path, slashed) = slashes::without(path);
    let follow = slashed || follow.contains(PathFlags::SYMLINK_FOLLOW);
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if !is_single_name(name) || path.starts_with('/') {
            return Ok(None);
        }
        let parent = match parent {
            "" => None,
            parent => Some(Dir::unnamed(paths.open_at(
                dir,
                PathFlags::SYMLINK_FOLLOW,
                parent.to_owned(),
                OpenFlags::DIRECTORY,
                DescriptorFlags::READ,
            )?)),
        };
        let within = parent.as_ref().unwrap_or(dir).fd()?;
        match file_type(within, name)? {
            FileType::Symlink if follow => {
                let prefix = path.len() - name.len();
                let target = paths.readlink_at(dir, path.clone())?;
                if target.starts_with('/') {
                    return Ok(None);
                }
                path.truncate(prefix);
                path.push_str(&target);
            }
            found if slashed && found != FileType::Directory => return Ok(None),
            _ => return Ok(Some((parent, name.to_owned()))),
        }
    }
    Ok(None)
}
