//! Why no host thread could be started.

use std::io;

use crate::host::capacity::NoCapacity;

/// Why no host thread was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// It was not tried, because the process is near a limit.
    #[error(transparent)]
    NoCapacity(#[from] NoCapacity),
    /// The system refused it.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl From<StartError> for io::Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NoCapacity(limit) => io::Error::new(io::ErrorKind::OutOfMemory, limit),
            StartError::System(error) => error,
        }
    }
}
