#!/usr/bin/env bash
# Stands before rustc when the fuzz targets are built (RUSTC_WRAPPER): leaves the instruments out of
# what is not fuzzed. Cranelift compiles the guests of some targets; with them it would take twice
# as long to build and to run, and its coverage would drown that of the code that is looked at.
set -euo pipefail
case "${CARGO_PKG_NAME:-}" in
  fuzz | fuzzing | wasm-symbols | table-sync | interruptible-wasm | memory-waits | replay-threads | wasm-races) exec "$@" ;;
  p1-adapter | wasi-threads | wasi-threads-p1) exec "$@" ;;
  gimli | cpp_demangle | rustc-demangle | wasmparser) exec "$@" ;;
esac
kept=()
for arg in "$@"; do
  case "$arg" in
    -Cpasses=sancov* | -Cllvm-args=-sanitizer* | -Ccodegen-units=1 | -Cdebug-assertions) ;;
    *) kept+=("$arg") ;;
  esac
done
exec "${kept[@]}"
