//! What atomics and waits order: for each word, what its last atomic write has released.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::clock::{Epoch, VectorClock};
use crate::hash::Mixing;

/// What one thread has released by writing some bytes of a word.
#[derive(Debug)]
struct Released {
    /// Which of the word's 8 bytes it was that last wrote.
    mask: u8,
    /// Which thread and when. A thread that knows that knows the clock.
    by: Epoch,
    clock: VectorClock,
}

/// A word of 8 bytes.
#[derive(Debug, Default)]
struct Word {
    released: Vec<Released>,
    /// What those released that waited here, or woke a thread here.
    queue: Option<VectorClock>,
}

impl Word {
    fn bytes(&self) -> usize {
        let clocks = self.released.iter().map(|released| released.clock.bytes());
        let queue = self.queue.as_ref().map_or(0, VectorClock::bytes);
        let list = self.released.capacity() * size_of::<Released>();
        // The map's entry, too.
        2 * size_of::<u64>() + size_of::<Self>() + list + queue + clocks.sum::<usize>()
    }
}

/// All words that were the target of an atomic.
#[derive(Debug)]
pub(crate) struct Order {
    words: HashMap<u64, Word, Mixing>,
    /// What words released for which there was no space: all of them order each other.
    others: VectorClock,
    bytes: usize,
    most_bytes: usize,
    /// Atomics on such words.
    pub(crate) merged: u64,
    /// Whether what was released stays, whichever thread writes later.
    keeps: bool,
}

/// A time that no thread reaches: each reader looks at what was released then.
const NEVER: u64 = u64::MAX;

impl Order {
    /// `keeps`: what was released by the bytes of a word stays, whichever thread writes
    /// them later.
    pub(crate) fn new(most_bytes: usize, keeps: bool) -> Self {
        Self {
            keeps,
            words: HashMap::default(),
            others: VectorClock::default(),
            bytes: 0,
            most_bytes,
            merged: 0,
        }
    }

    /// What it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A thread reads these bytes of a word: it learns what was released by their last writers.
    pub(crate) fn acquire(&mut self, word: u64, mask: u8, clock: &mut VectorClock) {
        if let Some(word) = self.words.get(&word) {
            for released in &word.released {
                if released.mask & mask != 0 && !clock.covers(released.by) {
                    clock.join(&released.clock);
                }
            }
        }
        // This word may have been one of them, before others were forgotten.
        if self.merged > 0 {
            clock.join(&self.others);
        }
    }

    /// The thread whose epoch and clock these are writes these bytes of a word.
    pub(crate) fn release(&mut self, word: u64, mask: u8, by: Epoch, clock: &VectorClock) {
        let keeps = self.keeps;
        let Some(found) = self.word(word) else {
            self.others.join(clock);
            return;
        };
        let had = found.bytes();
        let (mut by, mut clock) = (by, Cow::Borrowed(clock));
        for released in &mut found.released {
            if keeps && released.mask & mask != 0 && !clock.includes(&released.clock) {
                // A thread that knows this thread's moment does not know all of it.
                by.time = NEVER;
                clock.to_mut().join(&released.clock);
            }
            released.mask &= !mask;
        }
        let same = found
            .released
            .iter_mut()
            .find(|released| released.mask == 0);
        if let Some(free) = same {
            free.mask = mask;
            free.by = by;
            free.clock.clone_from(&clock);
            found.released.retain(|released| released.mask != 0);
        } else {
            found.released.push(Released {
                mask,
                by,
                clock: clock.into_owned(),
            });
        }
        let has = found.bytes();
        self.bytes = self.bytes + has - had;
    }

    /// A thread enters and leaves the queue of those that wait on a word.
    pub(crate) fn pass_queue(&mut self, word: u64, clock: &mut VectorClock) {
        let Some(found) = self.word(word) else {
            clock.join(&self.others);
            self.others.join(clock);
            return;
        };
        let had = found.bytes();
        let queue = found.queue.get_or_insert_default();
        clock.join(queue);
        queue.clone_from(clock);
        let has = found.bytes();
        self.bytes = self.bytes + has - had;
    }

    /// No atomic was made on the words from `begin` to `end`, which are both multiples of 8.
    pub(crate) fn forget(&mut self, begin: u64, end: u64) {
        // Whichever is less to look at.
        if (end - begin) / 8 <= self.words.len() as u64 {
            let mut at = begin;
            while at < end {
                if let Some(word) = self.words.remove(&at) {
                    self.bytes -= word.bytes();
                }
                at += 8;
            }
        } else {
            let bytes = &mut self.bytes;
            self.words.retain(|at, word| {
                let stays = !(begin..end).contains(at);
                if !stays {
                    *bytes -= word.bytes();
                }
                stays
            });
        }
    }

    /// The word, made if there is room for it.
    fn word(&mut self, word: u64) -> Option<&mut Word> {
        if self.bytes >= self.most_bytes && !self.words.contains_key(&word) {
            self.merged += 1;
            return None;
        }
        let bytes = &mut self.bytes;
        Some(self.words.entry(word).or_insert_with(|| {
            let new = Word::default();
            *bytes += new.bytes();
            new
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::Order;
    use crate::clock::{Epoch, VectorClock};

    fn clock(times: &[u64]) -> VectorClock {
        let mut clock = VectorClock::default();
        for (slot, time) in times.iter().enumerate() {
            clock.set(slot as u16, *time);
        }
        clock
    }

    fn release(order: &mut Order, word: u64, mask: u8, slot: u16, times: &[u64]) {
        let clock = clock(times);
        let by = Epoch {
            slot,
            time: clock.get(slot),
        };
        order.release(word, mask, by, &clock);
    }

    fn acquired(order: &mut Order, word: u64, mask: u8) -> Vec<u64> {
        let mut clock = VectorClock::default();
        order.acquire(word, mask, &mut clock);
        (0..3).map(|slot| clock.get(slot)).collect()
    }

    #[test]
    fn the_last_write_of_each_byte_counts() {
        let mut order = Order::new(1 << 20, false);
        release(&mut order, 0, 0xff, 0, &[3]);
        release(&mut order, 0, 0x0f, 1, &[1, 5]);
        assert_eq!(acquired(&mut order, 0, 0x01), [1, 5, 0]);
        assert_eq!(acquired(&mut order, 0, 0x80), [3, 0, 0]);
        assert_eq!(acquired(&mut order, 0, 0x18), [3, 5, 0]);
        assert_eq!(acquired(&mut order, 8, 0xff), [0, 0, 0]);
        release(&mut order, 0, 0xff, 2, &[0, 0, 9]);
        assert_eq!(acquired(&mut order, 0, 0xff), [0, 0, 9]);
        order.forget(0, 8);
        assert_eq!(acquired(&mut order, 0, 0xff), [0, 0, 0]);
        assert_eq!(order.bytes(), 0);
    }

    #[test]
    fn what_was_released_stays_where_others_write_meanwhile() {
        let mut order = Order::new(1 << 20, true);
        release(&mut order, 0, 0xff, 0, &[3]);
        release(&mut order, 0, 0x0f, 1, &[1, 5]);
        assert_eq!(acquired(&mut order, 0, 0x01), [3, 5, 0]);
        assert_eq!(acquired(&mut order, 0, 0x80), [3, 0, 0]);
        // One that knows all of it.
        release(&mut order, 0, 0xff, 2, &[3, 5, 9]);
        assert_eq!(acquired(&mut order, 0, 0xff), [3, 5, 9]);
        order.forget(0, 8);
        assert_eq!(order.bytes(), 0);
    }

    #[test]
    fn beyond_the_bound_words_order_each_other() {
        let mut order = Order::new(1, false);
        release(&mut order, 0, 0xff, 0, &[3]);
        release(&mut order, 8, 0xff, 1, &[0, 4]);
        release(&mut order, 16, 0xff, 2, &[0, 0, 5]);
        assert_eq!(acquired(&mut order, 0, 0xff), [3, 4, 5]);
        assert_eq!(acquired(&mut order, 8, 0xff), [0, 4, 5]);
        assert_eq!(acquired(&mut order, 24, 0xff), [0, 4, 5]);
        assert_eq!(order.merged, 2);
    }
}
