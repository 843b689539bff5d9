#!/usr/bin/env bash
# How long a large module takes to start: compiled, from the cache, and compiled
# ahead. Generates the module, of about SIZE megabytes.
#
# usage: scripts/large-module.sh [SIZE]          default: 20
#
# OURS is the binary (default: target/release/wasi-threads-run), WASMTIME a `wasmtime` to
# run the same module (default: that on the PATH, if there is one). Figures are wall-clock
# seconds and peak memory; starts that take little are the median of 9, in turns.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in python3 script /usr/bin/time; do
  command -v "$tool" >/dev/null || { echo "large-module: $tool is missing" >&2; exit 1; }
done
size=${1:-20}
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
wasmtime=${WASMTIME:-$(command -v wasmtime || true)}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache

# Functions of arithmetic, no two the same, so that nothing can be shared, and a
# start that calls one of them.
python3 - "$size" "$dir/large.wasm" <<'PYTHON'
import random, sys

def leb(n):
    out = bytearray()
    while True:
        byte, n = n & 0x7F, n >> 7
        out.append(byte | (0x80 if n else 0))
        if not n:
            return bytes(out)

def section(id, content):
    return bytes([id]) + leb(len(content)) + content

random.seed(1)
bodies, total, target = [], 0, int(float(sys.argv[1]) * 1e6)
while total < target:
    code = bytearray(b"\0\x20\0")  # no locals; local.get 0
    for _ in range(250):
        # i64.const N, then add, sub, mul, and, or or xor; local.get 0, i64.add now and then
        code += b"\x42" + leb(random.getrandbits(27)) + bytes([random.choice(b"\x7c\x7d\x7e\x83\x84\x85")])
        if random.random() < 0.3:
            code += b"\x20\0\x7c"
    code += b"\x0b"
    bodies.append(leb(len(code)) + bytes(code))
    total += len(bodies[-1])
start = b"\0\x42\x07\x10\0\x1a\x0b"  # i64.const 7, call 0, drop
bodies.append(leb(len(start)) + start)
count = len(bodies)
module = b"\0asm\1\0\0\0"
module += section(1, leb(2) + b"\x60\1\x7e\1\x7e" + b"\x60\0\0")
module += section(3, leb(count) + b"\0" * (count - 1) + b"\1")
module += section(7, leb(1) + leb(6) + b"_start" + b"\0" + leb(count - 1))
module += section(10, leb(count) + b"".join(bodies))
open(sys.argv[2], "wb").write(module)
print(f"{count} functions, {len(module) / 1e6:.1f} MB")
PYTHON

# usage: measure RUNS [NAME=COMMAND]..., the words of a command parted by blanks
measure() {
  python3 - "$@" <<'PYTHON'
import statistics, subprocess, sys, time

runs, rows = int(sys.argv[1]), [row.split("=", 1) for row in sys.argv[2:]]
taken = {name: [] for name, _ in rows}
for _ in range(runs):
    for name, command in rows:
        words, began = command.split("|"), time.perf_counter()
        # GNU time, which is small: a process's peak is never less than that of its parent.
        ran = subprocess.run(["/usr/bin/time", "-f", "%M", *words], stderr=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - began
        if ran.returncode:
            sys.exit(f"large-module: {words}: {ran.stderr}")
        taken[name].append((seconds, int(ran.stderr.split()[-1]) / 1024))
for name, samples in taken.items():
    seconds, memory = (statistics.median(column) for column in zip(*samples))
    print(f"{name:<36} {seconds:7.3f} s {memory:7.0f} MiB")
PYTHON
}

module=$dir/large.wasm
first=("ours: first start=$ours|$module")
compile=("ours: compile=$ours|compile|-C|cache=n|-o|$dir/ours.cwasm|$module")
starts=("ours: second start, cached=$ours|$module"
  "ours: start of the .cwasm=$ours|--allow-precompiled|$dir/ours.cwasm")
if [ -n "$wasmtime" ]; then
  "$wasmtime" --version
  first+=("wasmtime: first start=$wasmtime|run|$module")
  compile+=("wasmtime: compile=$wasmtime|compile|-C|cache=n|-o|$dir/theirs.cwasm|$module")
  starts+=("wasmtime: second start, cached=$wasmtime|run|$module"
    "wasmtime: start of the .cwasm=$wasmtime|run|--allow-precompiled|$dir/theirs.cwasm")
fi
measure 1 "${first[@]}"
measure 1 "${compile[@]}"
measure 9 "${starts[@]}"
for file in "$dir"/*.cwasm; do
  ls -l "$file" | awk -v n="size of $(basename "$file")" '{ printf "%-36s %7.1f MB\n", n, $5 / 1e6 }'
done
# On a terminal of its own, where a long compilation says what it does.
script --quiet --return --command "'$ours' -C cache=n '$module'" /dev/null |
  tr '\r' '\n' | grep 'compiling' | tail -n 1 | sed 's/^/ours, on a terminal, at last: /' ||
  echo "ours, on a terminal: too short for a sign of life"
