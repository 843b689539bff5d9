#!/usr/bin/env bash
# Builds the binary, the peers and the benches, runs them side by side on this
# machine and prints the tables of benches/README.md as Markdown.
#
# usage: scripts/bench-table.sh [WHAT]...    default: all of
#
#   calls      host calls, with their limits
#   spawn      threads and waits
#   programs   whole programs
#   compute    eleven programs that compute: one thread, 1 to 8 threads, peak memory
#   memory     what a group, a thread and an instance made ahead cost
#   start      a small program, from start to end (scripts/bench-start.sh)
#   large      a module of 20 MB (scripts/large-module.sh)
#   idle       threads that wait (scripts/idle-threads.sh)
#   alloc      allocators in a guest (docs/allocation.md)
#
# BENCH_RUNS (9), BENCH_SCALE (1), BENCH_ONLY, BENCH_DIR, BENCH_STRICT, OURS, OTHER, PEERS,
# WASMTIME46 and WASMTIME48 are described in benches/support. PEERS set to a folder of
# built peers saves building them; PEERS=none measures without peers.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=("$@")
[ "${#wanted[@]}" -gt 0 ] || wanted=(calls spawn programs compute memory start large idle alloc)

[ -n "${OURS:-}" ] || cargo build --release -p wasi-threads-run >&2
if [ -z "${PEERS:-}" ]; then
  (cd benches/peers && cargo build --release >&2)
fi
for what in "${wanted[@]}"; do
  case $what in
    start)
      echo "## Start-up"
      echo
      WASMTIME=${WASMTIME:-${WASMTIME48:-}} scripts/bench-start.sh
      ;;
    large)
      echo "## A large module"
      echo
      WASMTIME=${WASMTIME:-${WASMTIME48:-}} scripts/large-module.sh | sed 's/^/    /'
      ;;
    idle)
      echo "## Idle threads"
      echo
      scripts/idle-threads.sh 10 1000 10000
      ;;
    alloc)
      echo "## Allocators in a guest"
      echo
      scripts/bench-allocators.sh
      ;;
    *) cargo bench -q -p benches --bench "$what" ;;
  esac
  echo
done
