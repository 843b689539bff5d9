//! `sock_accept`, `sock_recv`, `sock_send`, `sock_shutdown`, on sockets the embedder has handed
//! over and the connections accepted from them.
//!
//! All wait as `fd_read` and `fd_write` do: in the kernel, until the end signal, or not at all with
//! `NONBLOCK`. Two threads that receive from one stream get disjoint bytes; two that send queue
//! behind each other.

use crate::abi::error::{Error, Result};
use crate::abi::types::{
    CiovecArray, Errno, Fd, Fdflags, Filetype, IovecArray, Riflags, Rights, Roflags, Sdflags,
    Siflags, Size,
};
use crate::blocking::{self, StreamKind};
use crate::call::Call;
use crate::descriptor::stream::{GuestStream, Source};
use crate::descriptor::{Descriptor, Kind};
use crate::guest::buffers::GuestBufs;
use crate::sys::fd::{AsFd as _, BorrowedFd};
use crate::sys::socket::{self, Shutdown};
use std::io;
use wiggle::GuestMemory;

/// The stream behind a number: `badf` without one, `notsock` for everything that is not a socket.
fn socket(descriptor: &Descriptor) -> Result<&GuestStream> {
    match descriptor.kind()? {
        Kind::Stream(stream) => match &stream.source {
            Source::Listener(_) => Ok(stream),
            Source::Host(host) if host.kind() == StreamKind::Socket => Ok(stream),
            _ => Err(Errno::Notsock.into()),
        },
        _ => Err(Errno::Notsock.into()),
    }
}

/// The socket that carries bytes; `notconn` for a listener.
fn connected(stream: &GuestStream) -> Result<&blocking::Stream> {
    match &stream.source {
        Source::Host(host) => Ok(host),
        _ => Err(Errno::Notconn.into()),
    }
}

/// The next connection of a listener, under the lowest free number. `flags` may hold `NONBLOCK`,
/// for the new descriptor; whether this call waits is the listener's own flag. `inval` for a socket
/// that does not listen, `notsup` for one of datagrams. Rights the listener no longer passes on are
/// dropped.
///
/// The number is taken before the connection, so `mfile` leaves the connection in the queue. No
/// number is taken while there is none to accept.
pub(crate) fn accept(call: &mut Call<'_>, fd: Fd, flags: Fdflags) -> Result<Fd> {
    let descriptor = call.fd(fd)?;
    let stream = socket(&descriptor)?;
    call.meet_stream(stream)?;
    let Source::Listener(listener) = &stream.source else {
        return Err(match stream.file_type() {
            Filetype::SocketDgram => Errno::Notsup.into(),
            _ => Errno::Inval.into(),
        });
    };
    call.allow(&descriptor, Rights::SOCK_ACCEPT)?;
    if !Fdflags::NONBLOCK.contains(flags) {
        return Err(Errno::Inval.into());
    }
    let fds = &call.shared.fds;
    let shut = Err(Errno::Inval.into());
    let (number, connection) = call.once(&descriptor, shut, |nonblock, end| {
        listener.accept_to(nonblock, end, || Ok::<_, Error>(fds.reserve()?))
    })?;
    let connection = blocking::Stream::connection(connection)?;
    let accepted = Descriptor::stream(stream.connection(connection)).below(&descriptor);
    accepted.set_flags(flags)?;
    Ok(number.fill(accepted)?.into())
}

/// One receive. `RECV_PEEK` leaves the bytes where they are; `RECV_WAITALL` waits until the buffers
/// are full, on a stream socket and without `RECV_PEEK` (with it, POSIX allows less).
/// `RECV_DATA_TRUNCATED` comes back when a datagram, or another record, was longer than the
/// buffers.
pub(crate) fn recv(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    iovs: IovecArray,
    flags: Riflags,
) -> Result<(Size, Roflags)> {
    let bufs = call.iovecs(memory, iovs)?;
    let descriptor = call.fd(fd)?;
    let stream = socket(&descriptor)?;
    call.meet_stream(stream)?;
    call.allow(&descriptor, Rights::FD_READ)?;
    let host = connected(stream)?;
    stream.check_read()?;
    stream.check_record(&bufs)?;

    let peek = flags.contains(Riflags::RECV_PEEK);
    let datagram = stream.has_records();
    if bufs.len() == 0 && !datagram {
        return Ok((0, Roflags::empty()));
    }
    let mut truncated = false;
    let mut receive = |fd: BorrowedFd<'_>, bufs: &GuestBufs<'_>| -> io::Result<usize> {
        let (count, cut) = bufs.recv(fd, peek, datagram)?;
        truncated |= cut;
        Ok(count)
    };
    let all = flags.contains(Riflags::RECV_WAITALL) && !peek && !datagram;
    let count = if all {
        // In a call that is tried again `until_full` itself looks whether the guest waits.
        let (asynchronous, nonblock) = (call.retry.is_some(), descriptor.nonblock());
        call.until_full(&descriptor, bufs.len(), |missing, end| {
            let bufs = bufs.slice(&missing);
            Ok(host.read(asynchronous || nonblock, end, |fd, _| receive(fd, &bufs))?)
        })?
    } else {
        call.once(&descriptor, Ok(0), |nonblock, end| {
            Ok(host.read(nonblock, end, |fd, _| receive(fd, &bufs))?)
        })?
    };
    let mut out = Roflags::empty();
    out.set(Roflags::RECV_DATA_TRUNCATED, truncated && datagram);
    let count = count.try_into()?;
    let list = (iovs.offset_base(), iovs.len());
    call.used_buffers(memory, "sock_recv", list, count, true);
    Ok((count, out))
}

/// One send of all the buffers. No flags are defined: `inval` for any.
pub(crate) fn send(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    iovs: CiovecArray,
    flags: Siflags,
) -> Result<Size> {
    let bufs = call.ciovecs(memory, iovs)?;
    let descriptor = call.fd(fd)?;
    let stream = socket(&descriptor)?;
    call.meet_stream(stream)?;
    call.allow(&descriptor, Rights::FD_WRITE)?;
    connected(stream)?;
    stream.check_write()?;
    stream.check_record(&bufs)?;
    if flags != Siflags::default() {
        return Err(Errno::Inval.into());
    }
    let count = call.write(&descriptor, stream, &bufs)?.try_into()?;
    let list = (iovs.offset_base(), iovs.len());
    call.used_buffers(memory, "sock_send", list, count, false);
    Ok(count)
}

/// Ends one or both directions: a thread that waits to read finds the end, and so does the peer.
/// Never waits. `inval` for neither direction, `badf` for one that the descriptor does not have,
/// `notconn` for a listener.
pub(crate) fn shutdown(call: &Call<'_>, fd: Fd, how: Sdflags) -> Result<()> {
    let descriptor = call.fd(fd)?;
    let stream = socket(&descriptor)?;
    call.meet_stream(stream)?;
    let host = connected(stream)?;
    descriptor.allow(Rights::SOCK_SHUTDOWN)?;
    let (read, write) = (how.contains(Sdflags::RD), how.contains(Sdflags::WR));
    // It acts on the socket, which other descriptors may have too, and not only on this descriptor.
    if read {
        stream.check_read()?;
    }
    if write {
        stream.check_write()?;
    }
    let how = match (read, write) {
        (true, true) => Shutdown::Both,
        (true, false) => Shutdown::Read,
        (false, true) => Shutdown::Write,
        (false, false) => return Err(Errno::Inval.into()),
    };
    Ok(socket::shutdown(host.as_fd(), how)?)
}
