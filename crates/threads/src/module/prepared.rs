//! What is known of a module that was prepared.

#[cfg(feature = "compile")]
use crate::rewrite::Rewritten;
use crate::rewrite::{OffsetMap, PointSlot, Points, WaitSlot};

/// What the rewrite said about a module.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) waits_rewritten: bool,
    pub(crate) wait_slots: Vec<WaitSlot>,
    pub(crate) wait_table: Option<String>,
    pub(crate) points: Option<Points>,
    pub(crate) point_slot: Option<PointSlot>,
    pub(crate) start_export: Option<String>,
    /// All of them, those above included.
    pub(crate) appended_exports: Vec<String>,
    pub(crate) start_inside: bool,
    pub(crate) active_data_on_shared: bool,
    pub(crate) first_appended_function: Option<u32>,
    pub(crate) code_map: OffsetMap,
}

impl Prepared {
    /// How many elements the appended table has; none where there is no table.
    pub(crate) fn table_elements(&self) -> usize {
        self.wait_slots.len() + usize::from(self.point_slot.is_some())
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
            start_export: rewritten.start_export.clone(),
            appended_exports: rewritten.appended_exports.clone(),
            start_inside: rewritten.start_inside,
            active_data_on_shared: rewritten.active_data_on_shared,
            first_appended_function: rewritten.first_appended_function,
            code_map: rewritten.code_map.clone(),
        }
    }
}
