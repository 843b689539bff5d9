//! Attributes of files that do not depend on the file system they are on.
//!
//! Inode numbers count in the order in which the guest first sees files. A file that has lost its
//! last name keeps its number for the descriptors that have it open, but the host may soon give its
//! own number of it to another file. So the names that the guest removes are followed, and a later
//! file with the same host number is a new file.

use crate::abi::types::{Filestat, Filetype};
use crate::lock::lock;
use crate::sys::time::NewTime;
use std::collections::HashMap;
use std::sync::Mutex;

/// How many files without a name are remembered. Beyond that all are forgotten, and get new numbers
/// if they are looked at.
const NAMELESS: usize = 1 << 16;

/// What the guest is told of files in place of what the host says.
pub(crate) struct Pins {
    /// All times of all files, unless the guest has set them.
    time: u64,
    known: Mutex<KnownFiles>,
}

#[derive(Default)]
struct KnownFiles {
    count: u64,
    /// By what the host has for a number.
    named: HashMap<u64, KnownFile>,
    /// By that and the time of birth.
    nameless: HashMap<(u64, u64), KnownFile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KnownFile {
    number: u64,
    links: u64,
    /// As the guest has set it.
    accessed: Option<u64>,
    modified: Option<u64>,
}

impl KnownFiles {
    fn named(&mut self, ino: u64) -> &mut KnownFile {
        let count = &mut self.count;
        self.named
            .entry(ino)
            .or_insert_with(|| KnownFile::next(count))
    }

    fn nameless(&mut self, stat: &Filestat) -> &mut KnownFile {
        self.bound();
        let count = &mut self.count;
        let new = || KnownFile {
            links: 0,
            ..KnownFile::next(count)
        };
        self.nameless
            .entry((stat.ino, stat.ctim))
            .or_insert_with(new)
    }

    fn bound(&mut self) {
        if self.nameless.len() >= NAMELESS {
            self.nameless.clear();
        }
    }

    fn of(&mut self, stat: &Filestat) -> &mut KnownFile {
        match stat.nlink {
            0 => self.nameless(stat),
            _ => self.named(stat.ino),
        }
    }
}

impl KnownFile {
    fn next(count: &mut u64) -> Self {
        *count += 1;
        Self {
            number: *count,
            links: 1,
            accessed: None,
            modified: None,
        }
    }
}

impl Pins {
    pub(crate) fn new(time: u64) -> Self {
        Self {
            time,
            known: Mutex::default(),
        }
    }

    /// What the guest is told of a file of which the host says `found`. Locks for a moment, as all
    /// here.
    pub(crate) fn stat(&self, found: Filestat) -> Filestat {
        let file = *lock(&self.known).of(&found);
        let dir = found.filetype == Filetype::Directory;
        Filestat {
            ino: file.number,
            // How a directory counts is the file system's affair, as is its size.
            nlink: if dir { 1 } else { file.links },
            size: if dir { 0 } else { found.size },
            atim: file.accessed.unwrap_or(self.time),
            // A write since then has set another time.
            mtim: (file.modified.filter(|set| *set == found.mtim)).unwrap_or(self.time),
            ctim: self.time,
            ..found
        }
    }

    /// The number of a file with a name.
    pub(crate) fn inode(&self, ino: u64) -> u64 {
        lock(&self.known).named(ino).number
    }

    /// A name has gone; `before` is what the host said of the file then.
    pub(crate) fn unlinked(&self, before: &Filestat) {
        let mut known = lock(&self.known);
        if before.nlink > 1 && before.filetype != Filetype::Directory {
            let file = known.named(before.ino);
            file.links = file.links.saturating_sub(1).max(1);
            return;
        }
        if let Some(file) = known.named.remove(&before.ino) {
            known.bound();
            let file = KnownFile { links: 0, ..file };
            known.nameless.insert((before.ino, before.ctim), file);
        }
    }

    /// The file has one more name.
    pub(crate) fn linked(&self, found: &Filestat) {
        lock(&self.known).named(found.ino).links += 1;
    }

    /// The guest has set times; `found` is what the host says then.
    pub(crate) fn times_set(&self, found: &Filestat, access: NewTime, modification: NewTime) {
        let mut known = lock(&self.known);
        let file = known.of(found);
        let set = |time: &mut Option<u64>, to| match to {
            NewTime::Keep => {}
            NewTime::Now => *time = None,
            NewTime::At(at) => *time = Some(at),
        };
        set(&mut file.accessed, access);
        set(&mut file.modified, modification);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ino: u64, filetype: Filetype, nlink: u64, born: u64) -> Filestat {
        Filestat {
            dev: 1,
            ino,
            filetype,
            nlink,
            size: 4096,
            atim: 11,
            mtim: 12,
            ctim: born,
        }
    }

    fn file(ino: u64) -> Filestat {
        found(ino, Filetype::RegularFile, 1, 13)
    }

    #[test]
    fn numbers_count_and_stay() {
        let pins = Pins::new(5);
        let told = pins.stat(file(900));
        assert_eq!((told.dev, told.ino, told.nlink, told.size), (1, 1, 1, 4096));
        assert_eq!((told.atim, told.mtim, told.ctim), (5, 5, 5));
        assert_eq!(pins.inode(70), 2);
        assert_eq!(pins.stat(file(900)).ino, 1);
        let dir = pins.stat(found(71, Filetype::Directory, 9, 13));
        assert_eq!((dir.ino, dir.nlink, dir.size), (3, 1, 0));
    }

    #[test]
    fn a_number_that_the_host_uses_again_is_another_files() {
        let pins = Pins::new(5);
        let (first, open) = (file(8), found(8, Filetype::RegularFile, 0, 13));
        assert_eq!(pins.stat(first.clone()).ino, 1);
        pins.unlinked(&first);
        let told = pins.stat(open.clone());
        assert_eq!((told.ino, told.nlink), (1, 0), "whoever has it open");
        assert_eq!(pins.stat(file(8)).ino, 2, "born in the same moment");
        pins.unlinked(&file(8));
        assert_eq!(pins.stat(open).ino, 2);
        // Never seen while it had a name.
        let unseen = found(9, Filetype::RegularFile, 0, 14);
        assert_eq!(pins.stat(unseen).ino, 3);
        assert_eq!(pins.inode(9), 4);
    }

    #[test]
    fn links_are_those_that_the_guest_has_made() {
        let pins = Pins::new(5);
        let of = |links| found(8, Filetype::RegularFile, links, 13);
        assert_eq!(pins.stat(of(3)).nlink, 1, "names elsewhere do not count");
        pins.linked(&of(4));
        assert_eq!(pins.stat(of(4)).nlink, 2);
        pins.unlinked(&of(4));
        pins.unlinked(&of(3));
        assert_eq!(pins.stat(of(2)).nlink, 1);
    }

    #[test]
    fn times_are_those_that_the_guest_has_set() {
        let pins = Pins::new(5);
        let set = Filestat {
            mtim: 77,
            ..file(8)
        };
        pins.times_set(&set, NewTime::At(66), NewTime::At(77));
        let told = pins.stat(set.clone());
        assert_eq!((told.atim, told.mtim, told.ctim), (66, 77, 5));
        pins.times_set(&set, NewTime::Now, NewTime::Keep);
        assert_eq!(pins.stat(set).atim, 5);
        let written = Filestat {
            mtim: 1000,
            ..file(8)
        };
        assert_eq!(pins.stat(written).mtim, 5);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let pins = Pins::new(5);
        for ino in 0..NAMELESS as u64 + 10 {
            pins.stat(file(ino));
            pins.unlinked(&file(ino));
        }
        let known = lock(&pins.known);
        assert_eq!(known.named.len(), 0);
        assert!(known.nameless.len() <= NAMELESS);
    }
}
