//! Stacks that the standard library makes, each as its thread starts.

use std::io;
use std::sync::Arc;

/// Several stacks that are to be of one size.
#[derive(Debug)]
pub(crate) struct Slab {
    places: usize,
    stack: usize,
}

impl Slab {
    /// Promises `places` stacks of `stack` bytes, and returns all of them. A refusal of the system
    /// shows when a thread is started.
    pub(crate) fn map(places: usize, stack: usize) -> io::Result<Vec<Stack>> {
        let slab = Arc::new(Self { places, stack });
        Ok((0..places).map(|_| Stack(Arc::clone(&slab))).collect())
    }

    /// How many stacks it has.
    pub(crate) fn places(&self) -> usize {
        self.places
    }
}

/// The promise of one stack. There is one value for each.
#[derive(Debug)]
pub(crate) struct Stack(Arc<Slab>);

impl Stack {
    /// With which others it was promised.
    pub(crate) fn slab(&self) -> &Arc<Slab> {
        &self.0
    }

    /// Its bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.stack
    }

    /// The standard library has given back the memory that was touched.
    pub(crate) fn clear(&mut self) {}
}
