//! Runs the binary's own sources: see `crates/cli/src/run/any_line.rs`.
#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "command lines are read, and nothing is run"
)]

#[path = "../../crates/cli/src/args/mod.rs"]
mod args;
#[path = "../../crates/cli/src/message/mod.rs"]
mod message;
#[path = "../../crates/cli/src/module/mod.rs"]
mod module;
#[path = "../../crates/cli/src/output/mod.rs"]
mod output;
#[path = "../../crates/cli/src/report/mod.rs"]
mod report;
#[path = "../../crates/cli/src/run/mod.rs"]
mod run;
#[path = "../../crates/cli/src/sys/mod.rs"]
mod sys;

use fuzzing::plant::planted;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::any_line::any_line(
    data,
    planted("limit-forgotten"),
    planted("option-for-program"),
));
