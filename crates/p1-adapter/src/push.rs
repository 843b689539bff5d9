//! Descriptors an embedder hands over: listeners, connections, pipes.

use crate::blocking::{Listener, Stream as HostStream, StreamKind};
use crate::ctx::P1Ctx;
use crate::descriptor::Descriptor;
use crate::error::BuildError;
use crate::stream::Stream;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
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

impl P1Ctx {
    fn push(&self, descriptor: Descriptor) -> Result<u32, BuildError> {
        let fds = &self.shared.fds;
        fds.push(descriptor)
            .map_err(|_| BuildError::TooManyDescriptors { limit: fds.limit() })
    }

    /// Gives the guest a listening socket (`TcpListener`, `UnixListener`) to `sock_accept` from, under the lowest free
    /// number, which is returned.
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
        self.push(Descriptor::stream(Stream::listener(listener)))
    }

    /// As [`push_listener`](Self::push_listener), for a socket other processes use as well, such as one inherited from a
    /// service manager: its flags stay as they are. If another process takes a connection in the moment between this
    /// one's poll and accept, the accepting thread is left in the kernel until the next one comes, and the end signal
    /// does not reach it there.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: no number is free.
    pub fn push_inherited_listener(&self, listener: impl Into<OwnedFd>) -> Result<u32, BuildError> {
        let listener = Listener::inherited(listener.into());
        self.push(Descriptor::stream(Stream::listener(listener)))
    }

    /// Gives the guest a connected socket, a pipe, a terminal or another descriptor that carries bytes in order, under
    /// the lowest free number, which is returned. Its flags are not changed: it may be shared with other processes.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: the operating system refuses to look at it, or no number is free.
    pub fn push_stream(
        &self,
        stream: impl Into<OwnedFd>,
        access: StreamAccess,
    ) -> Result<u32, BuildError> {
        let stream = HostStream::inherited(stream.into().as_fd())
            .map_err(refused("cannot use a descriptor as a stream"))?;
        let (read, write) = match access {
            StreamAccess::Read => (true, false),
            StreamAccess::Write => (false, true),
            StreamAccess::ReadWrite => (true, true),
        };
        self.push(Descriptor::stream(Stream::duplex(stream, read, write)))
    }

    /// Gives the guest an open file under the lowest free number, which is returned.
    ///
    /// `perms` and `mode` limit what the guest may do with it; neither gives more than the file was opened with. The
    /// description is shared with whoever else has it: its cursor and its `O_APPEND` are the guest's too. What is no regular
    /// file (a pipe, a terminal) is taken as [`push_stream`](Self::push_stream) takes it.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: the operating system refuses to look at it, or no number is free.
    pub fn push_file(&self, file: File, perms: FsPerms, mode: OpenMode) -> Result<u32, BuildError> {
        let look = refused("cannot look at a file");
        let kind = StreamKind::of(&file).map_err(look)?;
        if !matches!(kind, StreamKind::File | StreamKind::Memory) {
            let write = mode.contains(OpenMode::WRITE) && !perms.write_not_permitted();
            let host = HostStream::inherited(file.as_fd())
                .map_err(refused("cannot use a descriptor as a stream"))?;
            let stream = Stream::duplex(host, mode.contains(OpenMode::READ), write);
            return self.push(Descriptor::stream(stream));
        }
        let append = rustix::fs::fcntl_getfl(&file)
            .map_err(|e| refused("cannot look at a file")(e.into()))?
            .contains(rustix::fs::OFlags::APPEND);
        self.push(Descriptor::file(
            wasi::File::new(file, perms, mode, true),
            append,
        ))
    }

    /// Gives the guest an open directory under the lowest free number, which is returned. With a `name` it is a preopen of
    /// that name, as from [`P1CtxBuilder::preopened_dir`](crate::P1CtxBuilder::preopened_dir); C libraries look for those
    /// once, when the program starts.
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
        self.push(Descriptor::dir_named(
            wasi::Dir::new(dir, perms, mode, true),
            name,
        ))
    }
}
