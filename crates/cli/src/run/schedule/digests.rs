//! Hashes of what a run depends on.

use std::fs;
use std::io::{self, Seek as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::args::values::DirOption;
use crate::message::{Message, Result};
use crate::module::source::ModuleSource;
use crate::run::plan::{EntryFunction, Plan};
use crate::sys::descriptors;

/// In hexadecimal.
pub(super) type Hex = String;

fn hex(digest: Sha256) -> Hex {
    let bytes = digest.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> Hex {
    hex(Sha256::new_with_prefix(bytes))
}

/// Of texts, in their order.
pub(super) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Hex {
    let mut digest = Sha256::new();
    for text in texts {
        update(&mut digest, text.as_bytes());
    }
    hex(digest)
}

/// With its length, so that no two lists are the same bytes.
fn update(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

/// A digest of the options that can change a run, except those that have a digest of their own.
pub(super) fn of_options(plan: &Plan, points: &str, max_points: u64) -> Hex {
    let entry = match &plan.entry {
        EntryFunction::Default => String::new(),
        EntryFunction::Named(name) => format!("={name}"),
    };
    let limits = &plan.limits;
    let numbers = format!(
        "{:?}",
        (
            (max_points, limits.threads, limits.host_stack, limits.memory),
            (limits.memories, limits.total_memory, limits.table_elements),
            (limits.tables, limits.instances, limits.descriptors),
            (limits.random, limits.hostcall_fuel),
            limits.trap_on_grow_failure,
        )
    );
    let switches = format!(
        "{:?}",
        (
            (plan.thread_spawn, plan.preview0),
            (plan.stdio.stdin, plan.stdio.stdout, plan.stdio.stderr),
        )
    );
    of_texts([points, &entry, &numbers, &switches])
}

/// A digest of standard input, as far as it is known before it is read.
///
/// # Errors
///
/// A file that cannot be read.
pub(super) fn of_input(plan: &Plan) -> Result<Hex> {
    if !plan.stdio.stdin || plan.module == ModuleSource::Stdin {
        return Ok("none".to_owned());
    }
    let cannot = |error| Message::failure("standard input cannot be read").why(error);
    let Some(mut file) = descriptors::regular_stdin().map_err(cannot)? else {
        return Ok("not a file".to_owned());
    };
    let mut digest = Sha256::new();
    let at = file.stream_position().map_err(cannot)?;
    let copied = io::copy(&mut file, &mut Content(&mut digest));
    // The program reads from where it was.
    let back = file.seek(io::SeekFrom::Start(at));
    copied.and(back).map_err(cannot)?;
    Ok(hex(digest))
}

/// A digest of folders: names, kinds, contents and link targets of all that is in them, in the
/// order of names.
///
/// # Errors
///
/// A folder or a file that cannot be read.
pub(super) fn of_folders(dirs: &[DirOption]) -> Result<Hex> {
    let mut digest = Sha256::new();
    for dir in dirs {
        update(&mut digest, dir.guest.as_bytes());
        update(&mut digest, &[dir.read_only.into()]);
        tree(&mut digest, Path::new(&dir.host)).map_err(|error| {
            Message::failure(format!("the folder `{}` cannot be read", dir.host))
                .why(error)
                .help("a replay file has a hash of what is in the program's folders")
        })?;
    }
    Ok(hex(digest))
}

fn tree(digest: &mut Sha256, folder: &Path) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    update(digest, &(entries.len() as u64).to_le_bytes());
    for entry in entries {
        update(digest, entry.file_name().as_encoded_bytes());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            digest.update(b"d");
            tree(digest, &entry.path())?;
        } else if kind.is_symlink() {
            digest.update(b"l");
            update(
                digest,
                fs::read_link(entry.path())?.as_os_str().as_encoded_bytes(),
            );
        } else if kind.is_file() {
            digest.update(b"f");
            let mut content = Sha256::new();
            io::copy(
                &mut fs::File::open(entry.path())?,
                &mut Content(&mut content),
            )?;
            digest.update(content.finalize());
        } else {
            digest.update(b"o");
        }
    }
    Ok(())
}

/// What is written goes into a digest.
struct Content<'a>(&'a mut Sha256);

impl io::Write for Content<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_folder_is_its_digest() {
        let parent = tempfile::tempdir().unwrap();
        let dir = |name: &str| DirOption {
            host: parent.path().join(name).to_str().unwrap().into(),
            guest: "/".into(),
            read_only: false,
        };
        for (name, files) in [("a", ["1", "2"]), ("b", ["2", "1"])] {
            fs::create_dir_all(parent.path().join(name).join("sub")).unwrap();
            for file in files {
                fs::write(parent.path().join(name).join(file), file).unwrap();
            }
        }
        let of = |name: &str| of_folders(&[dir(name)]).unwrap();
        assert_eq!(of("a"), of("b"));
        fs::write(parent.path().join("b/sub/3"), "").unwrap();
        let with = of("b");
        assert_ne!(of("a"), with);
        fs::write(parent.path().join("b/sub/3"), "x").unwrap();
        assert_ne!(of("b"), with);
        assert!(of_folders(&[dir("c")]).is_err());
    }

    #[test]
    fn lists_differ_by_where_they_are_cut() {
        assert_ne!(of_texts(["ab", "c"]), of_texts(["a", "bc"]));
        assert_ne!(of_texts([""]), of_texts([]));
    }
}
