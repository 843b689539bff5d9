#!/usr/bin/env bash
# Runs all tests again and again beside a load, to find those that fail now and then.
#
# usage: scripts/repeat-tests.sh RUNS [ARGUMENT OF cargo test]...
#
# The load is one busy process for each processor. Each run's output is kept in
# target/repeat/RUN.log; the script prints a line for each run, and fails if a run failed.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:?"usage: scripts/repeat-tests.sh RUNS [ARGUMENT OF cargo test]..."}
shift
case "$runs" in *[!0-9]* | '' | 0) echo "repeat-tests: not a number of runs: $runs" >&2; exit 2 ;; esac
[ "$#" -gt 0 ] || set -- --workspace

cargo test --no-run "$@"

load=()
stop() { [ "${#load[@]}" -eq 0 ] || kill "${load[@]}" 2>/dev/null || true; }
trap stop EXIT
for _ in $(seq "$(getconf _NPROCESSORS_ONLN)"); do
  (while :; do :; done) &
  load+=("$!")
done

logs=target/repeat
rm -rf "$logs"
mkdir -p "$logs"
failed=0
for run in $(seq "$runs"); do
  began=$SECONDS
  if cargo test --no-fail-fast "$@" >"$logs/$run.log" 2>&1; then
    verdict=passed
  else
    verdict=FAILED
    failed=$((failed + 1))
  fi
  # "test NAME ... ok" of every target, added up.
  passed=$(grep -c '^test .* \.\.\. ok$' "$logs/$run.log" || true)
  echo "run $run: $verdict, $passed tests passed, $((SECONDS - began)) s"
  grep '^test .* \.\.\. FAILED$' "$logs/$run.log" || true
done
echo "repeat-tests: $((runs - failed)) of $runs runs passed; logs are in $logs"
[ "$failed" -eq 0 ]
