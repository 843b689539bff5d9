//! Sorting, compressing, hashing, parsing and searching, by crates where there are such.

use std::sync::LazyLock;

use regex::Regex;

use crate::random::{Random, text};

/// Sorts 100,000 numbers.
pub fn sort(task: u32) -> u64 {
    let mut random = Random::new(task);
    let mut numbers: Vec<u64> = (0..100_000).map(|_| random.next()).collect();
    numbers.sort_unstable();
    numbers
        .iter()
        .step_by(97)
        .fold(0, |sum: u64, number| sum.rotate_left(3) ^ number)
}

/// Compresses some 200 KB of text.
pub fn deflate(task: u32) -> u64 {
    let text = text(&mut Random::new(task), 30_000);
    let packed = miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 6);
    packed
        .iter()
        .fold(packed.len() as u64, |sum, byte| sum.rotate_left(7) ^ u64::from(*byte))
}

/// Hashes 4 MB.
pub fn hash(task: u32) -> u64 {
    let mut random = Random::new(task);
    let bytes: Vec<u8> = (0..4 << 17).flat_map(|_| random.next().to_le_bytes()).collect();
    let hash = blake3::hash(&bytes);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
}

/// Parses a document of 2,000 records and writes it again.
pub fn json(task: u32) -> u64 {
    let mut random = Random::new(task);
    let mut document = String::from("[");
    for at in 0..2_000 {
        if at > 0 {
            document.push(',');
        }
        let name = text(&mut random, 3).replace('\n', "\\n");
        document += &format!(
            r#"{{"id":{at},"name":"{name}","score":{},"tags":["a","b{}"],"deep":{{"on":true}}}}"#,
            random.below(1 << 40),
            random.below(100)
        );
    }
    document.push(']');
    let parsed: serde_json::Value = serde_json::from_str(&document).unwrap();
    let written = serde_json::to_string(&parsed).unwrap();
    written
        .bytes()
        .fold(written.len() as u64, |sum, byte| sum.rotate_left(7) ^ u64::from(byte))
}

/// Counts matches of three patterns in some 130 KB of text.
pub fn regex(task: u32) -> u64 {
    static PATTERNS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        [r"\b[a-m]+\b", r"(?m)^(?-u:\w+ (\w+)) .*[xyz]{2}", r"[aeiou]{2,}[^aeiou\s]+q?"]
            .map(|pattern| Regex::new(pattern).unwrap())
    });
    let text = text(&mut Random::new(task), 20_000);
    PATTERNS.iter().fold(0, |sum, pattern| {
        let found = pattern.find_iter(&text);
        sum + found.map(|found| found.start() as u64 + 1).sum::<u64>()
    })
}
