//! One adapter with its guest and its directory.

use crate::guest::{Guest, World};
use crate::sys::symlink;
use std::collections::BTreeMap;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use wasmtime::{Linker, Val};
use wasmtime_wasi::p1::WasiP1Ctx;

/// Of guests with one page, and the peer's linker.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| World::of(1));

pub(crate) static PEER: LazyLock<Linker<WasiP1Ctx>> = LazyLock::new(|| {
    let mut linker = Linker::new(&WORLD.engine);
    wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |state| state).unwrap();
    linker
});

/// Where calls of the async linker wait, if they do.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

/// One adapter at work.
pub(crate) struct Side<T: 'static> {
    guest: Guest<T>,
    dir: TempDir,
    /// Both sides of the FIFOs, so that no open of one waits. (Windows has none.)
    #[cfg(unix)]
    _fifos: [fs::File; 2],
    asynchronous: bool,
}

/// How an adapter is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) asynchronous: bool,
    pub(crate) shared: bool,
}

impl<T> Deref for Side<T> {
    type Target = Guest<T>;

    fn deref(&self) -> &Guest<T> {
        &self.guest
    }
}

impl<T> DerefMut for Side<T> {
    fn deref_mut(&mut self) -> &mut Guest<T> {
        &mut self.guest
    }
}

impl<T: Send + 'static> Side<T> {
    /// `state` gets a directory to be written and one to be read only.
    pub(crate) fn new(
        linker: &Linker<T>,
        manner: Manner,
        state: impl FnOnce(&Path, &Path) -> T,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fifos = ["in", "kept"].map(|name| {
            let inside = dir.path().join(name);
            fs::create_dir_all(inside.join("dir")).unwrap();
            fs::write(
                inside.join("file"),
                b"The quick brown fox jumps over the lazy dog.",
            )
            .unwrap();
            fs::write(inside.join("dir/inner"), b"inner").unwrap();
            for (name, target) in [
                ("link", "file"),
                ("dangling", "nowhere"),
                ("loop", "loop"),
                ("out", ".."),
            ] {
                symlink(target, inside.join(name));
            }
            make_fifo(&inside.join("fifo"))
        });
        #[cfg(windows)]
        let [(), ()] = fifos;
        let state = state(&dir.path().join("in"), &dir.path().join("kept"));
        let memory = manner.shared.then(|| WORLD.memory());
        let guest = if manner.asynchronous {
            RUNTIME.block_on(WORLD.task(linker, state, memory.as_ref()))
        } else {
            WORLD.guest(linker, state, memory.as_ref())
        };
        Self {
            guest,
            dir,
            #[cfg(unix)]
            _fifos: fifos,
            asynchronous: manner.asynchronous,
        }
    }

    /// The errno, or `None` for a trap.
    pub(crate) fn call(&mut self, name: &str, args: &[Val]) -> Option<i32> {
        let called = if self.asynchronous {
            RUNTIME.block_on(self.guest.try_call_async(name, args))
        } else {
            self.guest.try_call(name, args)
        };
        called.ok()
    }

    /// Changes the directory behind the guest's back.
    pub(crate) fn spoil(&self) {
        fs::write(self.dir.path().join("in/other"), b"spoilt").unwrap();
    }

    /// Everything below the directory.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Found> {
        fn walk(at: &Path, top: &Path, all: &mut BTreeMap<PathBuf, Found>) {
            for entry in fs::read_dir(at).unwrap() {
                let entry = entry.unwrap();
                let path = entry.path();
                let kind = entry.file_type().unwrap();
                let found = if kind.is_symlink() {
                    Found::Link(fs::read_link(&path).unwrap())
                } else if kind.is_dir() {
                    walk(&path, top, all);
                    Found::Directory
                } else if !kind.is_file() {
                    Found::Fifo
                } else {
                    match entry.metadata().unwrap().len() {
                        0..0x10_0000 => Found::File(fs::read(&path).unwrap()),
                        len => Found::LongFile(len),
                    }
                };
                all.insert(path.strip_prefix(top).unwrap().to_owned(), found);
            }
        }
        let mut all = BTreeMap::new();
        walk(self.dir.path(), self.dir.path(), &mut all);
        all
    }
}

/// Both sides of a new FIFO.
#[cfg(unix)]
fn make_fifo(path: &Path) -> fs::File {
    use rustix::fs::{CWD, Mode, mkfifoat};
    mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).unwrap();
    fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// There are none.
#[cfg(windows)]
fn make_fifo(_: &Path) {}

/// What lies in a directory.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    Directory,
    Fifo,
    Link(PathBuf),
    File(Vec<u8>),
    /// Seeking leaves holes: nothing but the length is looked at in what is long.
    LongFile(u64),
}
