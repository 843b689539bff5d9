//! Bytes within words and cells of eight.

/// The word in which an access begins, and which bytes of it are accessed, if the access lies
/// within one word.
pub(crate) fn word_of(address: u64, size: u64) -> (u64, u8) {
    let word = address / 8 * 8;
    let size = size.clamp(1, 8) as u32;
    let mask = (0xff_u16 >> (8 - size)) << (address - word);
    (word, mask as u8)
}

/// The bytes of a cell from the first to the last one that is set.
pub(crate) fn span(cell: u64, mask: u8) -> (u64, u8) {
    let first = mask.trailing_zeros().min(7);
    let behind = (8 - mask.leading_zeros()).max(first + 1);
    (cell + u64::from(first), (behind - first) as u8)
}
