//! A number for the code that rewrites modules.
//!
//! Versions tell releases apart, but not two states of the sources between releases. With versions
//! alone a cache would return what an earlier state of the rewrite made of a module. So the sources
//! themselves are part of the cache's keys.

/// The fingerprint of this crate's sources, for the keys of a cache of rewritten modules. It
/// changes when the sources change.
///
/// It guards against accidents, not against attackers: an attacker that can change the sources can
/// change the number too.
pub const FINGERPRINT: u64 = {
    let mut fingerprint = OFFSET_BASIS;
    let mut file = 0;
    while file < SOURCES.len() {
        fingerprint = extend_fingerprint(fingerprint, SOURCES[file].1);
        file += 1;
    }
    fingerprint
};

/// By their names in `src`.
const SOURCES: &[(&str, &[u8])] = &[
    ("access.rs", include_bytes!("access.rs")),
    ("access_op.rs", include_bytes!("access_op.rs")),
    ("append.rs", include_bytes!("append.rs")),
    ("assemble.rs", include_bytes!("assemble.rs")),
    ("bulk.rs", include_bytes!("bulk.rs")),
    ("calls.rs", include_bytes!("calls.rs")),
    ("code.rs", include_bytes!("code.rs")),
    ("compare.rs", include_bytes!("compare.rs")),
    ("encode.rs", include_bytes!("encode.rs")),
    ("error.rs", include_bytes!("error.rs")),
    ("filter.rs", include_bytes!("filter.rs")),
    ("fingerprint.rs", include_bytes!("fingerprint.rs")),
    ("function_names.rs", include_bytes!("function_names.rs")),
    ("lib.rs", include_bytes!("lib.rs")),
    ("limits.rs", include_bytes!("limits.rs")),
    ("names.rs", include_bytes!("names.rs")),
    ("offset_map.rs", include_bytes!("offset_map.rs")),
    ("place.rs", include_bytes!("place.rs")),
    ("points.rs", include_bytes!("points.rs")),
    ("recording.rs", include_bytes!("recording.rs")),
    ("scan.rs", include_bytes!("scan.rs")),
    ("stand_in.rs", include_bytes!("stand_in.rs")),
    ("waits.rs", include_bytes!("waits.rs")),
];

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// The fingerprint of `fingerprint` followed by `source`. It is for a crate with sources of its own
/// that decide what becomes of a rewritten module. The compiler computes it if both are constants.
///
/// FNV-1a: hashing in two pieces gives the same fingerprint as hashing in one.
///
/// ```
/// use interruptible_wasm::{FINGERPRINT, extend_fingerprint};
///
/// const MINE: u64 = extend_fingerprint(FINGERPRINT, b"fn main() {}");
/// assert_ne!(MINE, FINGERPRINT);
/// ```
#[must_use]
pub const fn extend_fingerprint(fingerprint: u64, source: &[u8]) -> u64 {
    let mut hash = fingerprint;
    let mut at = 0;
    while at < source.len() {
        hash = (hash ^ source[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::{OFFSET_BASIS, SOURCES, extend_fingerprint};

    #[test]
    fn no_source_is_left_out() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                SOURCES.iter().any(|(source, _)| *source == name),
                "{name} is missing in SOURCES"
            );
        }
    }

    #[test]
    fn it_is_fnv_1a_and_changes_with_any_byte() {
        // Test vectors of the hash's authors.
        assert_eq!(extend_fingerprint(OFFSET_BASIS, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(
            extend_fingerprint(OFFSET_BASIS, b"a"),
            0xaf63_dc4c_8601_ec8c
        );
        assert_eq!(
            extend_fingerprint(extend_fingerprint(OFFSET_BASIS, b"foo"), b"bar"),
            0x8594_4171_f739_67e8
        );
    }
}
