//! Files that users hand to one another, which are replays and lists of races that are not
//! reported. And runs that are recorded, then replayed.

use std::fmt::Write as _;

use replay_threads::file::Replay;
use replay_threads::keyed::{Decision, Recorder, Replayed, Replayer};
use replay_threads::policy::{Kind, Spec};
use wasm_races::{Frame, Suppressions, Verdict};

use crate::input::Input;
use crate::plant::planted;
use crate::replays_host::{Ended, Program, Ran, run as run_program};

/// The longest error of a bad file: more is no message.
const LONGEST_MESSAGE: usize = 4 << 20;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 3 {
        0 => file(input.rest()),
        1 => list(input.rest()),
        _ => recorded(&mut input),
    }
}

/// A file is refused, or means the same once it is written anew; and its decisions, which are about
/// another program, harm no run.
fn file(bytes: &[u8]) {
    let read = match Replay::read(bytes) {
        Ok(read) => read,
        Err(error) => {
            let said = error.to_string().len();
            assert!(
                (1..LONGEST_MESSAGE).contains(&said),
                "{said} bytes of error"
            );
            return;
        }
    };
    let mut written = Vec::new();
    read.write(&mut written).expect("memory takes all");
    let mut again = Replay::read(&*written).expect("what was written is a replay");
    if planted("early-lost") && again.decisions.len() > 1 {
        again.decisions[1].early = false;
    }
    assert_eq!(again, read, "written and read");
    if let Ok(spec) = read.header.schedule.parse::<Spec>() {
        assert_eq!(spec.to_string().parse(), Ok(spec));
    }
    let program = Program::made(&mut Input::new(read.header.tool.as_bytes()));
    let (mut lenient, replayed) = Replayer::lenient(read.decisions.clone());
    let ran = run_program(&program, &mut lenient);
    assert_ne!(ran.ended, Ended::Fault, "a thread is next that cannot be");
    assert_eq!(replayed.divergence(), None, "nothing is too much");
    strictly(&program, read.decisions);
}

/// A strict replay goes the whole way, or says where it cannot.
fn strictly(program: &Program, decisions: Vec<Decision>) -> (Ran, Replayed) {
    let (mut strict, replayed) = Replayer::strict(decisions);
    let ran = run_program(program, &mut strict);
    assert_eq!(
        ran.ended == Ended::Fault,
        replayed.divergence().is_some(),
        "{:?}",
        replayed.divergence()
    );
    (ran, replayed)
}

/// A list is refused, or each rule of it that judges a race judges the same alone, as it is shown.
fn list(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let rules = match Suppressions::parse(&text) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(error.to_string().len() < 1000, "{error}");
            return;
        }
    };
    // The names are words of the list.
    let words: Vec<&str> = text.split([' ', '\n', ':', '*', '^', '$']).collect();
    for (at, word) in words.iter().enumerate() {
        let frame = Frame {
            function: Some(word),
            file: words.get(at + 1).copied(),
            inlined: at % 2 == 1,
        };
        let whole = [frame, Frame::default()];
        let (verdict, rule) = rules.judge([&whole, &[]]);
        assert_eq!(rule.is_none(), verdict == Verdict::Told);
        let Some(rule) = rule else { continue };
        assert_eq!(rule.verdict(), verdict);
        assert!((1..=text.lines().count()).contains(&rule.line()));
        let mut shown = rule.to_string();
        let _ = write!(shown, "\n# {}", rule.line());
        let alone = Suppressions::parse(&shown).expect("a rule is shown as it is written");
        assert_eq!(alone.judge([&whole, &[]]).0, verdict, "{shown}");
    }
}

/// What was recorded is replayed: the same operations in the same order.
fn recorded(input: &mut Input<'_>) {
    let kind = match input.u8() % 4 {
        0 => Kind::Random,
        1 => Kind::Pos,
        2 => Kind::Pct(1 + u32::from(input.u8())),
        _ => Kind::RoundRobin(1 + u64::from(input.u16())),
    };
    let seed = input.u64();
    let drop = input.u8();
    let program = Program::made(input);
    let (mut recorder, recording) = Recorder::new(kind.build(seed));
    let ran = run_program(&program, &mut recorder);
    assert_ne!(
        ran.ended,
        Ended::Fault,
        "a policy names a thread that cannot be next"
    );
    let again = run_program(&program, &mut Recorder::new(kind.build(seed)).0);
    assert_eq!(again, ran, "one seed is one run");
    let mut decisions = recording.decisions().expect("few");
    if planted("decision-forgotten") && ran.sleeps > 0 && decisions.len() > 3 {
        decisions.pop();
    }
    let (strict, replayed) = strictly(&program, decisions.clone());
    assert_eq!(replayed.at_end(), None, "the replay of a run");
    same(&strict, &ran);
    if ran.ended != Ended::Bound {
        assert_eq!(
            (replayed.moves(), replayed.moved_at()),
            (recording.moves(), recording.moved_at())
        );
    }
    // A minimiser leaves some out.
    if !decisions.is_empty() {
        decisions.remove(usize::from(drop) % decisions.len());
        let (mut lenient, replayed) = Replayer::lenient(decisions);
        let ran = run_program(&program, &mut lenient);
        assert_ne!(ran.ended, Ended::Fault, "a thread is next that cannot be");
        // What it did is a recording, too.
        let (again, _) = strictly(&program, replayed.met());
        same(&again, &ran);
    }
}

/// Two runs did the same. The bound limits how often the policy is asked. A replay asks it less
/// often, so there the bound comes at another place.
fn same(one: &Ran, other: &Ran) {
    if one.ended == Ended::Bound || other.ended == Ended::Bound {
        let both = one.trace.len().min(other.trace.len());
        assert_eq!(one.trace[..both], other.trace[..both]);
    } else {
        assert_eq!(one, other);
    }
}
