//! Policies, recordings and searches on programs.

use std::num::NonZeroUsize;

use crate::explore::{Runner, Search, explore};
use crate::interface::Policy;
use crate::keyed::{Decision, LONG, Recorder, Replayer};
use crate::minimise::{Verdict, minimise};
use crate::policy::{EarlyAtMost, Kind, RoundRobin};
use crate::simulated::{Op, Outcome, Program, Ran, programs, run};

const BOUND: u64 = 2_000_000;
const SEEDED: [Kind; 4] = [Kind::Random, Kind::Pct(2), Kind::Pct(3), Kind::Pos];

fn recorded_moves(program: &Program, kind: Kind, seed: u64) -> (Ran, Vec<Decision>, (u64, u64)) {
    let (mut recorder, recording) = Recorder::new(kind.build(seed));
    let ran = run(program, &mut recorder, BOUND);
    (
        ran,
        recording.decisions().unwrap(),
        (recording.moves(), recording.moved_at()),
    )
}

fn recorded(program: &Program, kind: Kind, seed: u64) -> (Ran, Vec<Decision>) {
    let (ran, decisions, _) = recorded_moves(program, kind, seed);
    (ran, decisions)
}

fn lenient(program: &Program, decisions: &[Decision]) -> (Ran, Vec<Decision>) {
    let (mut replayer, replayed) = Replayer::lenient(decisions.to_vec());
    let ran = run(program, &mut replayer, BOUND);
    (ran, replayed.met())
}

fn all_programs() -> Vec<Program> {
    vec![
        programs::lost_update(3),
        programs::locked_update(3),
        programs::lock_order(),
        programs::timeout_race(),
        programs::spin(),
        programs::spin_yield(),
        programs::late(),
    ]
}

/// The first of so many seeds that fails.
fn first_failure(program: &Program, kind: Kind, seeds: u64) -> Option<(u64, Ran)> {
    (0..seeds)
        .map(|seed| (seed, run(program, &mut *kind.build(seed), BOUND)))
        .find(|(_, ran)| ran.outcome != Outcome::Returned)
}

#[test]
fn one_seed_is_one_run() {
    for program in all_programs() {
        for kind in SEEDED {
            for seed in 0..20 {
                let ran = || run(&program, &mut *kind.build(seed), BOUND);
                assert_eq!(ran(), ran(), "{kind} {seed}");
            }
        }
    }
}

#[test]
fn seeds_differ() {
    for kind in SEEDED {
        let ran = |seed| run(&programs::lost_update(3), &mut *kind.build(seed), BOUND).trace;
        let mut traces: Vec<_> = (0..200).map(ran).collect();
        traces.sort();
        traces.dedup();
        assert!(traces.len() > 10, "{kind}: {}", traces.len());
    }
}

#[test]
fn every_policy_finds_a_lost_update_and_a_lock_order() {
    for kind in SEEDED {
        let found = first_failure(&programs::lost_update(1), kind, 1_000);
        assert_eq!(found.unwrap().1.outcome, Outcome::Failed(0, 3), "{kind}");
        let found = first_failure(&programs::lock_order(), kind, 1_000);
        assert_eq!(found.unwrap().1.outcome, Outcome::Deadlock, "{kind}");
        assert!(
            first_failure(&programs::late(), kind, 1_000).is_some(),
            "{kind}"
        );
    }
}

#[test]
fn every_policy_finds_a_timeout_that_races() {
    for kind in SEEDED {
        let found = first_failure(&programs::timeout_race(), kind, 1_000);
        assert_eq!(found.unwrap().1.outcome, Outcome::Failed(0, 2), "{kind}");
    }
    let plain = &mut RoundRobin::new(10);
    assert_eq!(
        run(&programs::timeout_race(), plain, BOUND).outcome,
        Outcome::Returned
    );
}

/// With a bound on how early timeouts come, a second is enough for what is done at once. The bound
/// holds for what is minimised, too: with it, no part of a recording makes the timeout come.
#[test]
fn a_timeout_comes_no_earlier_than_it_may() {
    let program = programs::timeout_race();
    let second = 1_000_000_000;
    let bounded = |kind: Kind, seed, most| {
        let mut policy = EarlyAtMost::new(kind.build(seed), most);
        run(&program, &mut policy, BOUND).outcome
    };
    let failed = Outcome::Failed(0, 2);
    for kind in SEEDED {
        for most in [0, 1_000_000, second - 1_000] {
            let all = (0..300).all(|seed| bounded(kind, seed, most) == Outcome::Returned);
            assert!(all, "{kind} {most}");
        }
        let finds = (0..1_000).any(|seed| bounded(kind, seed, second) == failed);
        assert!(finds, "{kind}");
        let (seed, _) = first_failure(&program, kind, 1_000).unwrap();
        let (_, decisions) = recorded(&program, kind, seed);
        let replayed = |most| {
            let (replayer, _) = Replayer::lenient(decisions.clone());
            let mut policy = EarlyAtMost::new(Box::new(replayer), most);
            run(&program, &mut policy, BOUND).outcome
        };
        assert_eq!(replayed(second), failed, "{kind}");
        assert_eq!(replayed(second / 2), Outcome::Returned, "{kind}");
        // The clock still jumps when all sleep.
        let mut policy = EarlyAtMost::new(kind.build(0), 0);
        let ran = run(&vec![vec![Op::Sleep(second)]], &mut policy, BOUND);
        assert_eq!(ran.outcome, Outcome::Returned, "{kind}");
    }
}

/// Loops that wait for others come to an end, and what is right is not reported.
#[test]
fn no_policy_reports_what_is_right() {
    for kind in SEEDED {
        assert_eq!(
            first_failure(&programs::locked_update(3), kind, 1_000),
            None,
            "{kind}"
        );
        assert_eq!(first_failure(&programs::spin(), kind, 300), None, "{kind}");
        assert_eq!(
            first_failure(&programs::spin_yield(), kind, 300),
            None,
            "{kind}"
        );
    }
    for budget in [1, 2, 1_000, u64::MAX / 2] {
        let kind = Kind::RoundRobin(budget);
        assert_eq!(
            first_failure(&programs::locked_update(3), kind, 1),
            None,
            "{budget}"
        );
    }
}

/// A recording replays to the same run, strictly and leniently, whatever the policy.
#[test]
fn recordings_replay() {
    for program in all_programs() {
        for kind in [Kind::Random, Kind::Pct(3), Kind::Pos, Kind::RoundRobin(3)] {
            for seed in 0..30 {
                let (ran, decisions, moves) = recorded_moves(&program, kind, seed);
                let (mut replayer, replayed) = Replayer::strict(decisions.clone());
                let again = run(&program, &mut replayer, BOUND);
                assert_eq!(replayed.at_end(), None, "{kind} {seed}");
                assert_eq!((replayed.moves(), replayed.moved_at()), moves);
                assert_eq!((&again.trace, &again.outcome), (&ran.trace, &ran.outcome));
                assert_eq!(replayed.met(), decisions);
                assert!(again.stops <= ran.stops);
                let (again, met) = lenient(&program, &decisions);
                assert_eq!(again.trace, ran.trace);
                assert_eq!(met, decisions);
            }
        }
    }
}

/// Recording changes nothing.
#[test]
fn a_recorded_run_is_the_run() {
    for program in all_programs() {
        for kind in SEEDED {
            for seed in 0..20 {
                let plain = run(&program, &mut *kind.build(seed), BOUND);
                let (ran, _) = recorded(&program, kind, seed);
                assert_eq!(ran.trace, plain.trace, "{kind} {seed}");
            }
        }
    }
}

/// Turns longer than the default schedule allows are decisions, too.
#[test]
fn long_turns_replay() {
    let program = programs::spin();
    let (ran, decisions) = recorded(&program, Kind::RoundRobin(5 * LONG / 2), 0);
    assert!(ran.points > 2 * LONG);
    assert!(
        decisions
            .iter()
            .any(|decision| decision.thread == decision.next),
        "{decisions:?}"
    );
    let (again, met) = lenient(&program, &decisions);
    assert_eq!((again.trace, met), (ran.trace, decisions));
}

#[test]
fn what_failed_is_minimised_to_what_it_needs() {
    for (program, needed) in [
        (programs::lost_update(3), 3),
        (programs::lock_order(), 3),
        (programs::timeout_race(), 2),
        (programs::late(), 3),
    ] {
        for kind in SEEDED {
            let (seed, failed) = first_failure(&program, kind, 1_000).unwrap();
            let (_, decisions) = recorded(&program, kind, seed);
            let minimal = minimise(decisions, 10_000, |part| {
                let (ran, met) = lenient(&program, part);
                match ran.outcome == failed.outcome {
                    true => Verdict::Same(met),
                    false => Verdict::Other,
                }
            });
            assert!(minimal.is_minimal);
            assert!(minimal.list.len() <= needed, "{kind}: {:?}", minimal.list);
            let (mut replayer, replayed) = Replayer::strict(minimal.list);
            assert_eq!(run(&program, &mut replayer, BOUND).outcome, failed.outcome);
            assert_eq!(replayed.at_end(), None);
        }
    }
}

/// Every difference of the list from the run is told, at the decision at which it shows.
#[test]
fn divergence_is_told() {
    let program = programs::lost_update(3);
    let (_, decisions) = recorded(&program, Kind::Pos, 1);
    assert!(decisions.len() > 3);
    let strictly = |decisions: Vec<Decision>| {
        let (mut replayer, replayed) = Replayer::strict(decisions);
        let outcome = run(&program, &mut replayer, BOUND).outcome;
        let divergence = replayed.at_end().unwrap();
        assert!(outcome == Outcome::Fault || replayed.divergence().is_none());
        divergence
    };
    let mut other = decisions.clone();
    other[2].why = crate::interface::Why::HostCall;
    let divergence = strictly(other);
    assert_eq!(divergence.decision, 3);
    let text = divergence.to_string();
    assert!(
        text.starts_with("diverged at decision 3: expected thread "),
        "{text}"
    );
    assert!(
        text.contains("(host call)") && text.contains(", found thread "),
        "{text}"
    );

    let mut other = decisions.clone();
    other[1].next = 9;
    assert_eq!(strictly(other).decision, 2);
    let mut other = decisions.clone();
    other[1].early = true;
    assert_eq!(strictly(other).decision, 2);
    let mut other = decisions.clone();
    other.swap(1, 2);
    assert_eq!(strictly(other).decision, 2);
    let mut other = decisions.clone();
    let last = *decisions.last().unwrap();
    other.push(Decision {
        point: 1 << 40,
        ..last
    });
    let divergence = strictly(other);
    assert_eq!(divergence.decision, decisions.len() + 1);
    assert_eq!(divergence.found, "the end of the run");
}

/// A search over a program, as a host makes it.
#[test]
fn a_search_finds_the_lowest_seed() {
    struct Runs(Program, Kind);
    impl Runner for Runs {
        type Failure = Outcome;
        type Error = ();
        fn run(&mut self, seed: u64) -> Result<Option<Outcome>, ()> {
            let policy: &mut dyn Policy = &mut *self.1.build(seed);
            let outcome = run(&self.0, policy, BOUND).outcome;
            Ok((outcome != Outcome::Returned).then_some(outcome))
        }
    }
    for kind in SEEDED {
        let (seed, failed) = first_failure(&programs::lost_update(1), kind, 1_000).unwrap();
        let search = Search {
            first: 0,
            count: 1_000,
            jobs: NonZeroUsize::new(3).unwrap(),
            all: false,
        };
        let found = explore(&search, |_| Runs(programs::lost_update(1), kind), |_| ()).unwrap();
        assert_eq!(found.failures[0].seed, seed);
        assert_eq!(found.failures[0].failure, failed.outcome);
    }
}
