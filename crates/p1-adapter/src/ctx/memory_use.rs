//! Telling an embedder which bytes of its memory a call has used for the guest.

/// Bytes of guest memory that a call has read or written for the guest
/// ([`P1CtxBuilder::on_memory_use`](crate::P1CtxBuilder::on_memory_use)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// The call's name in the witx file, such as `fd_read`; `path` for the paths of whichever call.
    pub function: &'static str,
    /// Where they begin, in the memory that the calling instance exports.
    pub address: u32,
    /// How many they are.
    pub length: u32,
    /// Whether they were written; else they were read.
    pub writes: bool,
}
