//! Programs out of nothing and out of other programs.

use crate::guest::FUNCTIONS;
use crate::program::{Program, Step};
use fastrand::Rng;

/// The size of the guest's memory.
pub(crate) const MEMORY: u32 = 65536;

// Where a random program likes to put things. Nothing keeps it from putting them elsewhere.
const OUT: u32 = 64;
const LIST: u32 = 512;
const SUBSCRIPTIONS: u32 = 1024;
const STRINGS: u32 = 4096;
const BUFFER: u32 = 8192;

/// The role of each parameter, in the order of [`FUNCTIONS`]. Addresses: `s` of a string, `v` of a
/// list of buffers, `o` of a result, `p` of subscriptions. Numbers: `f` a descriptor, `n` a length,
/// `c` a count, `g` flags or an enumeration, `x` any number.
const ROLES: [&str; 46] = [
    "oo",
    "oo",
    "oo",
    "oo",
    "go",
    "gxo",
    "fxxg",
    "fxx",
    "f",
    "f",
    "fo",
    "fg",
    "frr",
    "fo",
    "fx",
    "fxxg",
    "fvcxo",
    "fo",
    "fon",
    "fvcxo",
    "fvco",
    "fonxo",
    "ff",
    "fxgo",
    "f",
    "fo",
    "fvco",
    "fsn",
    "fgsno",
    "fgsnxxg",
    "fgsnfsn",
    "fgsngrrgo",
    "fsnono",
    "fsn",
    "fsnfsn",
    "snfsn",
    "fsn",
    "poco",
    "x",
    "g",
    "",
    "on",
    "fgo",
    "fvcgoo",
    "fvcgo",
    "fg",
];

const PATHS: [&str; 24] = [
    "file",
    "dir",
    "dir/inner",
    "new",
    "link",
    "loop",
    "out",
    "out/secret",
    "fifo",
    "..",
    "../secret",
    ".",
    "/",
    "",
    "dir/",
    "file/",
    "/etc/passwd",
    "dir/../file",
    "a\0b",
    "\u{fffd}",
    "new/x",
    "dangling",
    "./.",
    "dir/../../secret",
];

fn odd32(rng: &mut Rng) -> u32 {
    match rng.u8(..8) {
        0 => 0,
        1 => u32::MAX - rng.u32(..8),
        2 => MEMORY - rng.u32(..40),
        3 => rng.u32(..),
        4 => i32::MAX as u32 + rng.u32(..2),
        5 => 1 << rng.u32(..32),
        _ => rng.u32(..256),
    }
}

fn odd64(rng: &mut Rng) -> u64 {
    match rng.u8(..7) {
        0 => u64::MAX - rng.u64(..8),
        1 => i64::MAX as u64 + rng.u64(..3),
        2 => rng.u64(..),
        3 => 1 << rng.u64(..64),
        4 => 4_000_000_000_000_000_000,
        _ => rng.u64(..300),
    }
}

fn near(rng: &mut Rng, usual: u32) -> u64 {
    u64::from(match rng.u8(..20) {
        0 => odd32(rng),
        1 => usual + rng.u32(..8),
        _ => usual,
    })
}

fn argument(rng: &mut Rng, role: u8) -> u64 {
    match role {
        b'f' => match rng.u8(..12) {
            0 => odd32(rng).into(),
            1..4 => 3,
            _ => rng.u64(..16),
        },
        b's' => {
            let usual = STRINGS + 256 * rng.u32(..2);
            near(rng, usual)
        }
        b'v' => near(rng, LIST),
        b'p' => near(rng, SUBSCRIPTIONS),
        b'o' => {
            let usual = OUT + 64 * rng.u32(..4);
            near(rng, usual)
        }
        b'n' => match rng.u8(..10) {
            0 => odd32(rng).into(),
            _ => rng.u64(..64),
        },
        b'c' => match rng.u8(..10) {
            0 => odd32(rng).into(),
            _ => rng.u64(..6),
        },
        b'g' => match rng.u8(..10) {
            0 => odd32(rng).into(),
            _ => rng.u64(..32),
        },
        b'r' => match rng.u8(..4) {
            0 => odd64(rng),
            1 => (1 << 30) - 1,
            _ => 1 << 1 | 1 << 6,
        },
        _ => odd64(rng),
    }
}

fn poke(rng: &mut Rng) -> Step {
    let word = |rng: &mut Rng| odd32(rng).to_le_bytes();
    match rng.u8(..6) {
        0..2 => {
            let path = PATHS[rng.usize(..PATHS.len())];
            Step::Poke(STRINGS + 256 * rng.u32(..2), path.as_bytes().to_vec())
        }
        2 => {
            let mut list = Vec::new();
            for i in 0..rng.u32(1..5) {
                let odd = rng.u8(..12) == 0;
                let at = if odd { odd32(rng) } else { BUFFER + i * 300 };
                let len = if odd { odd32(rng) } else { rng.u32(..300) };
                list.extend([at.to_le_bytes(), len.to_le_bytes()].concat());
            }
            Step::Poke(LIST, list)
        }
        3 => {
            let mut all = Vec::new();
            for _ in 0..rng.u8(1..4) {
                let mut bytes = [0u8; 48];
                bytes[8] = rng.u8(..4);
                bytes[16..20].copy_from_slice(&rng.u32(..12).to_le_bytes());
                let timeout = match rng.u8(..4) {
                    0 => odd64(rng),
                    _ => rng.u64(..100_000),
                };
                bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
                bytes[40] = rng.u8(..3);
                all.extend(bytes);
            }
            Step::Poke(SUBSCRIPTIONS, all)
        }
        4 => Step::Poke(odd32(rng) % MEMORY, word(rng).to_vec()),
        _ => Step::Poke(BUFFER + rng.u32(..400), vec![rng.u8(..); rng.usize(..64)]),
    }
}

fn step(rng: &mut Rng) -> Step {
    if rng.u8(..4) == 0 {
        return poke(rng);
    }
    let function = rng.usize(..FUNCTIONS.len());
    Step::Call(
        function,
        ROLES[function]
            .bytes()
            .map(|role| argument(rng, role))
            .collect(),
    )
}

/// Makes a call that certainly has an effect, and before it the calls that it needs.
fn opening(rng: &mut Rng) -> [Step; 2] {
    let path = PATHS[rng.usize(..PATHS.len())];
    let open = FUNCTIONS
        .iter()
        .position(|(name, _)| *name == "path_open")
        .expect("is one of them");
    let rights = [0, 2, 64, 66][rng.usize(..4)];
    let how = [0, 0, 1, 9, 2][rng.usize(..5)];
    let flags = [0, 0, 1, 4][rng.usize(..4)];
    let args = [
        3 + rng.u64(..2),
        rng.u64(..2),
        STRINGS.into(),
        path.len() as u64,
        how,
        rights,
        rights,
        flags,
        OUT.into(),
    ];
    [
        Step::Poke(STRINGS, path.as_bytes().to_vec()),
        Step::Call(open, args.to_vec()),
    ]
}

pub(crate) fn random(rng: &mut Rng) -> Program {
    let mut steps = Vec::new();
    for _ in 0..rng.u8(1..20) {
        if rng.u8(..6) == 0 {
            steps.extend(opening(rng));
        } else {
            steps.push(step(rng));
        }
    }
    Program(steps)
}

/// A program like `program`, with parts of `other`.
pub(crate) fn mutated(rng: &mut Rng, program: &Program, other: &Program) -> Program {
    let mut steps = program.0.clone();
    for _ in 0..rng.u8(1..5) {
        let at = rng.usize(..=steps.len());
        match rng.u8(..6) {
            0 => steps.insert(at, step(rng)),
            1 if at < steps.len() => drop(steps.remove(at)),
            2 if at < steps.len() => steps.insert(at, steps[at].clone()),
            3 => {
                let from = rng.usize(..=other.0.len());
                steps.splice(at..at, other.0[from..].iter().take(8).cloned());
            }
            4 => drop(steps.splice(at..at, opening(rng))),
            _ if at < steps.len() => match &mut steps[at] {
                Step::Poke(_, bytes) if !bytes.is_empty() => {
                    let n = rng.usize(..bytes.len());
                    bytes[n] = rng.u8(..);
                }
                Step::Poke(at, _) => *at = odd32(rng) % MEMORY,
                Step::Call(function, args) if !args.is_empty() => {
                    let n = rng.usize(..args.len());
                    let role = ROLES[*function].as_bytes()[n];
                    args[n] = argument(rng, role);
                }
                Step::Call(..) => {}
            },
            _ => {}
        }
    }
    steps.truncate(60);
    Program(steps)
}
