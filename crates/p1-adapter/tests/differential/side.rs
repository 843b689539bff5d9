//! One adapter with its guest and its directory.

use p1_adapter::P1State;
use rustix::fs::{CWD, Mode};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use wasmtime::{
    Config, Engine, Extern, Instance, Linker, Memory, MemoryType, Module, SharedMemory, Store, Val,
};
use wasmtime_wasi::p1::WasiP1Ctx;
use wiggle::{GuestMemory, GuestPtr};

#[path = "../preview1/table.rs"]
mod table;

pub(crate) struct World {
    pub(crate) engine: Engine,
    own: Module,
    shared: Module,
    pub(crate) ours: Linker<P1State>,
    pub(crate) ours_async: Linker<P1State>,
    pub(crate) theirs: Linker<WasiP1Ctx>,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_threads(true).shared_memory(true);
    let engine = Engine::new(&config).unwrap();
    let module = |memory: &str| Module::new(&engine, table::text(memory)).unwrap();
    let own = module(r#"(memory (export "memory") 1)"#);
    let shared =
        module(r#"(import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))"#);
    let mut ours = Linker::new(&engine);
    p1_adapter::add_to_linker_sync(&mut ours, |state| state).unwrap();
    let mut ours_async = Linker::new(&engine);
    p1_adapter::add_to_linker_async(&mut ours_async, |state| state).unwrap();
    let mut theirs = Linker::new(&engine);
    wasmtime_wasi::p1::add_to_linker_sync(&mut theirs, |state| state).unwrap();
    World {
        engine,
        own,
        shared,
        ours,
        ours_async,
        theirs,
    }
});

/// Where calls of the async linker wait, if they do.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

enum Bytes {
    Own(Memory),
    Shared(SharedMemory),
}

/// One adapter at work.
pub(crate) struct Side<T: 'static> {
    store: Store<T>,
    instance: Instance,
    memory: Bytes,
    dir: TempDir,
    /// Both sides of the FIFOs, so that no open of one waits.
    _fifos: [File; 2],
    asynchronous: bool,
}

/// How an adapter is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) asynchronous: bool,
    pub(crate) shared: bool,
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
                std::os::unix::fs::symlink(target, inside.join(name)).unwrap();
            }
            let path = inside.join("fifo");
            rustix::fs::mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
            File::options().read(true).write(true).open(path).unwrap()
        });
        let state = state(&dir.path().join("in"), &dir.path().join("kept"));
        let mut store = Store::new(&WORLD.engine, state);
        let mut linker = linker.clone();
        let module = if manner.shared {
            let ty = MemoryType::shared(1, 1);
            let memory = SharedMemory::new(&WORLD.engine, ty).unwrap();
            linker.define(&store, "env", "memory", memory).unwrap();
            &WORLD.shared
        } else {
            &WORLD.own
        };
        let instance = if manner.asynchronous {
            RUNTIME.block_on(linker.instantiate_async(&mut store, module))
        } else {
            linker.instantiate(&mut store, module)
        };
        let instance = instance.unwrap();
        let memory = match instance.get_export(&mut store, "memory").unwrap() {
            Extern::SharedMemory(memory) => Bytes::Shared(memory),
            memory => Bytes::Own(memory.into_memory().unwrap()),
        };
        Self {
            store,
            instance,
            memory,
            dir,
            _fifos: fifos,
            asynchronous: manner.asynchronous,
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
        let memory = match &self.memory {
            Bytes::Own(memory) => GuestMemory::Unshared(memory.data_mut(&mut self.store)),
            Bytes::Shared(memory) => GuestMemory::Shared(memory.data()),
        };
        let mut memory = memory;
        memory
            .copy_from_slice(bytes, GuestPtr::new((at, bytes.len() as u32)))
            .unwrap();
    }

    pub(crate) fn read(&self, at: u32, len: u32) -> Cow<'_, [u8]> {
        match &self.memory {
            Bytes::Own(memory) => memory.data(&self.store)[at as usize..][..len as usize].into(),
            Bytes::Shared(memory) => GuestMemory::Shared(memory.data())
                .to_vec(GuestPtr::new((at, len)))
                .unwrap()
                .into(),
        }
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.read(at, 4)[..].try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.read(at, 8)[..].try_into().unwrap())
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
                } else if kind.is_fifo() {
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
