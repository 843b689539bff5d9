//! What Wasmtime alone takes to call a host function that does nothing: the floor under every host
//! call.
//!
//! ```text
//! floor SIGNATURE CALLS
//! ```
//!
//! A letter of SIGNATURE is a parameter: `i` of 32 bits, `I` of 64. It prints what the guests of
//! the benches print: `NAME THREADS OPS NANOSECONDS CHECK`.

use std::time::Instant;

use wasmtime::error::Context;
use wasmtime::{Engine, Linker, Module, Result, Store, bail};

/// Defines the import as an empty function of one of these signatures.
macro_rules! define {
    ($linker:ident, $signature:ident, $($name:literal: ($($parameter:ty),*)),* $(,)?) => {
        match $signature {
            $($name => $linker.func_wrap("host", "empty", |$(_: $parameter),*| -> i32 { 0 })?,)*
            _ => bail!("no signature {:?}", $signature),
        }
    };
}

fn main() -> Result<()> {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let [signature, calls] = &typed[..] else {
        bail!("usage: floor SIGNATURE CALLS");
    };
    let signature = signature.as_str();
    let calls = calls.parse::<u32>().context("CALLS is a number")?;

    let engine = Engine::default();
    let mut linker: Linker<()> = Linker::new(&engine);
    define!(linker, signature,
        "": (),
        "ii": (i32, i32),
        "iii": (i32, i32, i32),
        "iIi": (i32, i64, i32),
        "IiI": (i64, i32, i64),
        "iiii": (i32, i32, i32, i32),
        "iiiii": (i32, i32, i32, i32, i32),
        "iiiIi": (i32, i32, i32, i64, i32),
        "iiiiii": (i32, i32, i32, i32, i32, i32),
    );
    let wide = |letter| letter == 'I';
    let kinds: String = signature
        .chars()
        .map(|letter| if wide(letter) { " i64" } else { " i32" })
        .collect();
    let values: String = signature
        .chars()
        .map(|letter| {
            if wide(letter) {
                "(i64.const 1)"
            } else {
                "(i32.const 1)"
            }
        })
        .collect();
    let text = format!(
        r#"(module
          (import "host" "empty" (func $empty (param{kinds}) (result i32)))
          (func (export "run") (param $left i32)
            (loop $again
              (drop (call $empty {values}))
              (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#
    );
    let module = Module::new(&engine, wat::parse_str(text)?)?;
    let mut store = Store::new(&engine, ());
    let run = linker
        .instantiate(&mut store, &module)?
        .get_typed_func::<u32, ()>(&mut store, "run")?;
    run.call(&mut store, calls / 10 + 1)?;
    let began = Instant::now();
    run.call(&mut store, calls.max(1))?;
    println!("empty 1 {} {} 0", calls.max(1), began.elapsed().as_nanos());
    Ok(())
}
