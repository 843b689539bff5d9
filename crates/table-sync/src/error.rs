//! The one error type of this crate.

/// Why a call on a [`Table`](crate::Table) failed. A failed call changed nothing.
///
/// Where several apply, the first in this order is reported: [`NotPresent`](Self::NotPresent),
/// [`HasChildren`](Self::HasChildren), [`WrongType`](Self::WrongType), [`InUse`](Self::InUse);
/// `wasmtime::component::ResourceTable` uses the same order for the three it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The table holds as many slots as [`Table::set_max_capacity`](crate::Table::set_max_capacity)
    /// allows and every one is taken, by an entry or by a detached value that is still held.
    #[error("resource table has no free keys")]
    Full,
    /// The handle names no entry: never issued by this table, deleted, or detached.
    #[error("resource not present")]
    NotPresent,
    /// The handle names an entry of another type.
    #[error("resource is of another type")]
    WrongType,
    /// The entry cannot go: other entries name it as their parent.
    #[error("resource has children")]
    HasChildren,
    /// A `try_` form found the entry held in a way that excludes the wanted access. Blocking
    /// and async forms report it only when the entry already has 2^23 - 1 counted readers.
    #[error("resource is in use")]
    InUse,
    /// [`Table::add_child`](crate::Table::add_child): the child has a parent already.
    #[error("resource has a parent already")]
    HasParent,
    /// [`Table::remove_child`](crate::Table::remove_child): the one is not a child of the other.
    #[error("resource is not a child of the given parent")]
    NotChild,
}
