//! A file in memory.

use super::MadeMetadata;
use super::folder_node::Tree;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

/// What all opens of the file share.
pub(super) struct FileNode {
    pub(super) tree: Arc<Tree>,
    inode: u64,
    /// Names.
    pub(super) links: AtomicU64,
    contents: RwLock<Contents>,
}

struct Contents {
    bytes: Vec<u8>,
    times: Times,
}

/// The times of something.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) accessed: SystemTime,
    pub(super) modified: SystemTime,
    pub(super) created: SystemTime,
}

impl Times {
    pub(super) fn now() -> Self {
        let now = SystemTime::now();
        Self {
            accessed: now,
            modified: now,
            created: now,
        }
    }

    pub(super) fn set(&mut self, accessed: Option<SystemTime>, modified: Option<SystemTime>) {
        self.accessed = accessed.unwrap_or(self.accessed);
        self.modified = modified.unwrap_or(self.modified);
    }

    pub(super) fn metadata(&self, inode: u64) -> MadeMetadata {
        MadeMetadata {
            accessed: self.accessed,
            modified: self.modified,
            created: self.created,
            ..MadeMetadata::new(inode)
        }
    }
}

impl FileNode {
    pub(super) fn new(tree: &Arc<Tree>) -> Self {
        Self {
            tree: Arc::clone(tree),
            inode: tree.next_inode(),
            links: AtomicU64::new(1),
            contents: RwLock::new(Contents {
                bytes: Vec::new(),
                times: Times::now(),
            }),
        }
    }

    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    fn shared(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Contents> {
        self.contents
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read_at(&self, to: &mut [u8], offset: u64) -> usize {
        let contents = self.shared();
        let rest = usize::try_from(offset).ok();
        let rest = rest.and_then(|offset| contents.bytes.get(offset..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(to.len());
        to[..count].copy_from_slice(&rest[..count]);
        count
    }

    pub(super) fn metadata(&self) -> MadeMetadata {
        let contents = self.shared();
        MadeMetadata {
            size: contents.bytes.len() as u64,
            links: self.links.load(Ordering::Relaxed),
            ..contents.times.metadata(self.inode)
        }
    }

    pub(super) fn write_at(&self, from: &[u8], offset: u64) -> io::Result<usize> {
        let mut contents = self.exclusive();
        self.put(&mut contents, from, offset)?;
        Ok(from.len())
    }

    pub(super) fn append(&self, from: &[u8]) -> io::Result<u64> {
        let mut contents = self.exclusive();
        let end = contents.bytes.len() as u64;
        self.put(&mut contents, from, end)?;
        Ok(contents.bytes.len() as u64)
    }

    fn put(&self, contents: &mut Contents, from: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(from.len() as u64);
        let end = end.ok_or(ErrorKind::FileTooLarge)?;
        if end > contents.bytes.len() as u64 {
            self.resize(contents, end)?;
        }
        // Both are inside of what there is now.
        let offset = offset as usize;
        contents.bytes[offset..offset + from.len()].copy_from_slice(from);
        contents.times.modified = SystemTime::now();
        Ok(())
    }

    pub(super) fn set_size(&self, size: u64) -> io::Result<()> {
        let mut contents = self.exclusive();
        self.resize(&mut contents, size)?;
        contents.times.modified = SystemTime::now();
        Ok(())
    }

    /// Bytes are taken from the tree's before they are made, and given back after they are gone.
    fn resize(&self, contents: &mut Contents, size: u64) -> io::Result<()> {
        let old = contents.bytes.len() as u64;
        if size > old {
            self.tree.take(size - old)?;
        }
        let more = usize::try_from(size.saturating_sub(old));
        let made = more.map_err(|_| ErrorKind::StorageFull).and_then(|more| {
            let reserved = contents.bytes.try_reserve(more);
            reserved.map_err(|_| ErrorKind::StorageFull)
        });
        if let Err(kind) = made {
            self.tree.give_back(size.saturating_sub(old));
            return Err(kind.into());
        }
        contents.bytes.resize(size as usize, 0);
        if size < old {
            contents.bytes.shrink_to(size as usize);
            self.tree.give_back(old - size);
        }
        Ok(())
    }

    pub(super) fn set_times(&self, accessed: Option<SystemTime>, modified: Option<SystemTime>) {
        self.exclusive().times.set(accessed, modified);
    }
}

impl Drop for FileNode {
    fn drop(&mut self) {
        let bytes = self.shared().bytes.len();
        self.tree.give_back(bytes as u64);
    }
}
