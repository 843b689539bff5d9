#!/usr/bin/env bash
# Files, waits, spawns and polls by many threads of one program for hours: tests/guests/soak.c,
# which checks all that comes back. Prints operations and errors, and the process's memory,
# descriptors and threads at its start and at its end. Fails on an error, and if any of the last
# three has grown.
#
# usage: scripts/soak.sh HOURS [THREADS]
#
# HOURS may be a fraction: 0.0167 is a minute. THREADS is 8 unless given.
#
# OURS is the binary (default: target/release/wasi-threads-run). Linux only.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 2; }
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
seconds=$(awk -v hours="$1" 'BEGIN { printf "%d", hours * 3600 + 0.5 }')
threads=${2:-8}
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache

flags=()
while IFS= read -r flag; do flags+=("$flag"); done <tests/guests/flags.txt
clang-19 "${flags[@]}" -I tests/guests/include tests/guests/include/start.S tests/guests/soak.c -o "$dir/soak.wasm"
mkdir "$dir/files"

"$ours" --dir "$dir/files::/" "$dir/soak.wasm" "$seconds" "$threads" >"$dir/out" 2>"$dir/err" &
pid=$!
# KiB that are resident, descriptors, threads.
held() {
  local kib
  kib=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
  echo "$kib $(find "/proc/$pid/fd" -mindepth 1 | wc -l) $(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)"
}
# The program has warmed up by then: a tenth of the time, and a minute at most.
warm=$((seconds / 10 < 60 ? seconds / 10 : 60))
[ "$warm" -ge 1 ] || warm=1
sleep "$warm"
read -r kib_before fds_before tasks_before <<<"$(held)"
most=$kib_before kib=$kib_before fds=$fds_before tasks=$tasks_before
while kill -0 "$pid" 2>/dev/null; do
  # What is there while it runs: at its end it is gone.
  if now=$(held 2>/dev/null) && [ "$(wc -w <<<"$now")" = 3 ]; then
    read -r kib fds tasks <<<"$now"
    [ "$kib" -le "$most" ] || most=$kib
  fi
  sleep 1
done
status=0
wait "$pid" || status=$?
pid=
cat "$dir/out"
head -c 4000 "$dir/err" >&2
echo "status: $status"
echo "memory: $kib_before KiB after $warm s, $kib KiB at the end, $most KiB at most"
echo "descriptors: $fds_before, $fds at the end; threads: $tasks_before, $tasks at the end"
left=$(find "$dir/files" -name 'own-*' | wc -l)
echo "files left: $left"
# Allocators and thread stacks vary by a tenth and 8 MiB.
[ "$status" = 0 ] && [ "$left" = 0 ] || exit 1
[ "$kib" -le $((kib_before * 11 / 10 + 8192)) ] || { echo "soak: memory grew" >&2; exit 1; }
[ "$fds" -le $((fds_before + threads * 2 + 4)) ] || { echo "soak: descriptors grew" >&2; exit 1; }
