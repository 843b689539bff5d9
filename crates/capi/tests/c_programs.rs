//! The programs in C and Python of `examples/`, built and run as a user would, and what they print;
//! and one in C that makes every mistake a caller may make.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The crate's folder.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The folder of the library that was built with this test.
fn library_folder() -> PathBuf {
    let folder = std::env::current_exe().unwrap();
    let folder = folder.parent().unwrap().to_owned();
    assert!(folder.join(library()).exists(), "{folder:?}");
    folder
}

fn library() -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    format!("{DLL_PREFIX}wasi_threads_c{DLL_SUFFIX}")
}

fn output(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Compiles a program of C, without a warning, against the shared library.
fn compiled(source: &str, to: &Path) -> PathBuf {
    let folder = library_folder();
    let program = to.join("program");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(Path::new(HERE).join("include"))
        .arg(concat!("-DMAJOR=", env!("CARGO_PKG_VERSION_MAJOR")))
        .arg(Path::new(HERE).join(source))
        .arg("-L")
        .arg(&folder)
        .arg(format!("-Wl,-rpath,{}", folder.display()))
        .args(["-lwasi_threads_c", "-lpthread", "-o"])
        .arg(&program);
    let said = output(&mut cc);
    assert!(said.status.success(), "{said:?}");
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

#[test]
fn a_program_in_python_runs_the_example() {
    let mut python = Command::new("python3");
    python
        .arg(Path::new(HERE).join("examples/primes.py"))
        .arg(library_folder().join(library()))
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
