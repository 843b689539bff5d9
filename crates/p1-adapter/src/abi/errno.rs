//! preview1's errno for an error of the host's or of wasmtime-wasi's.

use super::types::Errno;
use crate::sys::errno::{NOT_RECOVERABLE, OWNER_DEAD};
use rustix::io::Errno as Os;
use wasmtime_wasi::p2::bindings::filesystem::types as p2;

/// The host's errno as the guest's. Numbers preview1 has no name for become `io`.
#[cold]
pub(crate) fn of_os(os: Os) -> Errno {
    match os {
        Os::TOOBIG => Errno::TooBig,
        Os::ACCESS => Errno::Acces,
        Os::ADDRINUSE => Errno::Addrinuse,
        Os::ADDRNOTAVAIL => Errno::Addrnotavail,
        Os::AFNOSUPPORT => Errno::Afnosupport,
        Os::AGAIN => Errno::Again,
        Os::ALREADY => Errno::Already,
        Os::BADF => Errno::Badf,
        Os::BADMSG => Errno::Badmsg,
        Os::BUSY => Errno::Busy,
        Os::CANCELED => Errno::Canceled,
        Os::CHILD => Errno::Child,
        Os::CONNABORTED => Errno::Connaborted,
        Os::CONNREFUSED => Errno::Connrefused,
        Os::CONNRESET => Errno::Connreset,
        Os::DEADLK => Errno::Deadlk,
        Os::DESTADDRREQ => Errno::Destaddrreq,
        Os::DOM => Errno::Dom,
        Os::DQUOT => Errno::Dquot,
        Os::EXIST => Errno::Exist,
        Os::FAULT => Errno::Fault,
        Os::FBIG => Errno::Fbig,
        Os::HOSTUNREACH => Errno::Hostunreach,
        Os::IDRM => Errno::Idrm,
        Os::ILSEQ => Errno::Ilseq,
        Os::INPROGRESS => Errno::Inprogress,
        Os::INTR => Errno::Intr,
        Os::INVAL => Errno::Inval,
        Os::ISCONN => Errno::Isconn,
        Os::ISDIR => Errno::Isdir,
        Os::LOOP => Errno::Loop,
        Os::MFILE => Errno::Mfile,
        Os::MLINK => Errno::Mlink,
        Os::MSGSIZE => Errno::Msgsize,
        Os::NAMETOOLONG => Errno::Nametoolong,
        Os::NETDOWN => Errno::Netdown,
        Os::NETRESET => Errno::Netreset,
        Os::NETUNREACH => Errno::Netunreach,
        Os::NFILE => Errno::Nfile,
        Os::NOBUFS => Errno::Nobufs,
        Os::NODEV => Errno::Nodev,
        Os::NOENT => Errno::Noent,
        Os::NOEXEC => Errno::Noexec,
        Os::NOLCK => Errno::Nolck,
        Os::NOMEM => Errno::Nomem,
        Os::NOMSG => Errno::Nomsg,
        Os::NOPROTOOPT => Errno::Noprotoopt,
        Os::NOSPC => Errno::Nospc,
        Os::NOSYS => Errno::Nosys,
        Os::NOTCONN => Errno::Notconn,
        Os::NOTDIR => Errno::Notdir,
        Os::NOTEMPTY => Errno::Notempty,
        Os::NOTSOCK => Errno::Notsock,
        Os::OPNOTSUPP => Errno::Notsup,
        Os::NOTTY => Errno::Notty,
        Os::NXIO => Errno::Nxio,
        Os::OVERFLOW => Errno::Overflow,
        Os::PERM => Errno::Perm,
        Os::PIPE => Errno::Pipe,
        Os::PROTO => Errno::Proto,
        Os::PROTONOSUPPORT => Errno::Protonosupport,
        Os::PROTOTYPE => Errno::Prototype,
        Os::RANGE => Errno::Range,
        Os::ROFS => Errno::Rofs,
        Os::SPIPE => Errno::Spipe,
        Os::SRCH => Errno::Srch,
        Os::STALE => Errno::Stale,
        Os::TIMEDOUT => Errno::Timedout,
        Os::TXTBSY => Errno::Txtbsy,
        Os::XDEV => Errno::Xdev,
        os if Some(os) == NOT_RECOVERABLE => Errno::Notrecoverable,
        os if Some(os) == OWNER_DEAD => Errno::Ownerdead,
        _ => Errno::Io,
    }
}

/// An `io::Error` as the guest's errno.
#[cold]
pub(crate) fn of_io_error(error: &std::io::Error) -> Errno {
    use std::io::ErrorKind;
    match Os::from_io_error(error) {
        Some(os) => of_os(os),
        None => match error.kind() {
            ErrorKind::NotFound => Errno::Noent,
            ErrorKind::PermissionDenied => Errno::Perm,
            ErrorKind::AlreadyExists => Errno::Exist,
            ErrorKind::InvalidInput => Errno::Inval,
            ErrorKind::WouldBlock => Errno::Again,
            ErrorKind::Interrupted => Errno::Intr,
            ErrorKind::BrokenPipe => Errno::Pipe,
            _ => Errno::Io,
        },
    }
}

/// preview2's error code as preview1's errno.
#[cold]
pub(crate) fn of_error_code(code: p2::ErrorCode) -> Errno {
    use p2::ErrorCode as C;
    match code {
        C::Access => Errno::Acces,
        C::WouldBlock => Errno::Again,
        C::Already => Errno::Already,
        C::BadDescriptor => Errno::Badf,
        C::Busy => Errno::Busy,
        C::Deadlock => Errno::Deadlk,
        C::Quota => Errno::Dquot,
        C::Exist => Errno::Exist,
        C::FileTooLarge => Errno::Fbig,
        C::IllegalByteSequence => Errno::Ilseq,
        C::InProgress => Errno::Inprogress,
        C::Interrupted => Errno::Intr,
        C::Invalid => Errno::Inval,
        C::Io => Errno::Io,
        C::IsDirectory => Errno::Isdir,
        C::Loop => Errno::Loop,
        C::TooManyLinks => Errno::Mlink,
        C::MessageSize => Errno::Msgsize,
        C::NameTooLong => Errno::Nametoolong,
        C::NoDevice => Errno::Nodev,
        C::NoEntry => Errno::Noent,
        C::NoLock => Errno::Nolck,
        C::InsufficientMemory => Errno::Nomem,
        C::InsufficientSpace => Errno::Nospc,
        C::NotDirectory => Errno::Notdir,
        C::NotEmpty => Errno::Notempty,
        C::NotRecoverable => Errno::Notrecoverable,
        C::Unsupported => Errno::Notsup,
        C::NoTty => Errno::Notty,
        C::NoSuchDevice => Errno::Nxio,
        C::Overflow => Errno::Overflow,
        C::NotPermitted => Errno::Perm,
        C::Pipe => Errno::Pipe,
        C::ReadOnly => Errno::Rofs,
        C::InvalidSeek => Errno::Spipe,
        C::TextFileBusy => Errno::Txtbsy,
        C::CrossDevice => Errno::Xdev,
    }
}
