//! What was called and what differed as it is meant to.

use crate::known;
use std::collections::BTreeMap;

pub struct Seen {
    /// By function: compared calls, and those of them that succeeded on our side.
    pub calls: BTreeMap<&'static str, (u64, u64)>,
    /// How often each known difference was seen.
    pub known: Vec<u64>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            calls: BTreeMap::new(),
            known: vec![0; known::ALL.len()],
        }
    }
}

impl Seen {
    pub fn call(&mut self, name: &'static str, success: bool) {
        let (all, good) = self.calls.entry(name).or_default();
        *all += 1;
        *good += u64::from(success);
    }

    pub fn add(&mut self, other: &Self) {
        for (name, (all, good)) in &other.calls {
            let sum = self.calls.entry(name).or_default();
            *sum = (sum.0 + all, sum.1 + good);
        }
        for (sum, one) in self.known.iter_mut().zip(&other.known) {
            *sum += one;
        }
    }

    pub fn all_calls(&self) -> u64 {
        self.calls.values().map(|(all, _)| all).sum()
    }

    /// What many sequences should have seen and have not: each listed difference, since one that no
    /// longer exists could hide another, and each function that succeeds.
    pub fn missing(&self) -> Vec<String> {
        let listed = known::ALL.iter().zip(&self.known);
        let listed = listed
            .filter(|(_, seen)| **seen == 0)
            .map(|(known, _)| format!("a difference listed: {}, {}", known.place(), known.why));
        let functions = self
            .calls
            .iter()
            .filter(|(_, (_, good))| *good == 0)
            .map(|(name, _)| format!("{name} that succeeds"));
        listed.chain(functions).collect()
    }

    /// As tables.
    pub fn print(&self) {
        println!("| function | calls | successful |\n|---|---:|---:|");
        for (name, (all, good)) in &self.calls {
            println!("| {name} | {all} | {good} |");
        }
        println!("\n| answers that are meant to differ | seen | why |\n|---|---:|---|");
        for (known, seen) in known::ALL.iter().zip(&self.known) {
            println!("| {} | {seen} | {} |", known.place(), known.why);
        }
        println!("\n| not compared | why |\n|---|---|");
        for (what, why) in known::NOT_COMPARED {
            println!("| {what} | {why} |");
        }
    }
}
