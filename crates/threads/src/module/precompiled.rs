//! A prepared module as a file: what Wasmtime compiled, and behind it a stamp with the results of
//! the rewrite.
//!
//! ```text
//! compiled module, with MARK in it | attached bytes | stamp | footer
//! footer: length of the compiled module, 8 bytes | length of the attached bytes, 8 bytes
//!         | length of the stamp, 4 bytes | CRC-32 of all before it, 4 bytes | MAGIC, 16 bytes
//! ```
//!
//! All numbers are little-endian. Both the front and the end of the file identify it. So a file
//! that was cut short or extended is found to be damaged, and is not taken for a foreign `.cwasm`,
//! whose waits and start function would not be bound. The mark lies in bytes 9 to 15 of the
//! compiled module, an ELF file. The format leaves them unused (System V ABI, "ELF Identification",
//! `EI_PAD`), and Wasmtime neither writes nor reads them.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use wasmtime::{ExternType, Module};

use crate::module::access_sites;
use crate::module::prepared::Prepared;
use crate::module::thread_module::ThreadModule;
use crate::rewrite::{OffsetMap, PointSlot, Points, Run, WaitOp, WaitSlot};

/// The last bytes of a stamped file, with the number of the format.
pub(super) const MAGIC: &[u8; 16] = b"wasi-threads:7\0\0";
/// What [`MAGIC`] begins with in every format.
const MAGIC_OF_ANY: &[u8] = b"wasi-threads:";
/// The bytes near the front of a stamped file, at [`MARK_PLACE`], with the number of the format.
pub(super) const MARK: &[u8; 7] = b"wthrd:7";
/// What [`MARK`] begins with in every format.
const MARK_OF_ANY: &[u8] = b"wthrd:";
pub(super) const MARK_PLACE: Range<usize> = 9..16;
/// Where a module may pass points. The stamp has the index here plus one.
pub(super) const POINTS: [Points; 3] = [Points::Atomics, Points::Accesses, Points::Loops];
/// Bytes of the footer.
const FOOTER: u64 = 8 + 8 + 4 + 4 + 16;
/// The longest valid stamp: it names a slot for every kind of wait, and needs no more.
const LONGEST_STAMP: u32 = 1 << 28;

/// Why a stamped module was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// The bytes have no stamp: they are not from [`ThreadModule::serialize`].
    #[error("no stamp: the module was not compiled from a prepared one")]
    Missing,
    /// The stamp has another format than this version's.
    #[error("it was compiled by another version of wasi-threads")]
    Version,
    /// The file is not as it was written: cut short, longer, or changed.
    #[error("the file is damaged: it was cut short, or changed, after it was compiled")]
    Damaged,
    /// The module lacks something that its stamp names, so they do not belong together.
    #[error("the stamp belongs to another module: {0} is missing or of another type")]
    Foreign(String),
    /// The file could not be read.
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
}

/// The stamp of a stamped file.
///
/// For a file that is to be mapped (`Module::deserialize_open_file`), and need not be read into
/// memory; [`Stamped`] is for bytes.
#[derive(Clone, Debug)]
pub struct Stamp {
    prepared: Box<Prepared>,
    pub(super) compiled: u64,
    attached: u64,
}

/// The bytes of a stamped module, taken apart.
///
/// The caller turns the compiled part into a [`Module`], because `Module::deserialize` is unsafe:
/// compiled bytes are native code, and must come from a trusted place. The checksum finds
/// accidental changes; it does not prove that Wasmtime compiled the bytes.
///
/// ```
/// # use wasi_threads::{Stamped, StampError};
/// assert!(matches!(Stamped::parse(b"\x7fELF..."), Err(StampError::Missing)));
/// ```
#[derive(Debug)]
pub struct Stamped<'a> {
    compiled: &'a [u8],
    stamp: Stamp,
}

impl Stamp {
    /// Reads the stamp of a file, and checks that the file is as [`ThreadModule::serialize`] wrote
    /// it. Afterwards the position of `file` is unspecified.
    ///
    /// Reads the file once, in pieces, which takes about as long as copying it.
    ///
    /// # Errors
    ///
    /// [`StampError`], except [`StampError::Foreign`].
    pub fn read(file: &mut (impl Read + Seek)) -> Result<Self, StampError> {
        Self::checked(file, sum_of_front)
    }

    /// `sum_of_front` computes the CRC-32 of so many bytes from the beginning of the file.
    fn checked<F: Read + Seek>(
        file: &mut F,
        sum_of_front: fn(&mut F, u64) -> io::Result<u32>,
    ) -> Result<Self, StampError> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut front = [0; MARK_PLACE.end];
        let mut end = [0; MAGIC.len()];
        if length >= front.len() as u64 {
            file.rewind()?;
            file.read_exact(&mut front)?;
            file.seek(SeekFrom::End(-(end.len() as i64)))?;
            file.read_exact(&mut end)?;
        }
        let mark = &front[MARK_PLACE];
        let marked = mark.starts_with(MARK_OF_ANY);
        let stamped = end.starts_with(MAGIC_OF_ANY);
        match (marked, stamped) {
            (false, false) => return Err(StampError::Missing),
            (true, _) if mark != MARK => return Err(StampError::Version),
            (false, true) if end != *MAGIC => return Err(StampError::Version),
            _ if mark != MARK || end != *MAGIC => return Err(StampError::Damaged),
            _ => {}
        }
        let body = length.checked_sub(FOOTER).ok_or(StampError::Damaged)?;
        file.seek(SeekFrom::Start(body))?;
        let mut footer = [0; FOOTER as usize];
        file.read_exact(&mut footer)?;
        let from = &mut &footer[..];
        let (compiled, attached, stamp, sum) = (|| {
            let compiled = u64::from_le_bytes(read_array(from)?);
            let attached = u64::from_le_bytes(read_array(from)?);
            Some((compiled, attached, read_u32(from)?, read_u32(from)?))
        })()
        .ok_or(StampError::Damaged)?;
        let before_stamp = compiled.checked_add(attached);
        let ends = before_stamp.and_then(|length| length.checked_add(stamp.into()));
        if ends != Some(body) || stamp > LONGEST_STAMP {
            return Err(StampError::Damaged);
        }
        if sum_of_front(file, length - (4 + MAGIC.len() as u64))? != sum {
            return Err(StampError::Damaged);
        }
        file.seek(SeekFrom::Start(compiled + attached))?;
        let mut bytes = vec![0; stamp as usize];
        file.read_exact(&mut bytes)?;
        let prepared = read(&bytes).ok_or(StampError::Damaged)?;
        Ok(Stamp {
            prepared: Box::new(prepared),
            compiled,
            attached,
        })
    }

    /// The range in the file of the bytes that [`ThreadModule::serialize_with`] attached.
    pub fn attached(&self) -> Range<u64> {
        self.compiled..self.compiled + self.attached
    }

    /// The prepared module. `module` must be deserialized from the file.
    ///
    /// # Errors
    ///
    /// [`StampError::Foreign`] if `module` lacks an export that the stamp
    /// speaks of.
    pub fn into_module(self, module: Module) -> Result<ThreadModule, StampError> {
        let prepared = *self.prepared;
        let slots = prepared.table_elements() as u64;
        let needed = |name: &str, fits: &dyn Fn(ExternType) -> bool| {
            if module.get_export(name).is_some_and(fits) {
                Ok(())
            } else {
                Err(StampError::Foreign(format!("the export `{name}`")))
            }
        };
        for name in &prepared.appended_exports {
            needed(name, &|_| true)?;
        }
        if let Some(name) = &prepared.wait_table {
            needed(name, &|ty| ty.table().is_some_and(|t| t.minimum() == slots))?;
        }
        for slot in &prepared.wait_slots {
            needed(&slot.memory_export, &|ty| {
                ty.memory().is_some_and(|m| m.is_shared())
            })?;
        }
        if let Some(point) = &prepared.point_slot {
            needed(&point.left, &|ty| {
                let global = ty.global();
                global.is_some_and(|global| global.content().is_i64())
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

impl<'a> Stamped<'a> {
    /// Takes apart the result of [`ThreadModule::serialize`].
    ///
    /// # Errors
    ///
    /// As [`Stamp::read`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StampError> {
        let stamp = Stamp::checked(&mut Cursor::new(bytes), |bytes, length| {
            // The range is valid: it is a part of these bytes.
            Ok(crc32fast::hash(&bytes.get_ref()[..length as usize]))
        })?;
        let compiled = usize::try_from(stamp.compiled)
            .ok()
            .and_then(|length| bytes.get(..length))
            .ok_or(StampError::Damaged)?;
        Ok(Stamped { compiled, stamp })
    }

    /// The bytes for `Module::deserialize`: what `Module::serialize` wrote, except for seven unused
    /// bytes of the ELF header.
    pub fn compiled(&self) -> &'a [u8] {
        self.compiled
    }

    /// The prepared module. `module` must be deserialized from [`compiled`](Stamped::compiled).
    ///
    /// # Errors
    ///
    /// [`StampError::Foreign`] if `module` lacks an export that the stamp
    /// speaks of.
    pub fn into_module(self, module: Module) -> Result<ThreadModule, StampError> {
        self.stamp.into_module(module)
    }
}

/// Reads the bytes in pieces. If the file became shorter meanwhile, the sum is that of what is
/// left.
fn sum_of_front(file: &mut (impl Read + Seek), length: u64) -> io::Result<u32> {
    file.rewind()?;
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; 1 << 16];
    let mut left = length;
    while left > 0 {
        let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut piece[..most])?;
        if read == 0 {
            break;
        }
        hasher.update(&piece[..read]);
        left -= read as u64;
    }
    Ok(hasher.finalize())
}

fn read(mut stamp: &[u8]) -> Option<Prepared> {
    let from = &mut stamp;
    let waits_rewritten = read_flag(from)?;
    let start_inside = read_flag(from)?;
    let active_data_on_shared = read_flag(from)?;
    let points = match read_array(from)? {
        [0] => None,
        [number] => Some(*POINTS.get(usize::from(number) - 1)?),
    };
    let mut runs = Vec::new();
    for _ in 0..read_u32(from)? {
        let [start, end, rewritten] = [read_u64(from)?, read_u64(from)?, read_u64(from)?];
        runs.push(Run {
            original: start..end,
            rewritten,
        });
    }
    let code_map = OffsetMap::from_runs(runs)?;
    let appended = read_u32(from)?;
    let wait_table = Some(read_name(from)?).filter(|name| !name.is_empty());
    let start_export = Some(read_name(from)?).filter(|name| !name.is_empty());
    let left = read_name(from)?;
    let slot = read_u32(from)?;
    let point_slot = (!left.is_empty()).then_some(PointSlot { slot, left });
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
    let mut appended_exports = Vec::new();
    for _ in 0..read_u32(from)? {
        appended_exports.push(read_name(from)?);
    }
    let told = access_sites::read(from)?;
    let prepared = Prepared {
        waits_rewritten,
        points,
        point_slot,
        recorded: told.recorded,
        access_slot: told.slot,
        access_sites: told.sites.into(),
        filter_bytes: told.filter_bytes,
        wait_slots,
        wait_table,
        start_export,
        appended_exports,
        start_inside,
        active_data_on_shared,
        first_appended_function: (appended != u32::MAX).then_some(appended),
        code_map,
    };
    let has_table = prepared.table_elements() > 0;
    (from.is_empty() && prepared.wait_table.is_some() == has_table).then_some(prepared)
}

pub(super) fn read_array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
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

pub(super) fn read_u32(from: &mut &[u8]) -> Option<u32> {
    read_array(from).map(u32::from_le_bytes)
}

pub(super) fn read_u64(from: &mut &[u8]) -> Option<u64> {
    read_array(from).map(u64::from_le_bytes)
}

fn read_name(from: &mut &[u8]) -> Option<String> {
    let length = read_u32(from)? as usize;
    let (name, rest) = from.split_at_checked(length)?;
    *from = rest;
    String::from_utf8(name.to_vec()).ok()
}
