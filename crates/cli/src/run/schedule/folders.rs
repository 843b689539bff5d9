//! Copies of folders that can be written: each run finds what the first one found.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::args::values::DirOption;
use crate::message::{Message, Result};
use crate::run::plan::Plan;
use crate::run::schedule::session::Session;
use crate::run::schedule::temporary::{TemporaryFolder, remove};
use crate::run::schedule_options::{ScheduleOptions, Wanted};
use crate::sys::files;

/// The most bytes and entries that are copied for each run.
const MOST: Size = Size {
    bytes: 256 << 20,
    entries: 100_000,
};

/// How much there is in folders.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    bytes: u64,
    entries: u64,
}

/// Gives a replay copies of the folders that it may write. They are in a folder that exists for as
/// long as the returned value.
///
/// # Errors
///
/// What cannot be copied.
pub(crate) fn give_copies(
    plan: &Plan,
    session: Option<&mut Session>,
) -> Result<Option<TemporaryFolder>> {
    let (Some(session), Some(options)) = (session, &plan.schedule) else {
        return Ok(None);
    };
    let replays = matches!(options.wanted, Wanted::Replay { .. });
    if !(replays && are_copied(plan, options)) {
        return Ok(None);
    }
    let temporary = TemporaryFolder::new()?;
    if let Some(copies) = Copies::of(&plan.dirs, temporary.path().join("0"))? {
        session.set_folders(copies.fresh()?);
    }
    Ok(Some(temporary))
}

/// Whether runs get copies of folders. They do if some can be written, unless runs may write the
/// folders themselves.
pub(crate) fn are_copied(plan: &Plan, options: &ScheduleOptions) -> bool {
    !options.shared && plan.dirs.iter().any(|dir| !dir.read_only)
}

/// Makes copies of the program's folders that can be written.
pub(crate) struct Copies {
    dirs: Vec<DirOption>,
    /// Of each folder: which of `roots` it is in, and where.
    places: Vec<Option<(usize, PathBuf)>>,
    /// What is copied. None is in another.
    roots: Vec<PathBuf>,
    into: PathBuf,
    /// The folder that `into` is in, by the name that `roots` would have for it. It may be in what
    /// is copied.
    ours: PathBuf,
}

impl Copies {
    /// Copies these folders into a folder of their own. `None` if none can be written.
    ///
    /// # Errors
    ///
    /// A folder that is not there; more than each run should copy.
    pub(crate) fn of(dirs: &[DirOption], into: PathBuf) -> Result<Option<Self>> {
        let mut paths = Vec::new();
        for dir in dirs {
            let path = fs::canonicalize(&dir.host).map_err(|error| cannot(&dir.host, error))?;
            paths.push(path);
        }
        let written = || dirs.iter().zip(&paths).filter(|(dir, _)| !dir.read_only);
        let mut roots: Vec<_> = written().map(|(_, path)| path.clone()).collect();
        roots.sort();
        // What is in another comes behind it.
        roots.dedup_by(|path, before| path.starts_with(before));
        let mut size = Size::default();
        for root in &roots {
            let name = root.to_string_lossy();
            measure(root, &mut size).map_err(|error| cannot(&name, error))?;
            if size.is_too_much() {
                return Err(too_large(&name));
            }
        }
        // Also one that is only read there, and written here.
        let place = |path: &PathBuf| {
            let mut roots = roots.iter().enumerate();
            roots.find_map(|(at, root)| Some((at, path.strip_prefix(root).ok()?.to_owned())))
        };
        let places = paths.iter().map(place).collect();
        let ours = into.parent().unwrap_or(&into);
        let ours =
            fs::canonicalize(ours).map_err(|error| cannot(&ours.to_string_lossy(), error))?;
        Ok((!roots.is_empty()).then(|| Self {
            dirs: dirs.to_vec(),
            places,
            roots,
            into,
            ours,
        }))
    }

    /// The program's folders for another run: those of the run before are gone.
    ///
    /// # Errors
    ///
    /// What cannot be read, or not be written.
    pub(crate) fn fresh(&self) -> Result<Vec<DirOption>> {
        match remove(&self.into) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(cannot(&self.into.to_string_lossy(), error));
            }
            _ => {}
        }
        let made = files::create_private_folder(&self.into);
        made.map_err(|error| cannot(&self.into.to_string_lossy(), error))?;
        let into = |at: usize| self.into.join(at.to_string());
        for (at, root) in self.roots.iter().enumerate() {
            let copied = copy(root, &into(at), &self.ours);
            copied.map_err(|error| cannot(&root.to_string_lossy(), error))?;
        }
        let dirs = self.dirs.iter().zip(&self.places);
        let dirs = dirs.map(|(dir, place)| {
            let Some((at, inside)) = place else {
                return Ok(dir.clone());
            };
            let path = into(*at).join(inside).into_os_string();
            let host = path.into_string();
            let host = host.map_err(|path| cannot(&path.to_string_lossy(), "it is no text"))?;
            Ok(DirOption {
                host,
                ..dir.clone()
            })
        });
        dirs.collect()
    }
}

fn cannot(path: &str, why: impl std::fmt::Display) -> Message {
    Message::failure(format!("the folder `{path}` cannot be copied")).why(why)
}

fn too_large(path: &str) -> Message {
    let (mib, entries) = (MOST.bytes >> 20, MOST.entries);
    Message::failure(format!("the folder `{path}` is not copied for each run"))
        .why(format!("more than {mib} MiB or {entries} entries would be"))
        .help(
            "give it to be read, `--dir HOST::GUEST::ro`, or a smaller one, or `--explore-shared`",
        )
}

impl Size {
    fn is_too_much(self) -> bool {
        self.bytes > MOST.bytes || self.entries > MOST.entries
    }
}

/// Adds what is in a folder, until it is too much.
fn measure(folder: &Path, size: &mut Size) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        size.entries += 1;
        if kind.is_file() {
            size.bytes = size.bytes.saturating_add(entry.metadata()?.len());
        }
        if size.is_too_much() {
            break;
        }
        if kind.is_dir() {
            measure(&entry.path(), size)?;
        }
    }
    Ok(())
}

/// Copies a folder and what is in it, without `ours`: files, links as they are, and folders.
/// Everything else is left out.
fn copy(from: &Path, to: &Path, ours: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if entry.path() == ours {
            continue;
        }
        if kind.is_dir() {
            copy(&entry.path(), &to, ours)?;
        } else if kind.is_symlink() {
            files::symlink(fs::read_link(entry.path())?, to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to)?;
        }
    }
    // Not before, as it may forbid to write.
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_finds_what_was_there() {
        let temporary = tempfile::tempdir().unwrap();
        let host = temporary.path().join("data");
        fs::create_dir_all(host.join("inner/closed")).unwrap();
        fs::write(host.join("inner/closed/file"), "").unwrap();
        let mut closed = fs::metadata(host.join("inner/closed"))
            .unwrap()
            .permissions();
        closed.set_readonly(true);
        fs::set_permissions(host.join("inner/closed"), closed).unwrap();
        fs::write(host.join("inner/file"), "before").unwrap();
        let linked = files::symlink("inner/file", host.join("link")).is_ok();
        let dir = |path: &Path, guest: &str, read_only| DirOption {
            host: path.to_str().unwrap().into(),
            guest: guest.into(),
            read_only,
        };
        let read = temporary.path().join("read");
        fs::create_dir(&read).unwrap();
        let dirs = [
            dir(&host, "/", false),
            dir(&host.join("inner"), "/inner", true),
            dir(&read, "/read", true),
        ];
        let copies = Copies::of(&dirs, temporary.path().join("copies"));
        let copies = copies.unwrap().expect("one can be written");
        for _ in 0..2 {
            let fresh = copies.fresh().unwrap();
            let file = Path::new(&fresh[0].host).join("inner/file");
            assert_eq!(fs::read_to_string(&file).unwrap(), "before");
            fs::write(&file, "after").unwrap();
            let read_there = Path::new(&fresh[1].host).join("file");
            assert_eq!(fs::read_to_string(read_there).unwrap(), "after");
            if linked {
                let link = Path::new(&fresh[0].host).join("link");
                assert_eq!(fs::read_to_string(link).unwrap(), "after");
            }
            assert_eq!(fresh[2], dirs[2]);
            assert_eq!((&fresh[1].guest[..], fresh[1].read_only), ("/inner", true));
        }
        assert_eq!(
            fs::read_to_string(host.join("inner/file")).unwrap(),
            "before"
        );
        // Cases in which the copies lie within a folder that is copied, and in which a mode forbids
        // their removal.
        let whole = [dir(temporary.path(), "/", false)];
        let ours = temporary.path().join("ours");
        fs::create_dir(&ours).unwrap();
        let copies = Copies::of(&whole, ours.join("0")).unwrap();
        let fresh = copies.expect("one can be written").fresh().unwrap();
        let fresh = Path::new(&fresh[0].host);
        assert!(fresh.join("data/inner/closed/file").exists() && !fresh.join("ours").exists());
        // The same, through a link: the folder for temporary files may be one.
        if files::symlink(temporary.path(), ours.join("link")).is_ok() {
            let linked = ours.join("link/ours");
            let copies = Copies::of(&whole, linked.join("1")).unwrap();
            let fresh = copies.expect("one can be written").fresh().unwrap();
            assert!(!Path::new(&fresh[0].host).join("ours").exists());
        }
        // A hole is as long as what would be copied of it.
        let large = fs::File::create(host.join("inner/large")).unwrap();
        large.set_len(MOST.bytes + 1).unwrap();
        assert!(Copies::of(&dirs, temporary.path().join("none")).is_err());
        // Nothing can be written.
        let none = Copies::of(&dirs[1..], temporary.path().join("none"));
        assert!(none.unwrap().is_none());
        let missing = [dir(&host.join("missing"), "/", false)];
        assert!(Copies::of(&missing, temporary.path().join("none")).is_err());
    }
}
