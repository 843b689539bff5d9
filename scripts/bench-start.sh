#!/usr/bin/env bash
# How much time and memory a small program takes from its start to its end: compiled before and
# found in the cache, and from a .cwasm. Prints the table of benches/README.md as Markdown.
#
# usage: scripts/bench-start.sh [RUNS]          default: 200
#
# OURS is the binary (default: target/release/wasi-threads-run), WASMTIME a `wasmtime`
# to run beside it (default: that on the PATH, if there is one). The sides take turns,
# run by run. `true` is what starting any process takes.
set -euo pipefail
cd "$(dirname "$0")/.."
# GNU time, which is small: a process's peak is never less than that of its parent.
for tool in python3 clang-19 /usr/bin/time; do
  command -v "$tool" >/dev/null || { echo "bench-start: $tool is missing" >&2; exit 1; }
done
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
wasmtime=${WASMTIME:-$(command -v wasmtime || true)}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache

cp tests/guests/hello.wat "$dir/hello.wat"
scripts/build-guests.sh tests/guests/spawns.c >/dev/null
cp target/guests/spawns.wasm "$dir/threads.wasm"
"$ours" compile -o "$dir/ours.cwasm" "$dir/hello.wat"
if [ -n "$wasmtime" ]; then
  "$wasmtime" --version
  "$wasmtime" compile -C cache=n -o "$dir/theirs.cwasm" "$dir/hello.wat"
fi

python3 - "${1:-200}" "$dir" "$ours" "$wasmtime" <<'PYTHON'
import os, statistics, subprocess, sys, time

runs, dir, ours, wasmtime = int(sys.argv[1]), *sys.argv[2:5]
rows = [("true", "", ["true"])]
rows.append(("hello, cached", "ours", [ours, f"{dir}/hello.wat"]))
if wasmtime:
    # Its `run` has the cache on, as ours has.
    rows.append(("hello, cached", "wasmtime", [wasmtime, "run", f"{dir}/hello.wat"]))
rows.append(("hello, .cwasm", "ours", [ours, "--allow-precompiled", f"{dir}/ours.cwasm"]))
if wasmtime:
    rows.append(("hello, .cwasm", "wasmtime", [wasmtime, "run", "--allow-precompiled", f"{dir}/theirs.cwasm"]))
rows.append(("a thread started and joined, cached", "ours", [ours, f"{dir}/threads.wasm", "row", "1"]))

nowhere = os.open("/dev/null", os.O_RDWR)
def once(command):
    began = time.perf_counter_ns()
    pid = os.posix_spawnp(command[0], command, os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, nowhere, fd) for fd in (0, 1)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"bench-start: {command}: status {status}")
    return (time.perf_counter_ns() - began) / 1e6, (usage.ru_utime + usage.ru_stime) * 1e3

def peak(command):
    said = subprocess.run(["/usr/bin/time", "-f", "%M", *command], stdin=nowhere, stdout=nowhere, stderr=subprocess.PIPE)
    return int(said.stderr) / 1024

samples = [[] for _ in rows]
for _, _, command in rows:
    once(command)  # compiles what is not in the cache
for run in range(runs):
    for turn in range(len(rows)):
        at = (run + turn) % len(rows)
        samples[at].append(once(rows[at][2]))
print(f"{runs} runs each, in turns; load after them {os.getloadavg()[0]:.2f}\n")
print("| start | side | median ms | best ms | 9 of 10 within ms | processor ms | peak RSS MiB |")
print("|---|---|---:|---:|---:|---:|---:|")
for (name, side, command), taken in zip(rows, samples):
    wall, cpu = (sorted(column) for column in zip(*taken))
    print(f"| {name} | {side} | {statistics.median(wall):.2f} | {wall[0]:.2f} | {wall[int(len(wall) * 0.9)]:.2f} | "
        f"{statistics.median(cpu):.2f} | {statistics.median(peak(command) for _ in range(9)):.1f} |")
PYTHON
