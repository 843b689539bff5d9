//! The program, built natively and for a guest.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The two programs.
pub(crate) struct Twins {
    pub(crate) native: PathBuf,
    pub(crate) guest: PathBuf,
}

/// Where the C files are.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/probes")
}

fn compile(compiler: &str, flags: &[&str], out: &Path, packages: &str) {
    let folder = sources();
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files = listed.filter_map(|entry| Some(entry.ok()?.path()));
    let output = Command::new(compiler)
        .args(flags)
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-o"])
        .arg(out)
        .args(files.filter(|path| path.extension().is_some_and(|ext| ext == "c")))
        .output()
        .unwrap_or_else(|e| panic!("{compiler}: {e}: install {packages} (scripts/setup.sh)"));
    assert!(
        output.status.success(),
        "{compiler} (packages: {packages}):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Twins {
    /// Builds both in `folder`.
    ///
    /// # Panics
    ///
    /// If a compiler is missing or refuses; the message names the packages.
    pub(crate) fn build(folder: &Path) -> Self {
        let (native, guest) = (folder.join("probes"), folder.join("probes.wasm"));
        compile("gcc", &[], &native, "gcc libc6-dev");
        let target = ["--target=wasm32-wasi", "--sysroot=/usr"];
        let packages = "clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc";
        compile("clang-19", &target, &guest, packages);
        Self { native, guest }
    }
}
