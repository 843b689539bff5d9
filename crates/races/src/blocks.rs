//! Blocks of memory that an allocator gave out.

use std::collections::BTreeMap;

use crate::clock::Epoch;
use crate::race::{Block, Origin, Place};
use crate::threads::Threads;

/// Something that a thread did, as it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    epoch: Epoch,
    place: Place,
    number: u64,
}

#[derive(Clone, Copy, Debug)]
struct KeptBlock {
    size: u64,
    allocated: Kept,
    freed: Option<Kept>,
}

/// The blocks, no two of which share a byte. A block that was given back stays until another one is
/// in its place.
#[derive(Debug)]
pub(crate) struct Blocks {
    by_address: BTreeMap<u64, KeptBlock>,
    most: usize,
    /// Blocks for which there was no room.
    pub(crate) not_kept: u64,
}

impl Kept {
    pub(crate) fn new(epoch: Epoch, place: Place, number: u64) -> Self {
        Self {
            epoch,
            place,
            number,
        }
    }

    /// `None` if the thread was forgotten.
    fn origin(self, threads: &Threads) -> Option<Origin> {
        Some(Origin {
            thread: threads.info(self.epoch)?,
            place: self.place,
            number: self.number,
        })
    }
}

impl Blocks {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            by_address: BTreeMap::new(),
            most,
            not_kept: 0,
        }
    }

    /// A block was given out. The address and the size have a sum.
    pub(crate) fn allocate(&mut self, address: u64, size: u64, allocated: Kept) {
        // One without bytes has an address, too.
        let end = address.saturating_add(size.max(1));
        while let Some((at, block)) = self.by_address.range(..end).next_back() {
            if at.saturating_add(block.size.max(1)) <= address {
                break;
            }
            let at = *at;
            self.by_address.remove(&at);
        }
        if self.by_address.len() >= self.most {
            self.not_kept += 1;
            return;
        }
        let block = KeptBlock {
            size,
            allocated,
            freed: None,
        };
        self.by_address.insert(address, block);
    }

    /// The block at this address is given back; its size, if it is known.
    pub(crate) fn free(&mut self, address: u64, freed: Kept) -> Option<u64> {
        let block = self.by_address.get_mut(&address)?;
        // Of two frees the first one is kept.
        block.freed.get_or_insert(freed);
        Some(block.size)
    }

    /// The block that this address is in.
    pub(crate) fn around(&self, address: u64, threads: &Threads) -> Option<Block> {
        let (at, block) = self.by_address.range(..=address).next_back()?;
        (address - at < block.size.max(1)).then_some(())?;
        let freed = match block.freed {
            Some(freed) => Some(freed.origin(threads)?),
            None => None,
        };
        Some(Block {
            address: *at,
            size: block.size,
            allocated: block.allocated.origin(threads)?,
            freed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocks, Kept};
    use crate::clock::Epoch;
    use crate::race::Place;

    fn kept(number: u64) -> Kept {
        let epoch = Epoch { slot: 0, time: 1 };
        Kept::new(epoch, Place::default(), number)
    }

    fn known(blocks: &Blocks) -> Vec<(u64, u64)> {
        let all = blocks.by_address.iter();
        all.map(|(at, block)| (*at, block.size)).collect()
    }

    #[test]
    fn a_new_block_takes_the_place_of_all_that_share_bytes_with_it() {
        let mut blocks = Blocks::new(10);
        for (address, size) in [(16, 16), (32, 16), (48, 0), (64, 8)] {
            blocks.allocate(address, size, kept(0));
        }
        blocks.allocate(24, 24, kept(1));
        assert_eq!(known(&blocks), [(24, 24), (48, 0), (64, 8)]);
        blocks.allocate(48, 1, kept(2));
        assert_eq!(known(&blocks), [(24, 24), (48, 1), (64, 8)]);
        blocks.allocate(0, u64::MAX, kept(3));
        assert_eq!(known(&blocks), [(0, u64::MAX)]);
    }

    #[test]
    fn what_is_given_back_is_known_until_it_is_given_out_again() {
        let mut blocks = Blocks::new(10);
        blocks.allocate(16, 16, kept(0));
        assert_eq!(blocks.free(24, kept(1)), None);
        assert_eq!(blocks.free(16, kept(1)), Some(16));
        assert_eq!(blocks.free(16, kept(2)), Some(16));
        assert_eq!(blocks.by_address[&16].freed.unwrap().number, 1);
        blocks.allocate(16, 8, kept(3));
        assert!(blocks.by_address[&16].freed.is_none());
    }

    #[test]
    fn beyond_the_bound_none_is_known() {
        let mut blocks = Blocks::new(1);
        blocks.allocate(16, 16, kept(0));
        blocks.allocate(32, 16, kept(1));
        assert_eq!((known(&blocks).len(), blocks.not_kept), (1, 1));
        // In the place of one that is known.
        blocks.allocate(16, 4, kept(2));
        assert_eq!(known(&blocks), [(16, 4)]);
    }
}
