//! To and from the component model's 32-bit handles, with feature `wasmtime`.

use crate::error::Error;
use crate::handle::Handle;
use crate::table::Table;
use wasmtime::component::Resource;

impl<T: 'static> Handle<T> {
    /// The handle as an owned [`Resource`], for code that passes those on.
    ///
    /// A `Resource` has 32 bits: [`AnyHandle::to_rep`](crate::AnyHandle::to_rep) says which of the
    /// 64 are kept, and what that does to the detection of stale handles. It belongs to no
    /// `ResourceTable`. `None` if the index does not fit in 24 bits.
    pub fn to_resource_own(&self) -> Option<Resource<T>> {
        self.any().to_rep().map(Resource::new_own)
    }

    /// As [`to_resource_own`](Self::to_resource_own), borrowed.
    pub fn to_resource_borrow(&self) -> Option<Resource<T>> {
        self.any().to_rep().map(Resource::new_borrow)
    }
}

impl Table {
    /// The way back from [`Handle::to_resource_own`] and its twin: the handle of the entry that
    /// the resource stands for.
    ///
    /// A resource kept after its entry went is told from later entries of the same slot by only 8
    /// bits of generation. After 256 reuses of the slot it names another entry, if that is a `T`.
    /// So convert a resource as soon as it comes in, and keep the handle.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::WrongType`].
    pub fn handle_of_resource<T: 'static>(
        &self,
        resource: &Resource<T>,
    ) -> Result<Handle<T>, Error> {
        let handle = self
            .handle_of_rep(resource.rep())
            .ok_or(Error::NotPresent)?
            .typed();
        self.find(&handle).map(|entry| entry.handle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let table = Table::new();
        let handle = table.push(5u32).unwrap();
        let own = handle.to_resource_own().unwrap();
        let borrow = handle.to_resource_borrow().unwrap();
        assert!(own.owned() && !borrow.owned());
        assert_eq!(table.handle_of_resource(&own), Ok(handle));
        assert_eq!(table.handle_of_resource(&borrow), Ok(handle));
        let other = Resource::<i8>::new_borrow(own.rep());
        assert_eq!(table.handle_of_resource(&other), Err(Error::WrongType));
        table.delete(handle).unwrap();
        assert_eq!(table.handle_of_resource(&own), Err(Error::NotPresent));
    }

    /// What the documentation says is lost.
    #[test]
    fn after_256_reuses_a_resource_is_taken_for_another() {
        let table = Table::new();
        let first = table.push(0u32).unwrap();
        let stale = first.to_resource_own().unwrap();
        let mut handle = first;
        for round in 1..=256 {
            table.delete(handle).unwrap();
            handle = table.push(round).unwrap();
            assert_eq!(handle.index(), first.index());
            let found = table.handle_of_resource(&stale);
            if round < 256 {
                assert_eq!(found, Err(Error::NotPresent));
            } else {
                assert_eq!(found, Ok(handle));
            }
            assert!(table.find(&first).is_err());
        }
    }
}
