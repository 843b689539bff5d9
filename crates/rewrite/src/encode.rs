//! The bits of the binary format that the rewrite writes itself.

/// The longest encoding of a `u32`, in bytes.
pub(crate) const LONGEST_U32: usize = 5;

/// The length of the shortest encoding of `value`, in bytes.
pub(crate) fn u32_length(value: u32) -> usize {
    let bits = u32::BITS - value.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

/// Appends `value` in exactly `length` bytes (at most [`LONGEST_U32`]), or
/// nothing, returning false, if it does not fit.
///
/// The format allows every encoding up to five bytes: LEB128 with redundant
/// continuation bytes, which linkers leave behind too.
#[must_use]
pub(crate) fn push_u32_in(out: &mut Vec<u8>, value: u32, length: usize) -> bool {
    if length > LONGEST_U32 || u32_length(value) > length {
        return false;
    }
    for byte in 0..length {
        let bits = (value >> (7 * byte)) as u8 & 0x7f;
        let more = if byte + 1 < length { 0x80 } else { 0 };
        out.push(bits | more);
    }
    true
}

/// Appends `value` in its shortest encoding.
pub(crate) fn push_u32(out: &mut Vec<u8>, value: u32) {
    let fits = push_u32_in(out, value, u32_length(value));
    debug_assert!(fits);
}

/// Appends a string with its length.
pub(crate) fn push_name(out: &mut Vec<u8>, name: &str) {
    push_u32(out, name.len() as u32);
    out.extend_from_slice(name.as_bytes());
}

/// Reads a `u32` and returns it with the bytes that are left. `None` if there is none.
pub(crate) fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u32;
    for (at, byte) in bytes.iter().enumerate().take(LONGEST_U32) {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// A `call` of `function` that takes `length` bytes. Its index is padded, and `nop`s follow if even
/// the longest index is too short. The call takes more bytes if the index has no room.
pub(crate) fn call_in(function: u32, length: usize) -> Vec<u8> {
    const CALL: u8 = 0x10;
    const NOP: u8 = 0x01;
    let room = length.saturating_sub(1);
    let index = room.clamp(u32_length(function), LONGEST_U32);
    let mut out = vec![CALL];
    let fits = push_u32_in(&mut out, function, index);
    debug_assert!(fits);
    out.resize(out.len().max(length), NOP);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_change_where_seven_more_bits_are_needed() {
        for (value, length) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (16_383, 2),
            (16_384, 3),
            (2_097_151, 3),
            (2_097_152, 4),
            (u32::MAX, 5),
        ] {
            assert_eq!(u32_length(value), length, "{value}");
            let mut out = Vec::new();
            push_u32(&mut out, value);
            assert_eq!(out.len(), length, "{value}");
            assert_eq!(take_u32(&out), Some((value, &[][..])));
        }
    }

    #[test]
    fn padding_keeps_the_value() {
        for length in 2..=LONGEST_U32 {
            let mut out = Vec::new();
            assert!(push_u32_in(&mut out, 300, length));
            assert_eq!(out.len(), length);
            assert_eq!(take_u32(&out), Some((300, &[][..])));
        }
        let mut out = Vec::new();
        assert!(!push_u32_in(&mut out, 300, 1));
        assert!(!push_u32_in(&mut out, 300, 6));
        assert!(out.is_empty());
    }

    #[test]
    fn a_call_fills_its_place() {
        assert_eq!(call_in(2, 4), [0x10, 0x82, 0x80, 0x00]);
        assert_eq!(
            call_in(2, 8),
            [0x10, 0x82, 0x80, 0x80, 0x80, 0x00, 0x01, 0x01]
        );
        assert_eq!(call_in(16_383, 3), [0x10, 0xff, 0x7f]);
        // A byte more than there was.
        assert_eq!(call_in(16_384, 3), [0x10, 0x80, 0x80, 0x01]);
        assert_eq!(call_in(0, 0), [0x10, 0x00]);
    }
}
