//! A trap in a rewritten module names file and line.

use std::path::{Path, PathBuf};
use std::process::Command;

use interruptible_wasm::rewrite;
use wasmtime::{
    Config, Engine, Instance, Linker, MemoryType, Module, SharedMemory, Store, Trap, WasmBacktrace,
};

use super::both::bind;

/// The functions stand one after the other, with a wait and a long fill between
/// those that trap, so that any shift would show in the lines.
const SOURCE: &str = r#"
__attribute__((noinline)) static int first(int *word) {
  return __builtin_wasm_memory_atomic_wait32(word, 0, 0);
}

__attribute__((noinline)) static unsigned second(int *word, unsigned length) {
  __builtin_memset(word, 0, length);
  return __builtin_wasm_memory_atomic_notify(word + 3, 1);
}

__attribute__((noinline)) static int divides(int a, int b) {
  return a
    / b;
}

__attribute__((noinline)) static void dies(volatile int *word) {
  word[0] = 7;
  word[0x7fffff0] = 8;
  word[1] = 9;
}

__attribute__((export_name("divide"))) int divide(int *word, int a, int b) {
  second(word, b);
  int sum = first(word) +
    divides(a, b);
  return sum;
}

__attribute__((export_name("die"))) void die(int *word) {
  second(word, 8);
  dies(word);
  first(word);
}

__attribute__((export_name("misaligned"))) int misaligned(int word) {
  return
    first((int *)word);
}
"#;

/// A folder of one test's files, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("rewrite-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test's files");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn compile(name: &str, code: &str) -> Vec<u8> {
    let scratch = Scratch::new(name);
    let source = scratch.0.join("guest.c");
    let output = scratch.0.join("guest.wasm");
    std::fs::write(&source, code).expect("the source is written");
    let clang = Command::new("clang-19")
        .args(["--target=wasm32", "-g", "-O1", "-matomics", "-mbulk-memory"])
        .args([
            "-nostdlib",
            "-Wl,--no-entry,--shared-memory,--import-memory",
        ])
        .args(["-Wl,--max-memory=131072", "-fno-optimize-sibling-calls"])
        .arg("-fdebug-prefix-map=.=.")
        .arg(&source)
        .arg("-o")
        .arg(&output)
        .output();
    let clang = match clang {
        Ok(clang) => clang,
        Err(error) => panic!("clang-19: {error} (packages: clang-19 and lld-19)"),
    };
    assert!(
        clang.status.success(),
        "{} (packages: clang-19 and lld-19)",
        String::from_utf8_lossy(&clang.stderr)
    );
    std::fs::read(&output).expect("what clang wrote")
}

/// A frame of a backtrace: function, file, line, offset in the code section.
type Frame = (String, String, u32, i64);

fn frames(error: &wasmtime::Error, appended_from: u32, code_at: i64) -> Vec<Frame> {
    let trace = error
        .downcast_ref::<WasmBacktrace>()
        .expect("a wasm backtrace");
    trace
        .frames()
        .iter()
        .filter(|frame| frame.func_index() < appended_from)
        .map(|frame| {
            let symbol = frame.symbols().first().expect("a symbol");
            let file = Path::new(symbol.file().expect("a file"));
            (
                frame.func_name().unwrap_or("?").to_owned(),
                file.file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                symbol.line().expect("a line"),
                frame.module_offset().expect("an offset") as i64 - code_at,
            )
        })
        .collect()
}

fn code_begins(bytes: &[u8]) -> i64 {
    wasmparser::Parser::new(0)
        .parse_all(bytes)
        .find_map(|payload| match payload.expect("a valid module") {
            wasmparser::Payload::CodeSectionStart { range, .. } => Some(range.start as i64),
            _ => None,
        })
        .expect("a code section")
}

fn line_of(text: &str) -> u32 {
    let line = SOURCE.lines().position(|line| line.contains(text));
    line.expect("a line of the source") as u32 + 1
}

/// The error of a call that ends in `trap`.
fn trapped(
    engine: &Engine,
    module: &[u8],
    export: &str,
    trap: &Trap,
    bind: impl FnOnce(&mut Store<()>, Instance),
) -> wasmtime::Error {
    let module = Module::from_binary(engine, module).expect("a module that compiles");
    let mut store = Store::new(engine, ());
    let mut linker = Linker::new(engine);
    let memory = SharedMemory::new(engine, MemoryType::shared(2, 2)).expect("a shared memory");
    linker
        .define(&store, "env", "memory", memory)
        .expect("a new name");
    linker
        .define_unknown_imports_as_traps(&module)
        .expect("new names");
    let instance = linker
        .instantiate(&mut store, &module)
        .expect("an instance");
    bind(&mut store, instance);
    let function = instance
        .get_func(&mut store, export)
        .expect("an exported function");
    let ty = function.ty(&store);
    let mut params = vec![wasmtime::Val::I32(0); ty.params().len()];
    params[0] = wasmtime::Val::I32(if export == "misaligned" {
        66_002
    } else {
        66_000
    });
    let mut results = vec![wasmtime::Val::I32(0); ty.results().len()];
    let error = function
        .call(&mut store, &params, &mut results)
        .expect_err("a trap");
    assert_eq!(error.downcast_ref::<Trap>(), Some(trap), "{error:?}");
    error
}

#[test]
fn traps_name_the_line_they_were_on() {
    let bytes = compile("dwarf", SOURCE);
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert_eq!((after.wait_sites, after.bulk_sites), (2, 1));
    assert!(after.code_offsets_kept);
    let begins = code_begins(&bytes);
    assert_eq!(code_begins(&after.bytes), begins + after.code_file_shift);
    assert_ne!(after.code_file_shift, 0);
    let appended = after.first_appended_function.expect("appended functions");

    let mut config = Config::new();
    config
        .shared_memory(true)
        .wasm_threads(true)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Enable);
    let engine = Engine::new(&config).expect("an engine");
    for (export, trap, expected) in [
        (
            "divide",
            Trap::IntegerDivisionByZero,
            vec![("divides", "    / b;"), ("divide", "    divides(a, b);")],
        ),
        (
            "die",
            Trap::MemoryOutOfBounds,
            vec![("dies", "word[0x7fffff0]"), ("die", "  dies(word);")],
        ),
        (
            "misaligned",
            Trap::HeapMisaligned,
            vec![
                ("first", "return __builtin_wasm_memory_atomic_wait32"),
                ("misaligned", "    first((int *)word);"),
            ],
        ),
    ] {
        let mut traces = Vec::new();
        for (module, code_at, rewritten) in [
            (&bytes[..], begins, false),
            (&after.bytes, begins + after.code_file_shift, true),
        ] {
            let error = trapped(&engine, module, export, &trap, |store, instance| {
                if rewritten {
                    bind(&after, store, instance);
                }
            });
            traces.push(frames(&error, appended, code_at));
        }
        assert_eq!(traces[0], traces[1], "{export}: offsets, names and lines");
        let found: Vec<_> = traces[1]
            .iter()
            .map(|(name, file, line, _)| (name.as_str(), file.as_str(), *line))
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, text)| (name, "guest.c", line_of(text)))
            .collect();
        assert_eq!(found, expected, "{export}");
    }
}

/// So many functions that a call of what was appended has no room in the place of a `memory.fill`.
#[test]
fn traps_are_found_where_they_were_although_code_grew() {
    let imports: String = (0..16_384)
        .map(|n| {
            format!(
                "__attribute__((import_module(\"m\"), import_name(\"{n}\"))) void m{n}(void);\n"
            )
        })
        .collect();
    let calls: String = (0..16_384).map(|n| format!("m{n}();\n")).collect();
    let source =
        format!("{SOURCE}{imports}__attribute__((export_name(\"all\"))) void all() {{\n{calls}}}");
    let bytes = compile("grown", &source);
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert_eq!((after.wait_sites, after.bulk_sites), (2, 1));
    assert!(!after.code_offsets_kept && !after.code_map.is_one_run());
    let appended = after.first_appended_function.expect("appended functions");
    let mut config = Config::new();
    config
        .shared_memory(true)
        .wasm_threads(true)
        .cranelift_opt_level(wasmtime::OptLevel::None);
    let engine = Engine::new(&config).expect("an engine");
    let mut moved = 0;
    for (export, trap) in [
        ("divide", Trap::IntegerDivisionByZero),
        ("die", Trap::MemoryOutOfBounds),
        ("misaligned", Trap::HeapMisaligned),
    ] {
        let offsets = |error: &wasmtime::Error| -> Vec<(u32, u64)> {
            let trace = error
                .downcast_ref::<WasmBacktrace>()
                .expect("a wasm backtrace");
            let of_the_guest = trace.frames().iter();
            of_the_guest
                .filter(|frame| frame.func_index() < appended)
                .map(|frame| {
                    let offset = frame.module_offset().expect("an offset");
                    (frame.func_index(), offset as u64)
                })
                .collect()
        };
        let was = offsets(&trapped(&engine, &bytes, export, &trap, |_, _| ()));
        let is = trapped(&engine, &after.bytes, export, &trap, |store, instance| {
            bind(&after, store, instance);
        });
        let is = offsets(&is);
        let back: Vec<_> = is
            .iter()
            .map(|(function, offset)| (*function, after.code_map.original(*offset)))
            .collect();
        let expected: Vec<_> = was.iter().map(|(f, at)| (*f, Some(*at))).collect();
        assert_eq!(back, expected, "{export}");
        let shift = |one: &(u32, u64), other: &(u32, u64)| other.1 - one.1;
        let shifts = was.iter().zip(&is).map(|(one, other)| shift(one, other));
        moved += shifts
            .filter(|shift| *shift as i64 != after.code_file_shift)
            .count();
    }
    assert!(moved > 0, "each of them was before the fill");
}
