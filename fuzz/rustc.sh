#!/usr/bin/env bash
# Stands before rustc when the fuzz targets are built (scripts/fuzz.sh). It gives libFuzzer's
# instruments to what is fuzzed, and to nothing else. Cranelift compiles the guests of some targets.
# With them it would take twice as long to build and to run, and its coverage would drown that of
# the code that is looked at.
set -euo pipefail
case "${CARGO_PKG_NAME:-}" in
  fuzz | fuzzing | wasm-symbols | table-sync | interruptible-wasm | memory-waits | replay-threads | wasm-races) ;;
  p1-adapter | wasi-threads | wasi-threads-p1) ;;
  gimli | cpp_demangle | rustc-demangle | wasmparser) ;;
  *) exec "$@" ;;
esac
# What runs while it is built, and what is no target, is linked without libFuzzer.
case " $* " in
  *" --crate-name build_script_build "* | *" --crate-name as_the_tests "*) exec "$@" ;;
esac
instruments=(--cfg fuzzing -Copt-level=2 -Cpasses=sancov-module)
# The last one sees to inputs that nest deeply.
for argument in level=4 inline-8bit-counters pc-table trace-compares stack-depth; do
  instruments+=("-Cllvm-args=-sanitizer-coverage-$argument")
done
exec "$@" "${instruments[@]}"
