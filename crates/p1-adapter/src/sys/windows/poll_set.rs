//! One descriptor that is ready when one of several is: there is none.

use super::fd::{BorrowedFd, OwnedFd};
use super::poll::PollFlags;
use std::io;

/// # Errors
///
/// `Unsupported`: each is waited for by itself.
pub(crate) fn together<'fd>(
    _fds: impl IntoIterator<Item = (BorrowedFd<'fd>, PollFlags)>,
) -> io::Result<Option<OwnedFd>> {
    Err(io::ErrorKind::Unsupported.into())
}
