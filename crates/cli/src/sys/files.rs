//! What files have that not every system knows.

#[cfg(any(test, fuzzing))]
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::path::Path;

/// Whether descriptors of this process have names (`/dev/fd/1`), and links lead where they say.
#[cfg(test)]
pub(crate) const HAS_NAMED_DESCRIPTORS: bool = cfg!(unix);

/// Whether a FIFO is at `path`.
#[cfg(unix)]
pub(crate) fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo())
}

/// There are none.
#[cfg(not(unix))]
pub(crate) fn is_fifo(_: &Path) -> bool {
    false
}

/// Gives `file` the owner and the group of the one that it replaces, if this process may.
#[cfg(unix)]
pub(crate) fn take_owner(before: &Metadata, file: &File) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    // Only some users may; the others own what they make.
    let _ = fchown(file, Some(before.uid()), Some(before.gid()));
}

/// It has what its folder gives it.
#[cfg(not(unix))]
pub(crate) fn take_owner(_: &Metadata, _: &File) {}

/// Makes a folder that only this process's user can read and write.
///
/// # Errors
///
/// The system's; also where there is something of that name.
pub(crate) fn create_private_folder(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(path)
    }
    #[cfg(not(unix))]
    std::fs::create_dir(path)
}

/// Whether this is a folder as [`create_private_folder`] makes it, of the user whose `other` is.
#[cfg(unix)]
pub(crate) fn is_private_folder_of(there: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    there.is_dir() && there.mode() & 0o077 == 0 && there.uid() == other.uid()
}

/// Temporary folders are each user's own here.
#[cfg(not(unix))]
pub(crate) fn is_private_folder_of(there: &Metadata, _: &Metadata) -> bool {
    there.is_dir()
}

/// Lets this process's user write to a folder of its own.
///
/// # Errors
///
/// The system's.
pub(crate) fn make_writable(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(())
    }
}

/// Makes a link at `link` that leads to `target`.
pub(crate) fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(target, link);
    #[cfg(not(unix))]
    {
        let _ = (target, link);
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// An argument of these bytes, as far as the system has one.
#[cfg(any(test, fuzzing))]
pub(crate) fn argument(bytes: &[u8]) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
    #[cfg(not(unix))]
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_folder_is_nobody_elses_and_no_link() {
        let outer = tempfile::tempdir().unwrap();
        let path = |name: &str| outer.path().join(name);
        let of = |name: &str| std::fs::symlink_metadata(path(name)).unwrap();
        create_private_folder(&path("ours")).unwrap();
        create_private_folder(&path("open")).unwrap();
        std::fs::set_permissions(path("open"), std::fs::Permissions::from_mode(0o711)).unwrap();
        symlink(path("ours"), path("link")).unwrap();
        std::fs::write(path("file"), "").unwrap();
        std::fs::set_permissions(path("file"), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(is_private_folder_of(&of("ours"), &of("file")));
        for other in ["open", "link", "file"] {
            assert!(!is_private_folder_of(&of(other), &of("ours")), "{other}");
        }
        // The system's, of another user unless this is the superuser's process.
        let system = std::fs::metadata("/dev/null").unwrap();
        assert!(!is_private_folder_of(&system, &of("ours")));
    }
}
