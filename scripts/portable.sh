#!/usr/bin/env bash
# Tests the crates that run on every system of Rust's: table-sync and memory-waits, whose parts for
# one system have a counterpart for all others. With a target, for which nothing can run here, it
# checks all crates for that target, or links them. What the rest needs on which system is in
# docs/platforms.md.
#
# usage: scripts/portable.sh             on this system
#        scripts/portable.sh TARGET      checks, for x86_64-unknown-freebsd for example
#        scripts/portable.sh TARGET link [CARGO TEST ARGUMENTS]
#                                        links tests for it: by default all of the workspace's
#
# With a target it needs `cargo-zigbuild` and `ziglang` of PyPI: some crates have parts in C, and
# zig brings the headers and libraries of these systems.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$#" -eq 0 ]; then
  exec cargo test --locked --no-fail-fast --package table-sync --package memory-waits
fi
target=$1
shift
command -v cargo-zigbuild >/dev/null \
  || { echo "portable.sh: missing: python3 -m pip install cargo-zigbuild ziglang" >&2; exit 1; }
rustup target add "$target"
# The fuzz targets need libFuzzer; the others are tools for Linux.
all=(--workspace --exclude fuzz --exclude architecture --exclude benches)
if [ "${1:-}" = link ]; then
  shift
  [ "$#" -gt 0 ] || set -- "${all[@]}"
  exec cargo-zigbuild test --locked --no-run --target "$target" "$@"
fi
exec cargo-zigbuild check --locked --keep-going --target "$target" "${all[@]}"
