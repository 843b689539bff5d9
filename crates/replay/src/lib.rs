//! Policies, recordings and searches for threads that run one at a time.
//!
//! A host gives one thread the turn, and asks a [`Policy`] which is next. What the policy says is a
//! function of its seed and of what it was told, so one seed is one run. This crate has what stands
//! around that:
//!
//! | to | use |
//! |---|---|
//! | choose by a seed | [`policy`]: [`Random`](policy::Random), [`Pct`](policy::Pct), [`Pos`](policy::Pos), [`RoundRobin`](policy::RoundRobin); [`EarlyAtMost`](policy::EarlyAtMost) |
//! | read a policy from text | [`Spec`](policy::Spec) |
//! | keep what was decided, and decide it again | [`keyed`]: [`Recorder`](keyed::Recorder), [`Replayer`](keyed::Replayer) |
//! | write and read it as a file | [`file`](mod@file) |
//! | find out which decisions a failure needs | [`minimise`](mod@minimise) |
//! | try many seeds | [`explore`](mod@explore) |
//! | say which accesses of memory conflict | [`conflict`](mod@conflict): [`History`](conflict::History), [`Orders`](conflict::Orders) |
//!
//! The crate knows nothing of WebAssembly, and starts no program: its user does.
//!
//! # What is promised
//!
//! The same version of this crate, the same policy and seed, and the same stops give the same
//! turns, on every platform. Policies use one generator ([`SplitMix64`]), integers, and ordered
//! maps; they read no clock.
//!
//! `DESIGN.md`, beside this crate's manifest, argues the default schedule and the minimiser.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod conflict;
pub mod explore;
pub mod file;
mod interface;
pub mod keyed;
pub mod minimise;
pub mod policy;
mod rng;
#[cfg(test)]
mod simulated;

pub use interface::{Policy, Sleeper, Stop, ThreadId, Turn, Why};
pub use rng::SplitMix64;
