//! Which code prepares a module, as a number.
//!
//! Versions tell releases apart. In between, whoever works on the rewrite would be given by a cache what the rewrite
//! made of a module before: so the sources themselves are part of its keys.

/// Of the sources that decide what is in a serialized module, and so is another one when they are changed.
///
/// It is there for accidents and not for adversaries, who would rather change the code than its number.
pub(crate) const FINGERPRINT: u64 = fingerprint(SOURCES);

/// By their paths in `src`.
const SOURCES: &[(&str, &[u8])] = &[
    ("module/prepare.rs", include_bytes!("prepare.rs")),
    ("module/precompiled.rs", include_bytes!("precompiled.rs")),
    ("rewrite/append.rs", include_bytes!("../rewrite/append.rs")),
    (
        "rewrite/assemble.rs",
        include_bytes!("../rewrite/assemble.rs"),
    ),
    ("rewrite/bulk.rs", include_bytes!("../rewrite/bulk.rs")),
    ("rewrite/encode.rs", include_bytes!("../rewrite/encode.rs")),
    ("rewrite/mod.rs", include_bytes!("../rewrite/mod.rs")),
    ("rewrite/scan.rs", include_bytes!("../rewrite/scan.rs")),
    ("rewrite/waits.rs", include_bytes!("../rewrite/waits.rs")),
];

/// FNV-1a of all contents, computed by the compiler.
const fn fingerprint(sources: &[(&str, &[u8])]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut file = 0;
    while file < sources.len() {
        let content = sources[file].1;
        let mut at = 0;
        while at < content.len() {
            hash = (hash ^ content[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        file += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::{SOURCES, fingerprint};

    #[test]
    fn no_source_of_the_rewrite_is_left_out() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rewrite");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = format!("rewrite/{name}");
            assert!(
                SOURCES.iter().any(|(source, _)| *source == path),
                "{path} is missing in SOURCES"
            );
        }
    }

    #[test]
    fn it_is_fnv_1a_and_changes_with_any_byte() {
        // Test vectors of the hash's authors.
        assert_eq!(fingerprint(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(&[("", b"a")]), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(
            fingerprint(&[("", b"foo"), ("", b"bar")]),
            0x8594_4171_f739_67e8
        );
    }
}
