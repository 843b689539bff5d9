//! Programs of preview1 calls, as the adapter's own random ones are, out of bytes.

use std::time::Duration;

use crate::guest::FUNCTIONS;
use crate::hosts::KINDS;
use crate::input::Input;
use crate::plant::planted;
use crate::program::{Program, Step};
use crate::run::{MANNERS, Outcome, run as run_program};

/// Steps of a program.
const MOST: usize = 48;

/// How long a program may wait before the signal ends it.
const PATIENCE: Duration = Duration::from_millis(4);

/// Stands for a change of memory where a function's number is expected.
const POKE: u8 = 0xff;

/// Where results, lists, subscriptions and strings mostly are.
const PLACES: [u64; 8] = [64, 128, 192, 512, 1024, 4096, 4352, 8192];

/// The first byte says how the memory is had, and on which host the program runs.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let how = usize::from(input.u8());
    let manner = MANNERS[how % MANNERS.len()];
    let kind = KINDS[how / MANNERS.len() % KINDS.len()];
    let program = program(&mut input);
    let outcomes = run_program(&program, manner, kind, PATIENCE)
        .unwrap_or_else(|what| panic!("{what} ({manner:?}, {kind:?}):\n{program}"));
    if let Some(what) = planted_fault(&outcomes) {
        panic!("{what} ({manner:?}, {kind:?}):\n{program}");
    }
}

fn program(input: &mut Input<'_>) -> Program {
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < MOST {
        let function = input.u8();
        if function == POKE {
            let (at, length) = (input.u16(), input.below(65));
            steps.push(Step::Poke(at.into(), input.bytes(length).to_vec()));
            continue;
        }
        let function = usize::from(function) % FUNCTIONS.len();
        let args = FUNCTIONS[function].1.chars().map(|_| argument(input));
        steps.push(Step::Call(function, args.collect()));
    }
    Program(steps)
}

fn argument(input: &mut Input<'_>) -> u64 {
    let choice = input.u8();
    match choice {
        0..0x80 => choice.into(),
        0x80..0x88 => PLACES[usize::from(choice - 0x80)],
        0x88..0xb0 => input.u16().into(),
        0xb0..0xd8 => input.u32().into(),
        0xd8..0xf0 => input.u64(),
        // Near the end of what there is.
        _ => u64::MAX - u64::from(choice & 15),
    }
}

/// The bytes of programs that are written down as text, of which the first byte is `how`.
pub fn encode(text: &str, how: u8) -> Vec<Vec<u8>> {
    let encode = |program: Program| {
        let mut bytes = vec![how];
        for step in program.0 {
            match step {
                Step::Poke(at, data) => {
                    for (number, chunk) in data.chunks(64).enumerate() {
                        bytes.push(POKE);
                        bytes.extend((at as u16 + 64 * number as u16).to_le_bytes());
                        bytes.push(chunk.len() as u8);
                        bytes.extend(chunk);
                    }
                }
                Step::Call(function, args) => {
                    bytes.push(function as u8);
                    args.iter()
                        .for_each(|arg| encode_argument(&mut bytes, *arg));
                }
            }
        }
        bytes
    };
    crate::program::parse(text)
        .into_iter()
        .map(encode)
        .collect()
}

fn encode_argument(to: &mut Vec<u8>, arg: u64) {
    if let Some(place) = PLACES.iter().position(|place| *place == arg) {
        to.push(0x80 + place as u8);
    } else if arg < 0x80 {
        to.push(arg as u8);
    } else if let Ok(short) = u16::try_from(arg) {
        to.push(0x88);
        to.extend(short.to_le_bytes());
    } else if let Ok(word) = u32::try_from(arg) {
        to.push(0xb0);
        to.extend(word.to_le_bytes());
    } else {
        to.push(0xd8);
        to.extend(arg.to_le_bytes());
    }
}

fn planted_fault(outcomes: &[Outcome]) -> Option<&'static str> {
    let succeeded = |name: &str| {
        let done =
            |(function, errno): &Outcome| FUNCTIONS[*function].0 == name && *errno == Some(0);
        outcomes.iter().any(done)
    };
    let made_and_removed = succeeded("path_create_directory") && succeeded("path_remove_directory");
    if planted("errno-unknown") && made_and_removed {
        return Some("path_remove_directory returned 77");
    }
    let written_twice = succeeded("fd_write") && succeeded("fd_pwrite");
    if planted("read-only-changed") && written_twice {
        return Some("a read-only preopen has changed");
    }
    None
}
