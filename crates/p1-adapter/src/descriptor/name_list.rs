//! The names of a directory as they were at one moment, in an order that does not depend on the
//! file system.

use crate::budget::{Counting, MemoryBudget, TakenBytes};
use crate::sys::errno::Errno;
use crate::sys::listing::{Listing, Said};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Names in the order of their bytes, behind `.` and `..`. The cookie of one is its place, from 1
/// on.
pub(crate) struct NameList {
    names: Vec<(CString, Said)>,
    /// Of a budget, for as long as the names are kept.
    _taken: Option<TakenBytes>,
}

/// Bytes of one, beside those of the name: a list that has just grown is half empty.
const BYTES: usize = 2 * size_of::<(CString, Said)>() + 16;

impl NameList {
    /// All names of `listing`, which must be at its start. Those that are not UTF-8 are left out.
    /// `NOMEM` where `budget` has not enough left for them.
    pub(crate) fn read(
        listing: &Listing,
        buffer: &mut [MaybeUninit<u8>],
        budget: Option<&Arc<dyn MemoryBudget>>,
    ) -> Result<Self, Errno> {
        let mut all = Vec::new();
        let mut counting = Counting::of(budget);
        let mut entries = listing.entries(buffer);
        while let Some(entry) = entries.next()? {
            if entry.name().to_str().is_ok() {
                if !counting.add(BYTES + entry.name().count_bytes()) {
                    return Err(Errno::NOMEM);
                }
                all.push((entry.name().to_owned(), entry.said()));
            }
        }
        all.sort_by(|(a, _), (b, _)| key(a).cmp(&key(b)));
        Ok(Self {
            names: all,
            _taken: counting.done(),
        })
    }

    /// Those behind `cookie`, each with its own.
    pub(crate) fn behind(&self, cookie: u64) -> impl Iterator<Item = (u64, &CStr, Said)> {
        let from = usize::try_from(cookie).unwrap_or(usize::MAX);
        let rest = self.names.iter().enumerate().skip(from);
        rest.map(|(place, (name, said))| (place as u64 + 1, &**name, *said))
    }
}

fn key(name: &CStr) -> (u8, &CStr) {
    let first = match name.to_bytes() {
        b"." => 0,
        b".." => 1,
        _ => 2,
    };
    (first, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::AsFd as _;
    use crate::sys::listing::{KnownDirectory, open_directory};

    #[test]
    fn names_are_in_the_order_of_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "-", "C", "a", "!", "\u{e4}", "ab"] {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        let opened = open_directory(dir.path()).unwrap();
        let listing = Listing::open(opened.as_fd(), None, &KnownDirectory::default()).unwrap();
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let list = NameList::read(&listing, &mut buffer, None).unwrap();
        let names = |cookie| -> Vec<_> {
            let all = list.behind(cookie);
            all.map(|(cookie, name, _)| (cookie, name.to_str().unwrap().to_owned()))
                .collect()
        };
        let expected = [".", "..", "!", "-", "C", "a", "ab", "b", "\u{e4}"];
        let expected: Vec<_> = (1..).zip(expected.map(String::from)).collect();
        assert_eq!(names(0), expected);
        assert_eq!(names(7), expected[7..]);
        for end in [9, 10, u64::MAX] {
            assert_eq!(names(end), []);
        }
    }
}
