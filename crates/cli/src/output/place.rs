//! What is at a path: a descriptor of this process, something to write into, or a file to make.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many links are followed, one after the other. Linux has the same number.
const MOST_LINKS: usize = 40;

/// The names of this process's standard streams.
const STREAMS: [(&str, i32); 3] = [("/dev/stdin", 0), ("/dev/stdout", 1), ("/dev/stderr", 2)];
/// Folders of this process's descriptors, by their numbers.
const DESCRIPTORS: [&str; 3] = ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"];
/// The folder whose links lead to open files, and not to paths.
const MAGIC: &str = "/proc";

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This descriptor of this process.
    Descriptor(i32),
    /// A device, a FIFO, or a file that another process has open: it is written in place.
    Device(PathBuf),
    /// A regular file, or nothing yet. The path is no link.
    File(PathBuf),
}

/// Follows `path` to its end, also through a link whose target does not exist yet.
///
/// # Errors
///
/// The system's error on the way there, for instance for a link that it does not follow
/// (`fs.protected_symlinks`).
pub(super) fn place(path: &Path) -> io::Result<Place> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        if let Some(number) = descriptor(&path) {
            return Ok(Place::Descriptor(number));
        }
        let followed = fs::metadata(&path);
        let itself = match fs::symlink_metadata(&path) {
            Ok(itself) => itself,
            // A name that ends in a slash is a folder's, and no file can be made there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !ends_in_slash(&path) => {
                return Ok(Place::File(path));
            }
            Err(error) => return Err(error),
        };
        let link = itself.is_symlink();
        match followed {
            // The target does not exist yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound && link => {}
            // For instance that the link must not be followed.
            Err(error) => return Err(error),
            Ok(_) if link && !is_magic(&path) => {}
            Ok(there) if there.is_file() && !is_magic(&path) => return Ok(Place::File(path)),
            Ok(_) => return Ok(Place::Device(path)),
        }
        let to = fs::read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    // The links form a circle. The system gives that error, unless they were changed meanwhile.
    fs::metadata(&path)?;
    Ok(Place::Device(path))
}

/// The descriptor of this process that `path` itself names, without following a link at its end.
pub(super) fn descriptor(path: &Path) -> Option<i32> {
    let stream = STREAMS.iter().find(|(name, _)| path == Path::new(name));
    if let Some((_, number)) = stream {
        return Some(*number);
    }
    let name = path.file_name()?.to_str()?;
    // Only as the system writes numbers: `01` and `+1` are not descriptors.
    let number: u32 = name.parse().ok()?;
    if number.to_string() != name {
        return None;
    }
    let number = i32::try_from(number).ok()?;
    let folder = path.parent()?;
    // By name, since there may be no `/proc`; otherwise by the target.
    let ours = DESCRIPTORS.iter().any(|name| folder == Path::new(name))
        || fs::canonicalize(folder).is_ok_and(|folder| {
            fs::canonicalize(DESCRIPTORS[1]).is_ok_and(|descriptors| descriptors == folder)
        });
    ours.then_some(number)
}

fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// Whether the link at `path` leads to an open file, and not to the path that it shows.
fn is_magic(path: &Path) -> bool {
    path.parent().is_some_and(|folder| {
        fs::canonicalize(folder).is_ok_and(|folder| folder.starts_with(MAGIC))
    })
}

#[cfg(test)]
mod tests {
    use super::{Place, place};
    use crate::sys::files::{HAS_NAMED_DESCRIPTORS, symlink};
    use std::path::{Path, PathBuf};

    #[test]
    fn descriptors_by_all_their_names() {
        if !HAS_NAMED_DESCRIPTORS {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("/dev/stdout", &link).unwrap();
        for (path, number) in [
            (Path::new("/dev/stdout"), 1),
            (Path::new("/dev/stderr"), 2),
            (Path::new("/dev/fd/7"), 7),
            (Path::new("/proc/self/fd/7"), 7),
            (Path::new("/dev/fd/../fd/7"), 7),
            (&link, 1),
        ] {
            let found = place(path).unwrap();
            assert_eq!(found, Place::Descriptor(number), "{}", path.display());
        }
        for name in ["/dev/fd/+1", "/dev/fd/01", "/dev/fd/-1"] {
            let found = place(Path::new(name));
            assert!(!matches!(found, Ok(Place::Descriptor(_))), "{found:?}");
        }
    }

    #[test]
    fn links_are_followed_to_their_end() {
        if !HAS_NAMED_DESCRIPTORS {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        symlink("sub/second", at("first")).unwrap();
        symlink("../third", at("sub/second")).unwrap();
        // Relative links start at their own folder.
        let third = at("sub").join("../third");
        assert_eq!(place(&at("first")).unwrap(), Place::File(third.clone()));
        std::fs::write(at("third"), "").unwrap();
        assert_eq!(place(&at("first")).unwrap(), Place::File(third));
        symlink("loop", at("loop")).unwrap();
        assert!(place(&at("loop")).is_err());
        assert!(place(&at("third").join("below")).is_err());
        assert!(place(&PathBuf::from(format!("{}/", at("new").display()))).is_err());
        assert_eq!(place(&at("sub")).unwrap(), Place::Device(at("sub")));
        let null = Path::new("/dev/null");
        assert_eq!(place(null).unwrap(), Place::Device(null.into()));
    }
}
