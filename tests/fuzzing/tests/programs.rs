//! Whole programs, in a process of their own: see `short.rs`.
#![cfg(all(feature = "runtime", target_os = "linux"))]

mod support;

use fuzzing::target;
use support::{finds_nothing, finds_what_is_planted};

#[test]
fn programs() {
    finds_nothing(target("programs"));
    finds_what_is_planted(target("programs"));
}
