//! Random sequences of calls.

use crate::op::{self, Op};
use crate::seen::Seen;
use crate::side::Spoil;
use crate::twins::Twins;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::cell::RefCell;

/// So many sequences, until one differs: then the shortest that does. With a fault of ours it is
/// not looked for.
pub fn run(sequences: u32, spoil: Option<Spoil>) -> (Result<(), TestError<Vec<Op>>>, Seen) {
    let seen = RefCell::new(Seen::default());
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
        seen.borrow_mut().add(&twins.seen);
        Ok(())
    });
    (result, seen.into_inner())
}
