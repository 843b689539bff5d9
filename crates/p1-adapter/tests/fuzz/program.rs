//! What is run: a list of calls with any arguments, and of changes to the memory between them. As
//! text it is one step a line, and programs are separated by empty lines, so that a corpus can be
//! read and a failure be replayed.
//!
//! ```text
//! poke 4096 66696c65
//! path_open 3 1 4096 4 1 66 66 0 64
//! ```

use crate::guest::FUNCTIONS;
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Writes bytes to the memory.
    Poke(u32, Vec<u8>),
    /// Calls the function of that index in [`FUNCTIONS`]. Arguments of 32 bits are cut.
    Call(usize, Vec<u64>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Program(pub(crate) Vec<Step>);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Poke(at, bytes) => {
                write!(f, "poke {at} ")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Step::Call(function, args) => {
                f.write_str(FUNCTIONS[*function].0)?;
                args.iter().try_for_each(|arg| write!(f, " {arg}"))
            }
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

fn step(line: &str) -> Option<Step> {
    let mut words = line.split(' ');
    let name = words.next()?;
    if name == "poke" {
        let at = words.next()?.parse().ok()?;
        let hex = words.next().unwrap_or("").as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
        return Some(Step::Poke(
            at,
            hex.chunks(2).map(byte).collect::<Option<_>>()?,
        ));
    }
    let function = FUNCTIONS.iter().position(|(known, _)| *known == name)?;
    let args: Vec<u64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    (args.len() == FUNCTIONS[function].1.len()).then_some(Step::Call(function, args))
}

/// The programs of a corpus.
///
/// # Panics
///
/// On a line that is no step.
pub(crate) fn parse(corpus: &str) -> Vec<Program> {
    let mut all = vec![Program::default()];
    for line in corpus.lines().map(str::trim) {
        if line.starts_with('#') {
            continue;
        }
        if line.is_empty() {
            all.push(Program::default());
            continue;
        }
        let step = step(line).unwrap_or_else(|| panic!("no step: {line}"));
        all.last_mut().expect("there is one at least").0.push(step);
    }
    all.retain(|program| !program.0.is_empty());
    all
}
