#!/bin/sh
# Checks that a host which only loads modules compiled elsewhere has no compiler in it. Builds such
# a host, and runs a module of two threads. The host is examples/load.rs in a package of its own,
# because an example has the features of all tests.
#
# usage: scripts/no-compiler.sh
set -eu
cd "$(dirname "$0")/.."
root=$PWD
compilers='cranelift-codegen|cranelift-frontend|regalloc2|wasmtime-internal-cranelift|wasmtime-internal-winch'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cat > "$dir/guest.wat" <<'WAT'
(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "host" "print" (func $print (param i32)))
  (export "memory" (memory 0))
  (func (export "wasi_thread_start") (param i32 i32)
    (i32.atomic.store (i32.const 0) (local.get 1))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "_start")
    (drop (call $spawn (i32.const 42)))
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
    (call $print (i32.atomic.load (i32.const 0)))))
WAT
cargo run --quiet -p wasi-threads --example precompile "$dir/guest.wat" "$dir/guest.cwasm"

mkdir "$dir/src"
cp crates/threads/examples/load.rs "$dir/src/main.rs"
cp Cargo.lock "$dir"
version=$(sed -n 's/^wasmtime = { version = "\([^"]*\)".*/\1/p' Cargo.toml)
cat > "$dir/Cargo.toml" <<TOML
[package]
name = "load"
edition = "2024"
[dependencies]
wasi-threads = { path = "$root/crates/threads", default-features = false }
wasmtime = { version = "$version", default-features = false, features = ["runtime"] }
[workspace]
TOML
tree=$(cargo tree --offline --quiet -e normal --manifest-path "$dir/Cargo.toml" --prefix none)
if echo "$tree" | grep -E "$compilers"; then
  echo "a host that only loads modules has a compiler in it" >&2
  exit 1
fi
said=$(cargo run --offline --quiet --manifest-path "$dir/Cargo.toml" --target-dir target/no-compiler "$dir/guest.cwasm")
if [ "$said" != 42 ]; then
  echo "the module said '$said', not 42" >&2
  exit 1
fi
echo "no compiler among $(echo "$tree" | sort -u | wc -l) packages, and the module ran"
