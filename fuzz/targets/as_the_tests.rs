//! Tests nothing: see `Cargo.toml`.

fn main() {}
