//! Outputs that options name by a path: compiled code, timelines, core dumps.
//!
//! All have one type, so that all treat a name alike:
//!
//! | name | is |
//! |---|---|
//! | `-`, `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3` | the descriptor of this process, at its own position |
//! | a device, a FIFO | opened, and written where it is; a FIFO when it has a reader |
//! | a regular file, or nothing yet | made beside it, then put in its place in one step |
//! | a link | what it leads to, which may not be there yet: the link stays |
//!
//! If no file can be made in the folder of a regular file, or the file is a mount point, the file
//! is written in place.

mod place;
mod replace;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::message::{Message, Result};
use crate::output::place::{Place, place};
use crate::sys::descriptors;
use crate::sys::files::is_fifo;

/// The time between two looks for a FIFO's reader.
const LOOK: Duration = Duration::from_millis(5);

/// Refuses two outputs that are one file. `asked` has each output beside its option.
///
/// # Errors
///
/// A message that names both options.
pub(crate) fn differ(asked: &[(&str, Option<&Output>)]) -> Result<()> {
    for (index, (option, output)) in asked.iter().enumerate() {
        for (other_option, other) in &asked[index + 1..] {
            if let (Some(output), Some(other)) = (output, other)
                && output.is_same_file(other)
            {
                return Err(Message::usage(format!(
                    "`{option}` and `{other_option}` both name {}",
                    other.name()
                ))
                .why("one would replace the other")
                .help("name two files"));
            }
        }
    }
    Ok(())
}

/// What `-` stands for.
const STDOUT: i32 = 1;

/// An output.
#[derive(Debug)]
pub(crate) struct Output {
    /// Its name in messages.
    name: String,
    to: To,
    /// The file, if it was opened beforehand.
    opened: OnceLock<File>,
    /// Descriptors that are reserved for it, because the program may use up all others.
    spare: Mutex<Vec<File>>,
}

#[derive(Debug)]
enum To {
    /// An open descriptor, which is written in place.
    Open(File),
    /// A path that is opened or made later.
    Path(PathBuf),
}

impl Output {
    /// The output for a typed path. Takes the descriptor if the path names one of this process;
    /// otherwise opens and makes nothing.
    ///
    /// # Errors
    ///
    /// The system's error, if such a descriptor is not open.
    pub(crate) fn typed(typed: &Path) -> io::Result<Self> {
        let number = match is_stdout(typed) {
            true => Some(STDOUT),
            false => place::descriptor(typed),
        };
        let to = match number {
            Some(number) => To::Open(descriptors::duplicate(number)?),
            None => To::Path(typed.to_owned()),
        };
        let name = Self::name_of(typed);
        Ok(Output {
            name,
            to,
            opened: OnceLock::new(),
            spare: Mutex::default(),
        })
    }

    /// [`typed`](Self::typed), if an option asks for it. `what` is for messages.
    pub(crate) fn asked_for(what: &str, typed: Option<&Path>) -> Result<Option<Self>> {
        let output = |typed| {
            Self::typed(typed).map_err(|error| {
                let name = Self::name_of(typed);
                Message::failure(format!("{what} {name} cannot be written")).why(error)
            })
        };
        typed.map(output).transpose()
    }

    /// The name in messages of a typed path.
    pub(crate) fn name_of(typed: &Path) -> String {
        match is_stdout(typed) {
            true => "stdout".to_owned(),
            false => format!("`{}`", typed.display()),
        }
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn spare(&self) -> MutexGuard<'_, Vec<File>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an output that is written in place, and checks that any other file can be made.
    /// Existing files stay unchanged.
    ///
    /// Waits for the reader of a FIFO, until `gives_up` is true.
    ///
    /// # Errors
    ///
    /// The system's error; `Interrupted` if `gives_up` was true.
    pub(crate) fn prepare(&self, gives_up: &dyn Fn() -> bool) -> io::Result<()> {
        if let To::Path(path) = &self.to {
            match place(path)? {
                Place::File(file) => {
                    let spare = replace::can(&file)?;
                    *self.spare() = spare;
                }
                Place::Device(path) if is_fifo(&path) => {
                    let _ = self.opened.set(wait_for_reader(&path, gives_up)?);
                }
                other => {
                    let _ = self.opened.set(open(other)?);
                }
            }
        }
        Ok(())
    }

    /// Whether both are one file, so that one would replace what the other has written.
    fn is_same_file(&self, other: &Output) -> bool {
        let file = |output: &Output| {
            let To::Path(path) = &output.to else {
                return None;
            };
            let Place::File(file) = place(path).ok()? else {
                return None;
            };
            let folder = match file.parent()? {
                folder if folder.as_os_str().is_empty() => Path::new("."),
                folder => folder,
            };
            Some(folder.canonicalize().ok()?.join(file.file_name()?))
        };
        file(self).is_some_and(|ours| file(other) == Some(ours))
    }

    /// Writes all of it. Afterwards a file is complete, or as it was before.
    pub(crate) fn write(
        &self,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.spare().clear();
        if let Some(file) = self.opened.get() {
            return write_to(file, content);
        }
        match &self.to {
            To::Open(file) => write_to(file, content),
            To::Path(path) => match place(path)? {
                Place::File(file) => replace::replace(&file, content),
                other => write_to(&open(other)?, content),
            },
        }
    }
}

/// Whether a new file can be made in `folder`.
pub(crate) fn can_make_files_in(folder: &Path) -> io::Result<()> {
    replace::can(&folder.join(".wasi-threads-run")).map(drop)
}

fn is_stdout(typed: &Path) -> bool {
    typed.as_os_str() == "-"
}

/// Opens a FIFO when it has a reader.
fn wait_for_reader(path: &Path, gives_up: &dyn Fn() -> bool) -> io::Result<File> {
    loop {
        match descriptors::open_fifo(path) {
            Err(error) if descriptors::has_no_reader(&error) && !gives_up() => {
                // Only a blocking open would tell when a reader comes, and that cannot be
                // interrupted.
                std::thread::sleep(LOOK);
            }
            Err(error) if descriptors::has_no_reader(&error) => {
                return Err(io::ErrorKind::Interrupted.into());
            }
            opened => return opened,
        }
    }
}

/// Opens a place that is written in place.
fn open(place: Place) -> io::Result<File> {
    match place {
        Place::Descriptor(number) => descriptors::duplicate(number),
        Place::Device(path) | Place::File(path) => OpenOptions::new().write(true).open(path),
    }
}

/// Writes `content` at the position of `file`.
fn write_to(file: &File, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    let written = content(&mut out).and_then(|()| out.flush());
    // So that the drop does not write again, in vain.
    let _ = out.into_parts();
    written
}
