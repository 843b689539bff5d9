//! Cookies of an open directory: small numbers for the operating system's positions.
//!
//! A guest's `long` has 32 bits and C libraries keep a position in one (`telldir`); a file system's positions may have 63
//! (ext4's are hashes). So a position is given the next free number when it is first told, and keeps it for as long as the
//! directory is open: several listings, and one that starts again, agree.
//!
//! No more than [`KEPT`] positions are kept. Beyond that the cookie is the position itself with the highest bit set: too
//! large for a C library's `telldir`, and good for everything else. No cookie that was given out ever reads as the end.

use crate::lock::lock;
use std::collections::HashMap;
use std::sync::Mutex;

/// How many positions are kept for one open directory. They take about two megabytes.
const KEPT: usize = 1 << 16;

/// Marks a cookie that is a position.
const POSITION: u64 = 1 << 63;

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    /// At this position of the system's.
    At(u64),
    /// A cookie that was never given out: behind the end.
    Nowhere,
}

/// The positions of one open directory that have been told, and their numbers.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The position of cookie `n` is at `n - 1`.
    positions: Vec<u64>,
    cookies: HashMap<u64, u64>,
}

impl Cookies {
    /// The cookie that stands for `position`. Locks for a moment.
    pub(crate) fn of(&self, position: u64) -> u64 {
        self.with(|kept| kept.cookie(position, KEPT))
    }

    /// What `cookie` stands for. Locks for a moment.
    pub(crate) fn place(&self, cookie: u64) -> Place {
        self.with(|kept| kept.place(cookie))
    }

    fn with<R>(&self, look: impl FnOnce(&mut Kept) -> R) -> R {
        look(&mut lock(&self.kept))
    }
}

impl Kept {
    fn cookie(&mut self, position: u64, limit: usize) -> u64 {
        if let Some(cookie) = self.cookies.get(&position) {
            return *cookie;
        }
        // A directory's first position is 0, and is nobody's "behind".
        if self.positions.len() >= limit {
            return position | POSITION;
        }
        self.positions.push(position);
        let cookie = self.positions.len() as u64;
        self.cookies.insert(position, cookie);
        cookie
    }

    fn place(&self, cookie: u64) -> Place {
        if cookie == 0 {
            return Place::Start;
        }
        if cookie & POSITION != 0 {
            return Place::At(cookie & !POSITION);
        }
        let known = usize::try_from(cookie - 1).ok();
        let position = known.and_then(|place| self.positions.get(place));
        position.map_or(Place::Nowhere, |position| Place::At(*position))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cookies, Kept, Place};

    #[test]
    fn a_position_keeps_its_number() {
        let cookies = Cookies::default();
        let positions = [7, 0x7fff_ffff_ffff_ffff, 1 << 40];
        assert_eq!(positions.map(|position| cookies.of(position)), [1, 2, 3]);
        assert_eq!(positions.map(|position| cookies.of(position)), [1, 2, 3]);
        assert_eq!(cookies.place(0), Place::Start);
        assert_eq!(cookies.place(2), Place::At(0x7fff_ffff_ffff_ffff));
        assert_eq!(cookies.place(4), Place::Nowhere);
        assert_eq!(cookies.place(u64::MAX >> 1), Place::Nowhere);
    }

    #[test]
    fn beyond_what_is_kept_a_cookie_is_the_position() {
        let mut kept = Kept::default();
        let cookies: Vec<u64> = (0..5).map(|n| kept.cookie(100 + n, 3)).collect();
        assert_eq!(cookies, [1, 2, 3, 103 | 1 << 63, 104 | 1 << 63]);
        for (n, cookie) in (0..).zip(cookies) {
            assert_eq!(kept.place(cookie), Place::At(100 + n));
        }
        // What was kept stays kept.
        assert_eq!(kept.cookie(101, 3), 2);
    }
}
