//! Reports on many threads describe some and count the others, however much there is to say about
//! each.

use integration_tests::debug_info::{attached, unnamed};
use integration_tests::emulated::less;
use wasi_threads::Termination;

use crate::program;
use integration_tests::TRAPPED;

/// Frames of each thread.
const DEEP: usize = 60;

/// Main and `threads` more, each of them so deep in calls, wait for ever.
fn parked(threads: usize) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
          (import "env" "memory" (memory 1 1 shared))
          (export "memory" (memory 0))
          (func $deep (param $n i32)
            (if (local.get $n)
              (then (call $deep (i32.sub (local.get $n) (i32.const 1))) (return)))
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
          (func (export "wasi_thread_start") (param i32 i32) (call $deep (i32.const {DEEP})))
          (func (export "_start") (local $i i32)
            (loop $l
              (drop (call $spawn (i32.const 0)))
              (br_if $l (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const {threads}))))
            (call $deep (i32.const {DEEP}))))"#
    );
    wat::parse_str(text).unwrap()
}

/// Inlined functions without a name take no bytes in the module, and a line each in a backtrace.
/// Without a bound 4 KB print 44 MB.
#[test]
fn inlined_functions_of_many_threads() {
    let module = attached(parked(100), &unnamed(255, 1 << 20));
    assert!(module.len() < 5_000);
    for (args, what) in [
        ("", "wait for one another"),
        ("--deadlock off --timeout 3s", "timed out"),
    ] {
        let run = program()
            .args(args)
            .on_stdin(module.clone())
            .run()
            .expect_code(TRAPPED)
            .expect_stderr(&[what, "more to show than is printed"]);
        let bytes = run.stderr.len();
        println!("{what}: {bytes} bytes after {:?}", run.elapsed);
        assert!((500_000..2 << 20).contains(&bytes), "{what}: {bytes} bytes");
    }
}

/// How many threads have a line of their own.
fn described(stderr: &str) -> usize {
    let lines = stderr.lines();
    lines.filter(|line| line.starts_with("thread ")).count()
}

/// With epochs there were as many as there are threads.
#[test]
fn threads_beyond_a_hundred_are_counted() {
    let run = program().on_stdin(parked(130)).run().expect_code(TRAPPED);
    assert_eq!(described(&run.stderr), 100, "{run}");
    assert!(run.stderr.contains("\nand 31 more\n"), "{run}");
    assert!(run.stderr.contains("deadlock: 131 threads"), "{run}");
    // Windows has no signal that asks. Without epochs not every system can end threads.
    let asked: &[&str] = match (cfg!(unix), Termination::CAN_EXIT) {
        (true, true) => &["-W epoch-interruption", "-W epoch-interruption=n"],
        (true, false) => &["-W epoch-interruption"],
        (false, _) => &[],
    };
    // All threads have started by then.
    let timeout = less("5s", "60s");
    let ended = format!("timed out after {timeout}");
    for epochs in asked {
        let run = program()
            .args(epochs)
            .args(&format!("--deadlock off --timeout {timeout}"))
            .on_stdin(parked(130))
            .signal("QUIT")
            .run()
            .expect_code(TRAPPED)
            .expect_stderr(&[&ended]);
        let (_, at_end) = run.stderr.split_once(&ended).unwrap();
        assert_eq!(described(at_end), 100, "{run}");
        assert!(at_end.contains("\nand 31: "), "{run}");
    }
}
