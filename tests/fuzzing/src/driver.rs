//! A fuzzer for a test run: it runs seeds, and random changes of them. It does not see what the
//! code does with its input. libFuzzer does, and is in `fuzz/`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Target;

/// No input is longer.
const MOST: usize = 1 << 16;

/// The seeds of `target`, in the order of their names; then what is in `$FUZZ_CORPUS/TARGET`, if
/// that is there.
///
/// # Panics
///
/// If there are no seeds, or they cannot be read.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = folder(target);
    let mut paths = files(&folder);
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    if let Some(corpora) = std::env::var_os("FUZZ_CORPUS") {
        paths.extend(files(&Path::new(&corpora).join(target)));
    }
    let read = |path: &PathBuf| std::fs::read(path).expect("a seed");
    paths.iter().map(read).collect()
}

/// Files of a folder that may not be there, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a name").path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
}

/// Where the seeds of `target` are.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target)
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// What chance makes of one input and pieces of another.
fn changed(chance: &mut Chance, one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = one.to_vec();
    for _ in 0..=chance.below(6) {
        let at = chance.below(bytes.len() + 1);
        let length = 1 + chance.below(16);
        let end = (at + length).min(bytes.len());
        match chance.below(7) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, chance.next() as u8),
            2 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            3 if !other.is_empty() => {
                let from = chance.below(other.len());
                let to = (from + 1 + chance.below(64)).min(other.len());
                let end = if chance.below(2) == 0 { at } else { end };
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            4 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            5 if at < bytes.len() => {
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, bytes[at].wrapping_add(1)][chance.below(6)];
            }
            _ if at < bytes.len() => bytes[at] = chance.next() as u8,
            _ => {}
        }
    }
    bytes.truncate(MOST);
    bytes
}

/// What was found: an input, and what the target said.
#[derive(Debug)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// The panic's message.
    pub said: String,
}

/// Runs `target` on one input.
///
/// # Errors
///
/// What it panicked with.
pub fn one(target: Target, input: &[u8]) -> Result<(), Finding> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|payload| Finding {
        input: input.to_vec(),
        said: match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "a panic that is not text".to_owned(),
        },
    })
}

/// Runs `target` on its seeds, then on random changes of them, for `time` or until something is
/// found. Returns the number of inputs.
///
/// # Errors
///
/// What was found.
pub fn run(target: Target, chance: u64, time: Duration) -> Result<u64, Finding> {
    let seeds = seeds(target.name);
    let mut count = 0;
    for seed in &seeds {
        one(target, seed)?;
        count += 1;
    }
    let mut chance = Chance(chance);
    let mut pool = seeds;
    let start = Instant::now();
    while start.elapsed() < time {
        let (a, b) = (chance.below(pool.len()), chance.below(pool.len()));
        let input = changed(&mut chance, &pool[a], &pool[b]);
        one(target, &input)?;
        count += 1;
        // Some of it is changed again.
        if chance.below(16) == 0 {
            let at = chance.below(pool.len());
            if pool.len() < 500 {
                pool.push(input);
            } else {
                pool[at] = input;
            }
        }
    }
    Ok(count)
}
