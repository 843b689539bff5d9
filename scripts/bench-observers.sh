#!/usr/bin/env bash
# What it costs to watch: nanoseconds per host call as it is, with --stats and with
# --trace. Prints the table of benches/README.md as Markdown.
#
# usage: scripts/bench-observers.sh [OPERATION=CALLS]...
#        default: clock=1000000 fdstat=300000 write64=60000 pread4k=60000 spawn=1000
#
# As it is, the binary notes which call a thread waits in, so that SIGQUIT can name it. It does so
# for the functions that may wait: fd_write is one, the other operations are not. OURS is the binary
# (default: target/release/wasi-threads-run), WITHOUT one that notes nothing, to be built by hand
# (no `call_observer` in crates/cli/src/run/context.rs). RUNS: 9, in turns.
set -euo pipefail
cd "$(dirname "$0")/.."
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
module=$(realpath "${MODULE:-target/bench-guests/micro.wasm}") || {
  echo "bench-observers: run scripts/bench-table.sh first: it builds the guests" >&2
  exit 1
}
[ $# -gt 0 ] || set -- clock=1000000 fdstat=300000 write64=60000 pread4k=60000 spawn=1000
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 - "${RUNS:-9}" "$ours" "${WITHOUT:-}" "$module" "$@" <<'PYTHON'
import os, statistics, subprocess, sys

runs, ours, without, module = int(sys.argv[1]), *sys.argv[2:5]
sides = [("as it is", [ours]), ("--stats", [ours, "--stats"]), ("--trace", [ours, "--trace", "trace.json"])]
if without:
    sides.insert(1, ("noting nothing", [without]))
print("| operation |" + "".join(f" {name} |" for name, _ in sides))
print("|---|" + "---:|" * len(sides))
for row in sys.argv[5:]:
    operation, calls = row.split("=")
    taken = [[] for _ in sides]
    for run in range(runs):
        for turn in range(len(sides)):
            at = (run + turn) % len(sides)
            command = [*sides[at][1], "--dir", ".", module, operation, "1", calls]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            taken[at].append(int(said[3]) / int(said[2]))
    medians = [statistics.median(samples) for samples in taken]
    cells = [f"{m:.0f} ns ({m / medians[0]:.2f}x)" if n else f"{m:.0f} ns" for n, m in enumerate(medians)]
    print(f"| {operation} |" + "".join(f" {cell} |" for cell in cells), flush=True)
PYTHON
