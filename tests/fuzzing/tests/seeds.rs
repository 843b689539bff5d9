//! The seeds that a program makes. `fuzz/seeds` has these, and others that a fuzzer found or that
//! were written by hand. `FUZZ_WRITE_SEEDS=1` writes them.
#![cfg(feature = "runtime")]

use std::fs;

use fuzzing::{adapter, driver, printer};
use integration_tests::debug_info::{line_table, mangled_bomb, nested};

type Seeds = Vec<(String, Vec<u8>)>;

/// Debug information, and names.
fn of_printer() -> Seeds {
    let names = |name: &str| {
        let mut of_functions = vec![1, 0, name.len() as u8];
        of_functions.extend(name.as_bytes());
        let mut section = vec![1, of_functions.len() as u8];
        section.extend(of_functions);
        ("name", section)
    };
    let with = |mut sections: Vec<_>, name: &str| {
        sections.push(names(name));
        printer::encode(&sections)
    };
    let module =
        integration_tests::debug_info::trapping("_ZN3foo17h05af221e174051e9E", &nested(1, true));
    vec![
        ("inlined".into(), with(nested(5, true), "f")),
        ("nested".into(), with(nested(9, false), "f")),
        ("lines".into(), with(line_table(6, 4), "_ZN1a1bEi")),
        (
            "escapes".into(),
            with(Vec::new(), "\u{1b}]0;a\u{7}\u{202e}b"),
        ),
        ("mangled".into(), mangled_bomb().into_bytes()),
        ("module".into(), module),
    ]
}

/// Modules as they are, plans, and choices.
fn of_rewrite() -> Seeds {
    let raw = |text: &str| {
        let mut bytes = vec![0, 0];
        bytes.extend(wat::parse_str(text).expect("a module"));
        bytes
    };
    let all = "(module (memory (export \"memory\") 1 1 shared) (memory 1)
        (func $start) (start $start) (data \"passive\")
        (func (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const 0)))
          (memory.fill (i32.const 0) (i32.const 1) (i32.const 5000))
          (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 3))
          (memory.copy 0 1 (i32.const 0) (i32.const 9) (i32.const 70000))
          (drop (memory.atomic.notify offset=300 (i32.const 8) (i32.const 1))))
        (@custom \"kept\" (after code) \"twelve bytes\"))";
    let mut seeds = vec![
        ("all".into(), raw(all)),
        ("empty".into(), raw("(module)")),
        ("component".into(), raw("(component)")),
    ];
    for number in 0..6_u8 {
        // A repeatable source of choices.
        let mut state = 0x2545_f491_u32 + u32::from(number);
        let mut bytes = vec![1 + number % 2, number * 4];
        bytes.extend((0..400).map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as u8
        }));
        seeds.push((format!("choices-{number}"), bytes));
    }
    seeds
}

fn of_table() -> Seeds {
    // Calls, with what each takes: see `table.rs`.
    let push = |kind: u8| [0, kind, 0, 0, 0];
    let held = [
        &[2][..],
        &push(0),
        &[10, 0, 0, 0, 1],
        &[15, 0, 0],
        &push(0),
        &push(1),
    ]
    .concat();
    let reused = [
        &[0][..],
        &push(0),
        &[14, 0, 0, 0],
        &push(0),
        &[10, 0, 0, 0, 0],
    ]
    .concat();
    let kin = [
        &[0][..],
        &push(1),
        &[6, 0, 5, 0, 0, 0],
        &[9, 0],
        &[14, 0, 0, 0],
        &[8, 1, 0],
    ]
    .concat();
    let full = [
        &[1][..],
        &[4, 1],
        &push(0),
        &push(0),
        &[12, 0, 0, 0, 9, 0, 0, 0, 1],
        &[3, 0],
    ]
    .concat();
    vec![
        ("held".into(), held),
        ("reused".into(), reused),
        ("kin".into(), kin),
        ("full".into(), full),
    ]
}

/// Files and lists as they are; of runs the policy, its seed, what a minimiser leaves out, and
/// plans.
fn of_replays() -> Seeds {
    let file = |decisions: &[&str]| {
        let header =
            r#"{"replay":1,"tool":"host 48.0.0","schedule":"pct:3:17","hashes":{"module":"2c26"}}"#;
        let end = r#"{"end":"returned","status":0,"points":61,"trace":"00000000000000ff"}"#;
        let lines = [&[header][..], decisions, &[end, ""]].concat();
        [&b"\0"[..], lines.join("\n").as_bytes()].concat()
    };
    let decisions = [
        r#"{"decision":1,"thread":0,"point":2,"why":"spawn","next":1,"early":false}"#,
        r#"{"decision":2,"thread":1,"point":3,"why":"sleep","next":2,"early":true}"#,
    ];
    let list = "\x01# a list\nharmless race_top:^seq_read$\nfile:/dlmalloc.c\nmutex:other\nfunction:a*b\n# xaab";
    let mut seeds = vec![
        ("file".into(), file(&[])),
        ("file-of-decisions".into(), file(&decisions)),
        ("list".into(), list.as_bytes().to_vec()),
    ];
    // Starts two threads, takes turns at words, sleeps, works for long, waits and notifies.
    let plans: [&[[u8; 2]]; 3] = [
        &[
            [7, 1],
            [7, 2],
            [2, 0],
            [0, 9],
            [4, 200],
            [2, 1],
            [6, 3],
            [2, 0],
            [3, 1],
        ],
        &[[2, 0], [6, 2], [2, 0], [0, 40], [5, 1], [2, 2]],
        &[[1, 150], [2, 0], [8, 0], [2, 1], [5, 2], [2, 0], [5, 1]],
    ];
    for kind in 0..4 {
        let mut bytes = vec![2, kind, 7, 0, 0, 0, 0, 0, 0, 0];
        if kind > 1 {
            bytes.insert(2, 3);
        }
        if kind > 2 {
            bytes.insert(3, 0);
        }
        bytes.push(1);
        bytes.extend(plans.join(&[9, 0]).concat());
        seeds.push((format!("run-{kind}"), bytes));
    }
    seeds
}

fn of_adapter() -> Seeds {
    let text = include_str!("../../../crates/p1-adapter/tests/fuzz/seeds.txt");
    let kinds = ["", "made-", "repeatable-", "taken-over-"];
    let mut seeds = Vec::new();
    for (kind, name) in kinds.iter().enumerate() {
        // Each host also with another memory than the last: an own one, then a shared one, ...
        let how = (4 * kind + kind) as u8;
        for (number, bytes) in adapter::encode(text, how).into_iter().enumerate() {
            seeds.push((format!("calls-{name}{number}"), bytes));
        }
    }
    seeds
}

/// Flags, a time limit, a limit of threads, then steps of eight bytes in plans of 16.
fn plans(front: [u8; 3], plans: &[&[[u8; 4]]]) -> Vec<u8> {
    let mut bytes = front.to_vec();
    for plan in plans {
        for step in 0..16 {
            bytes.extend(plan.get(step).unwrap_or(&[0; 4]));
            bytes.extend([0xff, 0x0f, 0, 0]);
        }
    }
    bytes
}

fn of_programs() -> Seeds {
    let waits = [2, 0, 0, 255];
    let exit_elsewhere = plans(
        [1, 0xe9, 4],
        &[&[[1, 1, 0, 0], waits], &[[5, 0, 0, 9], [10, 5, 0, 0]]],
    );
    let many = [
        [1, 1, 0, 0],
        [1, 2, 0, 0],
        [1, 2, 0, 0],
        [14, 4, 0, 20],
        waits,
    ];
    let mut seeds: Seeds = vec![
        ("exit-elsewhere".into(), exit_elsewhere),
        (
            "two-wait".into(),
            plans(
                [0, 0xf4, 4],
                &[&many, &[[5, 0, 0, 200], [10, 3, 0, 0]], &[waits]],
            ),
        ),
        (
            "deadlock".into(),
            plans([1, 31, 4], &[&[[1, 1, 0, 0], waits], &[[2, 1, 0, 255]]]),
        ),
        (
            "files".into(),
            plans(
                [0, 20, 4],
                &[
                    &[
                        [1, 1, 0, 0],
                        [7, 0, 1, 0],
                        [6, 0, 90, 0],
                        [21, 0, 0, 0],
                        [9, 0, 30, 0],
                        [26, 0, 0, 0],
                        [22, 0, 0, 0],
                        [8, 0, 0, 0],
                    ],
                    &[[7, 0, 1, 1], [6, 0, 90, 0], [20, 9, 0, 0], [13, 0, 0, 0]],
                ],
            ),
        ),
        (
            "trap".into(),
            plans(
                [2, 9, 4],
                &[
                    &[[1, 1, 0, 0], [23, 0, 0, 0]],
                    &[[12, 0, 0, 0], [11, 0, 0, 0]],
                ],
            ),
        ),
        (
            "spins".into(),
            plans(
                [0, 1, 4],
                &[&[[1, 1, 0, 0], [23, 0, 0, 0]], &[[23, 0, 0, 0]]],
            ),
        ),
        ("overflow".into(), plans([4, 9, 4], &[&[[24, 0, 0, 0]]])),
        (
            "panic".into(),
            plans([4, 9, 4], &[&[[1, 1, 0, 0], waits], &[[25, 1, 0, 0]]]),
        ),
        (
            "fail".into(),
            plans(
                [6, 9, 4],
                &[&[[1, 1, 0, 0], [27, 0, 9, 0]], &[[25, 0, 0, 0]]],
            ),
        ),
        (
            "cancel".into(),
            plans(
                [0, 9, 1],
                &[
                    &[
                        [16, 7, 0, 0],
                        [17, 1, 0, 0],
                        [1, 1, 0, 0],
                        [1, 1, 0, 0],
                        [15, 0, 0, 0],
                        waits,
                    ],
                    &[[19, 1, 0, 50], [27, 1, 50, 0], [18, 0, 0, 0]],
                ],
            ),
        ),
    ];
    // Three of them in each other way, of which the first byte has the number.
    let ways = [
        "observed", "fuel", "budget", "reactor", "reported", "async", "turns",
    ];
    for base in 0..3 {
        for (way, named) in ways.iter().enumerate() {
            let (name, mut bytes) = seeds[(base * 3 + way) % 10].clone();
            bytes[0] |= (way as u8 + 1) << 3;
            seeds.push((format!("{named}-{name}"), bytes));
        }
    }
    seeds
}

fn of_compiled() -> Seeds {
    vec![
        ("stamp".into(), vec![1, 0, 0, 0]),
        ("stamp-of-another".into(), vec![1, 2, 1, 0, 9, 0, 3, 1]),
        (
            "stamp-at-will".into(),
            [&[1, 1, 1, 1, 0, 0][..], &[0; 8], &[0xff; 4], &[0; 16]].concat(),
        ),
        ("behind-the-code".into(), vec![2, 0, 1, 3, 0, 3, 1]),
        ("in-the-code".into(), vec![2, 1, 0, 80, 0, 3, 1]),
        ("as-it-was".into(), vec![2, 2, 0]),
        ("entry".into(), vec![3, 3, 9, 0, 3, 1]),
        ("entry-packed".into(), vec![3, 2, 9, 0, 3, 1]),
        ("entry-of-anything".into(), vec![3, 0, 1, 2, 3]),
        ("any".into(), b"\0\x7fELF".to_vec()),
    ]
}

#[test]
fn the_seeds_are_those_that_are_made() {
    let write = std::env::var_os("FUZZ_WRITE_SEEDS").is_some();
    let all = [
        ("printer", of_printer()),
        ("rewrite", of_rewrite()),
        ("table", of_table()),
        ("replays", of_replays()),
        ("adapter", of_adapter()),
        ("programs", of_programs()),
        ("compiled", of_compiled()),
    ];
    for (target, seeds) in all {
        let folder = driver::folder(target);
        for (name, bytes) in seeds {
            let path = folder.join(name);
            if write {
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(&path, &bytes).expect("a seed");
            }
            let there =
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(
                there,
                bytes,
                "{}: write it anew with FUZZ_WRITE_SEEDS=1",
                path.display()
            );
        }
    }
}
