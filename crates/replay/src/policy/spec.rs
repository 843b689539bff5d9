//! Policies as text.

use std::fmt;
use std::str::FromStr;

use crate::interface::Policy;
use crate::policy::pct::Pct;
use crate::policy::pos::Pos;
use crate::policy::random::Random;
use crate::policy::round_robin::{DEFAULT_BUDGET, RoundRobin};

/// Which policy it is, without its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// [`Random`].
    Random,
    /// [`Pct`] with this depth.
    Pct(u32),
    /// [`Pos`].
    Pos,
    /// [`RoundRobin`] with this budget: it has no seed.
    RoundRobin(u64),
}

impl Kind {
    /// Whether runs differ by a seed.
    #[must_use]
    pub fn is_seeded(self) -> bool {
        !matches!(self, Kind::RoundRobin(_))
    }

    /// The policy with this seed, which [`Kind::RoundRobin`] does not use.
    #[must_use]
    pub fn build(self, seed: u64) -> Box<dyn Policy> {
        match self {
            Kind::Random => Box::new(Random::new(seed)),
            Kind::Pct(depth) => Box::new(Pct::new(seed, depth)),
            Kind::Pos => Box::new(Pos::new(seed)),
            Kind::RoundRobin(budget) => Box::new(RoundRobin::new(budget)),
        }
    }

    /// This kind with a seed, as it is written.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Spec {
        Spec {
            kind: self,
            seed: self.is_seeded().then_some(seed),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Random => f.write_str("random"),
            Kind::Pct(depth) => write!(f, "pct:{depth}"),
            Kind::Pos => f.write_str("pos"),
            Kind::RoundRobin(budget) => write!(f, "round-robin:{budget}"),
        }
    }
}

/// A policy as it is written: `random[:SEED]`, `pct:DEPTH[:SEED]`, `pos[:SEED]`,
/// `round-robin[:BUDGET]`.
///
/// Numbers are decimal and have 64 bits; a depth is 1 to 1,000, a budget at least 1.
///
/// ```
/// use replay_threads::policy::{Kind, Spec};
///
/// let spec: Spec = "pct:3:42".parse()?;
/// assert_eq!((spec.kind, spec.seed), (Kind::Pct(3), Some(42)));
/// assert_eq!(spec.to_string(), "pct:3:42");
/// # Ok::<(), replay_threads::policy::SpecError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Which policy.
    pub kind: Kind,
    /// Its seed, if one was given.
    pub seed: Option<u64>,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match self.seed {
            Some(seed) => write!(f, ":{seed}"),
            None => Ok(()),
        }
    }
}

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// No policy has this name.
    #[error("`{0}` is no policy: there are random, pct, pos and round-robin")]
    Name(String),
    /// `pct` without its depth.
    #[error("pct needs a depth: `pct:3`")]
    Depth,
    /// What should be a number is none, or is out of bounds.
    #[error("`{text}` is no {what}: {bounds}")]
    Number {
        /// What it should be.
        what: &'static str,
        /// What it may be.
        bounds: &'static str,
        /// What was written.
        text: String,
    },
    /// More parts than the policy has.
    #[error("`{0}` is too much: {1}")]
    TooMuch(String, &'static str),
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let (kind, form) = match name {
            "random" => (Kind::Random, "the longest form is random:SEED"),
            "pos" => (Kind::Pos, "the longest form is pos:SEED"),
            "pct" => {
                let depth = parts.next().ok_or(SpecError::Depth)?;
                let depth = number(depth, "depth", "1 to 1000", 1..=1_000)?;
                let depth = u32::try_from(depth).unwrap_or(u32::MAX);
                (Kind::Pct(depth), "the longest form is pct:DEPTH:SEED")
            }
            "round-robin" => {
                let budget = match parts.next() {
                    Some(budget) => number(budget, "budget", "1 to 2^64 - 1", 1..=u64::MAX)?,
                    None => DEFAULT_BUDGET,
                };
                let form = "the longest form is round-robin:BUDGET, it has no seed";
                (Kind::RoundRobin(budget), form)
            }
            other => return Err(SpecError::Name(other.to_owned())),
        };
        let seed = match parts.next() {
            Some(more) if !kind.is_seeded() => {
                return Err(SpecError::TooMuch(more.to_owned(), form));
            }
            Some(seed) => Some(number(seed, "seed", "0 to 2^64 - 1", 0..=u64::MAX)?),
            None => None,
        };
        match parts.next() {
            Some(more) => Err(SpecError::TooMuch(more.to_owned(), form)),
            None => Ok(Spec { kind, seed }),
        }
    }
}

fn number(
    text: &str,
    what: &'static str,
    bounds: &'static str,
    within: std::ops::RangeInclusive<u64>,
) -> Result<u64, SpecError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|number| digits && within.contains(number));
    number.ok_or_else(|| SpecError::Number {
        what,
        bounds,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "random",
            "random:0",
            "random:18446744073709551615",
            "pct:3",
            "pct:3:9",
            "pos",
            "pos:7",
            "round-robin:5",
        ] {
            let spec: Spec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
            assert_eq!(spec.kind.with_seed(1).seed.is_some(), spec.kind.is_seeded());
        }
        let spec: Spec = "round-robin".parse().unwrap();
        assert_eq!(spec.to_string(), "round-robin:1000");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            (
                "",
                "`` is no policy: there are random, pct, pos and round-robin",
            ),
            (
                "Random",
                "`Random` is no policy: there are random, pct, pos and round-robin",
            ),
            ("random:", "`` is no seed: 0 to 2^64 - 1"),
            ("random:-1", "`-1` is no seed: 0 to 2^64 - 1"),
            ("random:+1", "`+1` is no seed: 0 to 2^64 - 1"),
            ("random:0x1", "`0x1` is no seed: 0 to 2^64 - 1"),
            (
                "random:18446744073709551616",
                "`18446744073709551616` is no seed: 0 to 2^64 - 1",
            ),
            (
                "random:1:2",
                "`2` is too much: the longest form is random:SEED",
            ),
            ("pct", "pct needs a depth: `pct:3`"),
            ("pct:0", "`0` is no depth: 1 to 1000"),
            ("pct:1001", "`1001` is no depth: 1 to 1000"),
            (
                "pct:1:2:3",
                "`3` is too much: the longest form is pct:DEPTH:SEED",
            ),
            ("round-robin:0", "`0` is no budget: 1 to 2^64 - 1"),
            (
                "round-robin:1:2",
                "`2` is too much: the longest form is round-robin:BUDGET, it has no seed",
            ),
        ] {
            let error = text.parse::<Spec>().unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
    }
}
