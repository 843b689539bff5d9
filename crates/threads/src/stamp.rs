//! A prepared module as a file: what wasmtime compiled, and behind it a stamp
//! with what the rewrite said.
//!
//! ```text
//! compiled module | stamp | length of the stamp, 4 bytes | "wasi-threads:1" and two zeroes
//! ```
//!
//! All numbers are little-endian. The end of the file says whether there is a
//! stamp, so a foreign `.cwasm` is told from one of ours by its last 16 bytes.

use wasmtime::{ExternType, Module};

use crate::prepare::{Prepared, ThreadModule};
use crate::rewrite::{WaitOp, WaitSlot};

/// The last bytes of a stamped file. The number in it is the format's.
const MAGIC: &[u8; 16] = b"wasi-threads:1\0\0";

/// Why a stamped module was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// The bytes have no stamp at their end, or one of another format.
    #[error("no stamp: the module was not compiled from a prepared one, or by another version")]
    Missing,
    /// There is a stamp, but it is cut short or makes no sense.
    #[error("the stamp is damaged")]
    Damaged,
    /// The module lacks something that its stamp says it has, so they do not
    /// belong together.
    #[error("the stamp belongs to another module: {0} is missing or of another type")]
    Foreign(String),
}

/// The bytes of a stamped module, taken apart.
///
/// Turning the compiled part into a [`Module`] is the caller's, as
/// `Module::deserialize` is unsafe: compiled bytes are native code, and have to
/// come from somewhere that is trusted. Nothing here checks that.
///
/// ```
/// # use wasi_threads::{Stamped, StampError};
/// assert!(matches!(Stamped::parse(b"\x7fELF..."), Err(StampError::Missing)));
/// ```
#[derive(Debug)]
pub struct Stamped<'a> {
    compiled: &'a [u8],
    prepared: Prepared,
}

impl ThreadModule {
    /// The compiled module and, if it was prepared, a stamp, for
    /// [`Stamped::parse`] to read. An unprepared module comes out as
    /// `Module::serialize` has it.
    ///
    /// # Errors
    ///
    /// Those of `Module::serialize`.
    pub fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = self.module().serialize()?;
        if let Some(prepared) = self.prepared() {
            let stamp = write(prepared);
            bytes.extend_from_slice(&stamp);
            bytes.extend_from_slice(&(stamp.len() as u32).to_le_bytes());
            bytes.extend_from_slice(MAGIC);
        }
        Ok(bytes)
    }
}

impl<'a> Stamped<'a> {
    /// Takes apart what [`ThreadModule::serialize`] gave.
    ///
    /// # Errors
    ///
    /// [`StampError::Missing`] or [`StampError::Damaged`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StampError> {
        let rest = bytes.strip_suffix(MAGIC).ok_or(StampError::Missing)?;
        let (rest, length) = rest.split_last_chunk::<4>().ok_or(StampError::Damaged)?;
        let at = rest
            .len()
            .checked_sub(u32::from_le_bytes(*length) as usize)
            .ok_or(StampError::Damaged)?;
        let (compiled, stamp) = rest.split_at(at);
        let prepared = read(stamp).ok_or(StampError::Damaged)?;
        Ok(Stamped { compiled, prepared })
    }

    /// What to hand to `Module::deserialize`.
    pub fn compiled(&self) -> &'a [u8] {
        self.compiled
    }

    /// The prepared module again. `module` is what became of
    /// [`compiled`](Stamped::compiled).
    ///
    /// # Errors
    ///
    /// [`StampError::Foreign`] if `module` lacks an export that the stamp
    /// speaks of.
    pub fn into_module(self, module: Module) -> Result<ThreadModule, StampError> {
        let prepared = self.prepared;
        let slots = prepared.wait_slots.len() as u64;
        let needed = |name: &str, fits: &dyn Fn(ExternType) -> bool| {
            if module.get_export(name).is_some_and(fits) {
                Ok(())
            } else {
                Err(StampError::Foreign(format!("the export `{name}`")))
            }
        };
        if let Some(name) = &prepared.wait_table {
            needed(name, &|ty| ty.table().is_some_and(|t| t.minimum() == slots))?;
        }
        for slot in &prepared.wait_slots {
            needed(&slot.memory_export, &|ty| {
                ty.memory().is_some_and(|m| m.is_shared())
            })?;
        }
        if let Some(name) = &prepared.start_export {
            needed(name, &|ty| {
                ty.func()
                    .is_some_and(|f| f.params().len() + f.results().len() == 0)
            })?;
        }
        Ok(ThreadModule::new(module, Some(prepared)))
    }
}

fn write(prepared: &Prepared) -> Vec<u8> {
    let mut out = vec![
        prepared.waits_rewritten.into(),
        prepared.start_inside.into(),
        prepared.active_data_on_shared.into(),
    ];
    out.extend_from_slice(&prepared.code_file_shift.to_le_bytes());
    // No function has the last index.
    let appended = prepared.first_appended_function.unwrap_or(u32::MAX);
    out.extend_from_slice(&appended.to_le_bytes());
    // No export that the rewrite appends has an empty name.
    for name in [&prepared.wait_table, &prepared.start_export] {
        write_name(&mut out, name.as_deref().unwrap_or_default());
    }
    out.extend_from_slice(&(prepared.wait_slots.len() as u32).to_le_bytes());
    for slot in &prepared.wait_slots {
        out.push(match slot.op {
            WaitOp::Wait32 => 0,
            WaitOp::Wait64 => 1,
            WaitOp::Notify => 2,
        });
        out.extend_from_slice(&slot.memory.to_le_bytes());
        write_name(&mut out, &slot.memory_export);
    }
    out
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(&(name.len() as u32).to_le_bytes());
    out.extend_from_slice(name.as_bytes());
}

fn read(mut stamp: &[u8]) -> Option<Prepared> {
    let from = &mut stamp;
    let waits_rewritten = read_flag(from)?;
    let start_inside = read_flag(from)?;
    let active_data_on_shared = read_flag(from)?;
    let code_file_shift = i64::from_le_bytes(read_array(from)?);
    let appended = read_u32(from)?;
    let wait_table = Some(read_name(from)?).filter(|name| !name.is_empty());
    let start_export = Some(read_name(from)?).filter(|name| !name.is_empty());
    let mut wait_slots = Vec::new();
    for _ in 0..read_u32(from)? {
        let op = match read_array(from)? {
            [0] => WaitOp::Wait32,
            [1] => WaitOp::Wait64,
            [2] => WaitOp::Notify,
            _ => return None,
        };
        wait_slots.push(WaitSlot {
            op,
            memory: read_u32(from)?,
            memory_export: read_name(from)?,
        });
    }
    (from.is_empty() && wait_table.is_none() == wait_slots.is_empty()).then_some(Prepared {
        waits_rewritten,
        wait_slots,
        wait_table,
        start_export,
        start_inside,
        active_data_on_shared,
        first_appended_function: (appended != u32::MAX).then_some(appended),
        code_file_shift,
    })
}

fn read_array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*array)
}

fn read_flag(from: &mut &[u8]) -> Option<bool> {
    match read_array(from)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

fn read_u32(from: &mut &[u8]) -> Option<u32> {
    read_array(from).map(u32::from_le_bytes)
}

fn read_name(from: &mut &[u8]) -> Option<String> {
    let length = read_u32(from)? as usize;
    let (name, rest) = from.split_at_checked(length)?;
    *from = rest;
    String::from_utf8(name.to_vec()).ok()
}
