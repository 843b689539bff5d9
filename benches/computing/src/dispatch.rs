//! Calls through a table: objects whose types are not known where they are called.

use crate::random::Random;

/// A step of a small machine.
trait Step: Sync {
    fn run(&self, state: u64) -> u64;
}

struct Add(u64);
struct Multiply(u64);
struct Rotate(u32);
struct Mix(u64);
/// Two steps as one.
struct Both(Box<dyn Step>, Box<dyn Step>);

impl Step for Add {
    fn run(&self, state: u64) -> u64 {
        state.wrapping_add(self.0)
    }
}

impl Step for Multiply {
    fn run(&self, state: u64) -> u64 {
        state.wrapping_mul(self.0 | 1)
    }
}

impl Step for Rotate {
    fn run(&self, state: u64) -> u64 {
        state.rotate_left(self.0)
    }
}

impl Step for Mix {
    fn run(&self, state: u64) -> u64 {
        state ^ (state >> 29) ^ self.0
    }
}

impl Step for Both {
    fn run(&self, state: u64) -> u64 {
        self.1.run(self.0.run(state))
    }
}

fn step(random: &mut Random, depth: u32) -> Box<dyn Step> {
    match random.below(if depth == 0 { 4 } else { 6 }) {
        0 => Box::new(Add(random.next())),
        1 => Box::new(Multiply(random.next())),
        2 => Box::new(Rotate(random.below(64) as u32)),
        3 => Box::new(Mix(random.next())),
        _ => Box::new(Both(step(random, depth - 1), step(random, depth - 1))),
    }
}

/// Some 5 million calls of 1,000 objects of five types.
pub fn calls(task: u32) -> u64 {
    let mut random = Random::new(task);
    let steps: Vec<_> = (0..1_000).map(|_| step(&mut random, 3)).collect();
    (0..2_000).fold(u64::from(task), |state, _| {
        steps.iter().fold(state, |state, step| step.run(state))
    })
}
