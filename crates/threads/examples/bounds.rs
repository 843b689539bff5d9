//! How long the operations take that nothing interrupts: those on tables and on garbage-collected
//! arrays. An end waits for one of them at most, so this is by how much a guest can delay it, and
//! what `Limits::table_elements` has to be for an end in time.
//!
//! ```sh
//! cargo run --release -p wasi-threads --example bounds [MILLIONS]
//! ```
//!
//! Prints a Markdown table: the time of one operation on so many million elements (default 16),
//! first and second time, and per million.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasi_threads::{Limits, Outcome, ThreadGroup, prepare};
use wasmtime::{Config, Engine, Linker};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Name, definitions, and the operation on `$n` elements; `$k` counts the runs.
const OPERATIONS: [(&str, &str, &str); 9] = [
    (
        "`table.grow`, funcref",
        "(table $t 0 funcref)",
        "(if (i32.lt_s (table.grow $t (ref.null func) (local.get $n)) (i32.const 0)) (then (unreachable)))",
    ),
    (
        "`table.fill`, funcref",
        "(table $t {N} funcref)",
        "(table.fill $t (i32.const 0) (ref.func $operation) (local.get $n))",
    ),
    (
        "`table.copy`, funcref",
        "(table $t {N} funcref) (table $u {N} funcref)",
        "(table.copy $t $u (i32.const 0) (i32.const 0) (local.get $n))",
    ),
    (
        "`table.copy`, externref",
        "(table $t {N} externref) (table $u {N} externref)",
        "(table.copy $t $u (i32.const 0) (i32.const 0) (local.get $n))",
    ),
    (
        "`table.fill`, externref",
        "(table $t {N} externref)",
        "(table.fill $t (i32.const 0) (ref.null extern) (local.get $n))",
    ),
    (
        "`array.new_default`, i8",
        "(type $a (array (mut i8)))",
        "(drop (array.new_default $a (local.get $n)))",
    ),
    (
        "`array.fill`, i8",
        "(type $a (array (mut i8))) (global $g (mut (ref null $a)) (ref.null $a))",
        "(if (i32.eqz (local.get $k)) (then (global.set $g (array.new_default $a (local.get $n)))))
         (array.fill $a (global.get $g) (i32.const 0) (i32.const 7) (local.get $n))",
    ),
    (
        "`array.copy`, i8",
        "(type $a (array (mut i8))) (global $g (mut (ref null $a)) (ref.null $a))
         (global $h (mut (ref null $a)) (ref.null $a))",
        "(if (i32.eqz (local.get $k)) (then
           (global.set $g (array.new_default $a (local.get $n)))
           (global.set $h (array.new_default $a (local.get $n)))))
         (array.copy $a $a (global.get $g) (i32.const 0) (global.get $h) (i32.const 0) (local.get $n))",
    ),
    (
        "`array.fill`, anyref",
        "(type $a (array (mut anyref))) (global $g (mut (ref null $a)) (ref.null $a))",
        "(if (i32.eqz (local.get $k)) (then (global.set $g (array.new_default $a (local.get $n)))))
         (array.fill $a (global.get $g) (i32.const 0) (ref.i31 (i32.const 7)) (local.get $n))",
    ),
];

/// The times of the operation, run twice in a group.
fn measure(engine: &Engine, definitions: &str, operation: &str, n: u32) -> Result<[Duration; 2]> {
    let definitions = definitions.replace("{N}", &n.to_string());
    let text = format!(
        r#"(module
             (import "host" "mark" (func $mark))
             {definitions}
             (elem declare func $operation)
             (func $operation (param $n i32) (param $k i32) {operation})
             (func (export "_start")
               (call $mark) (call $operation (i32.const {n}) (i32.const 0))
               (call $mark) (call $operation (i32.const {n}) (i32.const 1)) (call $mark)))"#
    );
    let module = prepare(engine, &wat::parse_str(text)?)?;
    let marks = Arc::new(Mutex::new(Vec::new()));
    let mut linker = Linker::new(engine);
    let marking = Arc::clone(&marks);
    linker.func_wrap("host", "mark", move || {
        marking.lock().expect("no panic").push(Instant::now());
    })?;
    let group = ThreadGroup::builder(engine, &module, linker)
        .limits(Limits::new().timeout(Duration::from_secs(300)))
        .state(|_| ())
        .build()?;
    let outcome = group.run("_start")?;
    if !matches!(outcome, Outcome::Returned) {
        return Err(format!("{outcome:?}").into());
    }
    let marks = marks.lock().expect("no panic");
    Ok([marks[1] - marks[0], marks[2] - marks[1]])
}

fn main() -> Result<()> {
    let millions = std::env::args().nth(1);
    let millions: u32 = millions.map_or(Ok(16), |text| text.parse())?;
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_function_references(true)
        .wasm_gc(true);
    let engine = Engine::new(&config)?;
    println!("| operation on {millions} million elements | first | second | each million |");
    println!("|---|---:|---:|---:|");
    for (name, definitions, operation) in OPERATIONS {
        let times = measure(&engine, definitions, operation, millions * 1_000_000)?;
        let each = times[0].max(times[1]) / millions;
        println!(
            "| {name} | {:.1?} | {:.1?} | {each:.2?} |",
            times[0], times[1]
        );
    }
    Ok(())
}
