//! One adapter with its guest, its directory and its sockets: this project's, and wasi-common 46.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;

#[path = "../../../../crates/p1-adapter/tests/guest/table.rs"]
mod table;

static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let text = table::text(r#"(memory (export "memory") 1)"#);
    wat::parse_str(text).expect("the module's text is right")
});

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    I(u32),
    L(i64),
}

/// Makes a call and something wrong with it.
pub type Spoil = fn(&mut dyn Guest, &str, &[Arg]) -> Option<i32>;

/// What a side's context is made of.
struct Parts<'a> {
    dir: &'a Path,
    /// For descriptor 4.
    listener: TcpListener,
    /// For descriptor 5.
    stream: UnixStream,
}

/// A guest's instance under one adapter.
pub trait Guest {
    /// The errno, or `None` for a trap.
    fn call(&mut self, name: &str, args: &[Arg]) -> Option<i32>;
    fn memory(&self) -> &[u8];
    fn memory_mut(&mut self) -> &mut [u8];
}

/// The two releases of wasmtime have the same names for all that is used here.
macro_rules! guest {
    ($name:ident, $wasmtime:ident, $state:ty, $linker:expr, $make:expr) => {
        struct $name {
            store: $wasmtime::Store<$state>,
            instance: $wasmtime::Instance,
            memory: $wasmtime::Memory,
        }

        impl $name {
            fn start(parts: Parts<'_>) -> Self {
                static WORLD: LazyLock<($wasmtime::Module, $wasmtime::Linker<$state>)> =
                    LazyLock::new(|| {
                        let engine = $wasmtime::Engine::default();
                        let module =
                            $wasmtime::Module::new(&engine, &*MODULE).expect("the module compiles");
                        let mut linker = $wasmtime::Linker::new(&engine);
                        #[allow(clippy::redundant_closure_call)]
                        ($linker)(&mut linker).expect("nothing is defined twice");
                        (module, linker)
                    });
                let (module, linker) = &*WORLD;
                #[allow(clippy::redundant_closure_call)]
                let mut store = $wasmtime::Store::new(module.engine(), ($make)(parts));
                let instance = linker
                    .instantiate(&mut store, module)
                    .expect("the module can be instantiated");
                let memory = instance
                    .get_memory(&mut store, "memory")
                    .expect("the module exports its memory");
                Self {
                    store,
                    instance,
                    memory,
                }
            }
        }

        impl Guest for $name {
            fn call(&mut self, name: &str, args: &[Arg]) -> Option<i32> {
                let args: Vec<_> = args
                    .iter()
                    .map(|arg| match *arg {
                        Arg::I(n) => $wasmtime::Val::I32(n as i32),
                        Arg::L(n) => $wasmtime::Val::I64(n),
                    })
                    .collect();
                let function = self
                    .instance
                    .get_func(&mut self.store, name)
                    .expect("the module has every function");
                let mut result = [$wasmtime::Val::I32(-1)];
                function
                    .call(&mut self.store, &args, &mut result)
                    .ok()
                    .map(|()| result[0].unwrap_i32())
            }

            fn memory(&self) -> &[u8] {
                self.memory.data(&self.store)
            }

            fn memory_mut(&mut self) -> &mut [u8] {
                self.memory.data_mut(&mut self.store)
            }
        }
    };
}

guest!(
    Ours,
    wasmtime,
    p1_adapter::P1State,
    |linker| p1_adapter::add_to_linker_sync(linker, |state| state),
    |parts: Parts<'_>| {
        let ctx = p1_adapter::P1CtxBuilder::new()
            .preopened_dir(parts.dir, "/pre", wasmtime_wasi::FsPerms::ReadWrite)
            .expect("the directory is there")
            .build()
            .expect("a context");
        let listener = ctx.push_listener(parts.listener).expect("a listener");
        let stream = ctx
            .push_stream(parts.stream, p1_adapter::StreamAccess::ReadWrite)
            .expect("a stream");
        assert_eq!((listener, stream), (4, 5));
        p1_adapter::P1State::new(ctx)
    }
);

guest!(
    Theirs,
    wasmtime46,
    wasi_common::WasiCtx,
    |linker| wasi_common::sync::add_to_linker(linker, |ctx| ctx),
    |parts: Parts<'_>| {
        let dir = wasi_common::sync::Dir::open_ambient_dir(
            parts.dir,
            wasi_common::sync::ambient_authority(),
        )
        .expect("the directory is there");
        wasi_common::sync::WasiCtxBuilder::new()
            .preopened_dir(dir, "/pre")
            .expect("a preopen")
            .preopened_socket(4, cap_std::net::TcpListener::from_std(parts.listener))
            .expect("a listener")
            .preopened_socket(
                5,
                cap_std::os::unix::net::UnixStream::from_std(parts.stream),
            )
            .expect("a stream")
            .build()
    }
);

/// A socket's other end, in the test's hands.
pub enum Peer {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Peer {
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Peer::Tcp(stream) => stream.write_all(bytes),
            Peer::Unix(stream) => stream.write_all(bytes),
        }
    }

    pub fn take(&mut self, len: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        match self {
            Peer::Tcp(stream) => stream.read_exact(&mut bytes)?,
            Peer::Unix(stream) => stream.read_exact(&mut bytes)?,
        }
        Ok(bytes)
    }

    pub fn finish(&mut self) -> std::io::Result<()> {
        match self {
            Peer::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Peer::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

/// One adapter at work.
pub struct Side {
    guest: Box<dyn Guest>,
    spoil: Option<Spoil>,
    pub dir: TempDir,
    address: SocketAddr,
    /// The other ends of the sockets: of descriptor 5 first, then of every connection made, in
    /// order.
    pub peers: Vec<Peer>,
}

impl Side {
    pub fn ours(spoil: Option<Spoil>) -> Self {
        Self::new(spoil, |parts| Box::new(Ours::start(parts)))
    }

    pub fn theirs() -> Self {
        Self::new(None, |parts| Box::new(Theirs::start(parts)))
    }

    fn new(spoil: Option<Spoil>, start: impl FnOnce(Parts<'_>) -> Box<dyn Guest>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("file"), b"The quick brown fox").expect("a file");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stream, peer) = UnixStream::pair().expect("a pair");
        peer.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let guest = start(Parts {
            dir: dir.path(),
            listener,
            stream,
        });
        Self {
            guest,
            spoil,
            dir,
            address,
            peers: vec![Peer::Unix(peer)],
        }
    }

    /// A new client, which the guest has not accepted yet.
    pub fn connect(&mut self) {
        let stream = TcpStream::connect(self.address).expect("a connection on loopback");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("an option of TCP");
        self.peers.push(Peer::Tcp(stream));
    }

    pub fn call(&mut self, name: &str, args: &[Arg]) -> Option<i32> {
        match self.spoil {
            Some(spoil) => spoil(&mut *self.guest, name, args),
            None => self.guest.call(name, args),
        }
    }

    pub fn read(&self, at: u32, len: u32) -> &[u8] {
        &self.guest.memory()[at as usize..][..len as usize]
    }

    pub fn memory(&self) -> &[u8] {
        self.guest.memory()
    }

    pub fn u32(&self, at: u32) -> u32 {
        let bytes = self.read(at, 4).try_into();
        u32::from_le_bytes(bytes.expect("four bytes"))
    }

    pub fn write(&mut self, at: u32, bytes: &[u8]) {
        self.guest.memory_mut()[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }
}

/// How long the other end waits for what must have been sent already.
const PATIENCE: Duration = Duration::from_secs(5);
