//! What the fuzz targets do with their bytes, and what must be so afterwards.
//!
//! A target is a function of bytes that panics if a promise does not hold. `fuzz/` calls each
//! target from libFuzzer, which looks for bytes that reach more of the code. `tests/short.rs` runs
//! with the other tests. It calls all targets for some seconds with the seeds of `fuzz/seeds`, and
//! with what a simple [`driver`] makes of these.
//!
//! A target that finds nothing must have been able to find something. So each has faults
//! [planted](plant::PLANTED), one at a time, and must find them.
//!
//! | target | bytes are | must be so |
//! |---|---|---|
//! | `printer` | a module, or sections of debug information and names | text is short and visible, in time |
//! | `rewrite` | a module, a plan of one, or choices of wasm-smith's | what was valid is, nothing moved, once is enough |
//! | `table` | calls of a table, with guards that are held | answers are those of a simple model; values are dropped once |
//! | `replays` | a replay, a list of races that are not told, or a policy and a program | refused, or the same once more; what was recorded is replayed |
//! | `adapter` | calls of preview1 and changes of memory between them | no panic, in time, only what was given is changed |
//! | `programs` | what threads do: wait, notify, spawn, files, polls, exits | a legal outcome in time, nothing is left, the next group works |
//! | `compiled` | a compiled file, or an entry of the cache | refused, or what was written |
//!
//! One more, `command_lines`, is in `crates/cli/src/run/any_line.rs`, as it needs the binary's own
//! modules.

pub mod driver;
mod input;
pub mod plant;
pub mod printer;
mod replays;
mod replays_host;
mod rewrite;
mod rewrite_plan;
mod table;
mod table_model;

#[cfg(feature = "runtime")]
pub mod adapter;
#[cfg(feature = "runtime")]
mod compiled;
#[cfg(feature = "runtime")]
mod programs;
#[cfg(feature = "runtime")]
mod programs_guest;
#[cfg(feature = "runtime")]
mod programs_ways;
#[cfg(feature = "runtime")]
mod programs_world;

// The world of the adapter's own random programs. They name one another from the root.
#[cfg(feature = "runtime")]
#[allow(dead_code, reason = "the adapter's tests use more of it")]
#[path = "../../../crates/p1-adapter/tests/fuzz/generate.rs"]
mod generate;
#[cfg(feature = "runtime")]
#[path = "../../../crates/p1-adapter/tests/guest/mod.rs"]
mod guest;
#[cfg(feature = "runtime")]
#[path = "../../../crates/p1-adapter/tests/fuzz/hosts.rs"]
mod hosts;
#[cfg(feature = "runtime")]
#[path = "../../../crates/p1-adapter/tests/fuzz/program.rs"]
mod program;
#[cfg(feature = "runtime")]
#[allow(dead_code, reason = "the adapter's tests use more of it")]
#[path = "../../../crates/p1-adapter/tests/fuzz/run.rs"]
mod run;

/// A function of bytes, and its name.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As in `fuzz/targets`, `fuzz/seeds` and [`plant::PLANTED`].
    pub name: &'static str,
    /// Panics if something is not as it must be.
    pub run: fn(&[u8]),
}

/// All that are here.
pub const TARGETS: &[Target] = &[
    Target {
        name: "printer",
        run: printer::run,
    },
    Target {
        name: "rewrite",
        run: rewrite::run,
    },
    Target {
        name: "table",
        run: table::run,
    },
    Target {
        name: "replays",
        run: replays::run,
    },
    #[cfg(feature = "runtime")]
    Target {
        name: "adapter",
        run: adapter::run,
    },
    #[cfg(feature = "runtime")]
    Target {
        name: "programs",
        run: programs::run,
    },
    #[cfg(feature = "runtime")]
    Target {
        name: "compiled",
        run: compiled::run,
    },
];

/// The target of that name.
///
/// # Panics
///
/// If there is none.
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    *found.unwrap_or_else(|| panic!("no target is called {name}"))
}
