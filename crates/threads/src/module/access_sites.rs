//! What a stamp has of accesses that are told.
//!
//! ```text
//! which are told, 1 byte; if any:
//!   entry of the table plus one, 4 bytes | bytes of the appended memory, 8 bytes
//!   | number of sites, 4 bytes | sites
//! site: function, 4 bytes | offset, 8 bytes | operation, 1 byte | width, 4 bytes | memory, 4 bytes
//! ```

use crate::module::precompiled::{read_array, read_u32, read_u64};
#[cfg(feature = "compile")]
use crate::module::prepared::Prepared;
use crate::rewrite::{AccessOp, AccessSite, Recorded};

/// Which accesses may be told. The stamp has the index here plus one.
const RECORDED: [Recorded; 3] = [Recorded::Atomics, Recorded::Accesses, Recorded::Races];
/// Operations. The stamp has the index here.
const OPS: [AccessOp; 16] = [
    AccessOp::Load,
    AccessOp::Store,
    AccessOp::AtomicLoad,
    AccessOp::AtomicStore,
    AccessOp::AtomicRmw,
    AccessOp::AtomicCmpxchg,
    AccessOp::AtomicCompare,
    AccessOp::Wait,
    AccessOp::Notify,
    AccessOp::Fill,
    AccessOp::CopyFrom,
    AccessOp::CopyTo,
    AccessOp::Init,
    AccessOp::HostCall,
    AccessOp::Allocate,
    AccessOp::Free,
];

/// What a stamp says of accesses.
#[derive(Default)]
pub(super) struct ToldAccesses {
    pub(super) recorded: Option<Recorded>,
    pub(super) slot: Option<u32>,
    pub(super) filter_bytes: u64,
    pub(super) sites: Vec<AccessSite>,
}

#[cfg(feature = "compile")]
pub(super) fn write(out: &mut Vec<u8>, prepared: &Prepared) {
    let number = |recorded| RECORDED.iter().position(|one| *one == recorded);
    let Some(number) = prepared.recorded.and_then(number) else {
        out.push(0);
        return;
    };
    // There are three, so the number fits.
    out.push(number as u8 + 1);
    let slot = prepared.access_slot.map_or(0, |slot| slot + 1);
    out.extend_from_slice(&slot.to_le_bytes());
    out.extend_from_slice(&prepared.filter_bytes.to_le_bytes());
    out.extend_from_slice(&(prepared.access_sites.len() as u32).to_le_bytes());
    for site in &*prepared.access_sites {
        let op = OPS.iter().position(|op| *op == site.op);
        out.extend_from_slice(&site.function.to_le_bytes());
        out.extend_from_slice(&site.offset.to_le_bytes());
        // All operations are in the list.
        out.push(op.unwrap_or_default() as u8);
        out.extend_from_slice(&site.width.to_le_bytes());
        out.extend_from_slice(&site.memory.to_le_bytes());
    }
}

pub(super) fn read(from: &mut &[u8]) -> Option<ToldAccesses> {
    let recorded = match read_array(from)? {
        [0] => return Some(ToldAccesses::default()),
        [number] => *RECORDED.get(usize::from(number) - 1)?,
    };
    let slot = read_u32(from)?.checked_sub(1);
    let filter_bytes = read_u64(from)?;
    let mut sites = Vec::new();
    for _ in 0..read_u32(from)? {
        sites.push(AccessSite::new(
            read_u32(from)?,
            read_u64(from)?,
            *OPS.get(usize::from(read_array::<1>(from)?[0]))?,
            read_u32(from)?,
            read_u32(from)?,
        ));
    }
    Some(ToldAccesses {
        recorded: Some(recorded),
        slot,
        filter_bytes,
        sites,
    })
}

#[cfg(test)]
mod tests {
    use super::{OPS, ToldAccesses, read};

    #[test]
    fn each_operation_is_in_the_list_once() {
        for (at, op) in OPS.iter().enumerate() {
            assert!(!OPS[..at].contains(op), "{op}");
        }
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let whole = [
            &[3][..],
            &1_u32.to_le_bytes(),
            &0_u64.to_le_bytes(),
            &1_u32.to_le_bytes(),
            &[0; 12],
            &[15],
            &[0; 8],
        ]
        .concat();
        let told = read(&mut &whole[..]).unwrap();
        assert_eq!((told.slot, told.sites.len()), (Some(0), 1));
        for length in 0..whole.len() {
            assert!(read(&mut &whole[..length]).is_none(), "{length}");
        }
        let ToldAccesses { recorded, .. } = read(&mut &[0][..]).unwrap();
        assert!(recorded.is_none());
        assert!(read(&mut &[4][..]).is_none());
    }
}
