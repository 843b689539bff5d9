//! Entries as parents and children.

use super::{Table, named};
use crate::error::Error;
use crate::guard::AnyGuard;
use crate::handle::{AnyHandle, Handle};
use crate::lock::cell;
use crate::state::KIN;

impl Table {
    /// Puts a value in as a child of an entry, which cannot be removed before it.
    ///
    /// Locks the kinship stripes of both entries for a moment.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`] if there is no such parent, [`Error::Full`]; the value is dropped
    /// then. The parent's type is not looked at.
    pub fn push_child<T, U>(&self, value: T, parent: &Handle<U>) -> Result<Handle<T>, Error>
    where
        T: Send + 'static,
        U: 'static,
    {
        let parent = self.entry(parent.any())?;
        let vacant = self.vacant()?;
        cell::put(&vacant, value);
        let index = vacant.slot().index();
        // If the parent has gone the value is dropped with this, unlocked.
        let mut vacant = Some(vacant);
        parent
            .link_new(index, || vacant.take().map(|vacant| named(vacant, KIN)))?
            .ok_or(Error::NotPresent)
    }

    /// Makes one entry the child of another.
    ///
    /// Locks the kinship stripes of both for a moment. A circle of parents can be made, and
    /// then none of it can be removed before the circle is broken by
    /// [`remove_child`](Self::remove_child).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`] if either is missing, [`Error::HasParent`]. The types are not looked
    /// at.
    pub fn add_child<T: 'static, U: 'static>(
        &self,
        child: Handle<T>,
        parent: Handle<U>,
    ) -> Result<(), Error> {
        let child = self.entry(child.any())?;
        child.link(self.entry(parent.any())?)
    }

    /// Ends what [`push_child`](Self::push_child) or [`add_child`](Self::add_child) began; both
    /// entries stay.
    ///
    /// Locks the kinship stripes of both for a moment.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`] if either is missing, [`Error::NotChild`]. The types are not looked
    /// at.
    pub fn remove_child<T: 'static, U: 'static>(
        &self,
        child: Handle<T>,
        parent: Handle<U>,
    ) -> Result<(), Error> {
        let child = self.entry(child.any())?;
        child.unlink(self.entry(parent.any())?)
    }

    /// The entry's children, by index.
    ///
    /// Locks the entry's kinship stripe for a moment. The answer is of that moment.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`]. The type is not looked at.
    pub fn children<T: 'static>(&self, parent: &Handle<T>) -> Result<Vec<AnyHandle>, Error> {
        let children = self.entry(parent.any())?.children()?;
        Ok(children
            .into_iter()
            .filter_map(|(index, generation)| AnyHandle::new(index, generation))
            .collect())
    }

    /// Exclusive access to the entry's [`children`](Self::children), one after the other; waits
    /// for each as [`get_any_mut`](Self::get_any_mut) does. Children that have gone by the time
    /// their turn comes are left out.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`]. The type is not looked at.
    pub fn iter_children<T: 'static>(
        &self,
        parent: &Handle<T>,
    ) -> Result<impl Iterator<Item = AnyGuard<'_>> + use<'_, T>, Error> {
        let children = self.children(parent)?;
        Ok(children
            .into_iter()
            .filter_map(|child| self.get_any_mut(child).ok()))
    }
}
