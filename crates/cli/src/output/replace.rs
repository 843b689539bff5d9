//! Replacing a file, so that it is complete, or as it was before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use crate::output::write_to;
use crate::sys::files::take_owner;

/// How many names are tried for the unfinished file.
const MOST_NAMES: u32 = 100;

/// An unfinished file beside the one it becomes. Its drop removes it, unless it was renamed.
struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    /// A new file beside `place`.
    fn beside(place: &Path) -> io::Result<Self> {
        let mut number = 0;
        loop {
            // Short, because the file's own name may have the greatest length.
            let name = format!(".wasi-threads-run.{}.{number}.tmp", std::process::id());
            let path = place.with_file_name(name);
            // Made anew, so that no other file or link is written into.
            let made = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path);
            match made {
                Ok(file) => return Ok(Unfinished { path, file }),
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_NAMES =>
                {
                    number += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename it does not exist. Otherwise the error of the replacement is reported.
        let _ = fs::remove_file(&self.path);
    }
}

/// Checks that a file can be made at `place`, or that the existing one can be written. Returns as
/// many open descriptors as that will need: close them just before.
pub(super) fn can(place: &Path) -> io::Result<Vec<File>> {
    let before = existing(place)?;
    match Unfinished::beside(place) {
        Ok(unfinished) => {
            let file = unfinished.file.try_clone()?;
            Ok(vec![before.unwrap_or(file.try_clone()?), file])
        }
        Err(error) if before.is_some() && is_refusal(&error) => Ok(before.into_iter().collect()),
        Err(error) => Err(error),
    }
}

/// Replaces the file at `place`. A process that has mapped the old file keeps the old one.
pub(super) fn replace(
    place: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let before = existing(place)?;
    let mut unfinished = match (Unfinished::beside(place), before.as_ref()) {
        (Ok(unfinished), _) => unfinished,
        (Err(error), Some(before)) if is_refusal(&error) => {
            before.set_len(0)?;
            return write_to(before, content);
        }
        (Err(error), _) => return Err(error),
    };
    write_to(&unfinished.file, content)?;
    if let Some(before) = &before {
        take_over(before, &unfinished.file)?;
    }
    match (fs::rename(&unfinished.path, place), before) {
        // A mount point cannot be replaced, so it is written in place.
        (Err(error), Some(mut before)) if is_refusal(&error) => {
            unfinished.file.rewind()?;
            before.set_len(0)?;
            io::copy(&mut unfinished.file, &mut before).map(drop)
        }
        (done, _) => {
            if done.is_ok() {
                // By now another process may have a file with this name.
                unfinished.path.clear();
            }
            done
        }
    }
}

/// The file at `place`, if there is one. It must be writable, although it will be replaced.
fn existing(place: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).open(place) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the folder, and not the file, is what cannot be written.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::ResourceBusy
    )
}

/// Gives `new` the owner and mode of the file that it replaces.
fn take_over(before: &File, new: &File) -> io::Result<()> {
    let metadata = before.metadata()?;
    take_owner(&metadata, new);
    new.set_permissions(metadata.permissions())
}
