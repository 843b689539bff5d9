//! What the host makes up, beside the host's own: random sequences of calls on a folder in memory
//! and on one of the file system. Both must have the same errno, the same bytes in memory after
//! every call, and the same tree at the end. Other tests are about what only made folders have.
//!
//! Times are always set to something: if none is set, the system checks nothing. Names that are too
//! long are not linked or renamed: of several faults the two report different ones.
//!
//! `P1_MADE_CASES` sets how many sequences are run (default: 100, which are the same in every run).
//! Inode numbers and times are not compared; other tests look at them. Neither are the order of
//! listings, and the sizes and link counts of folders, which each file system has of its own.

mod alone;
#[path = "../guest/mod.rs"]
mod guest;
#[cfg(unix)]
mod op;
#[cfg(unix)]
mod side;
#[cfg(unix)]
#[path = "../sys/mod.rs"]
mod sys;

#[cfg(unix)]
use guest::emulated::left_out;
#[cfg(unix)]
use op::Op;
#[cfg(unix)]
use p1_adapter::FsPerms;
#[cfg(unix)]
use proptest::prelude::*;
#[cfg(unix)]
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
#[cfg(unix)]
use side::{Side, made, real};

#[cfg(unix)]
fn cases() -> u32 {
    match std::env::var("P1_MADE_CASES") {
        Ok(n) => n.parse().expect("P1_MADE_CASES is a number"),
        Err(_) => 100,
    }
}

/// (A made folder is as Linux's on every system.)
#[test]
#[cfg(unix)]
fn a_made_folder_is_as_one_of_the_system() {
    if left_out("without `openat2` cap-std refuses to create `new/` with `inval`, not `isdir`") {
        return;
    }
    compare(FsPerms::ReadWrite, cases());
}

/// (Likewise.)
#[test]
#[cfg(unix)]
fn a_made_folder_for_reading_is_as_one_of_the_system() {
    compare(FsPerms::ReadOnly, cases() / 4);
}

#[cfg(unix)]
fn compare(perms: FsPerms, cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 5000,
        ..Config::default()
    };
    let ops = proptest::collection::vec(any::<Op>(), 1..40);
    let result = runner(config).run(&ops, |ops| {
        let (mut ours, mut theirs) = (made(perms), real(perms));
        for (at, op) in ops.iter().enumerate() {
            let (a, b) = (ours.run(op), theirs.run(op));
            prop_assert_eq!(a, b, "call {} of {:?}", at, &ops[..=at]);
        }
        prop_assert_eq!(tree(&mut ours), tree(&mut theirs));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// With calls that are others in every run, if many are asked for.
#[cfg(unix)]
fn runner(config: Config) -> TestRunner {
    match std::env::var_os("P1_MADE_CASES") {
        Some(_) => TestRunner::new(config),
        None => {
            let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            TestRunner::new_with_rng(config, rng)
        }
    }
}

/// Everything below the preopen, as the guest sees it.
#[cfg(unix)]
fn tree(side: &mut Side) -> Vec<String> {
    let mut lines = Vec::new();
    side.tree(3, "", &mut lines);
    lines
}
