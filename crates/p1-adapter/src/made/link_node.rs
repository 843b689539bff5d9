//! A link in memory.

use super::MadeMetadata;
use super::file_node::Times;
use super::folder_node::Tree;
use crate::lock::lock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// What all holders of the link share.
pub(super) struct LinkNode {
    pub(super) tree: Arc<Tree>,
    inode: u64,
    pub(super) target: String,
    /// Names.
    pub(super) links: AtomicU64,
    times: Mutex<Times>,
}

impl LinkNode {
    pub(super) fn new(tree: &Arc<Tree>, target: &str) -> Self {
        Self {
            tree: Arc::clone(tree),
            inode: tree.next_inode(),
            target: target.to_owned(),
            links: AtomicU64::new(1),
            times: Mutex::new(Times::now()),
        }
    }

    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    pub(super) fn metadata(&self) -> MadeMetadata {
        MadeMetadata {
            size: self.target.len() as u64,
            links: self.links.load(Ordering::Relaxed),
            ..lock(&self.times).metadata(self.inode)
        }
    }

    pub(super) fn set_times(&self, accessed: Option<SystemTime>, modified: Option<SystemTime>) {
        lock(&self.times).set(accessed, modified);
    }
}
