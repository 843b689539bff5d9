//! What the `path_*` functions do below a made folder. The order of checks is that of the host's
//! directories.

use super::walk::{Found, TARGET_MAX, walk};
use super::{MadeFile, MadeFolder, MadeNode, stat};
use crate::abi::errno::of_io_error;
use crate::abi::error::{Error, Result};
use crate::abi::types::{Errno, Filestat};
use crate::sys::time::NewTime;
use std::io;
use std::sync::Arc;
use wasmtime_wasi::FsPerms;

/// A made folder that paths begin at.
#[derive(Clone)]
pub(crate) struct Below {
    pub(crate) folder: Arc<dyn MadeFolder>,
    pub(crate) perms: FsPerms,
}

/// How something is to be opened.
#[derive(Clone, Copy, Default)]
pub(crate) struct OpenHow {
    pub(crate) follow: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    pub(crate) directory: bool,
    /// To be written; otherwise it is to be read.
    pub(crate) write: bool,
}

/// What was opened.
pub(crate) enum OpenedMade {
    Folder(Arc<dyn MadeFolder>),
    File(Arc<dyn MadeFile>),
}

fn done<T>(result: io::Result<T>) -> Result<T> {
    result.map_err(|error| of_io_error(&error).into())
}

impl Below {
    pub(crate) fn check_perms(&self) -> Result<()> {
        match self.perms.write_not_permitted() {
            true => Err(Errno::Perm.into()),
            false => Ok(()),
        }
    }

    fn walk(&self, path: &str, follow: bool) -> Result<Found> {
        Ok(walk(&self.folder, path, follow)?)
    }

    pub(crate) fn stat(&self, follow: bool, path: &str) -> Result<Filestat> {
        let node = self.walk(path, follow)?.existing()?;
        done(stat::filestat(&node))
    }

    /// Opens it, or makes it first. If another thread makes it between the look and the creation,
    /// this looks again.
    pub(crate) fn open(&self, path: &str, how: OpenHow) -> Result<OpenedMade> {
        if how.directory && (how.create || how.exclusive || how.truncate) {
            return Err(Errno::Inval.into());
        }
        if how.write || how.truncate || how.create {
            self.check_perms()?;
        }
        // Alone, the second means nothing.
        let exclusive = how.create && how.exclusive;
        loop {
            let found = self.walk(path, how.follow && !exclusive)?;
            if how.create && path.ends_with('/') {
                return Err(Errno::Isdir.into());
            }
            let (Some(name), Ok(None)) = (&found.name, &found.node) else {
                return self.open_existing(found, how, exclusive);
            };
            if !how.create {
                return Err(Errno::Noent.into());
            }
            match found.folder.create_file(name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !exclusive => {}
                made => return Ok(OpenedMade::File(done(made)?)),
            }
        }
    }

    fn open_existing(&self, found: Found, how: OpenHow, exclusive: bool) -> Result<OpenedMade> {
        let slash = found.slash;
        let node = found.node?;
        if exclusive {
            return Err(Errno::Exist.into());
        }
        match node.ok_or(Errno::Noent)? {
            MadeNode::Link(_) if how.directory => Err(Errno::Notdir.into()),
            MadeNode::Link(_) => Err(Errno::Loop.into()),
            MadeNode::Folder(_) if how.write || how.truncate || how.create => {
                Err(Errno::Isdir.into())
            }
            MadeNode::Folder(folder) => Ok(OpenedMade::Folder(folder)),
            MadeNode::File(_) if slash || how.directory => Err(Errno::Notdir.into()),
            MadeNode::File(file) => {
                if how.truncate {
                    done(file.set_size(0))?;
                }
                Ok(OpenedMade::File(file))
            }
        }
    }

    pub(crate) fn readlink(&self, path: &str) -> Result<String> {
        match self.walk(path, false)?.existing()? {
            MadeNode::Link(link) => match done(link.target())? {
                target if target.starts_with('/') => Err(Errno::Perm.into()),
                target => Ok(target),
            },
            _ => Err(Errno::Inval.into()),
        }
    }

    pub(crate) fn set_times(
        &self,
        follow: bool,
        path: &str,
        (access, modification): (NewTime, NewTime),
    ) -> Result<()> {
        self.check_perms()?;
        let times = (stat::time(access), stat::time(modification));
        match self.walk(path, follow)?.existing()? {
            MadeNode::Folder(folder) => done(folder.set_times(times.0, times.1)),
            MadeNode::File(file) => done(file.set_times(times.0, times.1)),
            MadeNode::Link(link) => done(link.set_times(times.0, times.1)),
        }
    }

    pub(crate) fn create_directory(&self, path: &str) -> Result<()> {
        self.check_perms()?;
        let found = self.at_name(path)?;
        match (found.name, found.node?) {
            (Some(name), None) => done(found.folder.create_folder(&name)),
            _ => Err(Errno::Exist.into()),
        }
    }

    pub(crate) fn remove_directory(&self, path: &str) -> Result<()> {
        self.check_perms()?;
        let found = self.at_name(path)?;
        let Some(name) = found.name else {
            // What named it is in it.
            return Err(match path.trim_end_matches('/').ends_with("..") {
                true => Errno::Notempty.into(),
                false => Errno::Inval.into(),
            });
        };
        match found.node? {
            None => Err(Errno::Noent.into()),
            Some(MadeNode::Folder(_)) => done(found.folder.remove_folder(&name)),
            Some(_) => Err(Errno::Notdir.into()),
        }
    }

    pub(crate) fn unlink_file(&self, path: &str) -> Result<()> {
        self.check_perms()?;
        let found = self.at_name(path)?;
        match (found.name, found.node?) {
            (None, _) | (_, Some(MadeNode::Folder(_))) => Err(Errno::Isdir.into()),
            (_, None) => Err(Errno::Noent.into()),
            (_, Some(_)) if found.slash => Err(Errno::Notdir.into()),
            (Some(name), Some(_)) => done(found.folder.remove_file(&name)),
        }
    }

    pub(crate) fn symlink(&self, target: &str, path: &str) -> Result<()> {
        self.check_perms()?;
        if target.starts_with('/') {
            return Err(Errno::Perm.into());
        }
        let made = self.symlink_found(target, path);
        self.slash_of_new(made, path)
    }

    fn symlink_found(&self, target: &str, path: &str) -> Result<()> {
        let found = self.at_name(path)?;
        if target.is_empty() {
            return Err(Errno::Noent.into());
        }
        if target.len() >= TARGET_MAX {
            return Err(Errno::Nametoolong.into());
        }
        let (folder, name) = new_name(found)?;
        done(folder.create_link(&name, target))
    }

    /// `inval` if a link at the end of `old` is to be followed, as wasmtime-wasi has it.
    pub(crate) fn link(&self, (old, follow): (&str, bool), to: &Self, new: &str) -> Result<()> {
        self.check_perms()?;
        to.check_perms()?;
        if follow {
            return Err(Errno::Inval.into());
        }
        let linked = self.link_found(old, to, new);
        to.slash_of_new(linked, new)
    }

    /// That something has the name is reported before any other reason to refuse a slash behind it.
    fn slash_of_new(&self, made: Result<()>, path: &str) -> Result<()> {
        if let Err(Error::Errno(Errno::Notdir | Errno::Noent | Errno::Loop)) = made
            && path.ends_with('/')
            && let Ok(Found {
                name: Some(_),
                node: Ok(Some(_)),
                ..
            }) = self.at_name(path)
        {
            return Err(Errno::Exist.into());
        }
        made
    }

    fn link_found(&self, old: &str, to: &Self, new: &str) -> Result<()> {
        // The folders of both come before what is in them. A slash makes a folder of a name.
        let from = self.walk(old, false)?;
        let from = match from.slash {
            true => Ok(from.existing()?),
            false => Err(from),
        };
        let into = to.at_name(new)?;
        let node = match from {
            Ok(node) => node,
            Err(from) => from.existing()?,
        };
        let (folder, name) = new_name(into)?;
        if let MadeNode::Folder(_) = node {
            return Err(Errno::Perm.into());
        }
        done(folder.link(&name, &node))
    }

    pub(crate) fn rename(&self, old: &str, to: &Self, new: &str) -> Result<()> {
        self.check_perms()?;
        to.check_perms()?;
        let from = self.at_name(old)?;
        let into = to.at_name(new)?;
        let (Some(old_name), Some(new_name)) = (from.name, into.name) else {
            return Err(Errno::Busy.into());
        };
        let node = from.node?.ok_or(Errno::Noent)?;
        into.node?;
        // Slashes are for folders.
        let is_folder = matches!(node, MadeNode::Folder(_));
        if (from.slash || into.slash) && !is_folder {
            return Err(Errno::Notdir.into());
        }
        done(from.folder.rename(&old_name, &*into.folder, &new_name))
    }

    /// The name at the end of a path and what is there, for calls that change names. A link at the
    /// end is never followed, not even with a slash behind it.
    fn at_name(&self, path: &str) -> Result<Found> {
        let stripped = path.trim_end_matches('/');
        // Of slashes only, or empty.
        let name = if stripped.is_empty() { path } else { stripped };
        Ok(Found {
            slash: stripped.len() < path.len(),
            ..self.walk(name, false)?
        })
    }
}

/// Where something that is no folder is to be made.
fn new_name(found: Found) -> Result<(Arc<dyn MadeFolder>, String)> {
    match (found.name, found.node?) {
        (Some(_), None) if found.slash => Err(Errno::Noent.into()),
        (Some(name), None) => Ok((found.folder, name)),
        _ => Err(Errno::Exist.into()),
    }
}
