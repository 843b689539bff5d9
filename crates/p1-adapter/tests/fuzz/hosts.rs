//! What a program may meet: contexts that have the same things under the same numbers, had in
//! different ways.

use p1_adapter::made::{MadeFolder, MemoryFolder};
use p1_adapter::{
    CallObserver, CallOutcome, ClockSource, EndSignal, GuestClock, MemoryBudget, P1Ctx,
    P1CtxBuilder, RandomSource, StreamAccess, Unrepeatable,
};
use rustix::fs::{CWD, Mode};
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, OpenMode, WasiCtx};

/// How a program's host is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Directories, and the system's clocks.
    Plain,
    /// The folders are in memory.
    Made,
    /// An embedder stands in for whatever else depends on the host.
    Repeatable,
    /// The context was wasmtime-wasi's.
    TakenOver,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Plain, Kind::Made, Kind::Repeatable, Kind::TakenOver];

const FOX: &[u8] = b"The quick brown fox";
const LINKS: [(&str, &str); 4] = [
    ("link", "file"),
    ("dangling", "nowhere"),
    ("loop", "loop"),
    ("out", ".."),
];

/// All bytes that the contexts of this process may have together, of which each has few.
#[derive(Default)]
struct Budget(AtomicU64);

/// Of one context.
const BYTES: u64 = 1 << 20;

impl MemoryBudget for Budget {
    fn take(&self, bytes: u64) -> bool {
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= BYTES);
        let order = (Ordering::SeqCst, Ordering::SeqCst);
        self.0.try_update(order.0, order.1, more).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        let before = self.0.fetch_sub(bytes, Ordering::SeqCst);
        assert!(before >= bytes, "{bytes} of {before} bytes are given back");
    }
}

/// Time passes where it is slept.
struct Clock {
    now: AtomicU64,
    end: EndSignal,
}

impl ClockSource for Clock {
    fn now(&self, _: GuestClock) -> u64 {
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    fn sleep_until(&self, _: GuestClock, deadline: u64) -> wasmtime::Result<()> {
        if self.end.is_raised() {
            return Err(wasmtime::Error::msg("ended"));
        }
        if deadline == u64::MAX {
            std::thread::sleep(Duration::from_micros(100));
        } else {
            self.now.fetch_max(deadline, Ordering::SeqCst);
        }
        Ok(())
    }
}

struct Sevens;

impl RandomSource for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Calls that have started, and those of them that have not ended.
#[derive(Default)]
struct Calls {
    started: AtomicU64,
    open: AtomicU64,
}

impl CallObserver for Calls {
    fn started(&self, _: &'static str) -> u64 {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.started.fetch_add(1, Ordering::SeqCst)
    }

    fn ended(&self, function: &'static str, token: u64, outcome: CallOutcome<'_>) {
        assert!(token < self.started.load(Ordering::SeqCst), "{function}");
        if let CallOutcome::Returned(errno) = outcome {
            assert!(errno < 77, "{function} returned {errno}");
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a program sees of the host, and what it must not touch.
pub(crate) struct Host {
    pub(crate) dir: TempDir,
    pub(crate) ctx: P1Ctx,
    /// The folder that is only read, if it is in memory.
    made: Option<MemoryFolder>,
    calls: Arc<Calls>,
    budget: Arc<Budget>,
    /// The other ends of pipes and sockets, kept open.
    _peers: Box<dyn std::any::Any>,
}

fn populate(dir: &Path) {
    fs::create_dir_all(dir.join("dir")).unwrap();
    fs::write(dir.join("file"), FOX).unwrap();
    fs::write(dir.join("dir/inner"), b"inner").unwrap();
    rustix::fs::mkfifoat(CWD, dir.join("fifo"), Mode::from_raw_mode(0o600)).unwrap();
    for (name, target) in LINKS {
        symlink(target, dir.join(name)).unwrap();
    }
}

/// As [`populate`], without a FIFO.
fn made() -> MemoryFolder {
    let folder = MemoryFolder::new(64 << 10);
    folder.write("file", FOX).unwrap();
    folder
        .create("dir")
        .unwrap()
        .write("inner", b"inner")
        .unwrap();
    for (name, target) in LINKS {
        folder.create_link(name, target).unwrap();
    }
    folder
}

/// What `builder` makes with the two folders and what all kinds have.
fn common(builder: &mut P1CtxBuilder, dir: &Path, folders: Option<&MemoryFolder>) -> P1Ctx {
    builder
        .args(&["prog", "argument"])
        .env("NAME", "value")
        .stdin(MemoryInputPipe::new("typed"))
        .stdout(MemoryOutputPipe::new(1 << 20))
        .max_descriptors(40);
    match folders {
        Some(read) => builder
            .made_folder(made(), "/", FsPerms::ReadWrite)
            .made_folder(read.clone(), "/read", FsPerms::ReadOnly),
        None => builder
            .preopened_dir(dir.join("written"), "/", FsPerms::ReadWrite)
            .unwrap()
            .preopened_dir(dir.join("read"), "/read", FsPerms::ReadOnly)
            .unwrap(),
    };
    builder.build().unwrap()
}

fn taken_over(dir: &Path) -> P1CtxBuilder {
    let wasi = WasiCtx::builder()
        .args(&["prog", "argument"])
        .env("NAME", "value")
        .stdin(MemoryInputPipe::new("typed"))
        .stdout(MemoryOutputPipe::new(1 << 20))
        .preopened_dir(dir.join("written"), "/", FsPerms::ReadWrite)
        .unwrap()
        .preopened_dir(dir.join("read"), "/read", FsPerms::ReadOnly)
        .unwrap()
        .build();
    P1CtxBuilder::from(wasi)
}

fn stand_in(builder: &mut P1CtxBuilder, calls: &Arc<Calls>) {
    let end = EndSignal::new();
    let clock = Clock {
        now: AtomicU64::new(1),
        end: end.clone(),
    };
    builder
        .end_signal(end)
        .clocks(Arc::new(clock))
        .secure_random(Sevens)
        .call_observer(Arc::clone(calls) as _)
        .before_call(|_| Ok(()))
        .on_yield(|| Ok(()))
        .on_memory_use(|_| {})
        .ordered_listings(true)
        .pinned_metadata(1_000_000_000)
        .whole_reads(true)
        .unrepeatable(|what| what != Unrepeatable::Fifo);
}

/// Hands over what has the numbers behind the folders; the other ends of pipes and sockets.
fn push(ctx: &P1Ctx, dir: &Path) -> Box<dyn std::any::Any> {
    let (from_pipe, mut into_pipe) = std::io::pipe().unwrap();
    into_pipe.write_all(b"in the pipe").unwrap();
    let (out_of_pipe, to_pipe) = std::io::pipe().unwrap();
    let (socket, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"in the socket").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ctx.push_stream(from_pipe, StreamAccess::Read).unwrap();
    ctx.push_stream(to_pipe, StreamAccess::Write).unwrap();
    ctx.push_stream(socket, StreamAccess::ReadWrite).unwrap();
    ctx.push_listener(listener).unwrap();
    let file = fs::File::open(dir.join("read/file")).unwrap();
    ctx.push_file(file, FsPerms::ReadOnly, OpenMode::READ)
        .unwrap();
    Box::new((into_pipe, out_of_pipe, peer, client))
}

impl Host {
    pub(crate) fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), b"secret").unwrap();
        for name in ["written", "read"] {
            populate(&dir.path().join(name));
        }
        let (calls, budget) = (Arc::<Calls>::default(), Arc::<Budget>::default());
        let read = matches!(kind, Kind::Made).then(made);
        let mut builder = P1CtxBuilder::new();
        let ctx = match kind {
            Kind::TakenOver => taken_over(dir.path()).max_descriptors(40).build().unwrap(),
            Kind::Plain | Kind::Made | Kind::Repeatable => {
                builder.memory_budget(Arc::clone(&budget) as _);
                if let Kind::Repeatable = kind {
                    stand_in(&mut builder, &calls);
                }
                common(&mut builder, dir.path(), read.as_ref())
            }
        };
        let peers = push(&ctx, dir.path());
        Self {
            dir,
            ctx,
            made: read,
            calls,
            budget,
            _peers: peers,
        }
    }

    /// What no program may have changed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let dir = self.dir.path();
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        if names != ["read", "secret", "written"] {
            return Err(format!("outside the preopens there is {names:?}"));
        }
        if fs::read(dir.join("secret")).unwrap() != b"secret" {
            return Err("a file outside the preopens has changed".to_owned());
        }
        let read = dir.join("read");
        let count = fs::read_dir(&read).unwrap().count();
        let file = fs::read(read.join("file")).unwrap();
        let inner = fs::read(read.join("dir/inner")).unwrap();
        if count != 7 || file != FOX || inner != b"inner" {
            return Err("a read-only preopen has changed".to_owned());
        }
        if let Some(made) = &self.made {
            let count = made.names().len();
            let (file, inner) = (
                made.read("file"),
                made.folder("dir").and_then(|dir| dir.read("inner")),
            );
            if count != 6
                || file.ok().as_deref() != Some(FOX)
                || inner.ok().as_deref() != Some(b"inner")
            {
                return Err("a read-only folder in memory has changed".to_owned());
            }
        }
        match self.calls.open.load(Ordering::SeqCst) {
            0 => Ok(()),
            open => Err(format!("{open} calls have not ended")),
        }
    }

    /// What is left when nothing of the host is used any more.
    pub(crate) fn end(self) -> Result<(), String> {
        let budget = Arc::clone(&self.budget);
        drop(self);
        match budget.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            bytes => Err(format!("{bytes} bytes of the budget were not given back")),
        }
    }
}
