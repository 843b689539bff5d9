//! Rewrites a WebAssembly module so that its host can end it: bytes in, bytes out.
//!
//! A host cannot interrupt a compiled module in three places: in `memory.atomic.wait`, in the start
//! function, which runs while the module is being instantiated, and in a bulk memory operation.
//! [`rewrite`] turns each into something a host can reach, without changing what the module means:
//!
//! - *Waits.* Each `memory.atomic.wait32`, `memory.atomic.wait64` and
//!   `memory.atomic.notify` on a shared memory becomes a call of exactly the
//!   instruction's length to a function appended after the last one. That
//!   function adds the instruction's offset to the address and calls the host
//!   through an appended, exported table, which the host fills right after
//!   instantiation ([`Rewritten::wait_table`], [`WaitSlot`]).
//!   On a memory that is not shared these instructions never block, so they
//!   stay.
//! - *Start.* The start function becomes an export, which the host calls once it has instantiated
//!   the module. Data and element segments stay as they are.
//! - *Bulk memory.* `memory.fill`, `memory.copy` and `memory.init` of a length
//!   that is not known to be small become calls to appended functions that work
//!   in chunks: each turn of their loop is a point where an epoch deadline is
//!   seen.
//!
//! - *Points*, if they are asked for ([`RewriteOptions::points`]). Each atomic access, and with
//!   [`Points::Accesses`] each load and store, of a shared memory becomes a call of a function that
//!   counts, asks the host when what it may count is used up, and then does the access. A host that
//!   runs threads one at a time decides there which is next.
//!
//! - *Records*, if they are asked for ([`RewriteOptions::recorded`]). Each access of a shared
//!   memory first tells the host its address, its length and its place in the original, and is then
//!   done.
//!
//! A shared memory that the module defines and does not export gets an export, so that it can be
//! limited and, where waits are left alone, reached.
//!
//! # What stays the same
//!
//! Types, functions, tables, exports are appended, never inserted, so no index
//! changes; the instructions are replaced in place, so no offset within the code
//! section changes. Hence names, DWARF, source maps, branch hints and profiles
//! stay right, and custom sections are passed through byte by byte.
//! In some cases the offsets move: [`Rewritten::code_offsets_kept`] says when, and [`OffsetMap`]
//! where to. Offsets *within the file* do move: those of the code section all by
//! [`Rewritten::code_file_shift`], if the offsets within it are kept.
//!
//! A module with nothing to rewrite comes back as the very bytes that went in.
//!
//! What was appended is known by what [`Rewritten`] says, not by its name: a module may have
//! exports of any name itself.
//!
//! # What it is not for
//!
//! - Deciding anything: the host is called where the module would have waited, and decides the
//!   result. What it has to check, and in which order, is in [`WaitSlot`] and in `DESIGN.md`. The
//!   crate `memory-waits` is such a host.
//! - Loops of the module's own code: engines interrupt these (wasmtime by epochs or fuel).
//! - Components: [`RewriteError::Component`].
//!
//! # Example
//!
//! ```
//! use interruptible_wasm::{WaitOp, names, rewrite};
//!
//! let module = wat::parse_str(
//!     r#"(module
//!          (import "env" "memory" (memory 1 1 shared))
//!          (func $start
//!            (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1))))
//!          (start $start))"#,
//! )?;
//! let rewritten = rewrite(&module)?;
//! // Instantiation runs nothing. Before it calls this export, the host puts a function
//! // `(addr: i64, expected: i32, timeout: i64) -> i32` into the first entry of the table.
//! assert_eq!(rewritten.start_export.as_deref(), Some(names::START));
//! assert_eq!(rewritten.wait_table.as_deref(), Some(names::WAIT_TABLE));
//! assert_eq!(rewritten.wait_slots[0].op, WaitOp::Wait32);
//! assert_eq!(rewritten.wait_slots[0].memory_export, "wasi-threads:memory-0");
//! // All else is as it was.
//! assert_eq!(rewritten.wait_sites, 1);
//! assert!(rewritten.code_offsets_kept);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `DESIGN.md` in the crate's folder has the encodings, the room each
//! needs, and the evidence.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

use std::borrow::Cow;

mod access;
mod access_op;
mod append;
mod assemble;
mod bulk;
mod calls;
mod code;
mod compare;
mod encode;
mod error;
mod filter;
mod fingerprint;
mod function_names;
mod limits;
pub mod names;
mod offset_map;
mod place;
mod points;
mod recording;
mod scan;
mod stand_in;
mod waits;

pub use access_op::AccessOp;
pub use error::RewriteError;
pub use fingerprint::{FINGERPRINT, extend_fingerprint};
pub use limits::{ModuleLimits, TooLarge};
pub use offset_map::{OffsetMap, Run};
pub use points::{PointKind, PointSlot, Points};
pub use recording::{AccessSite, Recorded};

/// What [`rewrite_with`] is to rewrite.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RewriteOptions {
    /// Send waits and notifies on shared memories to the host. On by default.
    pub waits: bool,
    /// Turn the start function into an export. On by default.
    pub start: bool,
    /// Split bulk memory operations into chunks of this many bytes at most;
    /// `None` leaves them whole. By default [`DEFAULT_BULK_CHUNK`].
    ///
    /// It helps only on an engine with epoch interruption (or fuel): on others nothing is looked at
    /// between two chunks. Zero counts as one.
    pub bulk_chunk: Option<u32>,
    /// Replace each `memory.copy` and `memory.init`, also where it is known to be small. Off by
    /// default.
    ///
    /// It is for compilers that do small ones in place with instructions that the processor lacks:
    /// Wasmtime 48 on riscv64 without vectors. Chunks of copies have at least 256 bytes then.
    pub small_copies: bool,
    /// Where a thread passes points. A thread that has passed as many as it may asks its host.
    /// `None`, the default, means nowhere and changes nothing.
    ///
    /// Waits and notifies pass them only if [`waits`](Self::waits) sends them to the host.
    pub points: Option<Points>,
    /// Which accesses the module tells its host of, each before it is done. `None`, the default,
    /// means none and changes nothing; otherwise code grows. The points stay the same.
    ///
    /// Waits and notifies are told only if [`waits`](Self::waits) sends them to the host.
    pub recorded: Option<Recorded>,
}

/// The chunk into which bulk memory operations are split unless told otherwise,
/// in bytes.
pub const DEFAULT_BULK_CHUNK: u32 = 1 << 18;

impl Default for RewriteOptions {
    fn default() -> Self {
        RewriteOptions {
            waits: true,
            start: true,
            bulk_chunk: Some(DEFAULT_BULK_CHUNK),
            small_copies: false,
            points: None,
            recorded: None,
        }
    }
}

/// Which of the three instructions a slot of the appended table stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WaitOp {
    /// `memory.atomic.wait32`: `(addr: i64, expected: i32, timeout: i64) -> i32`.
    Wait32,
    /// `memory.atomic.wait64`: `(addr: i64, expected: i64, timeout: i64) -> i32`.
    Wait64,
    /// `memory.atomic.notify`: `(addr: i64, count: i32) -> i32`.
    Notify,
}

/// One entry of the table that the rewrite appended, which the host has to fill
/// with a function of the type that [`WaitOp`] names.
///
/// `addr` is the effective address, offset included, for memories of either
/// index type. If the sum overflows the index type, the host sees `0xffff_ffff_ffff_fff8`. That is
/// aligned and out of every memory's bounds, so it ends in the trap that the instruction itself
/// would raise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitSlot {
    /// The instruction.
    pub op: WaitOp,
    /// The memory it works on, in the module's index space.
    pub memory: u32,
    /// A name under which the module exports that memory: one it had, or an
    /// appended one.
    pub memory_export: String,
}

/// What came of a rewrite.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rewritten<'a> {
    /// The module: borrowed if nothing had to change.
    pub bytes: Cow<'a, [u8]>,
    /// Whether every wait and notify on a shared memory goes to the host now;
    /// true also if there was none, false if [`RewriteOptions::waits`] is.
    pub waits_rewritten: bool,
    /// How many waits and notifies were replaced.
    pub wait_sites: usize,
    /// What the entries of the appended table stand for, by index; behind them are those of
    /// [`point_slot`](Self::point_slot) and [`access_slot`](Self::access_slot), if there are any.
    pub wait_slots: Vec<WaitSlot>,
    /// The export name of the appended table.
    pub wait_table: Option<String>,
    /// How many bulk memory operations were replaced.
    pub bulk_sites: usize,
    /// Where the module passes points: [`RewriteOptions::points`].
    pub points: Option<Points>,
    /// How many loads, stores and the like were replaced, and how many calls put in, for points
    /// alone.
    pub point_sites: usize,
    /// How the host meets the points; `None` if there is none.
    pub point_slot: Option<PointSlot>,
    /// Which accesses the module tells of: [`RewriteOptions::recorded`].
    pub recorded: Option<Recorded>,
    /// The entry of the appended table ([`wait_table`](Self::wait_table)) through which accesses
    /// are told; `None` if none is.
    ///
    /// Before it runs any code of an instance, the host puts a function
    /// `(address: i64, length: i64, site: i32)` there. The address includes the instruction's
    /// offset, and is the largest number if the sum overflows. The length is in bytes. The site is
    /// an index into [`access_sites`](Self::access_sites). The access comes right after the call,
    /// unless the call traps. An access that will trap is told as well, so the bytes may be beyond
    /// the memory. Only a compare-exchange traps before it is told.
    pub access_slot: Option<u32>,
    /// The instructions that tell the host, in the order of the code: [`RewriteOptions::recorded`].
    pub access_sites: Vec<AccessSite>,
    /// The functions by whose calls blocks of memory are told, by the names of exports or of the
    /// name section, such as `malloc` and `free`. Empty without [`Recorded::Races`], and if none
    /// is known. Calls through tables are not told.
    pub allocator: Vec<String>,
    /// Bytes of the memory that was appended so that accesses are told once
    /// ([`Recorded::Races`]); 0 if there is none. It is not shared, and has the index behind the
    /// module's own memories. Engines need the multi-memory proposal for it. A module that may
    /// call `wasi.thread-spawn` through a table gets none: all its accesses are told.
    pub filter_bytes: u64,
    /// The export name of what was the start function.
    pub start_export: Option<String>,
    /// The names of all exports that were appended. Every other export is the module's own,
    /// whatever its name.
    pub appended_exports: Vec<String>,
    /// Whether the module still has a start function.
    pub start_inside: bool,
    /// Whether instantiation writes data segments into a shared memory that is
    /// imported, where other threads see it.
    pub active_data_on_shared: bool,
    /// The index of the first appended function; all from here on are.
    pub first_appended_function: Option<u32>,
    /// By how many bytes the contents of the code section moved in the file. If the offsets are
    /// kept, a file offset within them less this is the offset in the original.
    pub code_file_shift: i64,
    /// Whether every original instruction is where it was, counted from the
    /// beginning of the code section's contents, as DWARF does.
    ///
    /// False if the count of functions needs a longer encoding than before (122 functions, say, and
    /// 8 appended): then all instructions moved by one byte. False in modules of more than 16,384
    /// functions in which a `memory.fill` was replaced: each replacement is a byte longer, and
    /// moves what comes after it. It may be false with [`Points::Accesses`], and is false with
    /// [`Points::Loops`] and [`RewriteOptions::recorded`]. [`code_map`](Self::code_map) says where
    /// the instructions are.
    pub code_offsets_kept: bool,
    /// Where each byte of the code went.
    pub code_map: OffsetMap,
}

/// Rewrites a module as [`RewriteOptions::default`] says.
///
/// Takes one pass over the module, validation included, and locks nothing. A second rewrite of a
/// rewritten module finds no waits and no start function, and does not report what the first one
/// appended: keep the first result. It does find the bulk memory operations in the appended
/// functions and splits them once more, which only makes them slower.
///
/// # Errors
///
/// [`RewriteError`] if the bytes are no valid core module, or too near to a
/// limit. No input makes it panic.
pub fn rewrite(bytes: &[u8]) -> Result<Rewritten<'_>, RewriteError> {
    rewrite_with(bytes, &RewriteOptions::default())
}

/// [`rewrite`] with a choice of what is rewritten.
///
/// # Errors
///
/// As for [`rewrite`].
pub fn rewrite_with<'a>(
    bytes: &'a [u8],
    options: &RewriteOptions,
) -> Result<Rewritten<'a>, RewriteError> {
    let scan = scan::scan(bytes, options)?;
    assemble::assemble(bytes, &scan, options)
}
