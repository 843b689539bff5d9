//! The last accesses of a run.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::conflict::{Access, Word};
use crate::interface::ThreadId;

/// How many words are looked at.
const MOST_WORDS: usize = 1 << 20;

/// The last accesses of a run, each with what the caller knows of it.
#[derive(Clone, Debug)]
pub struct History<T> {
    most: usize,
    kept: VecDeque<(Access, T)>,
    words: HashMap<Word, Vec<Touched>>,
}

/// The bytes of a word that a thread has touched.
#[derive(Clone, Copy, Debug)]
struct Touched {
    thread: ThreadId,
    all: u8,
    written: u8,
}

/// One line of an interleaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<T> {
    /// An access, and how often the thread made it in a row.
    Access {
        /// The first of them.
        access: Access,
        /// What the caller knows of it.
        of: T,
        /// How many.
        times: u64,
    },
    /// So many lines are left out here.
    LeftOut(usize),
}

impl<T: Clone + PartialEq> History<T> {
    /// One that keeps `most` accesses.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            kept: VecDeque::new(),
            words: HashMap::new(),
        }
    }

    /// Takes note of the next access of the run.
    pub fn add(&mut self, access: Access, of: T) {
        for (word, mask) in access.words() {
            let is_full = self.words.len() >= MOST_WORDS;
            if is_full && !self.words.contains_key(&word) {
                continue;
            }
            let touched = self.words.entry(word).or_default();
            let known = touched.iter_mut().find(|one| one.thread == access.thread);
            let written = if access.writes { mask } else { 0 };
            match known {
                Some(one) => {
                    one.all |= mask;
                    one.written |= written;
                }
                None => touched.push(Touched {
                    thread: access.thread,
                    all: mask,
                    written,
                }),
            }
        }
        if self.kept.len() == self.most {
            self.kept.pop_front();
        }
        self.kept.push_back((access, of));
    }

    /// The conflicting accesses, `most` lines at most: the last ones, and those around `decision`,
    /// a thread and its own point at which the turn was taken from it.
    ///
    /// If there are more, only those count that are next to a conflicting one of another thread in
    /// the order of their word.
    #[must_use]
    pub fn around(&self, decision: Option<(ThreadId, u64)>, most: usize) -> Vec<Line<T>> {
        self.around_those(decision, most, |_| true)
    }

    /// The same, for the accesses that `shown` picks by what the caller knows of them.
    #[must_use]
    pub fn around_those(
        &self,
        decision: Option<(ThreadId, u64)>,
        most: usize,
        mut shown: impl FnMut(&T) -> bool,
    ) -> Vec<Line<T>> {
        let kept = self.conflicting().filter(|(_, of)| shown(of));
        let mut runs: Vec<(&Access, &T, u64)> = Vec::new();
        for (access, of) in kept {
            match runs.last_mut() {
                Some((last, known, times))
                    if last.thread == access.thread
                        && (last.memory, last.address) == (access.memory, access.address)
                        && *known == of =>
                {
                    *times += 1;
                }
                _ => runs.push((access, of, 1)),
            }
        }
        if runs.len() > most {
            let crossing = crossings(&runs);
            let mut at = 0;
            runs.retain(|_| {
                at += 1;
                crossing.contains(&(at - 1))
            });
        }
        let before = |thread, point| {
            let last = runs
                .iter()
                .rposition(|(access, ..)| access.thread == thread && access.point < point);
            last.map(|at| at + 1)
        };
        let anchor = decision.and_then(|(thread, point)| before(thread, point));
        let shown = windows(runs.len(), anchor.unwrap_or(0), most);
        let mut lines = Vec::new();
        let mut next = 0;
        for at in shown {
            if at > next {
                lines.push(Line::LeftOut(at - next));
            }
            let (access, of, times) = runs[at];
            lines.push(Line::Access {
                access: *access,
                of: of.clone(),
                times,
            });
            next = at + 1;
        }
        lines
    }

    /// The conflicting accesses that are kept, in their order.
    pub fn conflicting(&self) -> impl Iterator<Item = (&Access, &T)> {
        let kept = self.kept.iter().map(|(access, of)| (access, of));
        kept.filter(|(access, _)| self.conflicts(access))
    }

    /// Whether another thread has made an access that conflicts with this one.
    #[must_use]
    pub fn conflicts(&self, access: &Access) -> bool {
        access.words().any(|(word, mask)| {
            let mut touched = self.words.get(&word).into_iter().flatten();
            touched.any(|other| {
                let relevant = if access.writes {
                    other.all
                } else {
                    other.written
                };
                other.thread != access.thread && relevant & mask != 0
            })
        })
    }
}

/// Which of these are next to a conflicting one of another thread, among those of the same word.
fn crossings<T>(runs: &[(&Access, &T, u64)]) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut last: HashMap<Word, usize> = HashMap::new();
    for (at, (access, ..)) in runs.iter().enumerate() {
        for (word, _) in access.words() {
            if let Some(before) = last.insert(word, at) {
                let (other, ..) = runs[before];
                if other.thread != access.thread && (other.writes || access.writes) {
                    found.extend([before, at]);
                }
            }
        }
    }
    found
}

/// Which of `count` things are shown if at most `most` may be: all, or half of `most` around
/// `anchor` and the rest at the end.
fn windows(count: usize, anchor: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    let (around, end) = (most / 2, most - most / 2);
    let end = count - end;
    let from = anchor.saturating_sub(around.div_ceil(2)).min(end - around);
    (from..from + around).chain(end..count).collect()
}
