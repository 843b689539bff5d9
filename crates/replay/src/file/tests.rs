use proptest::prelude::*;

use super::*;
use crate::interface::Why;

fn decisions() -> impl Strategy<Value = Vec<Decision>> {
    let why = prop::sample::select(vec![
        Why::Start,
        Why::Atomic,
        Why::Access,
        Why::Loop,
        Why::Wait,
        Why::Notify,
        Why::HostCall,
        Why::Spawn,
        Why::Sleep,
        Why::Yield,
        Why::End,
    ]);
    let rest = (why, any::<u32>(), any::<bool>());
    prop::collection::btree_map((any::<u32>(), any::<u64>()), rest, 0..20).prop_map(|all| {
        let one = |((thread, point), (why, next, early))| Decision {
            thread,
            point,
            why,
            next,
            early,
        };
        all.into_iter().map(one).collect()
    })
}

fn replays() -> impl Strategy<Value = Replay> {
    let hashes = prop::collection::btree_map(any::<String>(), any::<String>(), 0..4);
    let header = (any::<String>(), any::<String>(), hashes);
    let end = (any::<String>(), any::<u8>(), any::<u64>(), any::<u64>());
    (header, decisions(), end).prop_map(|((tool, schedule, hashes), decisions, end)| {
        let mut header = Header::new(tool, schedule);
        header.hashes = hashes;
        Replay::new(header, decisions, End::new(end.0, end.1, end.2, end.3))
    })
}

fn written(replay: &Replay) -> Vec<u8> {
    let mut bytes = Vec::new();
    replay.write(&mut bytes).unwrap();
    bytes
}

fn fault(text: &str) -> String {
    Replay::read(text.as_bytes()).unwrap_err().to_string()
}

proptest! {
    #[test]
    fn what_was_written_is_read(replay in replays()) {
        prop_assert_eq!(&Replay::read(&*written(&replay)).unwrap(), &replay);
    }

    /// Any cut is an error.
    #[test]
    fn a_cut_is_found(replay in replays(), at in any::<prop::sample::Index>()) {
        let bytes = written(&replay);
        prop_assert!(Replay::read(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// Any bytes in place of some are read or refused, and what is read is written the same way as
    /// it is read again.
    #[test]
    fn odd_bytes_do_no_harm(replay in replays(), at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = written(&replay);
        let at = at.index(bytes.len());
        let to = (at + with.len()).min(bytes.len());
        bytes.splice(at..to, with);
        if let Ok(read) = Replay::read(&*bytes) {
            prop_assert_eq!(Replay::read(&*written(&read)).unwrap(), read);
        }
    }

    #[test]
    fn any_text(text in "[{}\":,a-z0-9 \n]{0,200}") {
        prop_assert!(Replay::read(text.as_bytes()).is_err());
    }
}

const HEADER: &str = r#"{"replay":1,"tool":"t","schedule":"random:1","hashes":{}}"#;
const ONE: &str = r#"{"decision":1,"thread":1,"point":12,"why":"atomic","next":2,"early":false}"#;
const TWO: &str = r#"{"decision":2,"thread":1,"point":13,"why":"host call","next":2,"early":true}"#;
const END: &str = r#"{"end":"returned","status":0,"points":61,"trace":"00000000000000ff"}"#;

#[test]
fn the_format() {
    let replay = Replay::read(format!("{HEADER}\n{ONE}\n{TWO}\n{END}\n").as_bytes()).unwrap();
    assert_eq!(replay.decisions.len(), 2);
    assert_eq!(replay.decisions[1].why, Why::HostCall);
    assert_eq!(replay.end, End::new("returned", 0, 61, 255));
    let text = String::from_utf8(written(&replay)).unwrap();
    assert_eq!(text, format!("{HEADER}\n{ONE}\n{TWO}\n{END}\n"));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cut = "the file is cut short: its last line, with `end`, is missing";
    for (lines, message) in [
        (vec![], format!("line 1: {cut}")),
        (vec![HEADER], format!("line 2: {cut}")),
        (vec![HEADER, ONE], format!("line 3: {cut}")),
        (
            vec!["{}"],
            "line 1: missing field `replay` (column 2)".into(),
        ),
        (
            vec![r#"{"replay":2,"more":1}"#],
            "line 1: the format is version 2, and only version 1 can be read".into(),
        ),
        (
            vec![r#"{"replay":1,"tool":"t","schedule":"x","hashes":{},"more":1}"#],
            "line 1: unknown field `more`, expected one of `replay`, `tool`, `schedule`, `hashes` (column 56)".into(),
        ),
        (
            vec![HEADER, "", END],
            "line 2: EOF while parsing a value (column 0)".into(),
        ),
        (
            vec![HEADER, TWO, END],
            "line 2: decision 1 should come here, not 2".into(),
        ),
        (
            vec![HEADER, ONE, &TWO.replace("13", "12"), END],
            "line 3: thread 1 has a decision at its point 12 already, on line 2".into(),
        ),
        (
            vec![HEADER, &ONE.replace("atomic", "whim"), END],
            "line 2: `whim` is no reason for a stop".into(),
        ),
        (
            vec![HEADER, &ONE.replace("12", "-1"), END],
            "line 2: invalid value: integer `-1`, expected u64 (column 35)".into(),
        ),
        (
            vec![HEADER, &END.replace("00000000000000ff", "ff")],
            "line 2: `ff` is no trace hash, which has 16 hexadecimal digits".into(),
        ),
        (
            vec![HEADER, &END.replace("00000000000000ff", "+0000000000000ff")],
            "line 2: `+0000000000000ff` is no trace hash, which has 16 hexadecimal digits".into(),
        ),
        (
            vec![HEADER, END, ONE],
            "line 3: nothing may follow the line with `end`".into(),
        ),
    ] {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(fault(&text), message, "{text}");
    }
    assert_eq!(
        fault(&format!("{HEADER}\n{END}")),
        "line 2: the file is cut short within this line"
    );
    assert_eq!(
        fault(&"x".repeat(2 << 20)),
        "line 1: it is longer than 1048576 bytes"
    );
}

#[test]
fn differences_are_named() {
    let header = |tool: &str, hashes: &[(&str, &str)]| {
        let mut header = Header::new(tool, "pos:1");
        let owned = hashes
            .iter()
            .map(|(name, hash)| ((*name).into(), (*hash).into()));
        header.hashes = owned.collect();
        header
    };
    let one = header("1", &[("module", "a"), ("input", "b"), ("arguments", "c")]);
    assert!(one.differences(&one).is_empty());
    let two = header("2", &[("module", "a"), ("input", "x"), ("folders", "d")]);
    assert_eq!(
        one.differences(&two),
        ["tool", "arguments", "folders", "input"]
    );
}
