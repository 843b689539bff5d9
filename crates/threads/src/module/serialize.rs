//! Writing a prepared module as a file. `precompiled.rs` has the format.

use std::io::Cursor;

use crate::module::access_sites;
use crate::module::precompiled::{MAGIC, MARK, MARK_PLACE, POINTS, Stamp};
use crate::module::prepared::Prepared;
use crate::module::thread_module::ThreadModule;
use crate::rewrite::{Points, WaitOp};

impl ThreadModule {
    /// The compiled module and, if it was prepared, a stamp, for
    /// [`Stamped::parse`](crate::Stamped::parse) and [`Stamp::read`]. An unprepared module is
    /// written as by `Module::serialize`. Needs the feature `compile`.
    ///
    /// # Errors
    ///
    /// Those of `Module::serialize`.
    pub fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        self.serialize_with(&[])
    }

    /// [`serialize`](Self::serialize) with bytes of the caller attached, such as the module's debug
    /// information; see [`Stamp::attached`](crate::Stamp::attached). With an unprepared module
    /// nothing is attached. Needs the feature `compile`.
    ///
    /// # Errors
    ///
    /// Those of `Module::serialize`.
    pub fn serialize_with(&self, attached: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = self.module().serialize()?;
        let Some(prepared) = self.prepared() else {
            return Ok(bytes);
        };
        match bytes.get_mut(MARK_PLACE) {
            Some(place) if place.iter().all(|byte| *byte == 0) => place.copy_from_slice(MARK),
            // The module was deserialized. If it is a mapped file, its old stamp is still behind
            // it.
            Some(place) if place == MARK => {
                if let Ok(stamp) = Stamp::read(&mut Cursor::new(&bytes)) {
                    bytes.truncate(stamp.compiled as usize);
                }
            }
            _ => {
                return Err(wasmtime::Error::msg(
                    "a compiled module has no room for a mark where it had in wasmtime 48",
                ));
            }
        }
        let compiled = bytes.len() as u64;
        let stamp = write(prepared);
        bytes.extend_from_slice(attached);
        bytes.extend_from_slice(&stamp);
        bytes.extend_from_slice(&compiled.to_le_bytes());
        bytes.extend_from_slice(&(attached.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(stamp.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        Ok(bytes)
    }
}

fn write(prepared: &Prepared) -> Vec<u8> {
    let points = |points: Points| POINTS.iter().position(|one| *one == points);
    let mut out = vec![
        prepared.waits_rewritten.into(),
        prepared.start_inside.into(),
        prepared.active_data_on_shared.into(),
        // There are three, so the number fits.
        prepared
            .points
            .and_then(points)
            .map_or(0, |at| at as u8 + 1),
    ];
    let runs = prepared.code_map.runs();
    out.extend_from_slice(&(runs.len() as u32).to_le_bytes());
    for run in runs {
        for number in [run.original.start, run.original.end, run.rewritten] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    // No function has the last index.
    let appended = prepared.first_appended_function.unwrap_or(u32::MAX);
    out.extend_from_slice(&appended.to_le_bytes());
    // No export that the rewrite appends has an empty name.
    for name in [&prepared.wait_table, &prepared.start_export] {
        write_name(&mut out, name.as_deref().unwrap_or_default());
    }
    let slot = prepared.point_slot.as_ref();
    write_name(&mut out, slot.map_or("", |slot| &slot.left));
    out.extend_from_slice(&slot.map_or(0, |slot| slot.slot).to_le_bytes());
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
    out.extend_from_slice(&(prepared.appended_exports.len() as u32).to_le_bytes());
    for name in &prepared.appended_exports {
        write_name(&mut out, name);
    }
    access_sites::write(&mut out, prepared);
    out
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(&(name.len() as u32).to_le_bytes());
    out.extend_from_slice(name.as_bytes());
}
