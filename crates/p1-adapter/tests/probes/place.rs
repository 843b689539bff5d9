//! A folder furnished for the program, as `tests/probes/errors.c` describes it.

use rustix::fs::{CWD, Dev, FileType, Mode, mkfifoat, mknodat};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The folder, and what runs in it.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    busy: Option<Child>,
}

fn must<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|e| panic!("{what}: {e}"))
}

impl Place {
    /// Makes a folder for a program that runs as `user`.
    ///
    /// # Panics
    ///
    /// If it cannot be furnished.
    pub(crate) fn furnish(path: PathBuf, user: Option<u32>) -> Self {
        must("folder", fs::create_dir(&path));
        let file = |name: &str, mode: u32| {
            let path = path.join(name);
            must(name, fs::write(&path, b"0123456789"));
            must(
                name,
                fs::set_permissions(&path, Permissions::from_mode(mode)),
            );
        };
        let folder = |name: &str, inside: &[&str]| {
            must(name, fs::create_dir(path.join(name)));
            for inside in inside {
                file(&format!("{name}/{inside}"), 0o644);
            }
        };
        let mode = |name: &str, mode: u32| {
            must(
                name,
                fs::set_permissions(path.join(name), Permissions::from_mode(mode)),
            );
        };
        let own = |name: &str| must(name, chown(path.join(name), user, user));

        for (name, mode) in [("secret", 0), ("readable", 0o444), ("writable", 0o666)] {
            file(name, mode);
        }
        folder("shut", &["file"]);
        folder("looked", &["file"]);
        folder("looked/folder", &[]);
        folder("shut/folder", &[]);
        must("link", symlink("file", path.join("shut/link")));
        folder("sticky", &["other"]);
        folder("mine", &["shown", "bytes"]);
        folder("mine/listed", &["in"]);
        folder("mine/passed", &["in"]);
        folder("mine/blind", &[]);
        folder("mine/odd", &["plain", "ünïcode"]);
        must(
            "not UTF-8",
            fs::write(path.join("mine/odd").join(OsStr::from_bytes(b"n\xff")), b""),
        );
        must("link", symlink("somewhere", path.join("mine/link")));
        let all = Mode::from_raw_mode(0o666);
        must("fifo", mkfifoat(CWD, path.join("fifo"), all));
        must("fifo", mkfifoat(CWD, path.join("mine/fifo"), all));
        drop(must("socket", UnixListener::bind(path.join("socket"))));
        // Takes privileges; without them there is none, for either twin.
        let device = FileType::CharacterDevice;
        let _ = mknodat(
            CWD,
            path.join("device"),
            device,
            all,
            Dev::from(0xf0u8) << 8,
        );

        for (name, bits) in [("sticky", 0o1777), ("sticky/other", 0o666), ("fifo", 0o666)] {
            mode(name, bits);
        }
        mode("shut", 0o700);
        for name in [
            "mine",
            "mine/shown",
            "mine/bytes",
            "mine/listed",
            "mine/listed/in",
            "mine/passed",
            "mine/passed/in",
            "mine/blind",
            "mine/odd",
            "mine/fifo",
        ] {
            own(name);
        }
        for (name, bits) in [
            ("mine/shown", 0o444),
            ("mine/listed", 0o400),
            ("mine/passed", 0o100),
            ("mine/blind", 0o200),
        ] {
            mode(name, bits);
        }
        must(
            "mine",
            fs::set_permissions(&path, Permissions::from_mode(0o777)),
        );
        let busy = run_busy(&path.join("busy"));
        Self { path, busy }
    }

    /// The cells that a program has left here.
    ///
    /// # Panics
    ///
    /// If it has left none.
    pub(crate) fn cells(&self) -> String {
        let bytes = must("cells", fs::read(self.path.join("cells")));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A program that runs, so that its file is busy. Where programs may not be run there is just the
/// file.
fn run_busy(path: &Path) -> Option<Child> {
    must("busy", fs::copy("/bin/sleep", path));
    Command::new(path).arg("600").spawn().ok()
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(busy) = &mut self.busy {
            let _ = busy.kill();
            let _ = busy.wait();
        }
    }
}
