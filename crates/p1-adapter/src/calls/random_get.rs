//! `random_get`.

use crate::abi::error::{Error, Result, TooMuchRandom};
use crate::abi::types::Size;
use crate::call::Call;
use wiggle::{GuestMemory, GuestPtr};

/// Fills `len` bytes. Asking for more than the context allows is a trap, as in wasmtime-wasi.
pub(crate) fn get(
    call: &Call<'_>,
    memory: &mut GuestMemory<'_>,
    buf: GuestPtr<u8>,
    len: Size,
) -> Result<()> {
    let limit = call.shared.limits.random_size;
    if len > limit {
        return Err(Error::trap(TooMuchRandom { asked: len, limit }));
    }
    let shared = call.shared;
    shared.random.fill(memory, buf.offset(), len, &shared.end)?;
    call.used("random_get", buf.offset(), len, true);
    Ok(())
}
