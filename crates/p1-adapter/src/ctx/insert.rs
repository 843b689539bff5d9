//! Descriptors that an embedder puts under numbers of its choice, exchanged standard streams, and
//! variables that come later.

use crate::abi::error::BuildError;
use crate::blocking::{EmbedderInput, EmbedderOutput};
use crate::ctx::P1Ctx;
use crate::ctx::push::{Handover, StreamAccess, open_dir, open_file, shared_stream};
use crate::descriptor::Descriptor;
use crate::descriptor::stream::{GuestStream, Source};
use crate::sys::fd::OwnedFd;
use std::fs::File;
use std::sync::Arc;
use wasmtime_wasi::cli::{StdinStream, StdoutStream};
use wasmtime_wasi::{FsPerms, OpenMode};

/// A descriptor that has the number already is closed for the guest, as `dup2` does it. Calls in
/// flight keep it, every later call finds the new descriptor, and no call finds the number empty.
impl Handover<'_> {
    /// [`push_file`](Self::push_file) under this number.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: the operating system refuses to look at it; it is a directory; the number is
    /// not below the limit of descriptors, or all are open; or a call of the guest's is just
    /// opening something under that number.
    pub fn insert_file(
        &self,
        number: u32,
        file: File,
        perms: FsPerms,
        mode: OpenMode,
    ) -> Result<(), BuildError> {
        self.insert(number, open_file(file, perms, mode)?)
    }

    /// [`push_dir`](Self::push_dir) under this number. C libraries look for preopens from 3 on, up
    /// to the first number that is none.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: it is no directory; otherwise as for [`insert_file`](Self::insert_file).
    pub fn insert_dir(
        &self,
        number: u32,
        dir: File,
        name: Option<&str>,
        perms: FsPerms,
    ) -> Result<(), BuildError> {
        self.insert(number, open_dir(dir, name, perms)?)
    }

    /// [`push_stream`](Self::push_stream) under this number.
    ///
    /// # Errors
    ///
    /// As for [`insert_file`](Self::insert_file).
    pub fn insert_stream(
        &self,
        number: u32,
        stream: impl Into<OwnedFd>,
        access: StreamAccess,
    ) -> Result<(), BuildError> {
        self.insert(number, shared_stream(&stream.into(), access)?)
    }
}

impl P1Ctx {
    /// As [`Handover::insert_file`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn insert_file(
        &self,
        number: u32,
        file: File,
        perms: FsPerms,
        mode: OpenMode,
    ) -> Result<(), BuildError> {
        self.unlimited().insert_file(number, file, perms, mode)
    }

    /// As [`Handover::insert_dir`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn insert_dir(
        &self,
        number: u32,
        dir: File,
        name: Option<&str>,
        perms: FsPerms,
    ) -> Result<(), BuildError> {
        self.unlimited().insert_dir(number, dir, name, perms)
    }

    /// As [`Handover::insert_stream`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn insert_stream(
        &self,
        number: u32,
        stream: impl Into<OwnedFd>,
        access: StreamAccess,
    ) -> Result<(), BuildError> {
        self.unlimited().insert_stream(number, stream, access)
    }

    /// Exchanges the standard input, at any time: as
    /// [`P1CtxBuilder::stdin`](crate::P1CtxBuilder::stdin) would have it. Reads that wait go on
    /// waiting for the old one. (For a descriptor, [`insert_stream`](Self::insert_stream) at 0.)
    ///
    /// # Errors
    ///
    /// As for [`Handover::insert_file`].
    pub fn set_stdin(&self, stdin: impl StdinStream + 'static) -> Result<(), BuildError> {
        let source = Source::Input(EmbedderInput::new(stdin));
        self.set_stream(0, GuestStream::input(source))
    }

    /// Exchanges the standard output, at any time: as
    /// [`P1CtxBuilder::stdout`](crate::P1CtxBuilder::stdout) would have it.
    ///
    /// # Errors
    ///
    /// As for [`Handover::insert_file`].
    pub fn set_stdout(&self, stdout: impl StdoutStream + 'static) -> Result<(), BuildError> {
        let source = Source::Output(EmbedderOutput::new(stdout));
        self.set_stream(1, GuestStream::output(source))
    }

    /// Exchanges the standard error; see [`set_stdout`](Self::set_stdout).
    ///
    /// # Errors
    ///
    /// As for [`Handover::insert_file`].
    pub fn set_stderr(&self, stderr: impl StdoutStream + 'static) -> Result<(), BuildError> {
        let source = Source::Output(EmbedderOutput::new(stderr));
        self.set_stream(2, GuestStream::output(source))
    }

    fn set_stream(&self, number: u32, stream: GuestStream) -> Result<(), BuildError> {
        self.unlimited().insert(number, Descriptor::stream(stream))
    }

    /// Gives the guest the environment variable `name`, in place of one of that name if there is
    /// one.
    ///
    /// Programs ask for their environment once, when they start, and first for its size. A variable
    /// added between the two would not fit into the room that the program has made. So call this
    /// before the guest runs, or between two runs on one context. It locks nothing: a call that is
    /// made meanwhile gets the environment of before or of after.
    ///
    /// # Errors
    ///
    /// [`BuildError::Nul`], [`BuildError::TooLarge`]; the environment is as it was then.
    pub fn push_env(
        &self,
        name: impl AsRef<str>,
        value: impl AsRef<str>,
    ) -> Result<(), BuildError> {
        let (name, value) = (name.as_ref(), value.as_ref());
        let mut pushed = Ok(());
        self.shared
            .env
            .rcu(|env| match env.with_variable(name, value) {
                Ok(env) => Arc::new(env),
                Err(error) => {
                    pushed = Err(error);
                    Arc::clone(env)
                }
            });
        pushed
    }
}
