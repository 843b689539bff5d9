//! What the functions do, one module per family. None of these uses another.

pub(crate) mod args_env;
pub(crate) mod clock_get;
pub(crate) mod fd_table;
pub(crate) mod file_io;
pub(crate) mod file_meta;
pub(crate) mod paths;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod random_get;
pub(crate) mod readdir;
pub(crate) mod sockets;
