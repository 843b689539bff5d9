#!/usr/bin/env bash
# How long a guest takes that allocates all the time, with several allocators, on 1, 2 and 4
# threads. Prints the table of docs/allocation.md as Markdown.
#
# usage: scripts/bench-allocators.sh [TASKS]          default: 12, a second or so of one thread
#
# OURS is the binary (default: target/release/wasi-threads-run). RUNS: 5, in turns. Needs the target
# wasm32-wasip1-threads. mimalloc is C: it is measured where clang and wasi-libc's headers are found
# (MIMALLOC_CFLAGS).
set -euo pipefail
cd "$(dirname "$0")/.."
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
out=$PWD/target/allocators
target=wasm32-wasip1-threads
sides=()

# build NAME [CARGO ARGUMENT]...
build() {
  (cd benches/allocators && cargo build --quiet --release --locked --target "$target" --target-dir "$out" "${@:2}") || return 1
  cp "$out/$target/release/allocators.wasm" "$out/$1.wasm"
}
build wasi-libc
build cached --features cached
sides+=("wasi-libc=$out/wasi-libc.wasm=heap" "lists of each thread=$out/cached.wasm=heap")
export CC_wasm32_wasip1_threads=${CC_wasm32_wasip1_threads:-clang-19}
export AR_wasm32_wasip1_threads=${AR_wasm32_wasip1_threads:-ar}
export CFLAGS_wasm32_wasip1_threads=${MIMALLOC_CFLAGS:---target=wasm32-wasi-threads -isystem /usr/include/wasm32-wasi -matomics -mbulk-memory -pthread -D_WASI_EMULATED_MMAN}
if build mimalloc --features mimalloc 2>"$out/mimalloc.log"; then
  sides+=("mimalloc=$out/mimalloc.wasm=heap")
else
  echo "bench-allocators: mimalloc does not build here, and is left out: $out/mimalloc.log" >&2
fi
sides+=("wasi-libc, buffers used again=$out/wasi-libc.wasm=reuse" "wasi-libc, arenas=$out/wasi-libc.wasm=arena")

python3 - "${1:-12}" "${RUNS:-5}" "$ours" "${sides[@]}" <<'PYTHON'
import os, statistics, subprocess, sys

tasks, runs, ours = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sides = [side.split("=") for side in sys.argv[4:]]
threads = [1, 2, 4]
taken = {(name, n): [] for name, *_ in sides for n in threads}
for _ in range(runs):
    for n in threads:
        for name, module, how in sides:
            said = subprocess.run([ours, module, how, str(n), tasks], capture_output=True, text=True, check=True).stdout
            taken[name, n].append(int(said.split()[3]) / 1e6)
print(f"{tasks} tasks of 200,000 allocations; ms, median of {runs} runs in turns; load after them {os.getloadavg()[0]:.2f}\n")
print("| what allocates |" + "".join(f" {n} |" for n in threads) + " throughput of 4 over 1 |")
print("|---|" + "---:|" * (len(threads) + 1))
for name, *_ in sides:
    medians = [statistics.median(taken[name, n]) for n in threads]
    print(f"| {name} |" + "".join(f" {m:.0f} |" for m in medians) + f" {medians[0] / medians[-1]:.2f} |")
PYTHON
