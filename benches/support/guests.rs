//! Builds the guest programs: threaded, single-threaded and native, each from
//! the same source.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::rows::Kind;

/// The sources, in `benches/guests`.
const PROGRAMS: [&str; 5] = ["micro", "system", "compress", "search", "records"];

/// Link flags of a module that has its own memory and no threads.
const SINGLE: [&str; 2] = [
    "-DSINGLE",
    "-Wl,--no-entry,--export-memory,--initial-memory=16777216,--max-memory=67108864,-z,stack-size=65536",
];

/// Room to grow in, for every kind: after the flags that say how much there is.
const ROOM: &str = "-Wl,--max-memory=536870912";

/// The folder of compiled guests.
#[derive(Debug)]
pub struct Guests {
    dir: PathBuf,
}

impl Guests {
    /// Compiles all guests with `clang-19` into `target/bench-guests`.
    ///
    /// # Errors
    ///
    /// When the compiler is missing (the message names the packages) or refuses
    /// a source.
    pub fn build() -> Result<Self, Failure> {
        let root = root();
        let dir = root.join("target/bench-guests");
        std::fs::create_dir_all(&dir)?;
        let shared = root.join("tests/guests");
        let flags = std::fs::read_to_string(shared.join("flags.txt"))?;
        // The linker's are of the threaded kind.
        let (link, compile): (Vec<&str>, Vec<&str>) = flags
            .split_whitespace()
            .partition(|flag| flag.starts_with("-Wl,"));
        let include = format!("-I{}", shared.join("include").display());
        let native = format!("-I{}", root.join("benches/guests/native").display());
        let guests = Self { dir };
        for program in PROGRAMS {
            let source = root
                .join("benches/guests")
                .join(program)
                .with_extension("c");
            for kind in [Kind::Threaded, Kind::Single] {
                let mut clang = Command::new("clang-19");
                clang.args(&compile).arg(&include);
                match kind {
                    Kind::Threaded => clang.args(&link).arg(shared.join("include/start.S")),
                    Kind::Single => clang.args(SINGLE),
                };
                build(
                    clang
                        .arg(ROOM)
                        .arg(&source)
                        .arg("-o")
                        .arg(guests.module(program, kind)),
                )?;
            }
            build(
                Command::new("clang-19")
                    .args(["-O2", "-Wall", "-Wextra", "-Werror", "-pthread", &native])
                    .arg(&source)
                    .arg("-o")
                    .arg(guests.native(program)),
            )?;
        }
        Ok(guests)
    }

    /// The program as a module of this kind.
    #[must_use]
    pub fn module(&self, program: &str, kind: Kind) -> PathBuf {
        let name = match kind {
            Kind::Threaded => format!("{program}.wasm"),
            Kind::Single => format!("{program}-single.wasm"),
        };
        self.dir.join(name)
    }

    /// The program as native code.
    #[must_use]
    pub fn native(&self, program: &str) -> PathBuf {
        self.dir.join(format!("{program}.native"))
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

fn build(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(|error| {
        format!("{command:?}: {error}: install clang-19 and lld-19 (Debian's names)")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr)).into())
}

#[cfg(test)]
mod tests {
    use super::{Guests, PROGRAMS};
    use crate::feed::Feed;
    use crate::rows::{self, Kind};
    use crate::sample;
    use crate::sides::Side;
    use std::process::Command;

    #[test]
    fn guests_build_and_run_natively() {
        let guests = Guests::build().expect("guests build");
        for program in PROGRAMS {
            for kind in [Kind::Threaded, Kind::Single] {
                let module = std::fs::read(guests.module(program, kind)).expect("module");
                assert_eq!(&module[..4], b"\0asm", "{program}");
            }
        }
        let dir = tempfile::tempdir().expect("folder");
        for row in rows::calls()
            .iter()
            .chain(&rows::spawn())
            .chain(&rows::programs())
        {
            let mut native = Command::new(guests.native(row.program));
            native.args(row.arguments(0.000_1)).current_dir(dir.path());
            let mut feed = Feed::of(row).expect("feed");
            native.args(feed.arguments(Side::Native));
            let report = sample::run(native, &mut feed).expect("native run");
            assert!(report.nanoseconds > 0, "{}", row.name());
        }
    }
}
