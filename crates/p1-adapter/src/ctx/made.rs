//! Folders and files that the host makes up, handed over.

use crate::abi::error::BuildError;
use crate::ctx::P1Ctx;
use crate::ctx::builder::P1CtxBuilder;
use crate::ctx::push::Handover;
use crate::descriptor::Descriptor;
use crate::descriptor::made::OpenMadeFile;
use crate::made::below::Below;
use crate::made::{MadeFile, MadeFolder};
use std::sync::Arc;
use wasmtime_wasi::{FsPerms, OpenMode};

/// A preopen that the host makes up.
pub(super) struct MadePreopen {
    pub(super) below: Below,
    pub(super) name: String,
}

impl P1CtxBuilder {
    /// Gives the guest a folder that the host makes up, under the name `guest_path`: see
    /// [`made`](crate::made). It has a number behind those of the host's directories.
    pub fn made_folder(
        &mut self,
        folder: impl MadeFolder,
        guest_path: impl AsRef<str>,
        perms: FsPerms,
    ) -> &mut Self {
        let folder = Arc::new(folder);
        self.made.push(MadePreopen {
            below: Below { folder, perms },
            name: guest_path.as_ref().to_owned(),
        });
        self
    }
}

impl Handover<'_> {
    /// Gives the guest a folder that the host makes up under the lowest free number, which is
    /// returned: see [`made`](crate::made). With a `name` it is a preopen of that name; C libraries
    /// look for those once, when the program starts.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: no number is free.
    pub fn push_made_folder(
        &self,
        folder: Arc<dyn MadeFolder>,
        name: Option<&str>,
        perms: FsPerms,
    ) -> Result<u32, BuildError> {
        self.push(Descriptor::made_folder(Below { folder, perms }, name))
    }

    /// Gives the guest a file that the host makes up under the lowest free number, which is
    /// returned: see [`made`](crate::made). Its position is the descriptor's own, and 0.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: no number is free.
    pub fn push_made_file(
        &self,
        file: Arc<dyn MadeFile>,
        perms: FsPerms,
        mode: OpenMode,
    ) -> Result<u32, BuildError> {
        self.push(Descriptor::made_file(OpenMadeFile::new(file, perms, mode)))
    }
}

impl P1Ctx {
    /// As [`Handover::push_made_folder`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_made_folder(
        &self,
        folder: Arc<dyn MadeFolder>,
        name: Option<&str>,
        perms: FsPerms,
    ) -> Result<u32, BuildError> {
        self.unlimited().push_made_folder(folder, name, perms)
    }

    /// As [`Handover::push_made_file`], with all rights.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push_made_file(
        &self,
        file: Arc<dyn MadeFile>,
        perms: FsPerms,
        mode: OpenMode,
    ) -> Result<u32, BuildError> {
        self.unlimited().push_made_file(file, perms, mode)
    }
}
