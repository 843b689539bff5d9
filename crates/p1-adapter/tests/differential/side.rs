//! One adapter with its guest and its directory.

use p1_adapter::P1State;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val};
use wasmtime_wasi::p1::WasiP1Ctx;

#[path = "../preview1/table.rs"]
mod table;

pub(crate) struct World {
    engine: Engine,
    module: Module,
    pub(crate) ours: Linker<P1State>,
    pub(crate) ours_async: Linker<P1State>,
    pub(crate) theirs: Linker<WasiP1Ctx>,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let engine = Engine::default();
    let module = Module::new(&engine, table::text(r#"(memory (export "memory") 1)"#)).unwrap();
    let mut ours = Linker::new(&engine);
    p1_adapter::add_to_linker_sync(&mut ours, |state| state).unwrap();
    let mut ours_async = Linker::new(&engine);
    p1_adapter::add_to_linker_async(&mut ours_async, |state| state).unwrap();
    let mut theirs = Linker::new(&engine);
    wasmtime_wasi::p1::add_to_linker_sync(&mut theirs, |state| state).unwrap();
    World {
        engine,
        module,
        ours,
        ours_async,
        theirs,
    }
});

/// Where calls of the async linker wait, if they do.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

/// One adapter at work.
pub(crate) struct Side<T: 'static> {
    store: Store<T>,
    instance: Instance,
    memory: Memory,
    dir: TempDir,
    asynchronous: bool,
}

impl<T: Send + 'static> Side<T> {
    /// `state` gets a directory to be written and one to be read only.
    pub(crate) fn new(
        linker: &Linker<T>,
        asynchronous: bool,
        state: impl FnOnce(&Path, &Path) -> T,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for inside in ["in", "kept"].map(|name| dir.path().join(name)) {
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
                std::os::unix::fs::symlink(target, inside.join(name)).unwrap();
            }
        }
        let state = state(&dir.path().join("in"), &dir.path().join("kept"));
        let mut store = Store::new(&WORLD.engine, state);
        let instance = if asynchronous {
            RUNTIME.block_on(linker.instantiate_async(&mut store, &WORLD.module))
        } else {
            linker.instantiate(&mut store, &WORLD.module)
        };
        let instance = instance.unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self {
            store,
            instance,
            memory,
            dir,
            asynchronous,
        }
    }

    /// The errno, or `None` for a trap.
    pub(crate) fn call(&mut self, name: &str, args: &[Val]) -> Option<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let mut result = [Val::I32(-1)];
        let results = usize::from(name != "proc_exit");
        let (store, result_of) = (&mut self.store, &mut result[..results]);
        if self.asynchronous {
            RUNTIME.block_on(function.call_async(store, args, result_of))
        } else {
            function.call(store, args, result_of)
        }
        .ok()?;
        Some(result[0].unwrap_i32())
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) {
        self.memory
            .write(&mut self.store, at as usize, bytes)
            .unwrap();
    }

    pub(crate) fn read(&self, at: u32, len: u32) -> &[u8] {
        &self.memory.data(&self.store)[at as usize..][..len as usize]
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.read(at, 4).try_into().unwrap())
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

/// What lies in a directory.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    Directory,
    Link(PathBuf),
    File(Vec<u8>),
    /// Seeking leaves holes: nothing but the length is looked at in what is long.
    LongFile(u64),
}
