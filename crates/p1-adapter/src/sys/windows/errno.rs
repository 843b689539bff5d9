//! Errors, by the names that POSIX has for them. The system's own codes are translated to these.

use std::io::{self, ErrorKind};
use windows_sys::Win32::Foundation as code;
use windows_sys::Win32::Networking::WinSock as socket;

/// An error of the system's. (Not the guest's `Errno`: it goes by that name where the system is
/// asked.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OsErrno(&'static str);

pub(crate) use OsErrno as Errno;

/// Each with what is said of it.
macro_rules! errors {
    ($($name:ident: $text:literal),* $(,)?) => {
        #[allow(dead_code, reason = "some are never told here")]
        impl OsErrno {
            $(pub(crate) const $name: Self = Self($text);)*
        }
    };
}

errors! {
    TOOBIG: "argument list too long",
    ACCESS: "permission denied",
    ADDRINUSE: "address in use",
    ADDRNOTAVAIL: "address not available",
    AFNOSUPPORT: "address family not supported",
    AGAIN: "resource temporarily unavailable",
    ALREADY: "connection already in progress",
    BADF: "bad descriptor",
    BADMSG: "bad message",
    BUSY: "resource busy",
    CANCELED: "operation canceled",
    CHILD: "no child processes",
    CONNABORTED: "connection aborted",
    CONNREFUSED: "connection refused",
    CONNRESET: "connection reset",
    DEADLK: "deadlock avoided",
    DESTADDRREQ: "destination address required",
    DOM: "argument out of domain",
    DQUOT: "quota exceeded",
    EXIST: "file exists",
    FAULT: "bad address",
    FBIG: "file too large",
    HOSTUNREACH: "host unreachable",
    IDRM: "identifier removed",
    ILSEQ: "illegal byte sequence",
    INPROGRESS: "operation in progress",
    INTR: "interrupted",
    INVAL: "invalid argument",
    IO: "input/output error",
    ISCONN: "socket is connected",
    ISDIR: "is a directory",
    LOOP: "too many levels of links",
    MFILE: "too many open files",
    MLINK: "too many links",
    MSGSIZE: "message too long",
    NAMETOOLONG: "name too long",
    NETDOWN: "network down",
    NETRESET: "connection dropped by the network",
    NETUNREACH: "network unreachable",
    NFILE: "too many open files of all processes",
    NOBUFS: "no buffer space",
    NODEV: "no such device",
    NOENT: "no such file or directory",
    NOEXEC: "not an executable",
    NOLCK: "no locks available",
    NOMEM: "out of memory",
    NOMSG: "no message",
    NOPROTOOPT: "option not available",
    NOSPC: "no space left",
    NOSYS: "function not implemented",
    NOTCONN: "not connected",
    NOTDIR: "not a directory",
    NOTEMPTY: "directory not empty",
    NOTSOCK: "not a socket",
    OPNOTSUPP: "operation not supported",
    NOTTY: "not a terminal",
    NXIO: "no such device or address",
    OVERFLOW: "value too large",
    PERM: "operation not permitted",
    PIPE: "broken pipe",
    PROTO: "protocol error",
    PROTONOSUPPORT: "protocol not supported",
    PROTOTYPE: "wrong protocol for the socket",
    RANGE: "result too large",
    ROFS: "read-only file system",
    SPIPE: "no position in a stream",
    SRCH: "no such process",
    STALE: "stale handle",
    TIMEDOUT: "timed out",
    TXTBSY: "file is being executed",
    XDEV: "another file system",
}

/// Of locks alone, which this crate has none of.
pub(crate) const OWNER_DEAD: Option<Errno> = None;

/// Likewise.
pub(crate) const NOT_RECOVERABLE: Option<Errno> = None;

impl std::fmt::Display for OsErrno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for OsErrno {}

impl OsErrno {
    /// The error of the last call of this thread's.
    #[cold]
    pub(in crate::sys) fn last() -> Self {
        Self::from_io_error(&io::Error::last_os_error()).unwrap_or(Self::IO)
    }

    /// The system's error in `error`; nothing if that is none of the system's.
    pub(crate) fn from_io_error(error: &io::Error) -> Option<Self> {
        if let Some(inner) = error.get_ref() {
            return inner.downcast_ref::<Self>().copied();
        }
        let number = error.raw_os_error()?.cast_unsigned();
        Some(
            Self::of_file(number)
                .or(Self::of_socket(number))
                .unwrap_or(Self::IO),
        )
    }

    fn of_file(number: u32) -> Option<Self> {
        Some(match number {
            code::ERROR_FILE_NOT_FOUND
            | code::ERROR_PATH_NOT_FOUND
            | code::ERROR_INVALID_NAME
            | code::ERROR_NO_MORE_FILES
            | code::ERROR_BAD_NETPATH
            | code::ERROR_BAD_NET_NAME => Self::NOENT,
            code::ERROR_TOO_MANY_OPEN_FILES => Self::MFILE,
            code::ERROR_ACCESS_DENIED
            | code::ERROR_SHARING_VIOLATION
            | code::ERROR_LOCK_VIOLATION => Self::ACCESS,
            code::ERROR_PRIVILEGE_NOT_HELD => Self::PERM,
            code::ERROR_INVALID_HANDLE => Self::BADF,
            code::ERROR_NOT_ENOUGH_MEMORY
            | code::ERROR_OUTOFMEMORY
            | code::ERROR_NO_SYSTEM_RESOURCES => Self::NOMEM,
            code::ERROR_NOT_SAME_DEVICE => Self::XDEV,
            code::ERROR_WRITE_PROTECT => Self::ROFS,
            code::ERROR_DISK_FULL | code::ERROR_HANDLE_DISK_FULL => Self::NOSPC,
            code::ERROR_DISK_QUOTA_EXCEEDED => Self::DQUOT,
            code::ERROR_NOT_SUPPORTED => Self::OPNOTSUPP,
            code::ERROR_CALL_NOT_IMPLEMENTED => Self::NOSYS,
            code::ERROR_FILE_EXISTS | code::ERROR_ALREADY_EXISTS => Self::EXIST,
            code::ERROR_INVALID_PARAMETER
            | code::ERROR_INVALID_FUNCTION
            | code::ERROR_NEGATIVE_SEEK
            | code::ERROR_NOT_A_REPARSE_POINT => Self::INVAL,
            code::ERROR_BROKEN_PIPE | code::ERROR_NO_DATA | code::ERROR_PIPE_NOT_CONNECTED => {
                Self::PIPE
            }
            code::ERROR_BUFFER_OVERFLOW | code::ERROR_FILENAME_EXCED_RANGE => Self::NAMETOOLONG,
            code::ERROR_DIR_NOT_EMPTY => Self::NOTEMPTY,
            code::ERROR_BUSY | code::ERROR_PIPE_BUSY => Self::BUSY,
            code::ERROR_FILE_TOO_LARGE => Self::FBIG,
            code::ERROR_DIRECTORY => Self::NOTDIR,
            code::ERROR_DIRECTORY_NOT_SUPPORTED => Self::ISDIR,
            code::ERROR_OPERATION_ABORTED => Self::INTR,
            code::ERROR_CANT_RESOLVE_FILENAME | code::ERROR_STOPPED_ON_SYMLINK => Self::LOOP,
            code::ERROR_TOO_MANY_LINKS => Self::MLINK,
            _ => return None,
        })
    }

    fn of_socket(number: u32) -> Option<Self> {
        Some(match number.cast_signed() {
            socket::WSAEINTR => Self::INTR,
            socket::WSAEBADF => Self::BADF,
            socket::WSAEACCES => Self::ACCESS,
            socket::WSAEFAULT => Self::FAULT,
            socket::WSAEINVAL => Self::INVAL,
            socket::WSAEMFILE => Self::MFILE,
            socket::WSAEWOULDBLOCK => Self::AGAIN,
            socket::WSAEINPROGRESS => Self::INPROGRESS,
            socket::WSAEALREADY => Self::ALREADY,
            socket::WSAENOTSOCK => Self::NOTSOCK,
            socket::WSAEDESTADDRREQ => Self::DESTADDRREQ,
            socket::WSAEMSGSIZE => Self::MSGSIZE,
            socket::WSAEPROTOTYPE => Self::PROTOTYPE,
            socket::WSAENOPROTOOPT => Self::NOPROTOOPT,
            socket::WSAEPROTONOSUPPORT => Self::PROTONOSUPPORT,
            socket::WSAEOPNOTSUPP => Self::OPNOTSUPP,
            socket::WSAEAFNOSUPPORT => Self::AFNOSUPPORT,
            socket::WSAEADDRINUSE => Self::ADDRINUSE,
            socket::WSAEADDRNOTAVAIL => Self::ADDRNOTAVAIL,
            socket::WSAENETDOWN => Self::NETDOWN,
            socket::WSAENETUNREACH => Self::NETUNREACH,
            socket::WSAENETRESET => Self::NETRESET,
            socket::WSAECONNABORTED => Self::CONNABORTED,
            socket::WSAECONNRESET => Self::CONNRESET,
            socket::WSAENOBUFS => Self::NOBUFS,
            socket::WSAEISCONN => Self::ISCONN,
            socket::WSAENOTCONN => Self::NOTCONN,
            socket::WSAESHUTDOWN => Self::PIPE,
            socket::WSAETIMEDOUT => Self::TIMEDOUT,
            socket::WSAECONNREFUSED => Self::CONNREFUSED,
            socket::WSAEHOSTDOWN | socket::WSAEHOSTUNREACH => Self::HOSTUNREACH,
            _ => return None,
        })
    }

    fn kind(self) -> ErrorKind {
        match self {
            Self::AGAIN => ErrorKind::WouldBlock,
            Self::INTR => ErrorKind::Interrupted,
            Self::NOENT => ErrorKind::NotFound,
            Self::ACCESS | Self::PERM => ErrorKind::PermissionDenied,
            Self::EXIST => ErrorKind::AlreadyExists,
            Self::INVAL => ErrorKind::InvalidInput,
            Self::PIPE => ErrorKind::BrokenPipe,
            Self::NOTDIR => ErrorKind::NotADirectory,
            Self::ISDIR => ErrorKind::IsADirectory,
            Self::OPNOTSUPP | Self::NOSYS => ErrorKind::Unsupported,
            Self::NOSPC => ErrorKind::StorageFull,
            Self::TIMEDOUT => ErrorKind::TimedOut,
            Self::CONNRESET => ErrorKind::ConnectionReset,
            Self::CONNABORTED => ErrorKind::ConnectionAborted,
            Self::CONNREFUSED => ErrorKind::ConnectionRefused,
            _ => ErrorKind::Other,
        }
    }
}

impl From<OsErrno> for io::Error {
    fn from(errno: OsErrno) -> Self {
        Self::new(errno.kind(), errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_codes_have_names() {
        for (number, errno) in [
            (code::ERROR_FILE_NOT_FOUND, Errno::NOENT),
            (code::ERROR_OPERATION_ABORTED, Errno::INTR),
            (socket::WSAEWOULDBLOCK.cast_unsigned(), Errno::AGAIN),
            (u32::MAX, Errno::IO),
        ] {
            let error = io::Error::from_raw_os_error(number.cast_signed());
            assert_eq!(Errno::from_io_error(&error), Some(errno), "{number}");
        }
    }

    #[test]
    fn a_name_comes_through_an_error_of_the_standard_library() {
        let error = io::Error::from(Errno::AGAIN);
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(Errno::from_io_error(&error), Some(Errno::AGAIN));
        let foreign = io::Error::other("something else");
        assert_eq!(Errno::from_io_error(&foreign), None);
    }
}
