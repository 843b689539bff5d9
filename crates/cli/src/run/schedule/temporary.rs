//! Folders that are there as long as a process needs them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::message::{Message, Result};
use crate::sys::files;

/// What their names begin with.
const PREFIX: &str = "wasi-threads-run-";
/// In each, a file that the process keeps locked for as long as it lives.
const LOCK: &str = "lock";

/// A new folder, which is removed with all that is in it.
///
/// A process that is killed leaves its folder behind. The system has released its lock by then, so
/// the next process that makes such a folder can lock the file in it, and removes the folder. A
/// process number would not do: another process may have it, or may be in another container with
/// the same temporary folder.
pub(crate) struct TemporaryFolder {
    path: PathBuf,
    /// Locked. `None` where the system cannot lock: such a folder may stay.
    lock: Option<File>,
}

impl TemporaryFolder {
    /// Makes a folder that no other user can read, in the system's temporary folder. Removes those
    /// that killed processes have left.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn new() -> Result<Self> {
        Self::among(&std::env::temp_dir())
    }

    fn among(folder: &Path) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_nanos());
        let name = format!("{PREFIX}{}-{now}", std::process::id());
        let path = folder.join(name);
        if let Err(error) = files::create_private_folder(&path) {
            let what = format!("`{}` cannot be made", path.display());
            return Err(Message::failure(what).why(error));
        }
        let path = fs::canonicalize(&path).unwrap_or(path);
        let lock = lock(&path).ok();
        remove_left(&path);
        Ok(Self { path, lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Some systems remove no file that is open.
        self.lock = None;
        // The next process tries again.
        let _ = remove(&self.path);
    }
}

/// Makes the locked file in a new folder. The file is locked before it gets its name, so no other
/// process takes the folder for one that was left behind.
fn lock(folder: &Path) -> io::Result<File> {
    let before = folder.join("locking");
    let file = File::create_new(&before)?;
    file.try_lock()?;
    fs::rename(before, folder.join(LOCK))?;
    Ok(file)
}

/// Removes the folders next to `ours` that processes of this user have left.
fn remove_left(ours: &Path) {
    // What cannot be removed now stays. It disturbs no run.
    let (Some(parent), Ok(owner)) = (ours.parent(), fs::symlink_metadata(ours)) else {
        return;
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // Through a link, or through what another user has put there, this process would remove
        // something else.
        let is_ours = || {
            let there = fs::symlink_metadata(&path);
            there.is_ok_and(|there| files::is_private_folder_of(&there, &owner))
        };
        if is_named && path != ours && is_ours() && is_left(&path) {
            let _ = remove(&path);
        }
    }
}

/// Whether the process that has made the folder is gone.
fn is_left(folder: &Path) -> bool {
    let file = File::options().write(true).open(folder.join(LOCK));
    file.is_ok_and(|file| file.try_lock().is_ok())
}

/// Removes a folder and what is in it, folders that forbid it included.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(folder)?;
            fs::remove_dir_all(folder)
        }
        removed => removed,
    }
}

fn make_writable(folder: &Path) -> io::Result<()> {
    files::make_writable(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in a folder.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| {
            let name = entry.unwrap().file_name();
            name.into_string().unwrap()
        };
        entries.map(name).collect()
    }

    #[test]
    fn a_folder_that_was_left_is_removed_and_no_other() {
        let outer = tempfile::tempdir().unwrap();
        let alive = TemporaryFolder::among(outer.path()).unwrap();
        fs::write(alive.path().join("file"), "").unwrap();
        // As a process leaves it that is killed: the folder is there, and the lock is gone.
        let mut killed = TemporaryFolder::among(outer.path()).unwrap();
        fs::create_dir(killed.path().join("0")).unwrap();
        let mut forbids = fs::metadata(killed.path().join("0")).unwrap().permissions();
        forbids.set_readonly(true);
        fs::set_permissions(killed.path().join("0"), forbids).unwrap();
        let left = killed.path.clone();
        drop(killed.lock.take().expect("it was locked"));
        std::mem::forget(killed);
        // Killed before it was locked, or another user's; a file; and what has another name.
        for other in ["wasi-threads-run-1-1", "other"] {
            fs::create_dir(outer.path().join(other)).unwrap();
        }
        fs::write(outer.path().join("other").join(LOCK), "").unwrap();
        fs::write(outer.path().join("wasi-threads-run-file"), "").unwrap();
        let next = TemporaryFolder::among(outer.path()).unwrap();
        assert!(!left.exists());
        assert!(alive.path().join("file").exists() && next.path().exists());
        assert_eq!(names(outer.path()).len(), 5);
        drop((alive, next));
        let mut names = names(outer.path());
        names.sort();
        let others = ["other", "wasi-threads-run-1-1", "wasi-threads-run-file"];
        assert_eq!(names, others);
    }
}
