//! Errors that not every system names.

pub(crate) use rustix::io::Errno;

/// The holder of a lock has died with it.
#[cfg(not(target_os = "freebsd"))]
pub(crate) const OWNER_DEAD: Option<Errno> = Some(Errno::OWNERDEAD);

/// What a lock guards is lost.
#[cfg(not(target_os = "freebsd"))]
pub(crate) const NOT_RECOVERABLE: Option<Errno> = Some(Errno::NOTRECOVERABLE);

/// Of locks alone, which this crate has none of.
#[cfg(target_os = "freebsd")]
pub(crate) const OWNER_DEAD: Option<Errno> = None;

/// Likewise.
#[cfg(target_os = "freebsd")]
pub(crate) const NOT_RECOVERABLE: Option<Errno> = None;
