//! Arguments and environment, as the guest gets them.

use crate::abi::error::BuildError;
use std::str;

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

    /// Variables of the environment.
    pub(super) fn environment(
        variables: impl IntoIterator<Item = String>,
    ) -> Result<Self, BuildError> {
        Self::pack("environment variable", "environment variables", variables)
    }

    /// These variables, and behind them `name` with `value` in place of those of the same name.
    pub(super) fn with_variable(&self, name: &str, value: &str) -> Result<Self, BuildError> {
        let others = self.bytes.split(|byte| *byte == 0).take(self.starts.len());
        // They were strings.
        let others = others.filter_map(|string| str::from_utf8(string).ok());
        let others = others.filter(|string| {
            let rest = string.strip_prefix(name);
            !rest.is_some_and(|rest| rest.starts_with('='))
        });
        let variables = others.map(str::to_owned);
        Self::environment(variables.chain([format!("{name}={value}")]))
    }
}
