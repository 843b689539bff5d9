//! Faults that are planted to be found.
//!
//! Each fault changes an answer to a target, as if the code under test had given it. Only input
//! that gets far meets its condition. `FUZZ_PLANTED=NAME` plants one in a process, [`with`] in a
//! call.

use std::cell::Cell;
use std::sync::LazyLock;

/// A fault.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// The target that must find it.
    pub target: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

const fn fault(target: &'static str, name: &'static str, what: &'static str) -> Planted {
    Planted { target, name, what }
}

/// All of them, two for each target at least.
pub const PLANTED: &[Planted] = &[
    fault(
        "printer",
        "escape-shown",
        "an escape of a function's name is shown as it is",
    ),
    fault(
        "printer",
        "inlined-without-end",
        "three functions inlined into one another are one too many",
    ),
    fault(
        "rewrite",
        "call-of-nothing",
        "of a wait and a bulk operation in one module, one calls what is not there",
    ),
    fault(
        "rewrite",
        "section-changed",
        "a custom section of a module with a start function is changed",
    ),
    fault(
        "rewrite",
        "map-shifted",
        "where points make code grow beside two waits, the map is one byte off",
    ),
    fault(
        "table",
        "stale-handle",
        "a stale handle names the entry that has its slot now",
    ),
    fault(
        "table",
        "slot-lost",
        "the slot of an entry that was detached while it was held is not given back",
    ),
    fault(
        "replays",
        "early-lost",
        "the second decision of a file is read as one that wakes nobody early",
    ),
    fault(
        "replays",
        "decision-forgotten",
        "of four decisions of a run in which a thread sleeps, the last is not recorded",
    ),
    fault(
        "adapter",
        "errno-unknown",
        "removing a folder that was made before answers what is no errno",
    ),
    fault(
        "adapter",
        "read-only-changed",
        "a program that writes at its position and at another changes a read-only folder",
    ),
    fault(
        "programs",
        "lost-exit",
        "an exit of a thread that another thread started is told as a return",
    ),
    fault(
        "programs",
        "thread-left",
        "a program that ends while two threads wait leaves one behind",
    ),
    fault(
        "compiled",
        "sum-ignored",
        "a file whose checksum is wrong is taken",
    ),
    fault(
        "compiled",
        "entry-changed",
        "an entry of the cache that was changed is taken",
    ),
    fault(
        "command_lines",
        "limit-forgotten",
        "of two time limits the longer one counts",
    ),
    fault(
        "command_lines",
        "option-for-program",
        "an option behind the module is the host's",
    ),
];

static OF_PROCESS: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("FUZZ_PLANTED").ok());

thread_local! {
    static HERE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Whether the fault `name` is planted.
///
/// # Panics
///
/// If there is no such fault.
pub fn planted(name: &str) -> bool {
    assert!(
        PLANTED.iter().any(|fault| fault.name == name),
        "no fault is called {name}"
    );
    HERE.get() == Some(name) || OF_PROCESS.as_deref() == Some(name)
}

/// Calls `what` with a fault planted for this thread.
pub fn with<R>(name: &'static str, what: impl FnOnce() -> R) -> R {
    struct Back(Option<&'static str>);
    impl Drop for Back {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _back = Back(HERE.replace(Some(name)));
    what()
}
