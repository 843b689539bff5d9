#!/usr/bin/env bash
# How long a large module takes to start: compiled, from the cache, and compiled
# ahead. Generates the module, of about SIZE megabytes.
#
# usage: scripts/large-module.sh [SIZE]          default: 20
#
# OURS is the binary (default: target/release/wasi-threads-run). Where a `wasmtime` is on
# the PATH, it runs the same module beside it. Figures are wall-clock seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-20}
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
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

timed() { # NAME COMMAND...
  local name=$1 before after
  shift
  before=$(date +%s%N)
  "$@"
  after=$(date +%s%N)
  awk -v n="$name" -v t=$((after - before)) 'BEGIN { printf "%-34s %7.2f s\n", n, t / 1e9 }'
}
timed "ours: first start" "$ours" "$dir/large.wasm"
timed "ours: second start, cached" "$ours" "$dir/large.wasm"
timed "ours: compile" "$ours" compile -C cache=n "$dir/large.wasm"
timed "ours: start of the .cwasm" "$ours" --allow-precompiled "$dir/large.cwasm"
ls -l "$dir/large.cwasm" | awk '{ printf "%-34s %7.1f MB\n", "ours: size of the .cwasm", $5 / 1e6 }'
# On a terminal of its own, where a long compilation says what it does.
script --quiet --return --command "$ours -C cache=n $dir/large.wasm" /dev/null |
  tr '\r' '\n' | grep 'compiling' | tail -n 1 | sed 's/^/ours: on a terminal, at last:       /'
if command -v wasmtime >/dev/null; then
  wasmtime --version
  timed "wasmtime: first start" wasmtime -C cache=y "$dir/large.wasm"
  timed "wasmtime: second start, cached" wasmtime -C cache=y "$dir/large.wasm"
  timed "wasmtime: compile" wasmtime compile -C cache=n -o "$dir/theirs.cwasm" "$dir/large.wasm"
  timed "wasmtime: start of the .cwasm" wasmtime --allow-precompiled "$dir/theirs.cwasm"
fi
