//! What comes and goes: entries of a B-tree, and allocations.

use std::collections::BTreeMap;
use std::hint::black_box;

use crate::random::Random;

/// 200,000 insertions and removals in a map of some 20,000 entries.
pub fn btree(task: u32) -> u64 {
    let mut random = Random::new(task);
    let mut map = BTreeMap::new();
    let mut sum = 0_u64;
    for at in 0..200_000_u64 {
        let key = random.below(40_000);
        match map.remove(&key) {
            Some(value) => sum = sum.wrapping_add(value),
            None => drop(map.insert(key, at)),
        }
    }
    map.iter()
        .fold(sum, |sum, (key, value)| sum.rotate_left(1) ^ (key * 3 + value))
}

/// 200,000 allocations of up to 4 KB, of which some 2,000 are kept at a time.
pub fn alloc(task: u32) -> u64 {
    let mut random = Random::new(task);
    let mut kept: Vec<Vec<u8>> = vec![Vec::new(); 2_000];
    let mut sum = 0_u64;
    for at in 0..200_000_u32 {
        let most = 1 << random.below(13);
        let size = 1 + random.below(most) as usize;
        let mut bytes = Vec::with_capacity(size);
        bytes.push(at as u8);
        let place = random.below(2_000) as usize;
        let old = std::mem::replace(&mut kept[place], black_box(bytes));
        sum = sum.wrapping_add(old.first().copied().unwrap_or_default().into());
    }
    sum
}
