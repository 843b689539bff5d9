//! Guests: the WAT ones as they are, the C ones compiled by clang.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The root of the repository.
pub fn repository() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        // The manifest of this package lies one folder below it. With the drive where there are
        // drives: programs run in folders of others.
        let package = std::path::absolute(env!("CARGO_MANIFEST_DIR"));
        let package = package.unwrap_or_else(|e| panic!("where this package is: {e}"));
        let root = package.parent().map(Path::to_owned);
        root.unwrap_or_else(|| panic!("the package lies in no folder"))
    });
    &ROOT
}

/// The module `finished`, if it was compiled before the tests were started: Windows' tests are
/// built on another system, which has the compilers (`scripts/windows.sh`).
pub fn compiled_before(finished: &Path) -> Option<PathBuf> {
    (cfg!(windows) && finished.is_file()).then(|| finished.to_owned())
}

/// A module the tests can run.
#[derive(Clone, Debug)]
pub struct Guest {
    path: PathBuf,
}

impl Guest {
    /// The guest `tests/guests/NAME.wat`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn wat(name: &str) -> Self {
        Self::file(&format!("tests/guests/{name}.wat"))
    }

    /// The guest `tests/guests/NAME.c`, compiled if this process has not done so
    /// yet.
    ///
    /// # Panics
    ///
    /// If it does not compile; if clang is missing, the message names the packages.
    pub fn c(name: &str) -> Self {
        Self::compiled(&format!("tests/guests/{name}.c"))
    }

    /// Any file of the repository, as it is.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn file(path: &str) -> Self {
        let path = repository().join(path);
        assert!(path.is_file(), "{} is missing", path.display());
        Guest { path }
    }

    /// Any freestanding C file of the repository, compiled.
    ///
    /// # Panics
    ///
    /// As [`Guest::c`].
    pub fn compiled(source: &str) -> Self {
        static BUILT: LazyLock<Mutex<HashMap<PathBuf, PathBuf>>> = LazyLock::new(Mutex::default);
        let source = repository().join(source);
        // Held while compiling: a guest that several tests want is built once.
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let path = built
            .entry(source.clone())
            .or_insert_with(|| compile(&source));
        Guest { path: path.clone() }
    }

    /// Where the module is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn compile(source: &Path) -> PathBuf {
    let guests = repository().join("tests/guests");
    let out = repository().join("target/guests");
    std::fs::create_dir_all(&out).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let finished = out.join(format!("{name}.wasm"));
    if let Some(before) = compiled_before(&finished) {
        return before;
    }
    let flags = std::fs::read_to_string(guests.join("flags.txt"))
        .unwrap_or_else(|e| panic!("tests/guests/flags.txt: {e}"));

    // Another test process may be doing the same: each writes a file of its own
    // and puts it in place in one step.
    let unfinished = out.join(format!("{name}.{}.tmp", std::process::id()));
    let output = Command::new("clang-19")
        .args(flags.lines())
        .arg("-I")
        .arg(guests.join("include"))
        .arg(guests.join("include/start.S"))
        .arg(source)
        .arg("-o")
        .arg(&unfinished)
        .output()
        .unwrap_or_else(|e| {
            panic!("clang-19: {e}: install the packages clang-19 and lld-19 (scripts/setup.sh)")
        });
    assert!(
        output.status.success(),
        "{} does not compile (packages: clang-19, lld-19):\n{}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::rename(&unfinished, &finished)
        .unwrap_or_else(|e| panic!("{}: {e}", finished.display()));
    finished
}
