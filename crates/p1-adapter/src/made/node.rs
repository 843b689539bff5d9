//! What a name of a made folder stands for.

use std::fmt;
use std::sync::Arc;

use super::{MadeFile, MadeFolder, MadeLink};

/// What a name stands for.
#[derive(Clone)]
#[non_exhaustive]
pub enum MadeNode {
    /// A folder.
    Folder(Arc<dyn MadeFolder>),
    /// A file.
    File(Arc<dyn MadeFile>),
    /// A link.
    Link(Arc<dyn MadeLink>),
}

impl fmt::Debug for MadeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MadeNode::Folder(_) => "Folder",
            MadeNode::File(_) => "File",
            MadeNode::Link(_) => "Link",
        })
    }
}
