//! A prepared module: what is known of it, and that this survives a file.

#[path = "../../../../tests/support/emulated.rs"]
mod emulated;
mod module;
mod precompiled;

use wasmtime::{Config, Engine, Module};

/// An engine with all features that the tests' modules use.
fn engine() -> Engine {
    let mut config = Config::new();
    config
        .shared_memory(true)
        .wasm_threads(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_custom_page_sizes(true)
        .memory_reservation(1 << 20)
        .cranelift_opt_level(wasmtime::OptLevel::None);
    Engine::new(&config).expect("an engine")
}

/// The bytes of a module in the text format.
fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a module in the text format")
}

// `Module::deserialize` is unsafe: it trusts the bytes, here its own.
#[allow(unsafe_code)]
fn load(engine: &Engine, bytes: &[u8]) -> Module {
    // SAFETY: the bytes come from `Module::serialize` of this very process, and
    // nothing has changed them.
    unsafe { Module::deserialize(engine, bytes) }.expect("a module wasmtime wrote")
}
