//! From a path to a name in a made folder: the only code that takes such paths apart.

use super::{MadeFolder, MadeNode};
use crate::abi::errno::of_io_error;
use crate::abi::types::Errno;
use std::io::ErrorKind;
use std::sync::Arc;

/// Links that are followed on the way to one name, as on Linux.
const LINKS: u32 = 40;

/// A link's target has fewer bytes, as on Linux. So what is followed is bounded, however long a
/// path may be.
pub(crate) const TARGET_MAX: usize = 4096;

/// Where a path has led.
pub(crate) struct Found {
    /// The folder that the last name is in.
    pub(crate) folder: Arc<dyn MadeFolder>,
    /// The last name; none where the path ends in a dot, two, or nothing: then the folder itself is
    /// meant.
    pub(crate) name: Option<String>,
    /// What is there, or why that cannot be said.
    pub(crate) node: Result<Option<MadeNode>, Errno>,
    /// Whether a slash says that it is a folder.
    pub(crate) slash: bool,
}

impl Found {
    /// What is there; `noent` if nothing is, `notdir` for what a slash stands behind and that is no
    /// folder.
    pub(crate) fn existing(self) -> Result<MadeNode, Errno> {
        let slash = self.slash;
        match self.node?.ok_or(Errno::Noent)? {
            MadeNode::File(_) | MadeNode::Link(_) if slash => Err(Errno::Notdir),
            node => Ok(node),
        }
    }
}

/// Follows `path` from `start` on. Follows a link at its end if `follow` is set or a slash stands
/// behind it.
///
/// `perm` for a path, or a link, that is absolute or leads out of `start`.
pub(crate) fn walk(start: &Arc<dyn MadeFolder>, path: &str, follow: bool) -> Result<Found, Errno> {
    if path.is_empty() {
        return Err(Errno::Noent);
    }
    if path.contains('\0') {
        return Err(Errno::Inval);
    }
    // The folder that is current is the last; `start` stays.
    let mut above = Vec::new();
    let mut current = Arc::clone(start);
    let mut left = Vec::new();
    let mut slash = push_names(&mut left, path)?;
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == "." {
            continue;
        }
        if name == ".." {
            current = above.pop().ok_or(Errno::Perm)?;
            continue;
        }
        let last = left.is_empty();
        let node = match current.find(&name) {
            Err(error) if last && error.kind() == ErrorKind::NotFound => Ok(None),
            found => found.map(Some).map_err(|error| of_io_error(&error)),
        };
        match node {
            Ok(Some(MadeNode::Link(link))) if !last || follow || slash => {
                links += 1;
                if links > LINKS {
                    return Err(Errno::Loop);
                }
                let target = link.target().map_err(|error| of_io_error(&error))?;
                if target.is_empty() {
                    return Err(Errno::Noent);
                }
                if target.len() >= TARGET_MAX {
                    return Err(Errno::Nametoolong);
                }
                slash |= push_names(&mut left, &target)? && last;
            }
            Ok(Some(MadeNode::Folder(folder))) if !last => {
                above.push(std::mem::replace(&mut current, folder));
            }
            node if last => {
                return Ok(Found {
                    folder: current,
                    name: Some(name),
                    node,
                    slash,
                });
            }
            Err(errno) => return Err(errno),
            Ok(_) => return Err(Errno::Notdir),
        }
    }
    Ok(Found {
        node: Ok(Some(MadeNode::Folder(Arc::clone(&current)))),
        folder: current,
        name: None,
        slash,
    })
}

/// Puts the names of `path` on the list, the first on top; whether it ends in a slash.
fn push_names(left: &mut Vec<String>, path: &str) -> Result<bool, Errno> {
    if path.starts_with('/') {
        return Err(Errno::Perm);
    }
    let names = path.rsplit('/').filter(|name| !name.is_empty());
    left.extend(names.map(str::to_owned));
    Ok(path.ends_with('/'))
}
