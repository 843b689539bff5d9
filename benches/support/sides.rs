//! What runs a guest.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::feed::Feed;
use crate::guests::{Guests, root};
use crate::rows::Row;

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The same source as a Linux program: the yardstick.
    Native,
    /// This project's binary.
    Ours,
    /// Another build of it: of another commit, for another C library, on another Wasmtime.
    Other,
    /// Wasmtime 46 with wasi-common and wasmtime-wasi-threads.
    Wasmtime46,
    /// `wasmtime_wasi::p1` 48: file calls go through a pool of threads.
    P1,
    /// The same, told that it may block the calling thread.
    P1Block,
    /// Wasmtime 48 alone: an empty function of the same signature.
    Floor,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Ours => "ours",
            Self::Other => "other",
            Self::Wasmtime46 => "wasmtime 46",
            Self::P1 => "p1 48",
            Self::P1Block => "p1 48 blocking",
            Self::Floor => "floor",
        })
    }
}

/// Where each side's program is.
#[derive(Debug)]
pub struct Sides {
    ours: PathBuf,
    other: Option<PathBuf>,
    wasmtime46: Option<PathBuf>,
    peer46: Option<PathBuf>,
    p1: Option<PathBuf>,
    wasmtime48: Option<PathBuf>,
    floor: Option<PathBuf>,
}

impl Sides {
    /// Finds the programs; says on stderr which peers are left out.
    ///
    /// # Errors
    ///
    /// When the project's own binary is not built.
    pub fn find() -> Result<Self, Failure> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let ours = path("OURS").unwrap_or_else(|| root().join("target/release/wasi-threads-run"));
        if !ours.is_file() {
            return Err(format!(
                "{} is missing: cargo build --release -p wasi-threads-run",
                ours.display()
            )
            .into());
        }
        let peers = path("PEERS").unwrap_or_else(|| root().join("benches/peers/target/release"));
        let peer = |name: &str| Some(peers.join(name)).filter(|path| path.is_file());
        let found = Self {
            ours,
            other: path("OTHER"),
            wasmtime46: path("WASMTIME46"),
            peer46: peer("peer46"),
            p1: peer("p1-48"),
            wasmtime48: path("WASMTIME48"),
            floor: peer("floor"),
        };
        for side in [Side::Wasmtime46, Side::P1, Side::Floor] {
            if !found.has(side) {
                writeln!(
                    std::io::stderr(),
                    "{side} is left out: not built in {}",
                    peers.display()
                )?;
            }
        }
        Ok(found)
    }

    /// Whether this side can be run.
    #[must_use]
    pub fn has(&self, side: Side) -> bool {
        match side {
            Side::Native | Side::Ours => true,
            Side::Other => self.other.is_some(),
            Side::Wasmtime46 => self.wasmtime46.is_some() || self.peer46.is_some(),
            Side::P1 => self.p1.is_some(),
            Side::P1Block => self.p1.is_some() || self.wasmtime48.is_some(),
            Side::Floor => self.floor.is_some(),
        }
    }

    /// The command that runs `row` on `side`, with `feed` for it, but for the row's arguments.
    ///
    /// The program sees the folder it is run in, or a listening socket, which then is descriptor 3
    /// as the folder would be.
    ///
    /// # Panics
    ///
    /// When [`Sides::has`] says no.
    #[must_use]
    pub fn command(&self, side: Side, guests: &Guests, row: &Row, feed: &Feed) -> Command {
        let given = match feed.address() {
            Some(address) => vec!["-S".to_owned(), format!("tcplisten={address}")],
            None => vec!["--dir".to_owned(), ".".to_owned()],
        };
        let host = |path: &Path, options: &[&str]| {
            let mut command = Command::new(path);
            command
                .args(options)
                .args(&given)
                .arg(guests.module(row.program, row.kind));
            command
        };
        let peer = |path: &Option<PathBuf>| {
            path.clone()
                .unwrap_or_else(|| panic!("{side} is not there"))
        };
        match side {
            Side::Native => Command::new(guests.native(row.program)),
            Side::Ours => host(&self.ours, &[]),
            Side::Other => host(&peer(&self.other), &[]),
            Side::Wasmtime46 => match &self.wasmtime46 {
                Some(wasmtime) => host(
                    wasmtime,
                    &["run", "-W", "threads=y,shared-memory=y", "-S", "threads=y"],
                ),
                None => host(&peer(&self.peer46), &[]),
            },
            Side::P1 => host(&peer(&self.p1), &[]),
            Side::P1Block => match (&self.p1, &self.wasmtime48) {
                (None, Some(wasmtime)) => host(wasmtime, &["run"]),
                _ => host(&peer(&self.p1), &["--block"]),
            },
            Side::Floor => Command::new(peer(&self.floor)),
        }
    }
}
