//! One program of POSIX calls (`tests/probes`), built natively and for a guest of this adapter.
//! Both run in folders furnished alike, as `root` and as `nobody`, on ext4 and on tmpfs, with
//! standard streams of every kind. What each call says is a cell, and the cells are compared. Those
//! that differ are listed in [`known`], each with its reason.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test with a `main` of its own: the figures are for whoever runs it"
)]

mod compare;
#[path = "../../../../tests/support/emulated.rs"]
mod emulated;
mod guest;
mod known;
mod limits;
mod place;
mod streams;
mod twins;

use compare::Comparison;
use place::Place;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use streams::Streams;
use twins::Twins;

/// Much longer than a twin ever takes.
const LIMIT: Duration = Duration::from_secs(120);
/// Of the user `nobody`.
const NOBODY: u32 = 65534;

const MAIN: [&str; 6] = [
    "paths",
    "errors",
    "descriptors",
    "directories",
    "surroundings",
    "connections",
];

/// A file system to run on.
struct Disk {
    name: &'static str,
    /// What `statfs` says it is.
    magic: rustix::fs::FsWord,
    /// Where it may be found.
    folders: &'static [&'static str],
}

const DISKS: [Disk; 2] = [
    Disk {
        name: "ext4",
        magic: 0xef53,
        folders: &[env!("CARGO_TARGET_TMPDIR"), "/var/tmp", "/tmp"],
    },
    Disk {
        name: "tmpfs",
        magic: 0x0102_1994,
        folders: &["/dev/shm", "/tmp", "/run"],
    },
];

impl Disk {
    fn find(&self) -> Option<&'static Path> {
        let mut folders = self.folders.iter().map(Path::new);
        folders.find(|folder| {
            let writable = rustix::fs::access(*folder, rustix::fs::Access::WRITE_OK).is_ok();
            let is_it = rustix::fs::statfs(*folder).is_ok_and(|fs| fs.f_type == self.magic);
            writable && is_it
        })
    }
}

/// Runs a twin to its end.
fn run(mut command: Command, place: &Place, user: Option<u32>, name: &str) {
    command.current_dir(&place.path);
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let mut child = command
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let started = Instant::now();
    let status = loop {
        match child.try_wait().unwrap_or_else(|e| panic!("{name}: {e}")) {
            Some(status) => break status,
            None if started.elapsed() > LIMIT => {
                let _ = child.kill();
                let _ = child.wait();
                let cells = place.cells();
                let last = cells.lines().next_back().unwrap_or_default();
                panic!("{name}: still runs after {LIMIT:?}; the last cell is {last}");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "{name}: {status}");
}

/// Where a run takes place.
struct Surroundings<'a> {
    twins: &'a Twins,
    folder: &'a Path,
    other: &'a Path,
    user: Option<u32>,
    /// What runs the programs, and what else is in their environment.
    before: &'a [String],
    environment: &'a [(&'static str, String)],
}

impl<'a> Surroundings<'a> {
    /// The same, run by another program and with more in the environment.
    fn with(&self, before: &'a [String], environment: &'a [(&'static str, String)]) -> Self {
        Self {
            before,
            environment,
            ..*self
        }
    }

    /// Runs both twins and compares their cells.
    fn compare(&self, name: &str, words: &[&str], streams: Option<&str>, all: &mut Comparison) {
        let inside = tempfile::tempdir_in(self.folder).expect("a folder");
        std::fs::set_permissions(inside.path(), std::fs::Permissions::from_mode(0o755))
            .expect("a mode");
        let cells = ["native", "guest"].map(|twin| {
            let place = Place::furnish(inside.path().join(twin), self.user);
            let closed = twin == "guest" && streams == Some("closed");
            let before = if closed {
                &streams::closing()
            } else {
                self.before
            };
            let host = std::env::current_exe().expect("this program");
            let program = match twin {
                "native" => vec![self.twins.native.as_os_str()],
                _ => vec![
                    host.as_os_str(),
                    OsStr::new("--guest"),
                    self.twins.guest.as_os_str(),
                    self.other.as_os_str(),
                ],
            };
            let mut all = before.iter().map(OsStr::new).chain(program);
            let mut command = Command::new(all.next().expect("a program"));
            command
                .args(all)
                .args(words)
                .envs(self.environment.iter().map(|(name, value)| (name, value)))
                .env("OTHER", self.other)
                .env("SET", "to this")
                .env("EMPTY", "");
            let streams = streams.map(|streams| Streams::make(streams, &place.path));
            if let Some(Streams { three, .. }) = &streams {
                let [input, output, error] = three
                    .each_ref()
                    .map(|fd| Stdio::from(fd.try_clone().expect("a descriptor")));
                command.stdin(input).stdout(output).stderr(error);
            }
            run(command, &place, self.user, &format!("{name}: {twin}"));
            let left = streams.map(|streams| streams.left(&place.path));
            place.cells() + &left.unwrap_or_default()
        });
        all.add(name, &cells[0], &cells[1]);
    }
}

fn test() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
        .expect("a mode");
    let twins = Twins::build(folder.path());
    let root = rustix::process::geteuid().is_root();
    let users = match root {
        true => vec![("root", None), ("nobody", Some(NOBODY))],
        false => {
            vec![("user", None)]
        }
    };
    let found = DISKS.each_ref().map(Disk::find);
    let mut all = Comparison::default();
    let mut left_out = Vec::new();
    for (disk, (place, other)) in DISKS
        .iter()
        .zip([(found[0], found[1]), (found[1], found[0])])
    {
        let Some(place) = place else {
            left_out.push(format!("{}: there is none here", disk.name));
            continue;
        };
        let other = other.unwrap_or(Path::new("/proc/self"));
        for (user_name, user) in &users {
            let at = Surroundings {
                twins: &twins,
                folder: place,
                other,
                user: *user,
                before: &[],
                environment: &[],
            };
            let name = format!("{} {user_name}", disk.name);
            at.compare(&name, &MAIN, None, &mut all);
            at.compare_limits(&name, &mut all, &mut left_out);
            for streams in streams::ALL {
                if streams == "closed" && emulated::left_out("its own descriptor is 0 then") {
                    left_out.push(format!("{name}: closed streams, in an emulator"));
                    continue;
                }
                let name = format!("{name} {streams}");
                at.compare(&name, &["streams"], Some(streams), &mut all);
            }
        }
    }
    if !root {
        left_out.push("not root: the runs as root and as nobody".to_owned());
    }
    for run in &left_out {
        println!("probes: NOT RUN: {run}");
    }
    all.finish(left_out.is_empty());
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words[..] {
        [mode, module, other, words @ ..] if mode == "--guest" => {
            if let Err(error) = guest::run(module, other, words) {
                eprintln!("probes: {error:?}");
                std::process::exit(1);
            }
        }
        // Asked by a runner of tests what there is.
        [first, ..] if first == "--list" => println!("probes: test"),
        _ => test(),
    }
}
