//! Rights, as an embedder names them.

use crate::abi::types;

bitflags::bitflags! {
    /// What preview1 lets a descriptor do (witx: `rights`), for
    /// [`P1Ctx::limited_to`](crate::P1Ctx::limited_to).
    ///
    /// Rights only restrict. A right gives nothing that the file's mode, its preopen's permissions
    /// or the operating system refuse.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u64 {
        /// `fd_datasync`.
        const FD_DATASYNC = types::Rights::FD_DATASYNC.bits();
        /// `fd_read`, `sock_recv`; with [`FD_SEEK`](Self::FD_SEEK), `fd_pread`.
        const FD_READ = types::Rights::FD_READ.bits();
        /// `fd_seek` and `fd_tell`.
        const FD_SEEK = types::Rights::FD_SEEK.bits();
        /// `fd_fdstat_set_flags`.
        const FD_FDSTAT_SET_FLAGS = types::Rights::FD_FDSTAT_SET_FLAGS.bits();
        /// `fd_sync`.
        const FD_SYNC = types::Rights::FD_SYNC.bits();
        /// `fd_tell`, and `fd_seek` that only asks where the cursor is.
        const FD_TELL = types::Rights::FD_TELL.bits();
        /// `fd_write`, `sock_send`; with [`FD_SEEK`](Self::FD_SEEK), `fd_pwrite`.
        const FD_WRITE = types::Rights::FD_WRITE.bits();
        /// `fd_advise`.
        const FD_ADVISE = types::Rights::FD_ADVISE.bits();
        /// `fd_allocate`.
        const FD_ALLOCATE = types::Rights::FD_ALLOCATE.bits();
        /// `path_create_directory`.
        const PATH_CREATE_DIRECTORY = types::Rights::PATH_CREATE_DIRECTORY.bits();
        /// `path_open` with `CREAT`.
        const PATH_CREATE_FILE = types::Rights::PATH_CREATE_FILE.bits();
        /// `path_link` of what lies below the directory.
        const PATH_LINK_SOURCE = types::Rights::PATH_LINK_SOURCE.bits();
        /// `path_link` to a place below the directory.
        const PATH_LINK_TARGET = types::Rights::PATH_LINK_TARGET.bits();
        /// `path_open`.
        const PATH_OPEN = types::Rights::PATH_OPEN.bits();
        /// `fd_readdir`.
        const FD_READDIR = types::Rights::FD_READDIR.bits();
        /// `path_readlink`.
        const PATH_READLINK = types::Rights::PATH_READLINK.bits();
        /// `path_rename` of what lies below the directory.
        const PATH_RENAME_SOURCE = types::Rights::PATH_RENAME_SOURCE.bits();
        /// `path_rename` to a place below the directory.
        const PATH_RENAME_TARGET = types::Rights::PATH_RENAME_TARGET.bits();
        /// `path_filestat_get`.
        const PATH_FILESTAT_GET = types::Rights::PATH_FILESTAT_GET.bits();
        /// `path_open` with `TRUNC`.
        const PATH_FILESTAT_SET_SIZE = types::Rights::PATH_FILESTAT_SET_SIZE.bits();
        /// `path_filestat_set_times`.
        const PATH_FILESTAT_SET_TIMES = types::Rights::PATH_FILESTAT_SET_TIMES.bits();
        /// `fd_filestat_get`.
        const FD_FILESTAT_GET = types::Rights::FD_FILESTAT_GET.bits();
        /// `fd_filestat_set_size`.
        const FD_FILESTAT_SET_SIZE = types::Rights::FD_FILESTAT_SET_SIZE.bits();
        /// `fd_filestat_set_times`.
        const FD_FILESTAT_SET_TIMES = types::Rights::FD_FILESTAT_SET_TIMES.bits();
        /// `path_symlink`.
        const PATH_SYMLINK = types::Rights::PATH_SYMLINK.bits();
        /// `path_remove_directory`.
        const PATH_REMOVE_DIRECTORY = types::Rights::PATH_REMOVE_DIRECTORY.bits();
        /// `path_unlink_file`.
        const PATH_UNLINK_FILE = types::Rights::PATH_UNLINK_FILE.bits();
        /// `poll_oneoff`, for the directions in which the descriptor may read, write or accept.
        const POLL_FD_READWRITE = types::Rights::POLL_FD_READWRITE.bits();
        /// `sock_shutdown`.
        const SOCK_SHUTDOWN = types::Rights::SOCK_SHUTDOWN.bits();
        /// `sock_accept`.
        const SOCK_ACCEPT = types::Rights::SOCK_ACCEPT.bits();
    }
}
