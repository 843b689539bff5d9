//! A guest that makes the calls this suite is about, in a memory that is its own or shared.

use crate::support::abi::{DATA, OK, OUT};
use p1_adapter::{P1Ctx, P1CtxBuilder, P1State, add_to_linker_sync};
use std::path::Path;
use std::sync::LazyLock;
use wasmtime::Val::{I32, I64};
use wasmtime::{
    Config, Engine, Instance, Linker, Memory, MemoryTypeBuilder, Module, SharedMemory, Store, Val,
};
use wasmtime_wasi::FsPerms;
use wiggle::{GuestMemory, GuestPtr};

const FUNCTIONS: [(&str, &str); 20] = [
    ("clock_time_get", "i32 i64 i32"),
    ("fd_close", "i32"),
    ("fd_fdstat_get", "i32 i32"),
    ("fd_fdstat_set_flags", "i32 i32"),
    ("fd_fdstat_set_rights", "i32 i64 i64"),
    ("fd_filestat_get", "i32 i32"),
    ("fd_read", "i32 i32 i32 i32"),
    ("fd_renumber", "i32 i32"),
    ("fd_seek", "i32 i64 i32 i32"),
    ("fd_write", "i32 i32 i32 i32"),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ("path_remove_directory", "i32 i32 i32"),
    ("path_rename", "i32 i32 i32 i32 i32 i32"),
    ("path_unlink_file", "i32 i32 i32"),
    ("poll_oneoff", "i32 i32 i32 i32"),
    ("sock_accept", "i32 i32 i32"),
    ("sock_recv", "i32 i32 i32 i32 i32 i32"),
    ("sock_send", "i32 i32 i32 i32 i32"),
    ("sock_shutdown", "i32 i32"),
];

const PAGES: u64 = 4;

struct World {
    engine: Engine,
    own: Module,
    shared: Module,
    linker: Linker<P1State>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_threads(true).shared_memory(true);
    let engine = Engine::new(&config).unwrap();
    let module = |memory: &str| {
        let mut imports = String::new();
        let mut bodies = String::new();
        for (name, params) in FUNCTIONS {
            let gets: String = (0..params.split(' ').count())
                .map(|i| format!("(local.get {i})"))
                .collect();
            let ty = format!("(param {params}) (result i32)");
            imports +=
                &format!(r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} {ty}))"#);
            bodies += &format!(r#"(func (export "{name}") {ty} (call ${name} {gets}))"#);
        }
        Module::new(&engine, format!("(module {imports} {memory} {bodies})")).unwrap()
    };
    let own = module(&format!(r#"(memory (export "memory") {PAGES})"#));
    let shared = module(&format!(
        r#"(import "env" "memory" (memory {PAGES} {PAGES} shared)) (export "memory" (memory 0))"#
    ));
    let mut linker = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |state| state).unwrap();
    World {
        engine,
        own,
        shared,
        linker,
    }
});

enum Bytes {
    Own(Memory),
    Shared(SharedMemory),
}

/// One thread of a guest program.
pub(crate) struct Guest {
    pub(crate) store: Store<P1State>,
    instance: Instance,
    memory: Bytes,
    ctx: P1Ctx,
}

/// A context with `dir` as its only preopen, number 3.
pub(crate) fn ctx_with(dir: &Path) -> P1Ctx {
    P1CtxBuilder::new()
        .preopened_dir(dir, "/", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap()
}

impl Guest {
    /// With a memory of its own.
    pub(crate) fn new(ctx: &P1Ctx) -> Self {
        let mut store = Store::new(&WORLD.engine, P1State::new(ctx.clone()));
        let instance = WORLD.linker.instantiate(&mut store, &WORLD.own).unwrap();
        let memory = Bytes::Own(instance.get_memory(&mut store, "memory").unwrap());
        Guest {
            store,
            instance,
            memory,
            ctx: ctx.clone(),
        }
    }

    /// With a memory others may share.
    pub(crate) fn shared(ctx: &P1Ctx) -> Self {
        let ty = MemoryTypeBuilder::new()
            .shared(true)
            .min(PAGES)
            .max(Some(PAGES))
            .build()
            .unwrap();
        Guest::with_memory(ctx, SharedMemory::new(&WORLD.engine, ty).unwrap())
    }

    fn with_memory(ctx: &P1Ctx, memory: SharedMemory) -> Self {
        let state = P1State::with_memory(ctx.clone(), memory.clone());
        let mut store = Store::new(&WORLD.engine, state);
        let mut linker = WORLD.linker.clone();
        linker
            .define(&store, "env", "memory", memory.clone())
            .unwrap();
        let instance = linker.instantiate(&mut store, &WORLD.shared).unwrap();
        Guest {
            store,
            instance,
            memory: Bytes::Shared(memory),
            ctx: ctx.clone(),
        }
    }

    /// Another thread of the same program.
    pub(crate) fn thread(&self) -> Self {
        match &self.memory {
            Bytes::Shared(memory) => Guest::with_memory(&self.ctx, memory.clone()),
            Bytes::Own(_) => panic!("only a shared memory can be shared"),
        }
    }

    /// The errno, or what ended the guest.
    pub(crate) fn try_call(&mut self, name: &str, args: &[Val]) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let mut result = [I32(-1)];
        function.call(&mut self.store, args, &mut result)?;
        Ok(result[0].unwrap_i32())
    }

    /// The errno of a call that must not trap.
    pub(crate) fn call(&mut self, name: &str, args: &[Val]) -> i32 {
        self.try_call(name, args)
            .unwrap_or_else(|error| panic!("{name} trapped: {error:?}"))
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) {
        match &self.memory {
            Bytes::Own(memory) => memory.write(&mut self.store, at as usize, bytes).unwrap(),
            Bytes::Shared(memory) => GuestMemory::Shared(memory.data())
                .copy_from_slice(bytes, GuestPtr::new((at, bytes.len() as u32)))
                .unwrap(),
        }
    }

    pub(crate) fn read(&self, at: u32, len: u32) -> Vec<u8> {
        match &self.memory {
            Bytes::Own(memory) => {
                memory.data(&self.store)[at as usize..(at + len) as usize].to_vec()
            }
            Bytes::Shared(memory) => GuestMemory::Shared(memory.data())
                .to_vec(GuestPtr::new((at, len)))
                .unwrap(),
        }
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.read(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.read(at, 8).try_into().unwrap())
    }

    /// Writes a list of buffers; what to pass for it.
    pub(crate) fn iovs(&mut self, list: &[(u32, u32)]) -> [Val; 2] {
        const LIST: u32 = 1024;
        for (i, (buf, len)) in (0..).zip(list) {
            self.write(LIST + i * 8, &buf.to_le_bytes());
            self.write(LIST + i * 8 + 4, &len.to_le_bytes());
        }
        [I32(LIST as i32), I32(list.len() as i32)]
    }

    /// `path_open` below the preopen, following links; what to pass.
    pub(crate) fn open_args(&mut self, path: &str, how: i32, rights: i64) -> [Val; 9] {
        const PATH: u32 = 0x4000;
        self.write(PATH, path.as_bytes());
        [
            I32(3),
            I32(1),
            I32(PATH as i32),
            I32(path.len() as i32),
            I32(how),
            I64(rights),
            I64(rights),
            I32(0),
            I32(OUT as i32),
        ]
    }

    pub(crate) fn open(&mut self, path: &str, how: i32, rights: i64) -> i32 {
        let args = self.open_args(path, how, rights);
        assert_eq!(self.call("path_open", &args), OK, "{path}");
        self.u32(OUT) as i32
    }

    /// A new file, to be read and written.
    pub(crate) fn create(&mut self, path: &str) -> i32 {
        use crate::support::abi::{READ, WRITE};
        self.open(path, 1, READ | WRITE)
    }

    pub(crate) fn close(&mut self, fd: i32) -> i32 {
        self.call("fd_close", &[I32(fd)])
    }

    /// `fd_write` of one buffer: the count, or the errno.
    pub(crate) fn put(&mut self, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        self.write(DATA, bytes);
        let [list, count] = self.iovs(&[(DATA, bytes.len() as u32)]);
        match self.call("fd_write", &[I32(fd), list, count, I32(OUT as i32)]) {
            OK => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    /// `fd_read` into one buffer: the bytes, or the errno.
    pub(crate) fn get(&mut self, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        let [list, count] = self.iovs(&[(DATA, len)]);
        match self.call("fd_read", &[I32(fd), list, count, I32(OUT as i32)]) {
            OK => Ok(self.read(DATA, self.u32(OUT))),
            errno => Err(errno),
        }
    }

    /// `fd_seek`; whence is 0 for the start, 2 for the end.
    pub(crate) fn seek(&mut self, fd: i32, offset: i64, whence: i32) -> Result<u64, i32> {
        let args = [I32(fd), I64(offset), I32(whence), I32(OUT as i32)];
        match self.call("fd_seek", &args) {
            OK => Ok(self.u64(OUT)),
            errno => Err(errno),
        }
    }

    /// `name(fd, OUT)`.
    pub(crate) fn ask(&mut self, name: &str, fd: i32) -> i32 {
        self.call(name, &[I32(fd), I32(OUT as i32)])
    }
}
