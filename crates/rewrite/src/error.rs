//! Why a module was not rewritten.

use std::{error, fmt};

use wasmparser::BinaryReaderError;

/// Why a module was not rewritten.
#[derive(Debug)]
#[non_exhaustive]
pub enum RewriteError {
    /// The bytes are a component, not a core module.
    Component,
    /// The bytes are no valid module. Every proposal that wasmparser knows is accepted here; the
    /// engine decides which of them are on.
    Invalid(BinaryReaderError),
    /// What the rewrite appends does not fit: the module is too near to a limit that engines agree
    /// on.
    NoRoom {
        /// Of what there would be too many.
        what: &'static str,
        /// How many there would be.
        count: u64,
        /// How many there may be.
        limit: u64,
    },
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component => f.write_str("a component, not a core module"),
            Self::Invalid(_) => f.write_str("not a valid module"),
            Self::NoRoom { what, count, limit } => write!(
                f,
                "no room: the module would have {count} {what}, and the limit is {limit}"
            ),
        }
    }
}

impl error::Error for RewriteError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Invalid(error) => Some(error),
            Self::Component | Self::NoRoom { .. } => None,
        }
    }
}

impl From<BinaryReaderError> for RewriteError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Invalid(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_it_is_and_where_it_comes_from() {
        assert_eq!(
            RewriteError::Component.to_string(),
            "a component, not a core module"
        );
        let error = RewriteError::NoRoom {
            what: "tables",
            count: 101,
            limit: 100,
        };
        assert_eq!(
            error.to_string(),
            "no room: the module would have 101 tables, and the limit is 100"
        );
        let error = crate::rewrite(b"\0asm").expect_err("cut short");
        assert_eq!(error.to_string(), "not a valid module");
        let source = error::Error::source(&error).expect("wasmparser's");
        assert!(source.to_string().contains("unexpected end"), "{source}");
    }
}
