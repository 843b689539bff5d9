#!/usr/bin/env bash
# Large numbers at once: 10,000 threads of one program, without and with a limit on fuel; as many
# descriptors as the limit allows, up to 100,000; 100 groups in one process, one of them at its
# limits. (The test killed::in_the_middle_of_appends has a host that is killed while it appends.)
#
# usage: scripts/load.sh [threads|fuel|descriptors|groups]...      default: all
#
# OURS is the binary (default: target/release/wasi-threads-run). Linux only.
set -euo pipefail
cd "$(dirname "$0")/.."
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache
[ $# -gt 0 ] || set -- threads fuel descriptors groups

# 10,000 threads must end with the status that is given first; the rest are options.
threads_with() {
  local wanted=$1
  shift
  # Each adds 1 to a word, waits until all have, and adds 1 to another word. Main exits with 0 if
  # both sums are right.
  cat >"$dir/threads.wat" <<'WAT'
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "env" "memory" (memory 1 1 shared))
  (export "memory" (memory 0))
  (func $await (param $at i32) (param $until i32) (local $seen i32)
    (loop $l
      (local.set $seen (i32.atomic.load (local.get $at)))
      (if (i32.lt_u (local.get $seen) (local.get $until))
        (then
          (drop (memory.atomic.wait32 (local.get $at) (local.get $seen) (i64.const -1)))
          (br $l)))))
  (func $signal (param $at i32)
    (drop (i32.atomic.rmw.add (local.get $at) (i32.const 1)))
    (drop (memory.atomic.notify (local.get $at) (i32.const -1))))
  (func (export "wasi_thread_start") (param i32 i32)
    (call $signal (i32.const 0))
    (call $await (i32.const 8) (i32.const 1))
    (call $signal (i32.const 16)))
  (func (export "_start") (local $n i32)
    (loop $more
      (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (call $exit (i32.const 3))))
      (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10000))))
    (call $await (i32.const 0) (i32.const 10000))
    (call $signal (i32.const 8))
    (call $await (i32.const 16) (i32.const 10000))
    (call $exit (i32.const 0))))
WAT
  local began=$EPOCHREALTIME status=0 took
  "$ours" --stats --timeout 600s "$@" "$dir/threads.wat" 2>"$dir/err" || status=$?
  grep -E '^(error|threads|waits)' "$dir/err" || cat "$dir/err"
  took=$(awk "BEGIN { print $EPOCHREALTIME - $began }")
  echo "threads: 10,000 at once${*:+, }$*: status $status, $took s"
  [ "$status" = "$wanted" ]
}

threads() {
  threads_with 0
}

# With enough fuel, each thread may have a part of it. With too little, the group ends with a trap,
# whatever its threads are doing.
fuel() {
  threads_with 0 -W fuel=10000000000
  threads_with 134 -W fuel=300000
  grep -q 'all fuel consumed' "$dir/err"
}

descriptors() {
  ulimit -n "$(ulimit -Hn)"
  local limit most
  limit=$(ulimit -n)
  # Some are the host's own.
  most=100000
  [ "$limit" = unlimited ] || [ "$limit" -ge $((most + 200)) ] || most=$((limit - 200))
  cat >"$dir/descriptors.wat" <<WAT
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func \$open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_tell" (func \$tell (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func \$close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func \$exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "file")
  (func \$each (param \$what i32) (local \$n i32)
    (loop \$l
      (if (i32.eqz (local.get \$what))
        (then
          (if (call \$open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 0x22)
                (i64.const 0) (i32.const 0) (i32.const 64))
            (then (call \$exit (i32.const 3))))
          ;; The lowest that is free.
          (if (i32.ne (i32.load (i32.const 64)) (i32.add (local.get \$n) (i32.const 4)))
            (then (call \$exit (i32.const 4))))))
      (if (i32.eq (local.get \$what) (i32.const 1))
        (then
          (if (call \$tell (i32.add (local.get \$n) (i32.const 4)) (i32.const 64)) (then (call \$exit (i32.const 5))))))
      (if (i32.eq (local.get \$what) (i32.const 2))
        (then
          (if (call \$close (i32.add (local.get \$n) (i32.const 4))) (then (call \$exit (i32.const 6))))))
      (br_if \$l (i32.lt_u (local.tee \$n (i32.add (local.get \$n) (i32.const 1))) (i32.const $most)))))
  (func (export "_start")
    (call \$each (i32.const 0)) (call \$each (i32.const 1)) (call \$each (i32.const 2))
    (call \$each (i32.const 0)) (call \$each (i32.const 2))))
WAT
  mkdir -p "$dir/files"
  echo text >"$dir/files/file"
  local began=$EPOCHREALTIME status=0
  "$ours" --timeout 600s --dir "$dir/files::/" "$dir/descriptors.wat" || status=$?
  echo "descriptors: $most at once, twice, of a limit of $limit: status $status, $(awk "BEGIN { print $EPOCHREALTIME - $began }") s"
  [ "$status" = 0 ]
}

groups() {
  cargo test --workspace --test many_groups
}

for what in "$@"; do
  case "$what" in
    threads | fuel | descriptors | groups) "$what" ;;
    *) echo "load: no load is called $what" >&2; exit 2 ;;
  esac
done
