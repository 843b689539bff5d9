//! Whether what `path_open` has opened is a file, a directory or a stream: FIFOs, terminals and
//! other devices that may block are streams.

use super::opened::{Dir, NoFile};
use super::stream::GuestStream;
use crate::abi::error::Result;
use crate::blocking::{Stream as HostStream, StreamKind};
use crate::sys::file::FileType;
use crate::sys::object::Object;
use std::sync::Arc;
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem as wasi;
use wasmtime_wasi::filesystem::File;

/// Whether something of this type may be no file; otherwise it is one, for certain.
pub(crate) fn may_be_other(found: FileType) -> bool {
    !matches!(found, FileType::RegularFile | FileType::BlockDevice)
}

/// Makes a directory of one that has been opened as a file, with a descriptor of its own: the type
/// of wasmtime-wasi takes none that is shared. Makes a stream of a FIFO, terminal or other device.
/// `Err` returns the type of what is better off as a file: files, and memory devices (`/dev/null`,
/// `/dev/zero`), which never wait and have a position.
///
/// The description of a stream is this process's alone, and only used through the stream from now
/// on, so it is made non-blocking.
pub(super) fn as_other(file: &File) -> Result<Result<NoFile, FileType>> {
    let found = Object::of(&file.file)?.file_type();
    if found == FileType::Directory {
        let again = file.file.try_clone()?;
        let dir = wasi::Dir::new(again, file.perms, file.open_mode, true);
        return Ok(Ok(NoFile::Dir(Dir::unnamed(wasi::Descriptor::Dir(dir)))));
    }
    if !may_be_other(found) || StreamKind::of(&file.file)? == StreamKind::Memory {
        return Ok(Err(found));
    }
    let (read, write) = (
        file.open_mode.contains(OpenMode::READ),
        file.open_mode.contains(OpenMode::WRITE) && !file.perms.write_not_permitted(),
    );
    let host = HostStream::of_file(Arc::clone(&file.file))?;
    let stream = GuestStream::duplex(host, read, write);
    Ok(Ok(NoFile::Stream(stream.opened_below(file.perms))))
}
