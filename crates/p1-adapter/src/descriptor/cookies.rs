//! Cookies of an open directory: small numbers for the operating system's positions.
//!
//! A guest's `long` has 32 bits and C libraries keep a position in one (`telldir`); a file system's
//! positions may have 63 (ext4's are hashes). So a position gets the next free number when it is
//! first told, and keeps it while the directory is open. So several listings agree, and one that
//! starts again does.
//!
//! No more than [`KEPT`] positions are kept. Beyond that a cookie has the position in itself, and
//! bit 31 set, which no kept one has. Its lower half is bit 31 and the position's 31 lower bits;
//! its upper half is the position's upper bits, inverted. So a `long` of 32 bits holds the cookie
//! of a position below 2^31 (tmpfs counts): it is negative, and comes back with its sign. If a
//! `long` has cut the cookie of a larger position (ext4), that shows, and is an error. Some
//! positions have cookies that look cut without being cut; these few are kept as well. No cookie
//! that was given out ever reads as the end.

use crate::budget::{MemoryBudget, TakenBytes};
use crate::descriptor::name_list::NameList;
use crate::lock::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// How many positions are kept for one open directory: about two megabytes. (Up to twice as many
/// where their own cookies would look cut.)
const KEPT: usize = 1 << 16;

/// How many positions take nothing of a budget: no more than a descriptor takes anyway.
const FREE: usize = 64;

/// Positions that are taken out of a budget at once.
const PIECE: usize = 1024;

/// Bytes that one position counts as: twice a number, and its share of the lists when they have
/// just grown.
const BYTES: u64 = 48;

/// Marks a cookie that has its position in itself.
const MARK: u64 = 1 << 31;

/// What a C library's `long` leaves of a cookie's upper half: nothing, or the sign.
const CUT: [u64; 2] = [0, UPPER];
const UPPER: u64 = 0xffff_ffff;

/// The cookie that has `position` in itself.
fn with_position(position: u64) -> u64 {
    ((!(position >> 31) & UPPER) << 32) | MARK | (position & (MARK - 1))
}

/// The position that is in `cookie`.
fn position_in(cookie: u64) -> u64 {
    ((!(cookie >> 32) & UPPER) << 31) | (cookie & (MARK - 1))
}

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    /// At this position of the system's.
    At(u64),
    /// A cookie that was never given out: behind the end.
    Nowhere,
    /// A cookie that may have been given out, and has lost some of its bits since.
    Cut,
}

/// The positions of one open directory that have been told, and their numbers.
#[derive(Default)]
pub(crate) struct Cookies {
    kept: Mutex<Kept>,
}

struct Kept {
    /// The position of cookie `n` is at `n - 1`.
    positions: Vec<u64>,
    cookies: HashMap<u64, u64>,
    /// How many positions are kept, and how many with those whose own cookies would look cut.
    limit: usize,
    most: usize,
    /// How many are paid for, and what they have of a budget.
    paid: usize,
    taken: Vec<TakenBytes>,
    /// Whether a cookie was given out that a C library's `long` cuts.
    wide: bool,
    /// Where listings are ordered: the last one that began at the start.
    list: Option<Arc<NameList>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            positions: Vec::new(),
            cookies: HashMap::new(),
            limit: KEPT,
            most: 2 * KEPT,
            paid: FREE,
            taken: Vec::new(),
            wide: false,
            list: None,
        }
    }
}

impl Cookies {
    /// Puts the cookie that stands for it in place of each of `positions`, which come one after the
    /// other in a listing, the first behind the cookie `after` (0 at the start). Where `budget` has
    /// nothing left for more positions, no more are kept. Locks for a moment; the budget is asked
    /// without a lock.
    pub(crate) fn of<'a>(
        &self,
        positions: impl IntoIterator<Item = &'a mut u64>,
        mut after: u64,
        budget: Option<&Arc<dyn MemoryBudget>>,
    ) {
        let mut positions = positions.into_iter().peekable();
        loop {
            self.with(|kept| {
                while let Some(position) = positions.peek_mut()
                    && let Some(cookie) = kept.next(**position, after)
                {
                    **position = cookie;
                    after = cookie;
                    positions.next();
                }
            });
            if positions.peek().is_none() {
                return;
            }
            let taken = match budget {
                None => Ok(None),
                Some(budget) => TakenBytes::of(budget, PIECE as u64 * BYTES)
                    .map(Some)
                    .ok_or(()),
            };
            self.with(|kept| match taken {
                Ok(taken) => {
                    kept.paid += PIECE;
                    kept.taken.extend(taken);
                }
                Err(()) => {
                    kept.limit = kept.limit.min(kept.positions.len());
                    kept.most = kept.positions.len();
                }
            });
        }
    }

    /// What `cookie` stands for. Locks for a moment.
    pub(crate) fn place(&self, cookie: u64) -> Place {
        self.with(|kept| kept.place(cookie))
    }

    /// The list whose places are the cookies, where listings are ordered; nothing before the first.
    /// Locks for a moment.
    pub(crate) fn list(&self) -> Option<Arc<NameList>> {
        self.with(|kept| kept.list.clone())
    }

    /// From now on `list` is that list. Locks for a moment.
    pub(crate) fn keep_list(&self, list: Arc<NameList>) {
        let before = self.with(|kept| kept.list.replace(list));
        drop(before);
    }

    fn with<R>(&self, look: impl FnOnce(&mut Kept) -> R) -> R {
        look(&mut lock(&self.kept))
    }
}

impl Kept {
    /// As [`cookie`](Self::cookie). Most listings go the way of the first one, so the next number
    /// is looked at first.
    fn next(&mut self, position: u64, after: u64) -> Option<u64> {
        let expected = usize::try_from(after).ok();
        match expected.and_then(|place| self.positions.get(place)) {
            Some(known) if *known == position => Some(after + 1),
            _ => self.cookie(position),
        }
    }

    /// `None` if the position is to be kept, and is not paid for.
    fn cookie(&mut self, position: u64) -> Option<u64> {
        if let Some(cookie) = self.cookies.get(&position) {
            return Some(*cookie);
        }
        if self.positions.len() >= self.limit {
            let cookie = with_position(position);
            // Such positions are rare, except in a file system that has only positions below 2^31.
            let looks_cut = CUT.contains(&(cookie >> 32));
            self.wide |= position >= MARK;
            if !looks_cut || !self.wide || self.positions.len() >= self.most {
                return Some(cookie);
            }
        }
        if self.positions.len() >= self.paid {
            return None;
        }
        self.positions.push(position);
        let cookie = self.positions.len() as u64;
        self.cookies.insert(position, cookie);
        Some(cookie)
    }

    fn place(&self, cookie: u64) -> Place {
        if cookie == 0 {
            return Place::Start;
        }
        let known = usize::try_from(cookie - 1).ok();
        if let Some(position) = known.and_then(|place| self.positions.get(place)) {
            return Place::At(*position);
        }
        if self.positions.len() < self.limit {
            return Place::Nowhere;
        }
        // As long as no cookie was wide, the sign is that of a position below 2^31.
        let whole = match cookie >> 32 {
            UPPER => !self.wide,
            upper => upper != 0 && self.wide,
        };
        match whole && cookie & MARK != 0 {
            true => Place::At(position_in(cookie)),
            false => Place::Cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, Cookies, FREE, Kept, PIECE, Place};
    use crate::budget::MemoryBudget;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    impl Cookies {
        fn one(
            &self,
            mut position: u64,
            after: u64,
            budget: Option<&Arc<dyn MemoryBudget>>,
        ) -> u64 {
            self.of([&mut position], after, budget);
            position
        }
    }

    #[test]
    fn a_position_keeps_its_number() {
        let cookies = Cookies::default();
        let positions = [7, 0x7fff_ffff_ffff_ffff, 1 << 40];
        assert_eq!(
            positions.map(|position| cookies.one(position, 0, None)),
            [1, 2, 3]
        );
        // Whatever the entry before was.
        for after in [0, 1, 2, 3, 7, u64::MAX] {
            assert_eq!(
                positions.map(|position| cookies.one(position, after, None)),
                [1, 2, 3]
            );
        }
        // Many at once, of which some are known.
        let mut many = [positions[1], positions[2], 9, positions[0], 11];
        cookies.of(&mut many, 1, None);
        assert_eq!(many, [2, 3, 4, 1, 5]);
        assert_eq!(cookies.place(0), Place::Start);
        assert_eq!(cookies.place(2), Place::At(0x7fff_ffff_ffff_ffff));
        assert_eq!(cookies.place(6), Place::Nowhere);
        assert_eq!(cookies.place(u64::MAX >> 1), Place::Nowhere);
        assert_eq!(cookies.place(u64::MAX), Place::Nowhere);
    }

    impl Kept {
        fn limited(limit: usize) -> Self {
            Self {
                limit,
                most: 2 * limit,
                ..Self::default()
            }
        }

        fn paid(&mut self, position: u64) -> u64 {
            self.cookie(position).expect("few")
        }
    }

    /// What a `long` of 32 bits makes of a cookie, with its sign and without.
    fn cut(cookie: u64) -> [u64; 2] {
        let low = cookie as u32;
        [i64::from(low as i32) as u64, low.into()]
    }

    #[test]
    fn beyond_what_is_kept_a_small_position_fits_a_long() {
        let mut kept = Kept::limited(3);
        for position in 100..200 {
            let cookie = kept.paid(position);
            assert_eq!(kept.place(cookie), Place::At(position));
            assert_eq!(kept.paid(position), cookie, "it stays");
            assert_eq!(cut(cookie)[0], cookie, "the sign is all there is to lose");
        }
        assert_eq!(kept.place(4), Place::Cut, "not the end");
        assert_eq!(kept.positions.len(), 3);
    }

    /// A cut one once led behind the last entry of ext4: an end that was none.
    #[test]
    fn beyond_what_is_kept_a_cut_cookie_is_an_error() {
        let mut kept = Kept::limited(8);
        let last = 0x7fff_ffff_ffff_ffff;
        let all: Vec<u64> = (1..100u64)
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1)
            .chain([1 << 31, (1 << 31) - 1, last - 1, last])
            .collect();
        let cookies: Vec<u64> = all.iter().map(|at| kept.paid(*at)).collect();
        for (position, cookie) in all.iter().zip(cookies) {
            assert_eq!(kept.place(cookie), Place::At(*position));
            for cut in cut(cookie).into_iter().filter(|cut| *cut != cookie) {
                assert_eq!(kept.place(cut), Place::Cut, "{position:x}");
            }
        }
        assert!(kept.positions.len() <= 16, "bounded");
        for position in 0..100 {
            assert_ne!(kept.paid(position), 0);
        }
        assert_eq!(kept.positions.len(), 16);
    }

    struct Budget(AtomicU64);

    impl MemoryBudget for Budget {
        fn take(&self, bytes: u64) -> bool {
            let less = |left: u64| left.checked_sub(bytes);
            let order = Ordering::SeqCst;
            self.0.try_update(order, order, less).is_ok()
        }

        fn give_back(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::SeqCst);
        }
    }

    /// What a budget has no more bytes for is not kept, and is found again all the same.
    #[test]
    fn what_is_kept_is_within_a_budget() {
        let piece = PIECE as u64 * BYTES;
        let budget = Arc::new(Budget((2 * piece + 5).into()));
        let left = || budget.0.load(Ordering::SeqCst);
        let given: Arc<dyn MemoryBudget> = budget.clone();
        let cookies = Cookies::default();
        let of = |position| cookies.one(position, 0, Some(&given));
        // Positions as ext4 has them.
        let all: Vec<u64> = (1..10_000_u64)
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1)
            .collect();
        let given_out: Vec<u64> = all.iter().map(|position| of(*position)).collect();
        assert_eq!(left(), 5);
        for (position, cookie) in all.iter().zip(&given_out) {
            assert_eq!(cookies.place(*cookie), Place::At(*position));
            assert_eq!(of(*position), *cookie, "it stays");
        }
        assert_eq!(given_out[FREE + 2 * PIECE - 1], (FREE + 2 * PIECE) as u64);
        assert!(given_out[FREE + 2 * PIECE] > u64::from(u32::MAX));
        drop(cookies);
        assert_eq!(left(), 2 * piece + 5);
        // Those that a descriptor has anyway.
        let cookies = Cookies::default();
        for position in 0..FREE as u64 {
            assert_eq!(cookies.one(position, 0, Some(&given)), position + 1);
        }
        assert_eq!(left(), 2 * piece + 5);
    }
}
