//! Random sequences of calls.

use crate::known;
use crate::op::{self, Op};
use crate::side::Spoil;
use crate::twins::Twins;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::cell::RefCell;

/// What was run.
pub struct Seen {
    pub calls: u64,
    /// How often each known difference was seen.
    pub known: Vec<u64>,
}

/// So many sequences, until one differs: then the shortest that does. With a fault of ours it is not looked for.
pub fn run(sequences: u32, spoil: Option<Spoil>) -> (Result<(), TestError<Vec<Op>>>, Seen) {
    let seen = RefCell::new(Seen {
        calls: 0,
        known: vec![0; known::ALL.len()],
    });
    let config = Config {
        cases: sequences,
        failure_persistence: None,
        max_shrink_iters: if spoil.is_some() { 0 } else { 2000 },
        ..Config::default()
    };
    let calls = prop::collection::vec(op::any_op(), 1..60);
    let result = TestRunner::new(config).run(&calls, |ops| {
        let mut twins = Twins::new(spoil);
        for (i, op) in ops.iter().enumerate() {
            twins.run(op).map_err(|difference| {
                TestCaseError::fail(format!("call {i}, {op:?}: {difference}"))
            })?;
        }
        twins.compare_files().map_err(TestCaseError::fail)?;
        let mut seen = seen.borrow_mut();
        seen.calls += ops.len() as u64;
        for (all, one) in seen.known.iter_mut().zip(&twins.seen) {
            *all += one;
        }
        Ok(())
    });
    (result, seen.into_inner())
}
