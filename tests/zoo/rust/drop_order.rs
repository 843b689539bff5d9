//! Fields are dropped in the order of their declaration: the sink is gone before the thread that
//! writes to it. The Rust Reference, "Destructors"; rust-lang/rfcs 1857 fixed that order.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::JoinHandle;

static CLOSED: AtomicU32 = AtomicU32::new(0);

struct Sink;

impl Drop for Sink {
    fn drop(&mut self) {
        CLOSED.store(1, SeqCst);
    }
}

struct Worker(Option<JoinHandle<()>>);

impl Worker {
    fn start() -> Self {
        Worker(Some(std::thread::spawn(|| {
            assert_eq!(CLOSED.load(SeqCst), 0, "written to a closed sink");
        })))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.take().unwrap().join().unwrap();
    }
}

struct Logger {
    _sink: Sink,
    _worker: Worker,
}

struct MendedLogger {
    _worker: Worker,
    _sink: Sink,
}

pub fn run(mended: bool) {
    let (_sink, _worker) = (Sink, Worker::start());
    if mended {
        drop(MendedLogger { _worker, _sink });
    } else {
        drop(Logger { _sink, _worker });
    }
}
