//! Comparing the cells of both twins.

use crate::emulated::emulated;
use crate::known::{self, Known};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What has been compared so far.
#[derive(Default)]
pub(crate) struct Comparison {
    cells: usize,
    /// How many cells each of the known differences is about, by its place in the list.
    known: RefCell<BTreeMap<usize, usize>>,
    unknown: Vec<String>,
}

/// The cells of a twin, in order.
fn cells(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines();
    lines
        .map(|line| line.split_once('\t').unwrap_or((line, "")))
        .collect()
}

impl Comparison {
    /// Compares the cells of a run called `run`.
    pub(crate) fn add(&mut self, run: &str, native: &str, guest: &str) {
        let (native, guest) = (cells(native), cells(guest));
        let answers: BTreeMap<&str, &str> = guest.iter().copied().collect();
        let asked: BTreeSet<&str> = native.iter().map(|(name, _)| *name).collect();
        for (name, _) in guest.iter().filter(|(name, _)| !asked.contains(name)) {
            self.unknown
                .push(format!("{run}: {name}: by the guest only"));
        }
        for (name, said) in native {
            self.cells += 1;
            let answer = answers.get(name).copied().unwrap_or("(nothing)");
            if said == answer {
                continue;
            }
            let is_it = |known: &Known| known.is_about(run, name, said, answer);
            if emulated() && known::IN_AN_EMULATOR.iter().any(is_it) {
                continue;
            }
            match known::ALL.iter().position(is_it) {
                Some(place) => *self.known.borrow_mut().entry(place).or_default() += 1,
                None => self
                    .unknown
                    .push(format!("{run}\t{name}\t{said}\t{answer}")),
            }
        }
    }

    /// Prints the figures.
    ///
    /// # Panics
    ///
    /// If a difference is not known, or a known one was not there.
    pub(crate) fn finish(&self, all_runs: bool) {
        let known = self.known.borrow();
        let differ: usize = known.values().sum();
        println!(
            "probes: {} cells, {differ} differ in known ways, {} in others",
            self.cells,
            self.unknown.len()
        );
        for (place, difference) in known::ALL.iter().enumerate() {
            let count = known.get(&place).copied().unwrap_or(0);
            println!("probes: {count:6} {}", difference.why);
        }
        let list = self.unknown.join("\n");
        assert!(
            self.unknown.is_empty(),
            "run, cell, native twin, guest:\n{list}"
        );
        for (place, difference) in known::ALL.iter().enumerate() {
            assert!(
                !all_runs || known.contains_key(&place),
                "nothing differs in this way any more: {}",
                difference.why
            );
        }
    }
}
