//! Descriptors an embedder hands over: listeners, connections, pipes, files, directories, streams
//! of its own.

use crate::abi::error::BuildError;
use crate::abi::rights::Rights;
use crate::abi::types;
use crate::blocking::{EmbedderInput, EmbedderOutput, Listener, Stream as HostStream, StreamKind};
use crate::ctx::P1Ctx;
use crate::descriptor::Descriptor;
use crate::descriptor::stream::{GuestStream, Source};
use crate::sys::fd::{AsFd as _, BorrowedFd, OwnedFd};
use crate::sys::file::{self, FileType};
use crate::sys::object::Object;
use std::fs::File;
use wasmtime_wasi::cli::{StdinStream, StdoutStream};
use wasmtime_wasi::filesystem as wasi;
use wasmtime_wasi::{FsPerms, OpenMode};

/// What a guest may do with a stream it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamAccess {
    /// Read (`fd_read`, `sock_recv`); a write is `badf`.
    Read,
    /// Write (`fd_write`, `sock_send`); a read is `badf`.
    Write,
    /// Both.
    ReadWrite,
}

fn refused(what: &'static str) -> impl FnOnce(std::io::Error) -> BuildError {
    move |source| BuildError::Os { what, source }
}

/// Directories are handed over by `push_dir`, which asks for the permissions their contents have.
fn refuse_directory(fd: BorrowedFd<'_>) -> Result<(), BuildError> {
    let refuse = refused("cannot use a descriptor as a file or stream");
    match Object::of(fd) {
        Ok(found) if found.file_type() == FileType::Directory => {
            Err(refuse(std::io::ErrorKind::IsADirectory.into()))
        }
        Ok(_) => Ok(()),
        Err(errno) => Err(refuse(errno.into())),
    }
}

fn host_stream(stream: HostStream, access: StreamAccess) -> Descriptor {
    let (read, write) = match access {
        StreamAccess::Read => (true, false),
        StreamAccess::Write => (false, true),
        StreamAccess::ReadWrite => (true, true),
    };
    Descriptor::stream(GuestStream::duplex(stream, read, write))
}

/// A stream on a description that others may use, too.
pub(super) fn shared_stream(
    stream: &OwnedFd,
    access: StreamAccess,
) -> Result<Descriptor, BuildError> {
    refuse_directory(stream.as_fd())?;
    let stream = HostStream::inherited(stream.as_fd())
        .map_err(refused("cannot use a descriptor as a stream"))?;
    Ok(host_stream(stream, access))
}

/// A file, or the stream that it is.
pub(super) fn open_file(
    file: File,
    perms: FsPerms,
    mode: OpenMode,
) -> Result<Descriptor, BuildError> {
    refuse_directory(file.as_fd())?;
    let look = |e| refused("cannot look at a file")(e);
    let kind = StreamKind::of(&file).map_err(look)?;
    let found = Object::of(&file).map_err(|e| look(e.into()))?;
    if !matches!(kind, StreamKind::File | StreamKind::Memory) {
        let write = mode.contains(OpenMode::WRITE) && !perms.write_not_permitted();
        let host = HostStream::inherited(file.as_fd())
            .map_err(refused("cannot use a descriptor as a stream"))?;
        let stream = GuestStream::duplex(host, mode.contains(OpenMode::READ), write);
        return Ok(Descriptor::stream(stream));
    }
    let flags = file::flags(&file).map_err(|e| look(e.into()))?;
    Ok(Descriptor::file(
        wasi::File::new(file, perms, mode, true),
        found.file_type(),
        flags,
    ))
}

/// A directory; with a name, a preopen.
pub(super) fn open_dir(
    dir: File,
    name: Option<&str>,
    perms: FsPerms,
) -> Result<Descriptor, BuildError> {
    let failed = |source: std::io::Error| BuildError::Preopen {
        path: name.unwrap_or_default().into(),
        source: source.into(),
    };
    if !dir.metadata().map_err(failed)?.is_dir() {
        return Err(failed(std::io::ErrorKind::NotADirectory.into()));
    }
    let mode = if perms.write_not_permitted() {
        OpenMode::READ
    } else {
        OpenMode::READ | OpenMode::WRITE
    };
    Ok(Descriptor::dir_named(
        wasi::Dir::new(dir, perms, mode, true),
        name,
    ))
}

impl P1Ctx {
    /// Hands descriptors over with no rights but these: `base` for the descriptor itself,
    /// `inheriting` for what is opened below it. A call that it has no right to is `notcapable`. A
    /// right named here that the descriptor would not have otherwise is not gained.
    ///
    /// ```
    /// use p1_adapter::{P1CtxBuilder, Rights};
    /// use wasmtime_wasi::{FsPerms, OpenMode};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = P1CtxBuilder::new().build()?;
    /// // A log that can be written and nothing else: not read, not cut, not even measured.
    /// let log = tempfile::tempfile()?;
    /// let fd = ctx
    ///     .limited_to(Rights::FD_WRITE, Rights::empty())
    ///     .push_file(log, FsPerms::ReadWrite, OpenMode::WRITE)?;
    /// assert_eq!(fd, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limited_to(&self, base: Rights, inheriting: Rights) -> Handover<'_> {
        Handover {
            ctx: self,
            base,
            inheriting,
        }
    }

    pub(super) fn unlimited(&self) -> Handover<'_> {
        self.limited_to(Rights::all(), Rights::all())
    }

    /// As [`Handover::push_listener`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_listener(&self, listener: impl Into<OwnedFd>) -> Result<u32, BuildError> {
        self.unlimited().push_listener(listener)
    }

    /// As [`Handover::push_inherited_listener`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_inherited_listener(&self, listener: impl Into<OwnedFd>) -> Result<u32, BuildError> {
        self.unlimited().push_inherited_listener(listener)
    }

    /// As [`Handover::push_stream`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_stream(
        &self,
        stream: impl Into<OwnedFd>,
        access: StreamAccess,
    ) -> Result<u32, BuildError> {
        self.unlimited().push_stream(stream, access)
    }

    /// As [`Handover::push_own_stream`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_own_stream(
        &self,
        stream: impl Into<OwnedFd>,
        access: StreamAccess,
    ) -> Result<u32, BuildError> {
        self.unlimited().push_own_stream(stream, access)
    }

    /// As [`Handover::push_file`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_file(&self, file: File, perms: FsPerms, mode: OpenMode) -> Result<u32, BuildError> {
        self.unlimited().push_file(file, perms, mode)
    }

    /// As [`Handover::push_dir`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_dir(
        &self,
        dir: File,
        name: Option<&str>,
        perms: FsPerms,
    ) -> Result<u32, BuildError> {
        self.unlimited().push_dir(dir, name, perms)
    }

    /// As [`Handover::push_input`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_input(&self, input: impl StdinStream + 'static) -> Result<u32, BuildError> {
        self.unlimited().push_input(input)
    }

    /// As [`Handover::push_output`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_output(&self, output: impl StdoutStream + 'static) -> Result<u32, BuildError> {
        self.unlimited().push_output(output)
    }
}

/// Hands descriptors over with chosen rights; see [`P1Ctx::limited_to`].
///
/// The methods are those of [`P1Ctx`] itself, which push with all rights.
#[derive(Clone, Copy, Debug)]
pub struct Handover<'a> {
    ctx: &'a P1Ctx,
    base: Rights,
    inheriting: Rights,
}

impl Handover<'_> {
    fn limit(&self, descriptor: Descriptor) -> Descriptor {
        let rights = |rights: Rights| types::Rights::from_bits_truncate(rights.bits());
        descriptor.limited_to(rights(self.base), rights(self.inheriting))
    }

    pub(super) fn push(&self, descriptor: Descriptor) -> Result<u32, BuildError> {
        let fds = &self.ctx.shared.fds;
        fds.push(self.limit(descriptor))
            .map_err(|_| BuildError::TooManyDescriptors { limit: fds.limit() })
    }

    pub(super) fn insert(&self, number: u32, descriptor: Descriptor) -> Result<(), BuildError> {
        let fds = &self.ctx.shared.fds;
        fds.insert(number, self.limit(descriptor))
            .map_err(|errno| match errno {
                types::Errno::Busy => BuildError::NumberTaken { number },
                _ => BuildError::TooManyDescriptors { limit: fds.limit() },
            })
    }

    /// Gives the guest a listening socket (`TcpListener`, `UnixListener`) to `sock_accept` from,
    /// under the lowest free number, which is returned.
    ///
    /// The socket becomes non-blocking, for every process that shares it: use
    /// [`push_inherited_listener`](Self::push_inherited_listener) for one that others accept from.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: the socket cannot be made non-blocking, or no number is free.
    pub fn push_listener(&self, listener: impl Into<OwnedFd>) -> Result<u32, BuildError> {
        let listener = Listener::owned(listener.into())
            .map_err(refused("cannot make a listener non-blocking"))?;
        self.push(Descriptor::stream(GuestStream::listener(listener)))
    }

    /// As [`push_listener`](Self::push_listener), for a socket other processes use as well, such as
    /// one inherited from a service manager: its flags stay as they are. If another process takes a
    /// connection between this one's poll and accept, the accepting thread stays in the kernel
    /// until the next connection comes. The end signal does not reach it there.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: no number is free.
    pub fn push_inherited_listener(&self, listener: impl Into<OwnedFd>) -> Result<u32, BuildError> {
        let listener = Listener::inherited(listener.into());
        self.push(Descriptor::stream(GuestStream::listener(listener)))
    }

    /// Gives the guest a connected socket, a pipe, a terminal or another descriptor that carries
    /// bytes in order, under the lowest free number, which is returned. Its flags are not changed:
    /// it may be shared with other processes.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: the operating system refuses to look at it, it is a directory, or no number
    /// is free.
    pub fn push_stream(
        &self,
        stream: impl Into<OwnedFd>,
        access: StreamAccess,
    ) -> Result<u32, BuildError> {
        self.push(shared_stream(&stream.into(), access)?)
    }

    /// As [`push_stream`](Self::push_stream), for a descriptor whose open file description is not
    /// shared: it becomes non-blocking, so that the end signal reaches every wait on it, whatever
    /// it is. (`push_stream` polls a descriptor that is neither file, pipe, terminal nor socket,
    /// and then makes a call that may block: on an event descriptor that would overflow, or a
    /// device with rules of its own.)
    ///
    /// # Errors
    ///
    /// [`BuildError`]: the operating system refuses to look at it, it is a directory, or no number
    /// is free.
    pub fn push_own_stream(
        &self,
        stream: impl Into<OwnedFd>,
        access: StreamAccess,
    ) -> Result<u32, BuildError> {
        let stream = stream.into();
        refuse_directory(stream.as_fd())?;
        let stream =
            HostStream::owned(stream).map_err(refused("cannot make a descriptor non-blocking"))?;
        self.push(host_stream(stream, access))
    }

    /// Gives the guest an open file under the lowest free number, which is returned.
    ///
    /// `perms` and `mode` limit what the guest may do with it; neither gives more than the file was
    /// opened with. The description may be shared with other descriptors and processes: its cursor
    /// and its `O_APPEND` are the guest's too. A descriptor that is no regular file (a pipe, a
    /// terminal) is treated as by [`push_stream`](Self::push_stream).
    ///
    /// # Errors
    ///
    /// [`BuildError`]: the operating system refuses to look at it, it is a directory, or no number
    /// is free.
    pub fn push_file(&self, file: File, perms: FsPerms, mode: OpenMode) -> Result<u32, BuildError> {
        self.push(open_file(file, perms, mode)?)
    }

    /// Gives the guest an open directory under the lowest free number, which is returned. With a
    /// `name` it is a preopen of that name, as from
    /// [`P1CtxBuilder::preopened_dir`](crate::P1CtxBuilder::preopened_dir); C libraries look for
    /// those once, when the program starts.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: it is no directory, or no number is free.
    pub fn push_dir(
        &self,
        dir: File,
        name: Option<&str>,
        perms: FsPerms,
    ) -> Result<u32, BuildError> {
        self.push(open_dir(dir, name, perms)?)
    }

    /// Gives the guest an input of the embedder's own making under the lowest free number, which is
    /// returned. It is read as [`P1CtxBuilder::stdin`](crate::P1CtxBuilder::stdin) is.
    /// [`crate::own_kinds`] shows how to make one.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: no number is free.
    pub fn push_input(&self, input: impl StdinStream + 'static) -> Result<u32, BuildError> {
        let source = Source::Input(EmbedderInput::new(input));
        self.push(Descriptor::stream(GuestStream::input(source)))
    }

    /// Gives the guest an output of the embedder's own making under the lowest free number, which
    /// is returned. It is written as [`P1CtxBuilder::stdout`](crate::P1CtxBuilder::stdout) is.
    /// [`crate::own_kinds`] shows how to make one.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: no number is free.
    pub fn push_output(&self, output: impl StdoutStream + 'static) -> Result<u32, BuildError> {
        let source = Source::Output(EmbedderOutput::new(output));
        self.push(Descriptor::stream(GuestStream::output(source)))
    }
}
