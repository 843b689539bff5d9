//! Which parts of a list a failure needs.
//!
//! Parts of the list are taken out, larger ones first, as long as what is left still fails in the
//! same way. This is delta debugging (Zeller and Hildebrandt, *Simplifying and isolating
//! failure-inducing input*, IEEE Transactions on Software Engineering 28, 2002). The result is
//! *1-minimal*: no single item can be taken out. A smaller list may exist.

/// What a try with a part of the list showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// The same failure. With it the items that had an effect, if that is known: the others are
    /// dropped.
    Same(Vec<T>),
    /// Another failure, or none.
    Other,
}

/// What is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimised<T> {
    /// The list that still fails in the same way.
    pub list: Vec<T>,
    /// How often it was tried.
    pub tries: u64,
    /// Whether no single item can be taken out. Otherwise the tries were used up before that was
    /// known.
    pub is_minimal: bool,
}

/// Takes out of `list` what the failure does not need, with at most `tries` calls of `test`.
///
/// `test` gets a part of the list, in its order. It must always answer the same for the same part.
/// If it does not, the result may be larger than needed. Even then it is the list itself, or one
/// for which `test` has said `Same`, or the part of that one which `test` said was used.
pub fn minimise<T: Clone + PartialEq>(
    list: Vec<T>,
    tries: u64,
    mut test: impl FnMut(&[T]) -> Verdict<T>,
) -> Minimised<T> {
    let mut reduction = Reduction {
        list,
        tries: 0,
        most: tries,
        test: &mut test,
    };
    let is_minimal = reduction.run().is_some();
    Minimised {
        list: reduction.list,
        tries: reduction.tries,
        is_minimal,
    }
}

struct Reduction<'a, T> {
    list: Vec<T>,
    tries: u64,
    most: u64,
    test: &'a mut dyn FnMut(&[T]) -> Verdict<T>,
}

impl<T: Clone + PartialEq> Reduction<'_, T> {
    /// `None` if the tries were used up.
    fn run(&mut self) -> Option<()> {
        // Often nothing of the list is needed, or its end is not: the failure was certain before
        // that.
        if self.list.is_empty() || self.keeps(0..0)? {
            return Some(());
        }
        let mut parts = 2;
        loop {
            let len = self.list.len();
            if len < 2 {
                return Some(());
            }
            parts = parts.min(len);
            if self.some_part_suffices(parts)? {
                parts = 2;
            } else if self.some_part_is_not_needed(parts)? {
                parts = (parts - 1).max(2);
            } else if parts == len {
                return Some(());
            } else {
                parts = (parts * 2).min(len);
            }
        }
    }

    fn some_part_suffices(&mut self, parts: usize) -> Option<bool> {
        for part in 0..parts {
            let (from, to) = self.bounds(part, parts);
            if self.keeps(from..to)? {
                return Some(true);
            }
        }
        Some(false)
    }

    fn some_part_is_not_needed(&mut self, parts: usize) -> Option<bool> {
        // With two parts the rest of one is the other, which was tried.
        if parts == 2 {
            return Some(false);
        }
        // From the end: later items need earlier ones more often than the other way round.
        for part in (0..parts).rev() {
            let (from, to) = self.bounds(part, parts);
            let mut rest = self.list[..from].to_vec();
            rest.extend_from_slice(&self.list[to..]);
            if self.fails(rest)? {
                return Some(true);
            }
        }
        Some(false)
    }

    fn bounds(&self, part: usize, parts: usize) -> (usize, usize) {
        let len = self.list.len();
        (part * len / parts, (part + 1) * len / parts)
    }

    fn keeps(&mut self, part: std::ops::Range<usize>) -> Option<bool> {
        self.fails(self.list[part].to_vec())
    }

    /// Whether this part still fails in the same way; then it is the list.
    fn fails(&mut self, part: Vec<T>) -> Option<bool> {
        if self.tries == self.most {
            return None;
        }
        self.tries += 1;
        let Verdict::Same(used) = (self.test)(&part) else {
            return Some(false);
        };
        // What it says to have used counts only as a part of what it got.
        let is_part = used.len() < part.len() && used.iter().all(|item| part.contains(item));
        self.list = if is_part { used } else { part };
        Some(true)
    }
}

#[cfg(test)]
mod tests;
