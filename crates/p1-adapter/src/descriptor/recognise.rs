//! Whether what `path_open` has opened is a file or a stream: FIFOs, terminals and other devices
//! that may block are streams.

use super::stream::GuestStream;
use crate::abi::error::Result;
use crate::blocking::{Stream as HostStream, StreamKind};
use crate::sys::file::FileType;
use crate::sys::object::Object;
use std::sync::Arc;
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::File;

/// Whether something of this type may be a stream; otherwise it is a file, for certain.
pub(crate) fn may_be_stream(found: FileType) -> bool {
    !matches!(
        found,
        FileType::RegularFile | FileType::Directory | FileType::BlockDevice
    )
}

/// Makes a stream of a FIFO, terminal or other device that has been opened as a file. `Err` returns
/// the type of what is better off as a file: files, and memory devices (`/dev/null`, `/dev/zero`),
/// which never wait and have a position.
///
/// The description is this process's alone, and only used through the stream from now on, so it is
/// made non-blocking.
pub(crate) fn as_stream(file: &File) -> Result<Result<GuestStream, FileType>> {
    let found = Object::of(&file.file)?.file_type();
    if !may_be_stream(found) || StreamKind::of(&file.file)? == StreamKind::Memory {
        return Ok(Err(found));
    }
    let (read, write) = (
        file.open_mode.contains(OpenMode::READ),
        file.open_mode.contains(OpenMode::WRITE) && !file.perms.write_not_permitted(),
    );
    let host = HostStream::of_file(Arc::clone(&file.file))?;
    let stream = GuestStream::duplex(host, read, write);
    Ok(Ok(stream.opened_below(file.perms)))
}
