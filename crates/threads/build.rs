//! Says which Wasmtime this is built with, where that makes a difference: the major version of the
//! crate is Wasmtime's.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(wasmtime_50)");
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").ok();
    // `sys/call_hook.rs`: a hook gets the store in another way. `sys/compiler.rs`: it looks for
    // vectors.
    if major.and_then(|major| major.parse().ok()) >= Some(50_u32) {
        println!("cargo::rustc-cfg=wasmtime_50");
    }
}
