//! Compiles a module for hosts that have no compiler, such as the example `load`.
//!
//! ```sh
//! cargo run --release -p wasi-threads --example precompile MODULE.wasm MODULE.cwasm
//! ```

use std::error::Error;

use wasi_threads::prepare;
use wasmtime::{Config, Engine};

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (files.next(), files.next()) else {
        return Err("two files are needed: the module, and what it is to become".into());
    };
    // Engines that load it must have these settings, too. What is off may be missing in their
    // wasmtime.
    let mut config = Config::new();
    config
        .shared_memory(true)
        .epoch_interruption(true)
        .gc_support(false)
        .wasm_exceptions(false)
        .wasm_component_model(false);
    let engine = Engine::new(&config)?;
    // Bytes or text: `wat` takes both.
    let module = prepare(&engine, &wat::parse_file(from)?)?;
    std::fs::write(to, module.serialize()?)?;
    Ok(())
}
