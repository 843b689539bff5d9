//! `wasi_unstable`, preview1's predecessor, where it differs: the order of `whence`, the width of a
//! link count, the layout of a clock subscription. All else is the same code under another module
//! name; `sock_accept` it does not have.
//!
//! Source: `wasi_unstable.witx` beside preview1's in the WASI repository; the two differ in nothing
//! else.

use crate::abi::error::Result;
use crate::abi::types::{
    self, Errno, Eventtype, Fd, Filestat, Lookupflags, Subscription, SubscriptionClock,
    SubscriptionFdReadwrite, SubscriptionU, UserErrorConversion as _,
};
use crate::abi::wasi_snapshot_preview1 as abi;
use crate::call::Call;
use crate::calls::{file_meta, paths, poll};
use wiggle::{GuestError, GuestMemory, GuestPtr};

/// The call's result as wiggle's generated functions give it.
fn answer(call: &mut Call<'_>, result: Result<()>) -> wasmtime::Result<i32> {
    match result {
        Ok(()) => Ok(Errno::Success as i32),
        Err(error) => Ok(call.errno_from_error(error)? as i32),
    }
}

/// `cur`, `end`, `set` instead of `set`, `cur`, `end`.
pub(crate) fn fd_seek(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    offset: i64,
    whence: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let whence = match whence {
        0 => types::Whence::Cur as i32,
        1 => types::Whence::End as i32,
        2 => types::Whence::Set as i32,
        wrong => wrong,
    };
    abi::fd_seek(call, memory, fd, offset, whence, out)
}

/// A `filestat` with a link count of 32 bits.
fn write_filestat(memory: &mut GuestMemory<'_>, out: i32, stat: &Filestat) -> Result<()> {
    let links = u32::try_from(stat.nlink)?;
    let at = GuestPtr::<u8>::new(out as u32);
    memory.write(at.cast(), stat.dev)?;
    memory.write(at.add(8)?.cast(), stat.ino)?;
    memory.write(at.add(16)?, stat.filetype as u8)?;
    memory.write(at.add(20)?.cast(), links)?;
    memory.write(at.add(24)?.cast(), stat.size)?;
    memory.write(at.add(32)?.cast(), stat.atim)?;
    memory.write(at.add(40)?.cast(), stat.mtim)?;
    memory.write(at.add(48)?.cast(), stat.ctim)?;
    Ok(())
}

pub(crate) fn fd_filestat_get(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let result =
        file_meta::filestat(call, Fd::from(fd)).and_then(|stat| write_filestat(memory, out, &stat));
    answer(call, result)
}

pub(crate) fn path_filestat_get(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    path: i32,
    len: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let flags = Lookupflags::try_from(flags)?;
    let path = GuestPtr::<str>::new((path as u32, len as u32));
    let result = paths::filestat(call, memory, Fd::from(fd), flags, path)
        .and_then(|stat| write_filestat(memory, out, &stat));
    answer(call, result)
}

/// Subscriptions of 56 bytes: a clock's begins with an identifier of its own, which nothing
/// reports.
pub(crate) fn poll_oneoff(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    subscriptions: i32,
    events: i32,
    count: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let layout = poll::Layout {
        size: 56,
        read: read_subscription,
    };
    let events = GuestPtr::new(events as u32);
    let result = poll::oneoff(
        call,
        memory,
        subscriptions as u32,
        events,
        count as u32,
        layout,
    )
    .and_then(|count| Ok(memory.write(GuestPtr::new(out as u32), count)?));
    answer(call, result)
}

fn read_subscription(memory: &mut GuestMemory<'_>, at: u32) -> Result<Subscription, GuestError> {
    let at = GuestPtr::<u8>::new(at);
    let payload = at.add(16)?;
    let userdata = memory.read(at.cast())?;
    let kind = Eventtype::try_from(memory.read(at.add(8)?)?)?;
    let u = match kind {
        Eventtype::Clock => SubscriptionU::Clock(SubscriptionClock {
            id: memory.read(payload.add(8)?.cast())?,
            timeout: memory.read(payload.add(16)?.cast())?,
            precision: memory.read(payload.add(24)?.cast())?,
            flags: memory.read(payload.add(32)?.cast())?,
        }),
        Eventtype::FdRead => SubscriptionU::FdRead(descriptor(memory, payload)?),
        Eventtype::FdWrite => SubscriptionU::FdWrite(descriptor(memory, payload)?),
    };
    Ok(Subscription { userdata, u })
}

fn descriptor(
    memory: &GuestMemory<'_>,
    at: GuestPtr<u8>,
) -> Result<SubscriptionFdReadwrite, GuestError> {
    Ok(SubscriptionFdReadwrite {
        file_descriptor: memory.read(at.cast())?,
    })
}
