//! What the README and the examples promise.

use crate::program;
use integration_tests::Guest;

#[test]
fn hello() {
    let run = program().guest(&Guest::wat("hello")).run().expect_code(0);
    assert_eq!(run.stdout, "hello, world\n");
    assert_eq!(run.stderr, "");
}

/// 148,933 primes lie below two million (OEIS A006880 has the powers of ten).
#[test]
fn primes() {
    let primes = Guest::file("examples/primes.wat");
    for (args, said) in [
        ("4", "148933 primes below 2000000, counted by 4 threads in "),
        ("1 10", "4 primes below 10, counted by 1 threads in "),
        (
            "64 100000",
            "9592 primes below 100000, counted by 64 threads in ",
        ),
    ] {
        let run = program().guest(&primes).args(args).run().expect_code(0);
        assert!(run.stdout.starts_with(said), "{run}");
        assert!(run.stdout.ends_with(" ms\n"), "{run}");
    }
    program()
        .guest(&primes)
        .args("0")
        .run()
        .expect_code(1)
        .expect_stderr(&["THREADS must be 1 to 64"]);
}

#[test]
fn mandelbrot() {
    let mandelbrot = Guest::compiled("examples/mandelbrot.c");
    let run = program()
        .guest(&mandelbrot)
        .args("3 24")
        .run()
        .expect_code(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 25, "{run}");
    assert!(lines[..24].iter().all(|line| line.len() == 48), "{run}");
    // The middle row runs through the set, the first one past it.
    assert!(lines[12].contains('@') && !lines[0].contains('@'), "{run}");
    // The set is symmetric about the row of y = 0, and so is the picture.
    assert!((1..12).all(|i| lines[12 - i] == lines[12 + i]), "{run}");
    assert!(lines[24].starts_with("24 rows by 3 threads in "), "{run}");
}
