//! `clock_res_get`, `clock_time_get`.

use crate::abi::error::Result;
use crate::abi::types::{Clockid, Timestamp};
use crate::call::Call;

pub(crate) fn resolution(call: &Call<'_>, clock: Clockid) -> Result<Timestamp> {
    Ok(call.shared.clocks.resolution(clock))
}

#[inline]
pub(crate) fn time(call: &Call<'_>, clock: Clockid) -> Result<Timestamp> {
    Ok(call.shared.clocks.now(clock))
}
