//! A folder in memory.

use super::file_node::{FileNode, Times};
use super::link_node::LinkNode;
use super::{MadeEntry, MadeKind, MadeMetadata};
use crate::lock::lock;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

/// The longest name, as on most file systems.
const NAME_MAX: usize = 255;
/// What an entry is counted as: about what is kept of it, with the longest name.
const ENTRY: u64 = 512;

/// What all folders of a tree share.
pub(super) struct Tree {
    /// Held by what changes names or looks at more than one folder. Locks of folders are taken
    /// under it.
    names: Mutex<()>,
    inodes: AtomicU64,
    /// Bytes that may still be kept.
    left: AtomicU64,
}

/// What all opens of the folder share.
pub(super) struct FolderNode {
    tree: Arc<Tree>,
    inode: u64,
    state: Mutex<State>,
}

struct State {
    entries: BTreeMap<String, Entry>,
    parent: Weak<FolderNode>,
    /// It has no name any more: nothing can be made in it.
    removed: bool,
    times: Times,
}

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Entry {
    Folder(Arc<FolderNode>),
    File(Arc<FileNode>),
    Link(Arc<LinkNode>),
}

impl Tree {
    /// An empty folder that may keep so many bytes.
    pub(super) fn root(bytes: u64) -> Arc<FolderNode> {
        let tree = Arc::new(Self {
            names: Mutex::new(()),
            inodes: AtomicU64::new(1),
            left: AtomicU64::new(bytes),
        });
        Arc::new(FolderNode::new(&tree, Weak::new()))
    }

    pub(super) fn next_inode(&self) -> u64 {
        self.inodes.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn take(&self, bytes: u64) -> io::Result<()> {
        let taken = self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken.map(drop).map_err(|_| ErrorKind::StorageFull.into())
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Entry {
    /// How many names it has, if it may have several.
    fn links(&self) -> Option<&AtomicU64> {
        match self {
            Entry::File(file) => Some(&file.links),
            Entry::Link(link) => Some(&link.links),
            Entry::Folder(_) => None,
        }
    }
}

/// Bytes that an entry counts as, beside those of a file.
fn cost(entry: &Entry) -> u64 {
    match entry {
        Entry::Link(link) => ENTRY + link.target.len() as u64,
        Entry::Folder(_) | Entry::File(_) => ENTRY,
    }
}

fn check_name(name: &str) -> io::Result<()> {
    match name.len() {
        0..=NAME_MAX => Ok(()),
        _ => Err(ErrorKind::InvalidFilename.into()),
    }
}

impl FolderNode {
    fn new(tree: &Arc<Tree>, parent: Weak<Self>) -> Self {
        Self {
            tree: Arc::clone(tree),
            inode: tree.next_inode(),
            state: Mutex::new(State {
                entries: BTreeMap::new(),
                parent,
                removed: false,
                times: Times::now(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn find(&self, name: &str) -> io::Result<Entry> {
        check_name(name)?;
        let state = self.state();
        let entry = state.entries.get(name).cloned();
        entry.ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn list(&self) -> Vec<MadeEntry> {
        let state = self.state();
        let line = |(name, entry): (&String, &Entry)| match entry {
            Entry::Folder(folder) => MadeEntry::new(name, MadeKind::Folder, folder.inode),
            Entry::File(file) => MadeEntry::new(name, MadeKind::File, file.inode()),
            Entry::Link(link) => MadeEntry::new(name, MadeKind::Link, link.inode()),
        };
        state.entries.iter().map(line).collect()
    }

    pub(super) fn metadata(&self) -> MadeMetadata {
        let state = self.state();
        let folders = state.entries.values();
        let folders = folders.filter(|entry| matches!(entry, Entry::Folder(_)));
        // Its name, its own dot, and the two dots of those in it.
        let links = folders.count() as u64 + 2;
        MadeMetadata {
            links: if state.removed { 0 } else { links },
            ..state.times.metadata(self.inode)
        }
    }

    pub(super) fn set_times(&self, accessed: Option<SystemTime>, modified: Option<SystemTime>) {
        self.state().times.set(accessed, modified);
    }

    /// Puts something under a name that is free.
    fn insert(&self, name: &str, make: impl FnOnce() -> Entry) -> io::Result<Entry> {
        check_name(name)?;
        let mut state = self.state();
        if state.removed {
            return Err(ErrorKind::NotFound.into());
        }
        if state.entries.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let entry = make();
        self.tree.take(cost(&entry))?;
        state.entries.insert(name.to_owned(), entry.clone());
        state.times.modified = SystemTime::now();
        Ok(entry)
    }

    pub(super) fn create_file(&self, name: &str) -> io::Result<Arc<FileNode>> {
        let _names = lock(&self.tree.names);
        let file = Arc::new(FileNode::new(&self.tree));
        self.insert(name, || Entry::File(Arc::clone(&file)))?;
        Ok(file)
    }

    pub(super) fn create_folder(self: &Arc<Self>, name: &str) -> io::Result<Arc<Self>> {
        let _names = lock(&self.tree.names);
        let folder = Arc::new(Self::new(&self.tree, Arc::downgrade(self)));
        self.insert(name, || Entry::Folder(Arc::clone(&folder)))?;
        Ok(folder)
    }

    pub(super) fn create_link(&self, name: &str, target: &str) -> io::Result<()> {
        let _names = lock(&self.tree.names);
        let link = LinkNode::new(&self.tree, target);
        self.insert(name, || Entry::Link(Arc::new(link))).map(drop)
    }

    /// Another name for a file or a link.
    pub(super) fn link(&self, name: &str, entry: Entry) -> io::Result<()> {
        let tree = match &entry {
            Entry::File(file) => &file.tree,
            Entry::Link(link) => &link.tree,
            Entry::Folder(folder) => &folder.tree,
        };
        if !Arc::ptr_eq(&self.tree, tree) {
            return Err(ErrorKind::CrossesDevices.into());
        }
        let _names = lock(&self.tree.names);
        let links = entry.links().ok_or(ErrorKind::PermissionDenied)?;
        if links.load(Ordering::Relaxed) == 0 {
            return Err(ErrorKind::NotFound.into());
        }
        self.insert(name, || entry.clone())?;
        links.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn remove_file(&self, name: &str) -> io::Result<()> {
        let _names = lock(&self.tree.names);
        match self.find(name)? {
            Entry::Folder(_) => Err(ErrorKind::IsADirectory.into()),
            Entry::File(_) | Entry::Link(_) => {
                self.take_out(name);
                Ok(())
            }
        }
    }

    pub(super) fn remove_folder(&self, name: &str) -> io::Result<()> {
        let _names = lock(&self.tree.names);
        match self.find(name)? {
            Entry::Folder(folder) => {
                folder.close()?;
                self.take_out(name);
                Ok(())
            }
            Entry::File(_) | Entry::Link(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// Lets nothing in any more, if it is empty.
    fn close(&self) -> io::Result<()> {
        let mut state = self.state();
        if !state.entries.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        state.removed = true;
        Ok(())
    }

    /// Under the tree's lock.
    fn take_out(&self, name: &str) -> Option<Entry> {
        let mut state = self.state();
        let entry = state.entries.remove(name)?;
        state.times.modified = SystemTime::now();
        self.tree.give_back(cost(&entry));
        if let Some(links) = entry.links() {
            links.fetch_sub(1, Ordering::Relaxed);
        }
        Some(entry)
    }

    pub(super) fn rename(
        self: &Arc<Self>,
        name: &str,
        to: &Arc<Self>,
        new: &str,
    ) -> io::Result<()> {
        if !Arc::ptr_eq(&self.tree, &to.tree) {
            return Err(ErrorKind::CrossesDevices.into());
        }
        check_name(new)?;
        let _names = lock(&self.tree.names);
        let entry = self.find(name)?;
        if to.state().removed {
            return Err(ErrorKind::NotFound.into());
        }
        if let Entry::Folder(folder) = &entry
            && to.is_below(folder)
        {
            return Err(ErrorKind::InvalidInput.into());
        }
        let there = match to.find(new) {
            Ok(there) => Some(there),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match (&entry, &there) {
            // Names of one object: nothing is to be done.
            (Entry::File(one), Some(Entry::File(other))) if Arc::ptr_eq(one, other) => {
                return Ok(());
            }
            (Entry::Link(one), Some(Entry::Link(other))) if Arc::ptr_eq(one, other) => {
                return Ok(());
            }
            (_, Some(Entry::Folder(other))) if self.is_below(other) => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            (Entry::Folder(one), Some(Entry::Folder(other))) => {
                if Arc::ptr_eq(one, other) {
                    return Ok(());
                }
                other.close()?;
            }
            (Entry::Folder(_), Some(_)) => return Err(ErrorKind::NotADirectory.into()),
            (_, Some(Entry::Folder(_))) => return Err(ErrorKind::IsADirectory.into()),
            (_, Some(_) | None) => {}
        }
        to.take_out(new);
        // It keeps what it counts as.
        let mut state = self.state();
        state.entries.remove(name);
        state.times.modified = SystemTime::now();
        drop(state);
        if let Entry::Folder(folder) = &entry {
            folder.state().parent = Arc::downgrade(to);
        }
        let mut state = to.state();
        state.entries.insert(new.to_owned(), entry);
        state.times.modified = SystemTime::now();
        Ok(())
    }

    /// Whether it is `other` or lies below it. Under the tree's lock.
    fn is_below(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut current = Some(Arc::clone(self));
        while let Some(folder) = current {
            if Arc::ptr_eq(&folder, other) {
                return true;
            }
            current = folder.state().parent.upgrade();
        }
        false
    }
}

impl Drop for FolderNode {
    /// One after the other: a guest can make them deeper than a stack is.
    fn drop(&mut self) {
        let entries = |node: &mut Self| {
            let state = node.state.get_mut();
            std::mem::take(&mut state.unwrap_or_else(PoisonError::into_inner).entries)
        };
        let mut left = vec![entries(self)];
        while let Some(all) = left.pop() {
            for entry in all.into_values() {
                self.tree.give_back(cost(&entry));
                if let Entry::Folder(folder) = entry
                    && let Some(mut last) = Arc::into_inner(folder)
                {
                    left.push(entries(&mut last));
                }
            }
        }
    }
}
