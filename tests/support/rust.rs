//! Guests written in Rust.

use std::path::Path;
use std::process::Command;

use crate::{compiled_before, repository};

/// The target that they are built for.
pub const RUST_TARGET: &str = "wasm32-wasip1-threads";

/// The variable that names a toolchain of rustup's.
const TOOLCHAIN: &str = "GUEST_TOOLCHAIN";

/// The environment that the compiler of guests needs: the toolchain that `GUEST_TOOLCHAIN` names.
/// Without that variable it is the one of the tests. It matters where that one does not have the
/// target (`scripts/with-wasmtime.sh`).
#[must_use]
pub fn guest_toolchain() -> Option<(&'static str, std::ffi::OsString)> {
    let named = std::env::var_os(TOOLCHAIN).filter(|name| !name.is_empty())?;
    Some(("RUSTUP_TOOLCHAIN", named))
}

/// The compiler of guests, for [`RUST_TARGET`].
#[must_use]
pub fn rustc() -> Command {
    let mut command = Command::new("rustc");
    command
        .args(["--target", RUST_TARGET])
        .envs(guest_toolchain());
    command
}

/// Whether the compiler of guests has the target's standard library. If not, a line says so.
///
/// # Panics
///
/// In continuous integration (`CI=true`) there must be one, so that the target is tested somewhere.
#[must_use]
#[allow(clippy::print_stdout, reason = "what is left out")]
pub fn has_rust_target() -> bool {
    if compiled_before(&repository().join("target/guests/zoo.wasm")).is_some() {
        return true;
    }
    let printed = rustc().args(["--print", "target-libdir"]).output();
    let found = printed
        .is_ok_and(|printed| Path::new(String::from_utf8_lossy(&printed.stdout).trim()).is_dir());
    if !found {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "CI needs the Rust target {RUST_TARGET}: rustup target add {RUST_TARGET}"
        );
        println!("the Rust target {RUST_TARGET} is not installed: its programs are left out");
    }
    found
}
