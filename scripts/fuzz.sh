#!/usr/bin/env bash
# Fuzzes with libFuzzer: fuzz/README.md lists the targets.
#
# usage: scripts/fuzz.sh MINUTES [TARGET]...      MINUTES for each target; default: all eight
#        scripts/fuzz.sh sums                     what all runs of this tree did, by target
#
# For each target it first looks for the planted faults, then fuzzes, and prints inputs, coverage,
# processor time and findings. Fails if a planted fault is not found, or another one is. Findings
# are in fuzz/artifacts/TARGET, kept inputs in fuzz/corpus/TARGET, a line for each run in
# fuzz/artifacts/runs.
#
# FUZZ_PLANTED_SECONDS (default 120): how long a planted fault is looked for; 0 leaves that out.
# FUZZ_BUILT=1 takes the binaries that are there.
# FUZZ_PATIENCE (default 120): seconds after which an input is a finding; more, where the process
# may be stopped for long.
set -uo pipefail
cd "$(dirname "$0")/../fuzz" || exit 1

[ $# -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 2; }
minutes=$1
shift
all=(printer rewrite table replays adapter programs compiled command_lines)
light=" printer rewrite table replays "
[ $# -gt 0 ] || set -- "${all[@]}"
looked=${FUZZ_PLANTED_SECONDS:-120}
runs=artifacts/runs

if [ "$minutes" = sums ]; then
  [ -f "$runs" ] || { echo "fuzz: nothing has run" >&2; exit 1; }
  awk '{ inputs[$2] += $3; seconds[$2] += $4; if ($5 > edges[$2]) edges[$2] = $5; found[$2] += $6; all += $4 }
    END {
      for (target in inputs)
        printf "%-14s %12d inputs, %6d edges, %8.2f hours of a processor, findings %d\n", \
          target, inputs[target], edges[target], seconds[target] / 3600, found[target] | "sort"
      close("sort")
      printf "%-14s %8.2f hours of a processor\n", "in all", all / 3600
    }' "$runs"
  exit
fi

# Those that need no Wasmtime are built optimised as a whole, in a minute. The others take Wasmtime
# as the tests have it: to build it anew takes a quarter of an hour.
built() {
  [[ $light == *" $1 "* ]] && echo fuzz || echo debug
}

# There is no sanitizer: scripts/table-sync-sanitizers.sh and the stress tests check the unsafe
# code, and without a sanitizer a stable toolchain will do.
build() {
  local quick=() slow=() target
  for target in "$@"; do
    [ "$(built "$target")" = debug ] && slow+=(--bin "$target") || quick+=(--bin "$target")
  done
  if [ ${#quick[@]} -gt 0 ]; then
    RUSTC_WRAPPER="$PWD/rustc.sh" cargo build --package fuzz --profile fuzz --features targets "${quick[@]}" || exit 1
  fi
  if [ ${#slow[@]} -gt 0 ]; then
    # Incremental builds are in more pieces, and so slower to run.
    CARGO_INCREMENTAL=0 RUSTC_WORKSPACE_WRAPPER="$PWD/rustc.sh" cargo build --workspace --features fuzz/runtime \
      --test as_the_tests "${slow[@]}" || exit 1
  fi
}

[ -n "${FUZZ_BUILT:-}" ] || build "$@"

binary() { echo "${CARGO_TARGET_DIR:-../target}/$(built "$1")/$1"; }

longest() {
  case "$1" in
    printer | rewrite) echo 16384 ;;
    compiled) echo 2048 ;;
    programs) echo 1027 ;;
    *) echo 2048 ;;
  esac
}

# The faults planted for a target, by name.
planted() {
  tr '\n' ' ' <../tests/fuzzing/src/plant.rs | grep -o "fault( *\"$1\", *\"[a-z-]*\"" | sed 's/.*"\([a-z-]*\)"$/\1/'
}

files() { find "artifacts/$1" -type f ! -name '*.log' | wc -l; }

failed=0
summary=()
# Where what shows a planted fault goes.
dump=$(mktemp -d)
trap 'rm -rf "$dump"' EXIT
TIMEFORMAT='%U %S'
for target in "$@"; do
  mkdir -p "corpus/$target" "artifacts/$target"
  patience=${FUZZ_PATIENCE:-120}
  options=("-timeout=$patience" "-report_slow_units=$patience" -rss_limit_mb=4096 "-max_len=$(longest "$target")" -print_final_stats=1)
  found=0 of=0
  if [ "$looked" -gt 0 ]; then
    for name in $(planted "$target"); do
      of=$((of + 1))
      # What is new goes into the first folder: never among the seeds.
      mkdir -p "$dump/$name"
      if FUZZ_PLANTED=$name "$(binary "$target")" "${options[@]}" -max_total_time="$looked" \
        "-artifact_prefix=$dump/" "$dump/$name" "seeds/$target" >"artifacts/$target.planted-$name.log" 2>&1; then
        echo "fuzz: $target: the planted fault $name is not found"
        failed=1
      else
        found=$((found + 1))
      fi
    done
  fi
  before=$(files "$target")
  until=$((SECONDS + minutes * 60))
  units=0 coverage=0 counters=0 processor=0
  while [ $SECONDS -lt $until ]; do
    log="artifacts/$target.log"
    touch "$dump/began"
    # shellcheck disable=SC2024
    { time nice -n 10 "$(binary "$target")" "${options[@]}" -max_total_time=$((until - SECONDS)) \
      "-artifact_prefix=artifacts/$target/" "corpus/$target" "seeds/$target" >"$log" 2>&1; } 2>"$dump/time"
    processor=$(tail -1 "$dump/time" | awk -v so_far="$processor" '{ print so_far + $1 + $2 }')
    units=$((units + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1) + 0))
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)
    counters=$(sed -n 's/.*(\([0-9]*\) inline 8-bit counters.*/\1/p' "$log" | head -1)
    # What was said of it stays with a finding.
    find "artifacts/$target" -type f ! -name '*.log' -newer "$dump/began" | while read -r found_now; do
      [ -e "$found_now.log" ] || tail -n 200 "$log" >"$found_now.log"
    done
    # An input was slow beside a load, or in a process that was stopped, if it is quick alone.
    find "artifacts/$target" \( -name 'slow-unit-*' -o -name 'timeout-*' \) -type f | while read -r slow; do
      if "$(binary "$target")" -timeout="$patience" "$slow" >/dev/null 2>&1; then rm -f "$slow" "$slow.log"; fi
    done
    # More of the same would say nothing new.
    [ $(($(files "$target") - before)) -lt 10 ] || break
  done
  findings=$(($(files "$target") - before))
  [ "$findings" = 0 ] || failed=1
  echo "$(date +%FT%T) $target $units $processor ${coverage:-0} $findings" >>"$runs"
  summary+=("$(printf '%-14s %12s inputs, %6s of %s edges, %s s of a processor, planted %s of %s, findings %s' \
    "$target" "$units" "${coverage:-0}" "${counters:-0}" "$processor" "$found" "$of" "$findings")")
  echo "fuzz: ${summary[-1]}"
done
echo
printf '%s\n' "${summary[@]}"
exit $failed
