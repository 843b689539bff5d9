#!/usr/bin/env bash
# The cost of a thread that only waits: bytes, mappings and descriptors of the process, with more
# and more threads. And what happens if the system has no capacity for another. Prints the table of
# benches/README.md as Markdown.
#
# usage: scripts/idle-threads.sh [THREADS]...          default: 10 1000 5000 10000
#
# OURS is the binary (default: target/release/wasi-threads-run). Linux only.
set -euo pipefail
cd "$(dirname "$0")/.."
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache
[ $# -gt 0 ] || set -- 10 1000 5000 10000

# Starts threads until there are COUNT, or the next one is refused; each waits for ever.
cat >"$dir/parked.wat" <<'WAT'
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (export "memory" (memory 0))
  (data $text "all are there\nEAGAIN\n")
  (func (export "wasi_thread_start") (param i32 i32)
    (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
  (func $say (param $at i32) (param $length i32)
    (memory.init $text (i32.const 128) (i32.const 0) (i32.const 21))
    (i32.store (i32.const 200) (i32.add (i32.const 128) (local.get $at)))
    (i32.store (i32.const 204) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const 208))))
  (func (export "_start") (local $n i32) (local $id i32)
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $n) (i32.const COUNT)))
        (local.set $id (call $spawn (i32.const 0)))
        (if (i32.eq (local.get $id) (i32.const -6)) (then (call $say (i32.const 14) (i32.const 7))))
        (br_if $done (i32.lt_s (local.get $id) (i32.const 0)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $more)))
    ;; Until each has got to its wait, or as good as.
    (loop $all (br_if $all (i32.lt_u (i32.atomic.load (i32.const 64)) (local.get $n))))
    (call $say (i32.const 0) (i32.const 14))
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))
WAT

echo "| threads | RSS MiB | mappings | descriptors | started in s | ended in s | each: KiB | mappings | descriptors |"
echo "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
first=
for threads in "$@"; do
  sed "s/COUNT/$threads/" "$dir/parked.wat" >"$dir/run.wat"
  "$ours" compile -o "$dir/run.cwasm" "$dir/run.wat"
  coproc RUN { exec "$ours" --deadlock off --allow-precompiled "$dir/run.cwasm"; }
  pid=$RUN_PID
  began=$(date +%s%N)
  read -r said <&"${RUN[0]}"
  started=$(date +%s%N)
  [ "$said" = "all are there" ] || { echo "idle-threads: $threads: $said" >&2; kill "$pid"; exit 1; }
  sleep 0.3
  rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
  mappings=$(wc -l <"/proc/$pid/maps")
  descriptors=$(find "/proc/$pid/fd" -type l | wc -l)
  term=$(date +%s%N)
  kill "$pid"
  wait "$pid" || true
  ended=$(date +%s%N)
  awk -v n="$threads" -v r="$rss" -v m="$mappings" -v d="$descriptors" -v a="$((started - began))" \
    -v b="$((ended - term))" -v first="$first" 'BEGIN {
      printf "| %d | %.1f | %d | %d | %.2f | %.2f |", n, r / 1024, m, d, a / 1e9, b / 1e9
      if (first == "") { print "  |  |  |"; exit }
      split(first, f)
      k = n - f[1]
      printf " %.1f | %.2f | %.2f |\n", (r - f[2]) / k, (m - f[3]) / k, (d - f[4]) / k
    }'
  [ -n "$first" ] || first="$threads $rss $mappings $descriptors"
done

echo
echo "As many as there is room for, of 100,000 (vm.max_map_count is $(cat /proc/sys/vm/max_map_count)):"
sed "s/COUNT/100000/" "$dir/parked.wat" >"$dir/run.wat"
# It waits until the time limit, which tells of all threads: that is left out.
"$ours" --deadlock off --timeout 20s "$dir/run.wat" 2>&1 | grep -E '^(EAGAIN|all are there|[0-9]+ threads|note: [0-9]+ spawn)' |
  sed 's/^/    /' || true
