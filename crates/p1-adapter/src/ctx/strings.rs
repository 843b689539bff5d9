//! Arguments and environment, as the guest gets them.

use crate::abi::error::BuildError;

/// NUL-terminated strings, packed the way `args_get` and `environ_get` hand them out.
pub(crate) struct Strings {
    pub(crate) bytes: Box<[u8]>,
    /// Where each string starts.
    pub(crate) starts: Box<[u32]>,
}

impl Strings {
    pub(super) fn pack(
        one: &'static str,
        many: &'static str,
        strings: impl IntoIterator<Item = String>,
    ) -> Result<Self, BuildError> {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for string in strings {
            if string.contains('\0') {
                return Err(BuildError::Nul {
                    what: one,
                    value: string,
                });
            }
            starts
                .push(u32::try_from(bytes.len()).map_err(|_| BuildError::TooLarge { what: many })?);
            bytes.extend_from_slice(string.as_bytes());
            bytes.push(0);
        }
        if u32::try_from(bytes.len()).is_err() {
            return Err(BuildError::TooLarge { what: many });
        }
        Ok(Self {
            bytes: bytes.into(),
            starts: starts.into(),
        })
    }
}
