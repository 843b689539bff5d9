#!/usr/bin/env bash
# Tests the crates that run on every system of Rust's: table-sync and memory-waits, whose parts for
# one system have a counterpart for all others. With a target, for which nothing can run here, it
# checks them for that target, and the other crates that need no Wasmtime. What the rest needs on
# which system is in docs/platforms.md.
#
# usage: scripts/portable.sh             on this system
#        scripts/portable.sh TARGET      aarch64-apple-darwin, x86_64-unknown-freebsd, ...
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$#" -eq 0 ]; then
  exec cargo test --locked --no-fail-fast --package table-sync --package memory-waits
fi
rustup target add "$1"
cargo check --locked --target "$1" --package table-sync --package memory-waits --package interruptible-wasm \
  --package wasm-symbols --package replay-threads
