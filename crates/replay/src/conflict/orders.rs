//! The order of a run's conflicting accesses, as a number.

use std::collections::HashMap;

use crate::conflict::{Access, Word};
use crate::interface::ThreadId;

/// How many words are looked at.
const MOST_WORDS: usize = 1 << 20;

/// Sums up in which order threads made conflicting accesses.
///
/// Two runs have the same sum if the same threads accessed each word of eight bytes in the same
/// order. Reads between two writes may come in any order. Words that only one thread accessed do
/// not count. So the number of different sums of many runs is how many orders were tried, apart
/// from words beyond the first million.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    words: HashMap<Word, Order>,
}

/// Of one word.
#[derive(Clone, Copy, Debug)]
struct Order {
    first: ThreadId,
    /// Whether another thread came.
    is_shared: bool,
    /// Of all up to the last write.
    sum: u64,
    /// Of the reads since then.
    reads: u64,
}

impl Orders {
    /// Takes note of the next access of the run.
    pub fn add(&mut self, access: &Access) {
        let thread = u64::from(access.thread.get());
        for (word, mask) in access.words() {
            let is_full = self.words.len() >= MOST_WORDS;
            if is_full && !self.words.contains_key(&word) {
                continue;
            }
            let order = self.words.entry(word).or_insert(Order {
                first: access.thread,
                is_shared: false,
                sum: 0,
                reads: 0,
            });
            order.is_shared |= order.first != access.thread;
            let one = mixed(thread << 9 | u64::from(mask) << 1 | u64::from(access.writes));
            match access.writes {
                true => {
                    order.sum = mixed(order.sum ^ order.reads).wrapping_add(one);
                    order.reads = 0;
                }
                false => order.reads = order.reads.wrapping_add(mixed(one)),
            }
        }
    }

    /// The sum.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let shared = self.words.iter().filter(|(_, order)| order.is_shared);
        shared.fold(0, |sum, (&(memory, word), order)| {
            let place = mixed(word ^ u64::from(memory) << 40);
            let order = mixed(order.sum ^ order.reads);
            sum.wrapping_add(mixed(place ^ order))
        })
    }
}

/// The finisher of SplitMix64.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
