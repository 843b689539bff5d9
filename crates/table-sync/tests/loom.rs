//! Models of the table, each run through every interleaving loom finds within the preemption
//! bound. Run by `scripts/table-sync-loom.sh`; without `--cfg loom` there is nothing here.
//!
//! Under loom a directory's first bucket has 2 slots, a table 2 free lists, a thread 1 cell to
//! publish itself in, and one counted reader is enough to set the bias.

#![cfg(loom)]
#![allow(missing_docs)]

#[path = "loom/support.rs"]
mod support;

#[path = "loom/access.rs"]
mod access;
#[path = "loom/kin.rs"]
mod kin;
#[path = "loom/mutants.rs"]
mod mutants;
#[path = "loom/readiness.rs"]
mod readiness;
#[path = "loom/removal.rs"]
mod removal;
#[path = "loom/waiting.rs"]
mod waiting;
