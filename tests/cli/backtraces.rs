//! Backtraces: as Wasmtime prints them, with files and lines, and within bounds whatever the module
//! has in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use integration_tests::debug_info::{line_table, mangled_bomb, nested, trapping};
use integration_tests::{Finished, Guest, Program, TRAPPED, compiled_before, repository};
use wasi_threads::Termination;

use crate::program;

/// Kilobytes of memory that a run may write to. One beside a load has some stacks and a copy of the
/// module.
const MEMORY: usize = 512 << 10;

/// Runs the module where it has no more memory than that.
fn run(module: &[u8]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.wasm");
    std::fs::write(&path, module).unwrap();
    Program::new("sh")
        .arg("-c")
        .arg(format!("ulimit -d {MEMORY}; exec \"$@\""))
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .arg(&path)
        .timeout(Duration::from_secs(40))
        .run()
        .expect_code(TRAPPED)
        .expect_stderr(&["wasm `unreachable` instruction executed", "wasm backtrace:"])
}

/// The backtrace, and what is behind it.
fn backtrace(run: &Finished) -> &str {
    let said = run.stderr.split_once("wasm backtrace:\n");
    said.map_or("", |(_, backtrace)| backtrace)
}

/// (A shell bounds the memory.)
#[test]
#[cfg(unix)]
fn debug_information_beyond_measure() {
    let note = "note: functions, files or lines are missing here: its debug information nests too many \
                inlined functions\n";
    for (what, sections, expected) in [
        ("4,000 small entries", nested(4_000, false), "outer"),
        ("4,000", nested(4_000, true), note),
        ("100,000", nested(100_000, true), note),
        ("100,000 small entries", nested(100_000, false), note),
        ("a line table", line_table(1 << 20, 20_000), "ddd/f:8:0\n"),
    ] {
        let run = run(&trapping("hostile", &sections));
        let backtrace = backtrace(&run);
        assert!(backtrace.contains(expected), "{what}: {run}");
        let first = backtrace.lines().next().unwrap_or_default();
        // The address is Wasmtime's: where code has checks it names the instruction itself.
        let trap = ["    0:     0x31 - ", "    0:     0x30 - "];
        let trap = trap[usize::from(!Termination::CAN_EXIT)];
        assert!(first.starts_with(trap), "{what}: {run}");
        assert!(run.stderr.len() < 4_000, "{what}: {}", run.stderr.len());
        println!("{what}: {} bytes after {:?}", run.stderr.len(), run.elapsed);
    }
}

/// (A shell bounds the memory.)
#[test]
#[cfg(unix)]
fn names_beyond_measure() {
    let slow = format!("_Z1aNcv1xcl{}v", "cvT_Iinl".repeat(24));
    let escapes = "\u{1b}[31mred\u{1b}[0m\r\nerror: faked\u{202e}\u{200b}";
    let visible = r"\u{1b}[31mred\u{1b}[0m\r\nerror: faked\u{202e}\u{200b}";
    let long = "n".repeat(1 << 20);
    for (name, expected) in [
        (mangled_bomb().as_str(), "void f<a<int, int>, "),
        (&slow, "_Z1aNcv1xclcvT_Iinl"),
        (escapes, visible),
        (&long, "nnn...\n"),
    ] {
        // As a name, and as a path of debug information.
        let run = run(&trapping(name, &line_table(0, 1)));
        assert!(backtrace(&run).contains(expected), "{run}");
        assert!(run.stderr.len() < 4_000, "{}", run.stderr.len());
        let plain = |char: char| char == '\n' || (!char.is_control() && char != '\u{202e}');
        assert!(run.stderr.chars().all(plain), "{:?}", run.stderr);
        assert_eq!(
            run.stderr
                .lines()
                .filter(|line| line.starts_with("error"))
                .count(),
            1
        );
        println!(
            "{expected}: {} bytes after {:?}",
            run.stderr.len(),
            run.elapsed
        );
    }
}

/// What else is said of a module's names: one line, visible.
#[test]
fn names_in_other_messages() {
    let name = r"\1b[2J\0a\e2\80\ae";
    let visible = r"\u{1b}[2J\n\u{202e}";
    let import = format!(r#"(module (import "{name}" "{name}" (func)) (func (export "_start")))"#);
    let export = format!(r#"(module (func (export "{name}")))"#);
    // A missing name is named, a similar name is suggested, and a text that is no module is quoted.
    let call = format!(
        r#"(module (import "{name}" "{name}" (func $f)) (func (export "_start") call $f))"#
    );
    let alike = format!(r#"(module (import "{name}" "fd-read" (func)) (func (export "_start")))"#);
    let text = "(module\n  (func \u{1b}[2J\\n\u{202e} $x))".to_owned();
    for (module, args, status) in [
        (&import, "-", 1),
        (&import, "-W unknown-imports-trap -", 0),
        (&export, "--invoke none -", 1),
        (&import, "inspect -", 0),
        (&call, "-W unknown-imports-trap -", TRAPPED),
        (&alike, "-", 1),
        (&text, "-", 1),
    ] {
        let input = integration_tests::Input::Bytes(module.clone().into_bytes());
        let run = program().args(args).input(input).run();
        assert!(status == 0 || run.code() == status, "{run}");
        let said = format!("{}{}", run.stdout, run.stderr);
        let plain = |char: char| char == '\n' || (!char.is_control() && char != '\u{202e}');
        assert!(said.chars().all(plain), "{said:?}");
        // In the words of a trap, line ends are blanks; of a text, `wat` leaves out what changes
        // the order.
        let seen = [visible, r"\u{1b}[2J \u{202e}", r"\u{1b}[2J\n $x"];
        let seen = seen.iter().any(|name| said.contains(name));
        assert!(seen || (args.contains("trap") && status == 0), "{run}");
    }
    let long = format!(
        r#"(module (import "{}" "fd-read" (func)) (func (export "_start")))"#,
        "m".repeat(100_000)
    );
    let run = program().on_stdin(long).run().expect_code(1);
    assert!(run.stderr.len() < 10_000, "{} bytes", run.stderr.len());
    assert!(
        run.stderr
            .contains("here it is `wasi_snapshot_preview1.fd_read`"),
        "{run}"
    );
}

/// Debuggers print what a core dump calls its modules.
#[test]
fn names_in_core_dumps() {
    use wasmparser::{KnownCustom, Parser, Payload};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("core");
    program()
        .arg("-D")
        .arg(format!("coredump={}", path.display()))
        .on_stdin(r#"(module (@name "\1b[2J\0a\e2\80\ae") (func (export "_start") unreachable))"#)
        .run()
        .expect_code(TRAPPED);
    let dump = std::fs::read(&path).unwrap();
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&dump) {
        if let Payload::CustomSection(section) = payload.unwrap()
            && let KnownCustom::CoreDumpModules(modules) = section.as_known()
        {
            names.extend(modules.modules.iter().map(|name| (*name).to_owned()));
        }
    }
    assert_eq!(names, [r"\u{1b}[2J\n\u{202e}"]);
}

fn shapes(options: &str) -> PathBuf {
    let out = repository().join("target/guests");
    std::fs::create_dir_all(&out).unwrap();
    let name = options.replace(' ', "");
    let path = out.join(format!("shapes{name}.{}.wasm", std::process::id()));
    if let Some(before) = compiled_before(&out.join(format!("shapes{name}.wasm"))) {
        return before;
    }
    let compiled = Command::new("clang++-19")
        .args([
            "--target=wasm32",
            "-ffreestanding",
            "-nostdlib",
            "-fno-exceptions",
            "-fno-rtti",
        ])
        .arg("-Wl,--no-entry,--export-memory")
        .args(options.split(' '))
        .arg(repository().join("tests/guests/cpp/shapes.cpp"))
        .arg("-o")
        .arg(&path)
        .output()
        .unwrap_or_else(|e| panic!("clang++-19: {e}: install the packages clang-19 and lld-19"));
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    path
}

/// As Wasmtime prints the trap of `_start`, with its backtrace details on.
fn of_wasmtime(module: &Path) -> String {
    use wasmtime::{Config, Engine, Instance, Module, Store, WasmBacktrace, WasmBacktraceDetails};
    let mut config = Config::new();
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    let engine = Engine::new(&config).unwrap();
    let module = Module::from_file(&engine, module).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let start = instance
        .get_typed_func::<(), ()>(&mut store, "_start")
        .unwrap();
    let error = start.call(&mut store, ()).unwrap_err();
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap().to_string();
    backtrace.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn frames_are_those_of_wasmtime() {
    for options in ["-O0 -gdwarf-5", "-O1 -gdwarf-4", "-O2 -gdwarf-5", "-O2 -g0"] {
        let module = shapes(options);
        let run = program().arg(&module).run().expect_code(TRAPPED);
        let expected = of_wasmtime(&module);
        assert_eq!(backtrace(&run).trim_end(), expected, "{options}");
        // Compiled before, by this and by Wasmtime with what it takes to know lines.
        let compiled = module.with_extension("cwasm");
        program()
            .arg("compile")
            .arg(&module)
            .arg("-o")
            .arg(&compiled)
            .run()
            .expect_code(0);
        let ours = program()
            .args("--allow-precompiled")
            .arg(&compiled)
            .run()
            .expect_code(TRAPPED);
        assert_eq!(backtrace(&ours).trim_end(), expected, "{options}");
        let with = "--allow-precompiled";
        let mut config = wasmtime::Config::new();
        config.wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Enable);
        let engine = wasmtime::Engine::new(&config).unwrap();
        let bytes = std::fs::read(&module).unwrap();
        std::fs::write(&compiled, engine.precompile_module(&bytes).unwrap()).unwrap();
        let theirs = program()
            .args(with)
            .arg(&compiled)
            .run()
            .expect_code(TRAPPED);
        assert_eq!(backtrace(&theirs).trim_end(), expected, "{options}");
        std::fs::remove_file(&compiled).unwrap();
        std::fs::remove_file(&module).unwrap();
    }
}

/// Whatever the environment says, Wasmtime looks nothing up.
#[test]
fn the_environment_does_not_bring_wasmtimes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nested.wasm");
    std::fs::write(&path, trapping("f", &nested(100_000, false))).unwrap();
    program()
        .env("WASMTIME_BACKTRACE_DETAILS", "1")
        .arg(&path)
        .run()
        .expect_code(TRAPPED)
        .expect_stderr(&["wasm backtrace:"]);
}

#[test]
fn a_compiled_guest_knows_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("ending.cwasm");
    program()
        .arg("compile")
        .guest(&Guest::c("ending"))
        .arg("-o")
        .arg(&compiled)
        .run()
        .expect_code(0);
    for module in [compiled.as_path(), Guest::c("ending").path()] {
        program()
            .args("--allow-precompiled")
            .arg(module)
            .args("trap wait")
            .run()
            .expect_code(TRAPPED)
            .expect_stderr(&["error: thread 1 of", "ending.c:", "guest_thread_main"]);
    }
}

/// A Rust panic ends under frames of the standard library. A note says which frame is the program's
/// own.
#[test]
fn the_own_frame_of_a_panic_is_named() {
    let run = program()
        .on_stdin(
            r#"(module
              (func $abort unreachable)
              (func $__rust_start_panic call $abort)
              (func $_ZN3std9panicking11begin_panic17h0123456789abcdefE call $__rust_start_panic)
              (func $_ZN3app4work17h0123456789abcdefE
                call $_ZN3std9panicking11begin_panic17h0123456789abcdefE)
              (func (export "_start") call $_ZN3app4work17h0123456789abcdefE))"#
                .to_owned(),
        )
        .run()
        .expect_code(TRAPPED);
    let own = "\nnote: the first frame of the program's own is 3: app::work::h0123456789abcdef\n";
    assert!(run.stderr.ends_with(own), "{run}");
}

/// An error of instantiation has a backtrace, too: that of a start function, which Wasmtime runs
/// itself in a file that it compiled.
#[test]
fn a_start_function_that_traps_is_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("start.cwasm");
    for name in [mangled_bomb(), "\\1b[2J\\0a".to_owned()] {
        let text = format!(
            r#"(module (func $start (@name "{name}") unreachable) (start $start) (func (export "_start")))"#
        );
        let engine = wasmtime::Engine::new(wasmtime::Config::new().shared_memory(true)).unwrap();
        let compiled = engine
            .precompile_module(&wat::parse_str(text).unwrap())
            .unwrap();
        std::fs::write(&path, compiled).unwrap();
        let run = program().args("--allow-precompiled").arg(&path).run();
        assert!(run.stderr.contains("unreachable"), "{run}");
        assert!(run.stderr.len() < 4_000, "{} bytes", run.stderr.len());
        assert!(
            run.stderr
                .chars()
                .all(|char| char == '\n' || !char.is_control()),
            "{run}"
        );
    }
}
