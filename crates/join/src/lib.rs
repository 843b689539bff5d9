//! Programs with threads and WASI preview1: [`wasi_threads`] and [`p1_adapter`], joined in one
//! call.
//!
//! The two crates do not know each other. [`JoinP1::join`] tells each what it must know of the
//! other. That is always the same, and a group without it ends late. [`program`] makes the usual
//! group, whose threads have nothing but WASI.
//!
//! ```
//! use wasi_threads_p1::p1_adapter::P1CtxBuilder;
//! use wasi_threads_p1::wasi_threads::{Limits, prepare};
//! use wasmtime::{Config, Engine};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
//! // The bytes of a program; a Rust one is built for `wasm32-wasip1-threads`.
//! let bytes = wat::parse_str(
//!     r#"(module
//!          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!          (memory (export "memory") 1)
//!          (func (export "_start") (call $exit (i32.const 3))))"#,
//! )?;
//! let module = prepare(&engine, &bytes)?;
//! let ctx = P1CtxBuilder::new().inherit_stdio().arg("program").build()?;
//! let group = wasi_threads_p1::program(&engine, &module, &ctx)?
//!     .limits(Limits::new().threads(64))
//!     .build()?;
//! let status = group.run("_start")?.into_exit_status()?;
//! assert_eq!(status, 3);
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `replay`, the module `replay` runs a program under many orders of its threads,
//! and says which one fails.
//!
//! `examples/` has whole programs: a command line, a server, plug-ins, results after the end, a
//! deterministic run, a cache of compiled modules.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "replay")]
pub mod replay;

pub use p1_adapter;
pub use wasi_threads;

use p1_adapter::{P1Ctx, P1State};
use wasi_threads::{GroupBuilder, GroupPre, NoThreadData, ThreadGroup, ThreadModule};
use wasmtime::{Engine, Linker};

/// Joins a group with the context of its WASI.
pub trait JoinP1 {
    /// Tells the group and `ctx` of each other, whatever the store data of the group is:
    ///
    /// - the end of the group ends calls of `ctx` that block ([`GroupBuilder::on_end`],
    ///   [`P1Ctx::end_signal`]); from then on the context is of no use to others, so each group has
    ///   its own;
    /// - `proc_exit` makes the outcome [`Outcome::Exited`](wasi_threads::Outcome::Exited)
    ///   ([`GroupBuilder::exit_code`], [`p1_adapter::exit_code`]);
    /// - threads that are looked at from outside are known to be in a WASI call
    ///   ([`GroupBuilder::host_word`], [`p1_adapter::host_word()`]).
    ///
    /// Blocks on nothing and locks nothing.
    #[must_use]
    fn join(self, ctx: &P1Ctx) -> Self;
}

impl<T: Send + 'static, D> JoinP1 for GroupBuilder<T, D> {
    fn join(self, ctx: &P1Ctx) -> Self {
        let end = ctx.end_signal().clone();
        self.on_end(move || end.raise())
            .exit_code(p1_adapter::exit_code)
            .host_word(p1_adapter::host_word)
    }
}

/// Starts to make the group of a program whose threads have WASI preview1 (and `wasi_unstable`) of
/// `ctx`, and nothing else, joined with it. Limits and hooks are the caller's to add.
///
/// A program with host functions of the embedder's needs a linker of its own, and data in which
/// `P1State` is a part: [`p1_adapter::add_to_linker_sync`], [`ThreadGroup::builder`],
/// [`JoinP1::join`], [`GroupBuilder::state`].
///
/// # Errors
///
/// The errors are those of a linker that has a definition already. A new linker has none.
pub fn program(
    engine: &Engine,
    module: &ThreadModule,
    ctx: &P1Ctx,
) -> wasmtime::Result<GroupBuilder<P1State>> {
    let group = ThreadGroup::builder(engine, module, linker(engine)?);
    Ok(with_ctx(group, ctx))
}

/// Prepares what [`program`] makes a group of, for a host that runs a program again and again.
/// [`program_again`] then makes each group without registering the functions of WASI again. Errors
/// of the module are found here, before any group is made.
///
/// # Errors
///
/// The [`GroupError`](wasi_threads::GroupError)s of [`GroupPre::new`], an import that is not WASI's
/// among them.
pub fn program_pre(engine: &Engine, module: &ThreadModule) -> wasmtime::Result<GroupPre<P1State>> {
    Ok(GroupPre::new(engine, module, linker(engine)?)?)
}

/// Starts to make one more group of a program, as [`program`] does, but without errors. A context
/// is of use to one group only.
///
/// ```
/// # use wasi_threads_p1::{p1_adapter::P1CtxBuilder, wasi_threads::prepare};
/// # use wasi_threads_p1::{program_again, program_pre};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut config = wasmtime::Config::new();
/// # let engine = wasmtime::Engine::new(config.shared_memory(true).epoch_interruption(true))?;
/// # let text = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
/// # let bytes = wat::parse_str(text)?;
/// let program = program_pre(&engine, &prepare(&engine, &bytes)?)?;
/// for request in ["one", "two"] {
///     let ctx = P1CtxBuilder::new().arg("program").arg(request).build()?;
///     let group = program_again(&program, &ctx).build()?;
///     assert_eq!(group.run("_start")?.into_exit_status()?, 0);
/// }
/// # Ok(())
/// # }
/// ```
pub fn program_again(pre: &GroupPre<P1State>, ctx: &P1Ctx) -> GroupBuilder<P1State> {
    with_ctx(pre.builder(), ctx)
}

/// A linker with WASI, and nothing else.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<P1State>> {
    let mut linker = Linker::<P1State>::new(engine);
    p1_adapter::add_to_linker_sync(&mut linker, |state| state)?;
    p1_adapter::add_unstable_to_linker_sync(&mut linker, |state| state)?;
    Ok(linker)
}

fn with_ctx(group: GroupBuilder<P1State, NoThreadData>, ctx: &P1Ctx) -> GroupBuilder<P1State> {
    let threads = ctx.clone();
    group
        .join(ctx)
        // WASI works on the memory exported as `memory`: found at a thread's first call.
        .state(move |_| P1State::new(threads.clone()))
}
