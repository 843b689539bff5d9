#!/usr/bin/env bash
# Builds the binary, the peers and the benches, runs them side by side on this
# machine and prints the tables of benches/README.md as Markdown.
#
# usage: scripts/bench-table.sh [calls|spawn|programs]...    default: all three
#
# BENCH_RUNS (9), BENCH_SCALE (1), BENCH_ONLY, BENCH_DIR, OURS, PEERS and
# WASMTIME46 are described in benches/support/lib.rs. PEERS set to a folder of
# built peers saves building them; PEERS=none measures without peers.
set -euo pipefail
cd "$(dirname "$0")/.."

benches=("$@")
[ "${#benches[@]}" -gt 0 ] || benches=(calls spawn programs)

[ -n "${OURS:-}" ] || cargo build --release -p wasi-threads-run >&2
if [ -z "${PEERS:-}" ]; then
  (cd benches/peers && cargo build --release >&2)
fi
for bench in "${benches[@]}"; do
  cargo bench -q -p benches --bench "$bench"
  echo
done
