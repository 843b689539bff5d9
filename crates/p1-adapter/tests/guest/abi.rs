//! Numbers of preview1 as a guest sees them, and what lies where in its memory.

pub(crate) const OK: i32 = 0;
pub(crate) const AGAIN: i32 = 6;
pub(crate) const BADF: i32 = 8;
pub(crate) const EXIST: i32 = 20;
pub(crate) const ILSEQ: i32 = 25;
pub(crate) const INVAL: i32 = 28;
pub(crate) const IO: i32 = 29;
pub(crate) const ISDIR: i32 = 31;
pub(crate) const LOOP: i32 = 32;
pub(crate) const MFILE: i32 = 33;
pub(crate) const NAMETOOLONG: i32 = 37;
pub(crate) const NOENT: i32 = 44;
pub(crate) const NOMEM: i32 = 48;
pub(crate) const NOTCONN: i32 = 53;
pub(crate) const NOTDIR: i32 = 54;
pub(crate) const NOTEMPTY: i32 = 55;
pub(crate) const NOTSOCK: i32 = 57;
pub(crate) const NOTSUP: i32 = 58;
pub(crate) const PERM: i32 = 63;
pub(crate) const SPIPE: i32 = 70;
pub(crate) const NOTCAPABLE: i32 = 76;

pub(crate) const CREAT: i32 = 1;
pub(crate) const DIRECTORY: i32 = 2;
pub(crate) const EXCL: i32 = 4;
pub(crate) const TRUNC: i32 = 8;
pub(crate) const APPEND: i32 = 1;
pub(crate) const NONBLOCK: i32 = 4;
pub(crate) const READ: i64 = 1 << 1;
pub(crate) const WRITE: i64 = 1 << 6;

/// The first preopen's number.
pub(crate) const DIR: i32 = 3;

/// Where results go.
pub(crate) const OUT: u32 = 64;
/// Where lists of buffers lie.
pub(crate) const LIST: u32 = 1024;
/// Where strings lie.
pub(crate) const PATH: u32 = 0x4000;
/// From here on a test may use the memory as it likes.
pub(crate) const DATA: u32 = 0x10000;
