//! Folders and files that the host makes up: no directory of the operating system's is behind them.
//!
//! An embedder implements [`MadeFolder`] and [`MadeFile`] and hands a folder over with
//! [`P1CtxBuilder::made_folder`](crate::P1CtxBuilder::made_folder). A guest uses it as any other
//! preopen, with all functions of preview1. [`MemoryFolder`] is such a folder, in memory, to be
//! read and written; one that can only be read implements three methods.
//!
//! # What an implementation sees
//!
//! Single names: never empty, `.` or `..`, never with a slash or a NUL byte in them. The adapter
//! takes paths apart, follows links (40 at most) and keeps `..` inside: what the guest reaches from
//! a descriptor lies in that folder or below it. An absolute path is `perm`, and so is the target
//! of a link that is absolute or leads out. Nothing of a made folder leads to one of the host's
//! directories, nor the other way: links and renames between them are `xdev`.
//!
//! # Threads
//!
//! Any number of threads call at once. A read or write at a descriptor's own position is made under
//! a lock of that descriptor, so two of them have disjoint bytes. No other lock is held during a
//! call. An implementation that blocks holds up its thread, and the end signal does not reach it
//! there. What has to wait should be a stream ([`own_kinds`](crate::own_kinds)). A panic is on the
//! guest's thread.
//!
//! # Errors
//!
//! An [`io::Error`] becomes the system's errno, if it has one, else that of its [`ErrorKind`].
//!
//! ```
//! use p1_adapter::made::{MadeEntry, MadeFile, MadeFolder, MadeKind, MadeMetadata, MadeNode};
//! use p1_adapter::{FsPerms, P1CtxBuilder};
//! use std::io;
//! use std::sync::Arc;
//!
//! /// A folder with one file, which says how often it was read.
//! struct Counter(Arc<Reads>);
//! struct Reads(std::sync::atomic::AtomicU64);
//!
//! impl MadeFolder for Counter {
//!     fn find(&self, name: &str) -> io::Result<MadeNode> {
//!         match name {
//!             "reads" => Ok(MadeNode::File(self.0.clone())),
//!             _ => Err(io::ErrorKind::NotFound.into()),
//!         }
//!     }
//!
//!     fn list(&self) -> io::Result<Vec<MadeEntry>> {
//!         Ok(vec![MadeEntry::new("reads", MadeKind::File, 2)])
//!     }
//!
//!     fn metadata(&self) -> io::Result<MadeMetadata> {
//!         Ok(MadeMetadata::new(1))
//!     }
//! }
//!
//! impl MadeFile for Reads {
//!     fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
//!         let reads = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
//!         let text = format!("{reads:8}\n");
//!         let rest = text.as_bytes().get(offset as usize..).unwrap_or_default();
//!         let count = rest.len().min(to.len());
//!         to[..count].copy_from_slice(&rest[..count]);
//!         Ok(count)
//!     }
//!
//!     fn metadata(&self) -> io::Result<MadeMetadata> {
//!         let mut metadata = MadeMetadata::new(2);
//!         metadata.size = 9;
//!         Ok(metadata)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let counter = Counter(Arc::new(Reads(0.into())));
//! let ctx = P1CtxBuilder::new().made_folder(counter, "/counter", FsPerms::ReadOnly).build()?;
//! # let _ = ctx;
//! # Ok(())
//! # }
//! ```

pub(crate) mod below;
mod file_node;
mod folder_node;
mod link_node;
mod memory;
mod node;
pub(crate) mod stat;
pub(crate) mod walk;

pub use memory::{MemoryFile, MemoryFolder, MemoryLink};
pub use node::MadeNode;

use std::any::Any;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::SystemTime;

fn read_only<T>() -> io::Result<T> {
    Err(ErrorKind::ReadOnlyFilesystem.into())
}

/// A folder that the host makes up. [The module](self) says what its methods see.
///
/// Methods that change something fail with `rofs` unless they are implemented.
/// [`FsPerms::ReadOnly`](crate::FsPerms::ReadOnly) keeps guests from those methods.
pub trait MadeFolder: Any + Send + Sync {
    /// What has this name here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where nothing has; a name that is too long may have its own.
    fn find(&self, name: &str) -> io::Result<MadeNode>;

    /// All entries, in the order in which guests are told of them, without `.` and `..`. Called
    /// when a listing begins, which shows what was there then.
    ///
    /// # Errors
    ///
    /// The implementation's.
    fn list(&self) -> io::Result<Vec<MadeEntry>>;

    /// The folder's attributes.
    ///
    /// # Errors
    ///
    /// The implementation's.
    fn metadata(&self) -> io::Result<MadeMetadata>;

    /// Makes an empty file. [`ErrorKind::AlreadyExists`] if something has the name; the adapter
    /// turns that into what `path_open` was asked for.
    ///
    /// # Errors
    ///
    /// The implementation's; `rofs` unless implemented.
    fn create_file(&self, name: &str) -> io::Result<Arc<dyn MadeFile>> {
        let _ = name;
        read_only()
    }

    /// Makes an empty folder.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] where something has the name; `rofs` unless implemented.
    fn create_folder(&self, name: &str) -> io::Result<()> {
        let _ = name;
        read_only()
    }

    /// Makes a link to `target`, a relative path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] where something has the name; `rofs` unless implemented.
    fn create_link(&self, name: &str, target: &str) -> io::Result<()> {
        let _ = (name, target);
        read_only()
    }

    /// Gives a file (or a link) another name. `node` is what [`find`](Self::find) of a folder has
    /// given, perhaps one of another implementation's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] where something has the name, [`ErrorKind::CrossesDevices`] for
    /// another implementation's node; `rofs` unless implemented.
    fn link(&self, name: &str, node: &MadeNode) -> io::Result<()> {
        let _ = (name, node);
        read_only()
    }

    /// Takes a name from a file or a link. Descriptors that have it open keep it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::IsADirectory`] for a folder; `rofs` unless implemented.
    fn remove_file(&self, name: &str) -> io::Result<()> {
        let _ = name;
        read_only()
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotADirectory`], [`ErrorKind::DirectoryNotEmpty`]; `rofs` unless implemented.
    fn remove_folder(&self, name: &str) -> io::Result<()> {
        let _ = name;
        read_only()
    }

    /// Moves what has this name here to `new` in `to`, in one step. `to` may be this folder.
    /// Replaces what has that name, if it is of the same kind and, for a folder, empty.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CrossesDevices`] where `to` is of another implementation,
    /// [`ErrorKind::InvalidInput`] where it lies below what is moved; `rofs` unless implemented.
    fn rename(&self, name: &str, to: &dyn MadeFolder, new: &str) -> io::Result<()> {
        let _ = (name, to, new);
        read_only()
    }

    /// Sets the times that are given.
    ///
    /// # Errors
    ///
    /// The implementation's; `rofs` unless implemented.
    fn set_times(
        &self,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        let _ = (accessed, modified);
        read_only()
    }
}

/// A file that the host makes up: bytes with positions. See [the module](self).
pub trait MadeFile: Any + Send + Sync {
    /// Reads into `to`, which is not empty, from `offset` on; how many bytes, 0 only at the end.
    ///
    /// # Errors
    ///
    /// The implementation's.
    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The file's attributes. Its size is where the end is: seeks from it go by that.
    ///
    /// # Errors
    ///
    /// The implementation's.
    fn metadata(&self) -> io::Result<MadeMetadata>;

    /// Writes `from`, not empty, at `offset`; returns how many bytes. A gap becomes zeros.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::StorageFull`] and others of the implementation's; `rofs` unless implemented.
    fn write_at(&self, from: &[u8], offset: u64) -> io::Result<usize> {
        let _ = (from, offset);
        read_only()
    }

    /// Writes `from` at the end, wherever that is, in one step; where the end is then.
    ///
    /// # Errors
    ///
    /// As of [`write_at`](Self::write_at).
    fn append(&self, from: &[u8]) -> io::Result<u64> {
        let _ = from;
        read_only()
    }

    /// Cuts the file or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// As of [`write_at`](Self::write_at).
    fn set_size(&self, size: u64) -> io::Result<()> {
        let _ = size;
        read_only()
    }

    /// Sets the times that are given.
    ///
    /// # Errors
    ///
    /// The implementation's; `rofs` unless implemented.
    fn set_times(
        &self,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        let _ = (accessed, modified);
        read_only()
    }

    /// Makes durable what was written. Does nothing unless implemented.
    ///
    /// # Errors
    ///
    /// The implementation's.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A link that the host makes up: a path that stands for another.
pub trait MadeLink: Any + Send + Sync {
    /// The path that it stands for, from the folder that it is in.
    ///
    /// # Errors
    ///
    /// The implementation's.
    fn target(&self) -> io::Result<String>;

    /// Its own attributes.
    ///
    /// # Errors
    ///
    /// The implementation's.
    fn metadata(&self) -> io::Result<MadeMetadata>;

    /// Sets those of its own times that are given.
    ///
    /// # Errors
    ///
    /// The implementation's; `rofs` unless implemented.
    fn set_times(
        &self,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        let _ = (accessed, modified);
        read_only()
    }
}

/// Of which kind something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MadeKind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A link.
    Link,
}

/// A line of a listing.
#[derive(Clone, Debug)]
pub struct MadeEntry {
    pub(crate) name: String,
    pub(crate) kind: MadeKind,
    pub(crate) inode: u64,
}

impl MadeEntry {
    /// An entry. `inode` is that of its [metadata](MadeMetadata::inode).
    pub fn new(name: impl Into<String>, kind: MadeKind, inode: u64) -> Self {
        Self {
            name: name.into(),
            kind,
            inode,
        }
    }
}

/// Attributes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MadeMetadata {
    /// A number that nothing else has that the host makes up for this guest. Guests see another
    /// number.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// Bytes of a file, or of a link's target.
    pub size: u64,
    /// When it was last read.
    pub accessed: SystemTime,
    /// When it was last changed.
    pub modified: SystemTime,
    /// When it was made.
    pub created: SystemTime,
}

impl MadeMetadata {
    /// Of something empty with one name, from the beginning of 1970.
    pub fn new(inode: u64) -> Self {
        Self {
            inode,
            links: 1,
            size: 0,
            accessed: SystemTime::UNIX_EPOCH,
            modified: SystemTime::UNIX_EPOCH,
            created: SystemTime::UNIX_EPOCH,
        }
    }
}
