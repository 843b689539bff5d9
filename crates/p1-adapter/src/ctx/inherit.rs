//! The host's standard streams, given to the guest as what they are.

use crate::blocking::{Stream as HostStream, StreamKind};
use crate::descriptor::Descriptor;
use crate::descriptor::stream::{GuestStream, Source};
use crate::sys::errno::Errno as Os;
use crate::sys::fd::BorrowedFd;
use crate::sys::file::{FileType, OFlags, duplicate, flags};
use crate::sys::object::Object;
use std::fs::File;
use std::io;
use wasmtime_wasi::filesystem as wasi;
use wasmtime_wasi::{FsPerms, OpenMode};

/// The host's standard stream `number`. It may do what its descriptor may and nothing else.
///
/// A regular file, a block device and a memory device (`/dev/null`) are files: they have
/// attributes, a size and a position. The position is that of the description, and so of every
/// process that shares it. Nothing is read ahead and no flag is changed. A stream that comes with
/// `O_NONBLOCK` begins with the guest's flag of that name. If the process was started with the
/// stream closed, the guest gets one that is at its end.
///
/// `plain`: the guest sees bytes in order in one direction, and nothing else.
///
/// # Errors
///
/// What the system says when it is looked at or duplicated.
pub(crate) fn standard_stream(
    number: u32,
    fd: BorrowedFd<'_>,
    plain: bool,
) -> io::Result<Descriptor> {
    let stat = match Object::of(fd) {
        Err(Os::BADF) if number == 0 => {
            return Ok(Descriptor::stream(GuestStream::input(Source::Null)));
        }
        Err(Os::BADF) => return Ok(Descriptor::stream(GuestStream::output(Source::Null))),
        stat => stat?,
    };
    let flags = flags(fd)?;
    let access = flags & OFlags::ACCMODE;
    let (read, write) = (access != OFlags::WRONLY, access != OFlags::RDONLY);
    if plain {
        let stream = HostStream::inherited(fd)?;
        let (read, write) = (read && number == 0, write && number != 0);
        let stream = GuestStream::duplex(stream, read, write).plain();
        return Ok(Descriptor::stream(stream));
    }
    let found = stat.file_type();
    let is_file = match StreamKind::of(fd)? {
        // A directory would give access to files that the embedder has not allowed.
        StreamKind::File => found != FileType::Directory,
        StreamKind::Memory => true,
        _ => false,
    };
    if !is_file {
        let stream = HostStream::inherited(fd)?;
        let stream = Descriptor::stream(GuestStream::duplex(stream, read, write));
        return Ok(stream.nonblocking(flags));
    }
    let mut mode = OpenMode::empty();
    mode.set(OpenMode::READ, read);
    mode.set(OpenMode::WRITE, write);
    let file = File::from(duplicate(fd)?);
    Ok(Descriptor::file(
        wasi::File::new(file, FsPerms::ReadWrite, mode, true),
        found,
        flags,
    ))
}
