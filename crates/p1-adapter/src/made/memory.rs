//! A folder in memory, for guests and their embedder.

use super::file_node::FileNode;
use super::folder_node::{Entry, FolderNode, Tree};
use super::link_node::LinkNode;
use super::{MadeEntry, MadeFile, MadeFolder, MadeLink, MadeMetadata, MadeNode};
use std::any::Any;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::SystemTime;

/// A folder in memory, with files, folders and links in it. Cheap to clone: clones are one folder.
///
/// It behaves as a folder on Linux does. A removed file stays for descriptors that have it open,
/// renames replace in one step, and hard links are other names of one file. An embedder fills it
/// before the guest runs and reads it afterwards, or meanwhile.
///
/// ```
/// use p1_adapter::made::MemoryFolder;
/// use p1_adapter::{FsPerms, P1CtxBuilder};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = MemoryFolder::new(1 << 20);
/// folder.create("etc")?.write("motd", b"hello\n")?;
/// let ctx = P1CtxBuilder::new().made_folder(folder.clone(), "/", FsPerms::ReadWrite).build()?;
/// // What a guest has written is there.
/// assert_eq!(folder.folder("etc")?.read("motd")?, b"hello\n");
/// # let _ = ctx;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryFolder(Arc<FolderNode>);

/// A file in a [`MemoryFolder`]. Cheap to clone: clones are one file.
#[derive(Clone)]
pub struct MemoryFile(Arc<FileNode>);

/// A link in a [`MemoryFolder`]. Cheap to clone: clones are one link.
#[derive(Clone)]
pub struct MemoryLink(Arc<LinkNode>);

impl fmt::Debug for MemoryLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryLink").field(&self.0.target).finish()
    }
}

impl fmt::Debug for MemoryFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFolder").finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile").finish_non_exhaustive()
    }
}

impl MemoryFolder {
    /// An empty folder. Files and names in it and in all folders below it have `bytes` together;
    /// beyond that a call fails with `nospc`. A name counts as 512 bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Tree::root(bytes))
    }

    /// Makes a folder in it, unless there is one of that name; the folder.
    ///
    /// # Errors
    ///
    /// Something else has the name, or there is no room.
    pub fn create(&self, name: &str) -> io::Result<Self> {
        check_single(name)?;
        match self.0.create_folder(name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.folder(name),
            made => Ok(Self(made?)),
        }
    }

    /// The folder of that name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn folder(&self, name: &str) -> io::Result<Self> {
        match self.0.find(name)? {
            Entry::Folder(folder) => Ok(Self(folder)),
            Entry::File(_) | Entry::Link(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// Makes a file of these bytes, or gives the one of that name these bytes instead of its own.
    /// Not in one step: a read meanwhile finds less.
    ///
    /// # Errors
    ///
    /// Something else has the name, or there is no room.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        check_single(name)?;
        let file = match self.0.create_file(name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.file(name)?.0,
            made => made?,
        };
        file.set_size(0)?;
        file.write_at(bytes, 0).map(drop)
    }

    /// The bytes of the file of that name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.file(name)?.0;
        let mut bytes = vec![0; file.metadata().size as usize];
        let count = file.read_at(&mut bytes, 0);
        bytes.truncate(count);
        Ok(bytes)
    }

    /// The file of that name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn file(&self, name: &str) -> io::Result<MemoryFile> {
        match self.0.find(name)? {
            Entry::File(file) => Ok(MemoryFile(file)),
            Entry::Folder(_) => Err(ErrorKind::IsADirectory.into()),
            Entry::Link(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// The names in it, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.list().into_iter().map(|entry| entry.name).collect()
    }
}

/// A guest could not use another name.
fn check_single(name: &str) -> io::Result<()> {
    match name {
        "" | "." | ".." => Err(ErrorKind::InvalidFilename.into()),
        _ if name.contains(['/', '\0']) => Err(ErrorKind::InvalidFilename.into()),
        _ => Ok(()),
    }
}

impl MadeFolder for MemoryFolder {
    fn find(&self, name: &str) -> io::Result<MadeNode> {
        Ok(match self.0.find(name)? {
            Entry::Folder(folder) => MadeNode::Folder(Arc::new(Self(folder))),
            Entry::File(file) => MadeNode::File(Arc::new(MemoryFile(file))),
            Entry::Link(link) => MadeNode::Link(Arc::new(MemoryLink(link))),
        })
    }

    fn list(&self) -> io::Result<Vec<MadeEntry>> {
        Ok(self.0.list())
    }

    fn metadata(&self) -> io::Result<MadeMetadata> {
        Ok(self.0.metadata())
    }

    fn create_file(&self, name: &str) -> io::Result<Arc<dyn MadeFile>> {
        Ok(Arc::new(MemoryFile(self.0.create_file(name)?)))
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.0.create_folder(name).map(drop)
    }

    fn create_link(&self, name: &str, target: &str) -> io::Result<()> {
        self.0.create_link(name, target)
    }

    fn link(&self, name: &str, node: &MadeNode) -> io::Result<()> {
        let entry = match node {
            MadeNode::File(file) => {
                let file: &dyn Any = &**file;
                let file = file.downcast_ref::<MemoryFile>();
                file.map(|file| Entry::File(Arc::clone(&file.0)))
            }
            MadeNode::Link(link) => {
                let link: &dyn Any = &**link;
                let link = link.downcast_ref::<MemoryLink>();
                link.map(|link| Entry::Link(Arc::clone(&link.0)))
            }
            MadeNode::Folder(_) => return Err(ErrorKind::PermissionDenied.into()),
        };
        self.0.link(name, entry.ok_or(ErrorKind::CrossesDevices)?)
    }

    fn remove_file(&self, name: &str) -> io::Result<()> {
        self.0.remove_file(name)
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.0.remove_folder(name)
    }

    fn rename(&self, name: &str, to: &dyn MadeFolder, new: &str) -> io::Result<()> {
        let to: &dyn Any = to;
        let to = to.downcast_ref::<Self>();
        self.0
            .rename(name, &to.ok_or(ErrorKind::CrossesDevices)?.0, new)
    }

    fn set_times(
        &self,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        self.0.set_times(accessed, modified);
        Ok(())
    }
}

impl MadeFile for MemoryFile {
    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.0.read_at(to, offset))
    }

    fn metadata(&self) -> io::Result<MadeMetadata> {
        Ok(self.0.metadata())
    }

    fn write_at(&self, from: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(from, offset)
    }

    fn append(&self, from: &[u8]) -> io::Result<u64> {
        self.0.append(from)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_size(size)
    }

    fn set_times(
        &self,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        self.0.set_times(accessed, modified);
        Ok(())
    }
}

impl MadeLink for MemoryLink {
    fn target(&self) -> io::Result<String> {
        Ok(self.0.target.clone())
    }

    fn metadata(&self) -> io::Result<MadeMetadata> {
        Ok(self.0.metadata())
    }

    fn set_times(
        &self,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        self.0.set_times(accessed, modified);
        Ok(())
    }
}
