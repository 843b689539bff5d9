//! Runs that meet a limit (`tests/probes/limits.c`), and what they take: mounts, links, a tracer.
//! A run that is not possible here is reported and not made.

use crate::Surroundings;
use crate::compare::Comparison;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// One file system read-only and one that is full soon, in a mount namespace of the program's own;
/// then the program.
const MOUNTS: &str = r#"
set -e
mkdir "$READ_ONLY" "$SMALL"
mount -t tmpfs -o size=1m,mode=777 none "$READ_ONLY"
printf 0123456789 > "$READ_ONLY/file"
mkdir "$READ_ONLY/empty" "$READ_ONLY/folder"
: > "$READ_ONLY/folder/in"
ln -s file "$READ_ONLY/link"
mkfifo "$READ_ONLY/fifo"
mount -t tmpfs -o remount,ro none "$READ_ONLY"
mount -t tmpfs -o size=64k,nr_inodes=12,mode=777 none "$SMALL"
exec "$@"
"#;

/// As many as ext4 has.
const MOST_LINKS: usize = 65_000;

/// What stands before a program's own words.
pub(crate) type Before = Vec<String>;

fn words(words: &[&str]) -> Before {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn works(command: &[String], then: &[&str]) -> bool {
    let mut trial = Command::new(&command[0]);
    trial.args(&command[1..]).args(then);
    let quiet = trial.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// How a mount namespace is made here: as root, or as root in a user namespace of its own.
fn namespace() -> Option<Before> {
    let tmpfs = ["sh", "-c", "mount -t tmpfs none /tmp"];
    let ways = [&["unshare", "-m"][..], &["unshare", "-Urm"]];
    ways.iter()
        .map(|way| words(way))
        .find(|way| works(way, &tmpfs))
}

/// A folder in `inside` with a file that has all the links it can have; nothing where there is no
/// such limit.
fn most_links(inside: &Path) -> Option<String> {
    let folder = inside.join("links");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("a mode");
    let file = folder.join("file");
    fs::write(&file, "").expect("a file");
    // A link to what is another's may be refused.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("a mode");
    for number in 0..MOST_LINKS {
        match fs::hard_link(&file, folder.join(number.to_string())) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::TooManyLinks => {
                return Some(folder.to_str().expect("UTF-8").to_owned());
            }
            Err(e) => panic!("{number} links: {e}"),
        }
    }
    None
}

impl Surroundings<'_> {
    /// All of them, as long as it takes; those that could not be run are added to `left_out`.
    pub(crate) fn compare_limits(
        &self,
        name: &str,
        all: &mut Comparison,
        left_out: &mut Vec<String>,
    ) {
        for (whose, limit) in [("own limit", "100"), ("host's limit", "64")] {
            let limits = [("LIMIT", limit.to_owned()), ("WHOSE", whose.to_owned())];
            self.with(&[], &limits)
                .compare(&format!("{name} {whose}"), &["numbers"], None, all);
        }
        let privileged = self.user.is_none();
        match namespace().filter(|_| privileged) {
            Some(mut before) => {
                before.extend(words(&["sh", "-c", MOUNTS, "mounts"]));
                let places = [
                    ("READ_ONLY", "ro".to_owned()),
                    ("SMALL", "small".to_owned()),
                ];
                self.with(&before, &places)
                    .compare(name, &["read only", "small"], None, all);
            }
            None if privileged => {
                left_out.push(format!("{name}: EROFS, ENOSPC: nothing can be mounted"));
            }
            None => {}
        }
        if name.starts_with("ext4") && privileged {
            let inside = tempfile::tempdir_in(self.folder).expect("a folder");
            match most_links(inside.path()) {
                Some(folder) => self.with(&[], &[("MANY_LINKS", folder)]).compare(
                    name,
                    &["many links"],
                    None,
                    all,
                ),
                None => left_out.push(format!("{name}: EMLINK: no limit of links")),
            }
        }
        // No file system of a usual machine has quotas, so a tracer answers the calls of both
        // twins.
        let calls = "mkdirat,symlinkat,linkat,renameat,renameat2,pwrite64,pwritev,pwritev2,fallocate,ftruncate";
        let inject = format!("--inject={calls}:error=EDQUOT");
        let before = words(&["strace", "-f", "-qq", "-o", "/dev/null", &inject]);
        if works(&before, &["true"]) {
            self.with(&before, &[]).compare(name, &["quota"], None, all);
        } else {
            left_out.push(format!("{name}: EDQUOT: no strace that may inject errors"));
        }
        // A mount whose server has gone, a damaged inode: every look at this name is told so.
        for error in ["EIO", "ENOTCONN", "ESTALE", "ENODEV", "EPERM"] {
            let calls = "openat,openat2,newfstatat,statx,readlink,readlinkat";
            let inject = format!("--inject={calls}:error={error}");
            let paths = ["-P", "plain", "-P", "mine/odd/plain"];
            let before = ["strace", "-f", "--quiet=all", "-o", "/dev/null", &inject];
            let before = words(&[&before[..], &paths].concat());
            if works(&before, &["true"]) {
                let name = format!("{name} {error}");
                self.with(&before, &[])
                    .compare(&name, &["unreachable"], None, all);
            } else {
                left_out.push(format!("{name}: {error}: no strace that may inject errors"));
            }
        }
    }
}
