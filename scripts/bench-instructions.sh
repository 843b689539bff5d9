#!/usr/bin/env bash
# User-mode instructions per host call, counted by callgrind: the same guest with N calls and with
# 2N, the difference divided by N. Costs that are not per call (start-up, compiling, other calls)
# cancel out in the difference. Unlike times, counts do not depend on what else the machine does.
#
# usage: scripts/bench-instructions.sh [CALLS [OPERATION]...]
#        default: 5000 clock tell; operations as in benches/guests/micro.c
#
# Prints a Markdown table of this project's binary and of wasmtime-wasi 48's own preview1
# (benches/peers). The latter runs file calls on a pool of threads unless it is told that it may
# block. All run the same module, which has its own memory; the loop around the call (about 20
# instructions) is in every figure. OURS and PEERS as in bench-table.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

calls=${1:-5000}
operations=("${@:2}")
[ "${#operations[@]}" -gt 0 ] || operations=(clock tell)
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
p1=$(realpath "${PEERS:-benches/peers/target/release}/p1-48")
module=$(realpath target/bench-guests/micro-single.wasm) || {
  echo "bench-instructions: run scripts/bench-table.sh first: it builds the guests" >&2
  exit 1
}
command -v valgrind >/dev/null || { echo "bench-instructions: install valgrind" >&2; exit 1; }
command -v cc >/dev/null || { echo "bench-instructions: install gcc" >&2; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -O1 -Wall -Werror benches/support/no-auxv.c -o "$dir/no-auxv"

# count OPERATION CALLS HOST [OPTION]...: instructions of the whole process.
count() {
  (cd "$dir" && timeout 300 ./no-auxv valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    --smc-check=all-non-file "${@:3}" --dir . "$module" "$1" 1 "$2" >said 2>log) || {
    cat "$dir/said" "$dir/log" >&2
    return 1
  }
  sed -n 's/^==[0-9]*== Collected : \([0-9]*\).*/\1/p' "$dir/log"
}
per_call() {
  local once twice
  # The first run fills what is kept between runs (the compile cache).
  count "$1" 1 "${@:2}" >/dev/null
  once=$(count "$1" "$calls" "${@:2}")
  twice=$(count "$1" $((2 * calls)) "${@:2}")
  echo $(((twice - once) / calls))
}

echo "| operation | ours | p1 48 | p1 48 blocking | ours over the smaller |"
echo "|---|---:|---:|---:|---:|"
for operation in "${operations[@]}"; do
  a=$(per_call "$operation" "$ours")
  b=$(per_call "$operation" "$p1")
  c=$(per_call "$operation" "$p1" --block)
  awk -v o="$operation" -v a="$a" -v b="$b" -v c="$c" \
    'BEGIN { printf "| %s | %d | %d | %d | %.2f |\n", o, a, b, c, a / (b < c ? b : c) }'
done
