//! The embedder's promise to write to the memory.

use std::sync::Arc;

use crate::lot::ParkingLot;

impl ParkingLot {
    /// Takes a [`HostWriter`].
    #[must_use]
    pub fn host_writer(self: &Arc<Self>) -> HostWriter {
        HostWriter::new(self.clone())
    }
}

/// A promise to write to the memory, or to notify, from outside the group. It counts as one live
/// thread, so no deadlock is found while it is held.
///
/// Taken with [`ParkingLot::host_writer`]; dropping it gives it back and may
/// run the hook of [`ParkingLot::on_quiet`] on the dropping thread.
#[derive(Debug)]
pub struct HostWriter {
    lot: Arc<ParkingLot>,
}

impl HostWriter {
    pub(crate) fn new(lot: Arc<ParkingLot>) -> Self {
        lot.liveness.writer_taken();
        Self { lot }
    }
}

impl Drop for HostWriter {
    fn drop(&mut self) {
        self.lot.liveness.writer_given_back();
    }
}
