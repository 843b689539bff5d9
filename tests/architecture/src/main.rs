//! Prints the findings on a tree, and fails if there are any.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let found = architecture::findings(&root);
    for finding in &found {
        println!("{finding}");
    }
    println!("{} findings", found.len());
    if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
