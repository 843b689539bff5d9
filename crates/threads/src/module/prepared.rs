//! The results of the rewrite, for a prepared module.

use std::sync::Arc;

#[cfg(feature = "compile")]
use crate::rewrite::Rewritten;
use crate::rewrite::{AccessSite, OffsetMap, PointSlot, Points, Recorded, WaitSlot};

/// The results of the rewrite of a module.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) waits_rewritten: bool,
    pub(crate) wait_slots: Vec<WaitSlot>,
    pub(crate) wait_table: Option<String>,
    pub(crate) points: Option<Points>,
    pub(crate) point_slot: Option<PointSlot>,
    pub(crate) recorded: Option<Recorded>,
    pub(crate) access_slot: Option<u32>,
    pub(crate) access_sites: Arc<[AccessSite]>,
    /// The size of the appended memory, or 0.
    pub(crate) filter_bytes: u64,
    pub(crate) start_export: Option<String>,
    /// All exports that the rewrite appended, with those above.
    pub(crate) appended_exports: Vec<String>,
    pub(crate) start_inside: bool,
    pub(crate) active_data_on_shared: bool,
    pub(crate) first_appended_function: Option<u32>,
    pub(crate) code_map: OffsetMap,
}

impl Prepared {
    /// How many elements the appended table has; 0 if there is no table.
    pub(crate) fn table_elements(&self) -> usize {
        let others = [self.point_slot.is_some(), self.access_slot.is_some()];
        self.wait_slots.len() + others.into_iter().filter(|one| *one).count()
    }
}

#[cfg(feature = "compile")]
impl Prepared {
    pub(crate) fn of(rewritten: &Rewritten<'_>) -> Self {
        Prepared {
            waits_rewritten: rewritten.waits_rewritten,
            wait_slots: rewritten.wait_slots.clone(),
            wait_table: rewritten.wait_table.clone(),
            points: rewritten.points,
            point_slot: rewritten.point_slot.clone(),
            recorded: rewritten.recorded,
            access_slot: rewritten.access_slot,
            access_sites: rewritten.access_sites.as_slice().into(),
            filter_bytes: rewritten.filter_bytes,
            start_export: rewritten.start_export.clone(),
            appended_exports: rewritten.appended_exports.clone(),
            start_inside: rewritten.start_inside,
            active_data_on_shared: rewritten.active_data_on_shared,
            first_appended_function: rewritten.first_appended_function,
            code_map: rewritten.code_map.clone(),
        }
    }
}
