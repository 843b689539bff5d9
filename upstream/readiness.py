"""Makes crates of table-sync's readiness piece: one as it is, one without the standard library.

usage: readiness.py SOURCE TO

SOURCE is crates/table-sync. TO gets std/ and no-std/, each a package. What is for models only is
left out of both. Without the standard library there is no thread to block: the four methods that
block are left out, and the mutex is one that spins. All else is a matter of the names of types.
"""

import pathlib
import re
import sys

SYNC = """//! What the rest takes of the standard library.

pub(crate) mod park;
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::thread;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
"""

LIB = """//! Waits for values that let one wait.

mod readiness;
mod sync;
mod wait_line;

pub use readiness::*;
"""

FORWARD = """//! Any of wasmtime-wasi-io's pollables behind one `Waitable`.

use readiness::{Pollable, Waitable};

struct Forward(Box<dyn wasmtime_wasi_io::poll::Pollable>);

impl Pollable for Forward {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

struct Always;

#[async_trait::async_trait]
impl wasmtime_wasi_io::poll::Pollable for Always {
    async fn ready(&mut self) {}
}

#[test]
fn several_threads_wait() {
    let value = Waitable::new(Forward(Box::new(Always)));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| value.ready().block().unwrap());
        }
    });
}
"""

NO_STD_SYNC = """//! A mutex that spins. Wasmtime has one of its own, `crate::sync`.

pub(crate) use spin::{Mutex, MutexGuard};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
"""

NO_STD_LIB = """//! Waits for values that let one wait, of `core` and `alloc`.

#![no_std]

extern crate alloc;

mod readiness;
mod sync;
mod wait_line;

pub use readiness::*;

/// The names that the rest has from the standard library.
mod std {
    pub(crate) use alloc::boxed;
    pub(crate) use core::{array, fmt, future, iter, marker, mem, ops, pin};

    pub(crate) mod collections {
        pub(crate) use alloc::collections::{VecDeque, vec_deque};
    }

    pub(crate) mod sync {
        pub(crate) use alloc::sync::{Arc, Weak};

        /// Only named, to keep an `Access` on its thread.
        pub struct MutexGuard<'a, T>(core::marker::PhantomData<*const &'a T>);
    }

    pub(crate) mod task {
        pub(crate) use alloc::task::Wake;
        pub(crate) use core::task::{Context, Poll, Waker};
    }
}
"""

NO_STD_TEST = """//! Two waiters and an access to a value of which only one can wait.

use readiness::{Closed, Pollable, Waitable};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Clone, Default)]
struct Gate(Arc<(AtomicBool, Mutex<Option<Waker>>)>);

impl Pollable for Gate {
    async fn ready(&mut self) {
        poll_fn(|context: &mut Context<'_>| {
            if self.0.0.load(SeqCst) {
                return Poll::Ready(());
            }
            *self.0.1.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

#[derive(Default)]
struct Called(AtomicUsize);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn an_event_reaches_both_waiters_and_a_close_the_third() {
    let gate = Gate::default();
    let value = Waitable::new(gate.clone());
    let called = Arc::new(Called::default());
    let waker = Waker::from(called.clone());
    let mut context = Context::from_waker(&waker);
    let (mut one, mut two) = (value.ready(), value.ready());
    assert!(Pin::new(&mut one).poll(&mut context).is_pending());
    assert!(Pin::new(&mut two).poll(&mut context).is_pending());

    // Access in between drops the future; the first waiter is called to make another.
    assert!(!value.try_lock().unwrap().0.0.load(SeqCst));
    assert_eq!(called.0.load(SeqCst), 1);
    assert!(Pin::new(&mut one).poll(&mut context).is_pending());

    gate.0.0.store(true, SeqCst);
    gate.0.1.lock().unwrap().take().expect("one waits").wake();
    assert_eq!(called.0.load(SeqCst), 2);
    assert_eq!(Pin::new(&mut one).poll(&mut context), Poll::Ready(Ok(())));
    assert_eq!(called.0.load(SeqCst), 3);
    assert_eq!(Pin::new(&mut two).poll(&mut context), Poll::Ready(Ok(())));

    gate.0.0.store(false, SeqCst);
    let mut three = value.ready();
    assert!(Pin::new(&mut three).poll(&mut context).is_pending());
    drop(value);
    assert_eq!(Pin::new(&mut three).poll(&mut context), Poll::Ready(Err(Closed)));
}
"""

# What blocks a thread.
BLOCKING = ["block", "block_until", "lock", "into_inner"]


def plain(text):
    """Without what is for models, up to the end of its item."""
    text = re.sub(r"^.*mutant!\(.*\n", "", text, flags=re.M)
    text = re.sub(r"^use crate::mutants::mutant;\n", "", text, flags=re.M)
    text = re.sub(
        r"(?m)^(?:///.*\n)*#\[cfg\(loom\)\]\n(?:.*\n)*?(?:}|pub\(crate\) use loom.*(?:\n(?:.*\n)*?};)?)\n",
        "",
        text,
    )
    return text.replace("#[cfg(not(loom))]\n", "").replace("#[cfg(all(test, not(loom)))]", "#[cfg(test)]")


def without_std(text):
    for name in BLOCKING:
        text = re.sub(rf"(?m)(?:^    ///.*\n)+    pub fn {name}\((?:.*\n)*?    }}\n", "", text)
    text = re.sub(r"(?m)^///.*\nconst NAP.*\n", "", text)
    text = re.sub(r"(?m)^use std::time::.*\n", "", text)
    text = text.replace("lock, park}", "lock}").replace("{lock}", "lock")
    # Documentation is for the other.
    text = re.sub(r"(?m)^ *//[/!].*\n", "", text)
    text = re.sub(r"\bstd::", "crate::std::", text)
    if "Box" in text:
        text = text.replace("\nuse ", "\nuse crate::std::boxed::Box;\nuse ", 1)
    return text


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def manifest(path, dependencies, development, more=""):
    write(
        path / "Cargo.toml",
        '[package]\nname = "readiness"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
        f"[dependencies]\n{dependencies}[dev-dependencies]\n{development}{more}",
    )


def main(source, to):
    names = ["readiness.rs", "wait_line.rs", "sync/park.rs"]
    names += [str(path.relative_to(source / "src")) for path in (source / "src/readiness").glob("*.rs")]
    lines = 0
    for name in names:
        text = plain((source / "src" / name).read_text())
        lines += text.count("\n")
        if "loom" in text or "mutant" in text:
            sys.exit(f"readiness.py: {name} still has what is for models")
        if name != "sync/park.rs":
            write(to / "no-std/src" / name, without_std(text))
        # Of the table only the examples speak.
        text = text.replace(
            "/// use table_sync::{Error, Pollable, Table, Waitable};",
            "/// use readiness::{Pollable, Waitable};\n/// use table_sync::{Error, Table};",
        )
        write(to / "std/src" / name, re.sub(r"table_sync::(?!\{Error, Table\})", "readiness::", text))
    write(to / "std/src/sync/mod.rs", SYNC)
    write(to / "std/src/lib.rs", LIB)
    write(to / "std/tests/forward.rs", FORWARD)
    tests = (source / "tests/readiness.rs").read_text()
    ours = "use table_sync::{Closed, Error, Pollable, Ready, Table, Waitable};"
    if ours not in tests:
        sys.exit("readiness.py: the tests name other types")
    theirs = "use readiness::{Closed, Pollable, Ready, Waitable};\nuse table_sync::{Error, Table};"
    write(to / "std/tests/readiness.rs", tests.replace(ours, theirs))
    table = f'table-sync = {{ path = "{source.resolve()}" }}\n'
    io = 'wasmtime-wasi-io = { version = "48", default-features = false, features = ["std"] }\n'
    manifest(to / "std", 'thiserror = "2"\n', 'async-trait = "0.1"\n' + table + io)

    write(to / "no-std/src/sync.rs", NO_STD_SYNC)
    write(to / "no-std/src/lib.rs", NO_STD_LIB)
    write(to / "no-std/tests/waits.rs", NO_STD_TEST)
    spin = 'spin = { version = "0.10", default-features = false, features = ["spin_mutex"] }\n'
    manifest(to / "no-std", 'thiserror = { version = "2", default-features = false }\n' + spin, "")
    print(f"readiness: {len(names)} files, {lines} lines with their comments")


main(*(pathlib.Path(path) for path in sys.argv[1:]))
