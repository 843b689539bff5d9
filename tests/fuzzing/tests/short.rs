//! Runs all fuzz targets for a moment, on the seeds and on random changes of them. `FUZZ_SECONDS`
//! says for how long each (default: 2), and `FUZZ_CHANCE` is the seed of the random numbers. All
//! planted faults must be found.
//!
//! `programs` counts what is left of a program in its process, so it is in `programs.rs`.

mod support;

use fuzzing::target;
use support::{finds_nothing, finds_what_is_planted};

#[test]
fn printer() {
    finds_nothing(target("printer"));
}

#[test]
fn rewrite() {
    finds_nothing(target("rewrite"));
}

#[test]
fn table() {
    finds_nothing(target("table"));
}

#[test]
fn replays() {
    finds_nothing(target("replays"));
}

#[cfg(feature = "runtime")]
#[test]
fn adapter() {
    finds_nothing(target("adapter"));
}

#[cfg(feature = "runtime")]
#[test]
fn compiled() {
    finds_nothing(target("compiled"));
}

#[test]
fn planted_faults_are_found() {
    for target in fuzzing::TARGETS {
        if target.name != "programs" {
            finds_what_is_planted(*target);
        }
    }
}
