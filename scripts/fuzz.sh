#!/usr/bin/env bash
# Fuzzes with libFuzzer (cargo-fuzz): fuzz/README.md lists the targets.
#
# usage: scripts/fuzz.sh MINUTES [TARGET]...      MINUTES for each target; default: all eight
#
# For each target it first looks for the planted faults, then fuzzes, and prints inputs, coverage
# and findings. Fails if a planted fault is not found, or another one is. Findings are in
# fuzz/artifacts/TARGET, and kept inputs in fuzz/corpus/TARGET.
#
# FUZZ_PLANTED_SECONDS (default 120): how long a planted fault is looked for; 0 leaves that out.
# FUZZ_BUILT=1 takes the binaries that are there.
set -uo pipefail
cd "$(dirname "$0")/../fuzz" || exit 1

[ $# -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 2; }
minutes=$1
shift
all=(printer rewrite table replays adapter programs compiled command_lines)
light=" printer rewrite table replays "
[ $# -gt 0 ] || set -- "${all[@]}"
triple=$(rustc -vV | sed -n 's/^host: //p')
looked=${FUZZ_PLANTED_SECONDS:-120}

build() { # whether Wasmtime is needed, targets
  if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: cargo-fuzz is missing: cargo install --locked cargo-fuzz" >&2
    exit 1
  fi
  local features=()
  [ "$1" = no ] || features=(--features runtime)
  shift
  for target in "$@"; do
    # There is no sanitizer: scripts/table-sync-sanitizers.sh and the stress tests check the unsafe
    # code, and without a sanitizer a stable toolchain will do.
    RUSTC_WRAPPER="$PWD/rustc.sh" cargo fuzz build --fuzz-dir . -O -s none "${features[@]}" "$target" || exit 1
  done
}

if [ -z "${FUZZ_BUILT:-}" ]; then
  needs=no
  for target in "$@"; do [[ $light == *" $target "* ]] || needs=yes; done
  build "$needs" "$@"
fi

binary() { echo "target/$triple/release/$1"; }

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

failed=0
summary=()
# Where what shows a planted fault goes.
dump=$(mktemp -d)
trap 'rm -rf "$dump"' EXIT
for target in "$@"; do
  mkdir -p "corpus/$target" "artifacts/$target"
  # A slow input beside a load is no finding. One that takes as long as the time limit is.
  options=(-timeout=120 -report_slow_units=120 -rss_limit_mb=4096 "-max_len=$(longest "$target")" -print_final_stats=1)
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
  before=$(find "artifacts/$target" -type f | wc -l)
  until=$((SECONDS + minutes * 60))
  units=0 coverage=0 counters=0
  while [ $SECONDS -lt $until ]; do
    log="artifacts/$target.log"
    nice -n 10 "$(binary "$target")" "${options[@]}" -max_total_time=$((until - SECONDS)) \
      "-artifact_prefix=artifacts/$target/" "corpus/$target" "seeds/$target" >"$log" 2>&1
    units=$((units + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1 || echo 0) + 0))
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)
    counters=$(sed -n 's/.*(\([0-9]*\) inline 8-bit counters.*/\1/p' "$log" | head -1)
    # More of the same would say nothing new.
    [ $(($(find "artifacts/$target" -type f | wc -l) - before)) -lt 10 ] || break
  done
  findings=$(($(find "artifacts/$target" -type f | wc -l) - before))
  [ "$findings" = 0 ] || failed=1
  summary+=("$(printf '%-14s %12s inputs, %6s of %s edges, planted %s of %s, findings %s' \
    "$target" "$units" "${coverage:-0}" "${counters:-0}" "$found" "$of" "$findings")")
  echo "fuzz: ${summary[-1]}"
done
echo
printf '%s\n' "${summary[@]}"
exit $failed
