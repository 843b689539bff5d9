//! A guest that calls whatever it is told to, in a memory that is its own or shared.

pub(crate) use crate::table::FUNCTIONS;
use crate::table::text;
use p1_adapter::{P1Ctx, P1CtxBuilder, P1State, add_to_linker_sync};
use std::path::Path;
use std::sync::LazyLock;
use wasmtime::{
    Config, Engine, Instance, Linker, Memory, MemoryTypeBuilder, Module, SharedMemory, Store, Val,
};
use wasmtime_wasi::FsPerms;
use wiggle::{GuestMemory, GuestPtr};

const PAGES: u32 = 4;

/// One engine and its two modules, for all tests.
pub(crate) struct World {
    pub(crate) engine: Engine,
    own: Module,
    shared: Module,
    linker: Linker<P1State>,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_threads(true).shared_memory(true);
    let engine = Engine::new(&config).unwrap();
    let module = |memory: &str| Module::new(&engine, text(memory)).unwrap();
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

/// What the memory of a guest is.
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

/// Where [`Guest::iovs`] puts its list, and where results go.
pub(crate) const OUT: u32 = 64;
const LIST: u32 = 1024;
/// Where strings go.
const PATH: u32 = 0x4000;
/// From here on a test may use the memory as it likes.
pub(crate) const DATA: u32 = 0x10000;

pub(crate) const OK: i32 = 0;
pub(crate) const BADF: i32 = 8;
pub(crate) const EXIST: i32 = 20;
pub(crate) const INVAL: i32 = 28;
pub(crate) const ISDIR: i32 = 31;
pub(crate) const LOOP: i32 = 32;
pub(crate) const MFILE: i32 = 33;
pub(crate) const NAMETOOLONG: i32 = 37;
pub(crate) const NOENT: i32 = 44;
pub(crate) const NOMEM: i32 = 48;
pub(crate) const NOTDIR: i32 = 54;
pub(crate) const NOTEMPTY: i32 = 55;
pub(crate) const NOTSOCK: i32 = 57;
pub(crate) const NOTSUP: i32 = 58;
pub(crate) const PERM: i32 = 63;
pub(crate) const SPIPE: i32 = 70;
pub(crate) const ILSEQ: i32 = 25;
pub(crate) const NOTCAPABLE: i32 = 76;

pub(crate) const CREAT: i32 = 1;
pub(crate) const DIRECTORY: i32 = 2;
pub(crate) const EXCL: i32 = 4;
pub(crate) const TRUNC: i32 = 8;
pub(crate) const APPEND: i32 = 1;
pub(crate) const NONBLOCK: i32 = 4;
pub(crate) const READ: i64 = 1 << 1;
pub(crate) const WRITE: i64 = 1 << 6;

/// The first preopen's number.
pub(crate) const DIR: i32 = 3;

/// A context with `dir` as its only preopen, to be read and written.
pub(crate) fn ctx_with(dir: &Path) -> P1Ctx {
    P1CtxBuilder::new()
        .preopened_dir(dir, "/", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap()
}

impl Guest {
    /// A guest with a memory of its own.
    pub(crate) fn new(ctx: &P1Ctx) -> Self {
        let mut store = Store::new(&WORLD.engine, P1State::new(ctx.clone()));
        let instance = WORLD.linker.instantiate(&mut store, &WORLD.own).unwrap();
        let memory = Bytes::Own(instance.get_memory(&mut store, "memory").unwrap());
        Self {
            store,
            instance,
            memory,
            ctx: ctx.clone(),
        }
    }

    /// A guest whose memory others may share.
    pub(crate) fn shared(ctx: &P1Ctx) -> Self {
        let pages = u64::from(PAGES);
        let ty = MemoryTypeBuilder::new()
            .shared(true)
            .min(pages)
            .max(Some(pages))
            .build()
            .unwrap();
        Self::with_memory(ctx, SharedMemory::new(&WORLD.engine, ty).unwrap())
    }

    /// A guest with a memory of its own of `pages` pages.
    pub(crate) fn sized(ctx: &P1Ctx, pages: u32) -> Self {
        let memory = format!(r#"(memory (export "memory") {pages})"#);
        let module = Module::new(&WORLD.engine, text(&memory)).unwrap();
        let mut store = Store::new(&WORLD.engine, P1State::new(ctx.clone()));
        let instance = WORLD.linker.instantiate(&mut store, &module).unwrap();
        let memory = Bytes::Own(instance.get_memory(&mut store, "memory").unwrap());
        Self {
            store,
            instance,
            memory,
            ctx: ctx.clone(),
        }
    }

    fn with_memory(ctx: &P1Ctx, memory: SharedMemory) -> Self {
        let state = P1State::with_memory(ctx.clone(), memory.clone());
        let mut store = Store::new(&WORLD.engine, state);
        let mut linker = WORLD.linker.clone();
        linker
            .define(&store, "env", "memory", memory.clone())
            .unwrap();
        let instance = linker.instantiate(&mut store, &WORLD.shared).unwrap();
        Self {
            store,
            instance,
            memory: Bytes::Shared(memory),
            ctx: ctx.clone(),
        }
    }

    /// Another thread of the same program: same context, same memory.
    pub(crate) fn thread(&self) -> Self {
        match &self.memory {
            Bytes::Shared(memory) => Self::with_memory(&self.ctx, memory.clone()),
            Bytes::Own(_) => panic!("only a shared memory can be shared"),
        }
    }

    /// Calls a function; the errno, or what ended the guest.
    pub(crate) fn try_call(&mut self, name: &str, args: &[Val]) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let mut result = [Val::I32(-1)];
        let results = usize::from(name != "proc_exit");
        function.call(&mut self.store, args, &mut result[..results])?;
        Ok(result[0].unwrap_i32())
    }

    /// Calls a function that must not trap.
    pub(crate) fn call(&mut self, name: &str, args: &[Val]) -> i32 {
        self.try_call(name, args)
            .unwrap_or_else(|e| panic!("{name} trapped: {e:?}"))
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
        for (i, (buf, len)) in (0..).zip(list) {
            self.write(LIST + i * 8, &buf.to_le_bytes());
            self.write(LIST + i * 8 + 4, &len.to_le_bytes());
        }
        [Val::I32(LIST as i32), Val::I32(list.len() as i32)]
    }

    /// Writes a path; what to pass for it.
    pub(crate) fn path(&mut self, path: &str) -> [Val; 2] {
        self.path_at(PATH, path)
    }

    fn path_at(&mut self, at: u32, path: &str) -> [Val; 2] {
        self.write(at, path.as_bytes());
        [Val::I32(at as i32), Val::I32(path.len() as i32)]
    }

    /// `name(fd, path)`.
    pub(crate) fn at(&mut self, name: &str, fd: i32, path: &str) -> i32 {
        let [p, n] = self.path(path);
        self.call(name, &[Val::I32(fd), p, n])
    }

    /// Opens a path below the first preopen; its number, or the errno.
    pub(crate) fn open(
        &mut self,
        path: &str,
        how: i32,
        rights: i64,
        flags: i32,
    ) -> Result<i32, i32> {
        self.open_at(DIR, path, how, rights, flags)
    }

    pub(crate) fn open_at(
        &mut self,
        dir: i32,
        path: &str,
        how: i32,
        rights: i64,
        flags: i32,
    ) -> Result<i32, i32> {
        let [p, n] = self.path(path);
        let args = [
            Val::I32(dir),
            Val::I32(1),
            p,
            n,
            Val::I32(how),
            Val::I64(rights),
            Val::I64(rights),
            Val::I32(flags),
            Val::I32(OUT as i32),
        ];
        match self.call("path_open", &args) {
            OK => Ok(self.u32(OUT) as i32),
            errno => Err(errno),
        }
    }

    /// Opens a file to be read and written, made if need be.
    pub(crate) fn create(&mut self, path: &str) -> i32 {
        self.open(path, CREAT, READ | WRITE, 0).unwrap()
    }

    pub(crate) fn close(&mut self, fd: i32) -> i32 {
        self.call("fd_close", &[Val::I32(fd)])
    }

    /// `fd_write` of `bytes` in one buffer.
    pub(crate) fn put(&mut self, fd: i32, bytes: &[u8]) -> Result<u32, i32> {
        self.write(DATA, bytes);
        let [list, count] = self.iovs(&[(DATA, bytes.len() as u32)]);
        match self.call(
            "fd_write",
            &[Val::I32(fd), list, count, Val::I32(OUT as i32)],
        ) {
            OK => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    /// `fd_read` of up to `len` bytes in one buffer.
    pub(crate) fn get(&mut self, fd: i32, len: u32) -> Result<Vec<u8>, i32> {
        let [list, count] = self.iovs(&[(DATA, len)]);
        match self.call(
            "fd_read",
            &[Val::I32(fd), list, count, Val::I32(OUT as i32)],
        ) {
            OK => Ok(self.read(DATA, self.u32(OUT))),
            errno => Err(errno),
        }
    }

    /// `fd_pread` of up to `len` bytes in one buffer.
    pub(crate) fn get_at(&mut self, fd: i32, len: u32, offset: i64) -> Result<Vec<u8>, i32> {
        let [list, count] = self.iovs(&[(DATA, len)]);
        let args = [
            Val::I32(fd),
            list,
            count,
            Val::I64(offset),
            Val::I32(OUT as i32),
        ];
        match self.call("fd_pread", &args) {
            OK => Ok(self.read(DATA, self.u32(OUT))),
            errno => Err(errno),
        }
    }

    /// `fd_pwrite` of `bytes` in one buffer.
    pub(crate) fn put_at(&mut self, fd: i32, bytes: &[u8], offset: i64) -> Result<u32, i32> {
        self.write(DATA, bytes);
        let [list, count] = self.iovs(&[(DATA, bytes.len() as u32)]);
        let args = [
            Val::I32(fd),
            list,
            count,
            Val::I64(offset),
            Val::I32(OUT as i32),
        ];
        match self.call("fd_pwrite", &args) {
            OK => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    /// `fd_seek`; whence is 0 for the start, 1 for the cursor, 2 for the end.
    pub(crate) fn seek(&mut self, fd: i32, offset: i64, whence: i32) -> Result<u64, i32> {
        let args = [
            Val::I32(fd),
            Val::I64(offset),
            Val::I32(whence),
            Val::I32(OUT as i32),
        ];
        match self.call("fd_seek", &args) {
            OK => Ok(self.u64(OUT)),
            errno => Err(errno),
        }
    }

    /// `name(fd, OUT)`.
    pub(crate) fn ask(&mut self, name: &str, fd: i32) -> i32 {
        self.call(name, &[Val::I32(fd), Val::I32(OUT as i32)])
    }

    /// Two paths at once: for links and renames.
    pub(crate) fn two_paths(&mut self, old: &str, new: &str) -> ([Val; 2], [Val; 2]) {
        let second = PATH + 0x2000;
        (self.path_at(PATH, old), self.path_at(second, new))
    }

    pub(crate) fn rename(&mut self, old: &str, new: &str) -> i32 {
        let ([o, ol], [n, nl]) = self.two_paths(old, new);
        self.call("path_rename", &[Val::I32(DIR), o, ol, Val::I32(DIR), n, nl])
    }
}

/// Runs a test with a guest in its own memory and with one in a shared memory, each with a fresh directory.
pub(crate) fn both(test: impl Fn(&mut Guest, &Path)) {
    for make in [Guest::new, Guest::shared] {
        let dir = tempfile::tempdir().unwrap();
        test(&mut make(&ctx_with(dir.path())), dir.path());
    }
}

/// Runs `body` in a process of its own, which runs the calling test and nothing else: for what concerns a whole process
/// (its limits, the most memory it had). `name` is that test's, as the test harness writes it.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    const MARK: &str = "P1_ADAPTER_ALONE";
    if std::env::var_os(MARK).is_some_and(|asked| asked == name) {
        return body();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failed}");
    assert!(said.contains("1 passed"), "no test {name}: {said}");
}

/// Lets this process open `more` descriptors beyond those it has, and no others. For [`alone`].
pub(crate) fn allow_descriptors(more: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let is_open = |number: &u64| {
        let path = format!("/proc/self/fd/{number}");
        std::fs::symlink_metadata(path).is_ok()
    };
    // The limit is for numbers; the one after the last that may be given out.
    let refused = (0..).filter(|number| !is_open(number)).nth(more as usize);
    let limit = Rlimit {
        current: refused,
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}
