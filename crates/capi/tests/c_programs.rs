//! The programs in C and Python of `examples/`, built and run as a user would, and what they print;
//! and one in C that makes every mistake a caller may make.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The crate's folder.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The shared library, which was built with this test.
#[cfg(not(target_feature = "crt-static"))]
fn shared_library() -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let file = format!("{DLL_PREFIX}wasi_threads_c{DLL_SUFFIX}");
    let library = std::env::current_exe().unwrap().with_file_name(file);
    assert!(library.exists(), "{library:?}");
    library
}

#[cfg(not(target_feature = "crt-static"))]
const CC: &str = "cc";

/// Links a program with the shared library.
#[cfg(not(target_feature = "crt-static"))]
fn link(object: &Path, program: &Path) {
    let library = shared_library();
    let folder = library.parent().unwrap();
    let mut cc = Command::new(CC);
    cc.arg(object)
        .arg("-L")
        .arg(folder)
        .arg(format!("-Wl,-rpath,{}", folder.display()))
        .args(["-lwasi_threads_c", "-lpthread", "-o"])
        .arg(program);
    run(&mut cc);
}

#[cfg(target_feature = "crt-static")]
const CC: &str = "musl-gcc";

/// Links a program with the static library, with the features of the tests' build: a C library that
/// is linked statically (musl's) has no shared ones beside it. The musl is Rust's, because that of
/// the system may be older than what Rust's standard library calls.
#[cfg(target_feature = "crt-static")]
fn link(object: &Path, program: &Path) {
    // Of target/TARGET/debug/deps/NAME.
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let folder = profile.parent().unwrap();
    let target = folder.file_name().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--offline", "--workspace"])
        .args(["--example", "static_library", "--target"])
        .arg(target)
        .args(["--features", "wasi-threads-c/static-library"])
        .current_dir(Path::new(HERE).join("../.."))
        .env("CARGO_TARGET_DIR", folder.parent().unwrap());
    run(&mut cargo);
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--print", "target-libdir", "--target"])
        .arg(target);
    let libraries = String::from_utf8(output(&mut rustc).stdout).unwrap();
    let musl = Path::new(libraries.trim()).join("self-contained");
    let mut cc = Command::new("cc");
    cc.args(["-static", "-nostdlib", "-o"]).arg(program);
    cc.args(["crt1.o", "crti.o"].map(|name| musl.join(name)));
    cc.arg(object).arg("-Wl,--start-group");
    cc.arg(profile.join("examples/libstatic_library.a"));
    cc.args(["libunwind.a", "libc.a"].map(|name| musl.join(name)));
    cc.args(["-lgcc", "-Wl,--end-group"])
        .arg(musl.join("crtn.o"));
    run(&mut cc);
}

fn output(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn run(command: &mut Command) {
    let said = output(command);
    assert!(said.status.success(), "{said:?}");
}

/// Compiles a program of C, without a warning, and links it with the library.
fn compiled(source: &str, to: &Path) -> PathBuf {
    let (object, program) = (to.join("program.o"), to.join("program"));
    let mut cc = Command::new(CC);
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(Path::new(HERE).join("include"))
        .arg(concat!("-DMAJOR=", env!("CARGO_PKG_VERSION_MAJOR")))
        .arg(Path::new(HERE).join(source))
        .args(["-c", "-o"])
        .arg(&object);
    run(&mut cc);
    link(&object, &program);
    program
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The line of the program itself, without its time, then the lines of its host.
fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "", "{output:?}");
    let said = text(&output.stdout);
    said.lines()
        .map(|line| line.split(" in ").next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_program_in_c_runs_the_example() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled("examples/primes.c", folder.path());
    let guest = Path::new(HERE).join("../../examples/primes.wat");
    let said = output(Command::new(&program).arg(&guest).args(["3", "1000"]));
    assert_eq!(
        lines(&said),
        [
            "168 primes below 1000, counted by 3 threads",
            "the program returned",
            "found, says the memory: 168",
            "beyond it: 1 bytes at 65536 are not inside of a memory of 65536",
        ]
    );
    let said = output(Command::new(&program).arg(&guest).arg("0"));
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(
        text(&said.stdout).starts_with("the program exited with status 1\n"),
        "{said:?}"
    );
    let said = output(Command::new(&program).arg("no/such/file"));
    assert_eq!(
        text(&said.stderr),
        "primes: cannot read `no/such/file`: No such file or directory (os error 2)\n"
    );
}

// Python loads a shared library.
#[cfg(not(target_feature = "crt-static"))]
#[test]
fn a_program_in_python_runs_the_example() {
    let mut python = Command::new("python3");
    python
        .arg(Path::new(HERE).join("examples/primes.py"))
        .arg(shared_library())
        .arg(Path::new(HERE).join("../../examples/primes.wat"))
        .args(["3", "1000"]);
    assert_eq!(
        lines(&output(&mut python)),
        [
            "as it should: cannot read `no/such/file`: No such file or directory (os error 2)",
            "it printed: 168 primes below 1000, counted by 3 threads",
            "the program returned",
            "found, says the memory: 168",
        ]
    );
}

/// `tests/everything.c` calls each function, also with wrong arguments, and returns the line of the
/// first check that fails.
#[test]
fn every_function_does_what_the_header_says() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled("tests/everything.c", folder.path());
    let said = output(Command::new(&program).arg(folder.path()));
    assert!(said.status.success(), "{said:?}");
    assert_eq!(text(&said.stdout), "everything is as it should be\n");
}

/// A compiler of C++ accepts the header too.
#[test]
fn a_compiler_of_cpp_takes_the_header() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("it.cpp");
    std::fs::write(
        &source,
        "#include \"wasi_threads.h\"\nint main() { wt_engine_delete(nullptr); }\n",
    )
    .unwrap();
    // The driver `cc` compiles a file that ends in `.cpp` as C++, if it can.
    let mut cc = Command::new("cc");
    cc.args(["-fsyntax-only", "-Wall", "-Werror", "-I"])
        .arg(Path::new(HERE).join("include"))
        .arg(&source);
    let said = output(&mut cc);
    let lacks = text(&said.stderr).contains("cc1plus");
    assert!(said.status.success() || lacks, "{said:?}");
}
