#!/usr/bin/env bash
# Which lines of the crates the fuzz targets reach with their seeds, and with the corpora that
# scripts/fuzz.sh has gathered in fuzz/corpus. Fails if a target reaches less than its floor.
#
# usage: scripts/fuzz-coverage.sh [TARGET]...
#
# Default: printer rewrite table replays adapter programs compiled command_lines.
# FUZZ_CORPUS is another folder of corpora; if it is empty, the seeds are all.
#
# Runs the targets as the tests do, with the crates of the workspace compiled anew with counters,
# and nothing else. Needs the component llvm-tools (rustup component add llvm-tools).
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- printer rewrite table replays adapter programs compiled command_lines
bin=$(dirname "$(find "$(rustc --print sysroot)/lib/rustlib" -name llvm-profdata | head -1)")
[ -x "$bin/llvm-cov" ] || { echo "fuzz-coverage: llvm-tools are missing: rustup component add llvm-tools" >&2; exit 1; }

# The folder that a target is about, and the floor: percent of its lines.
about() {
  case "$1" in
    printer) echo crates/symbols/src 75 ;;
    rewrite) echo crates/rewrite/src 43 ;;
    table) echo crates/table-sync/src 40 ;;
    replays) echo crates/replay/src 53 ;;
    adapter) echo crates/p1-adapter/src 57 ;;
    programs) echo crates/threads/src 60 ;;
    compiled) echo crates/threads/src/module 50 ;;
    command_lines) echo crates/cli/src/args 25 ;;
    *) echo "fuzz-coverage: no target is called $1" >&2; exit 2 ;;
  esac
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/rustc" <<'SH'
#!/bin/sh
exec "$@" -Cinstrument-coverage
SH
chmod +x "$dir/rustc"
# A wrapper of the workspace's own crates: Wasmtime stays as it was built.
cp "$dir/rustc" target/cover-rustc
export RUSTC_WORKSPACE_WRAPPER=$PWD/target/cover-rustc
# An incremental build is in more pieces. Those that a test does not need are not linked into it,
# and their lines would not count.
CARGO_INCREMENTAL=0 LLVM_PROFILE_FILE=$dir/build-%p.profraw cargo test --workspace --test short --test programs --bin wasi-threads-run --no-run 2>"$dir/built"
cat "$dir/built" >&2
short=$(sed -n 's/.*Executable .*short.rs (\(.*\))$/\1/p' "$dir/built")
programs=$(sed -n 's/.*Executable .*programs.rs (\(.*\))$/\1/p' "$dir/built")
lines=$(sed -n 's/.*Executable .*src.main.rs (\(.*wasi_threads_run-[0-9a-f]*\))$/\1/p' "$dir/built")
failed=0
for target in "$@"; do
  read -r folder floor <<<"$(about "$target")"
  binary=$short test=$target
  case "$target" in
    programs) binary=$programs ;;
    command_lines) binary=$lines test=run::any_line::tests::lines_that_were_found ;;
  esac
  rm -f "$dir"/run-*.profraw
  (
    cd tests/fuzzing
    FUZZ_SECONDS=0 FUZZ_CORPUS=${FUZZ_CORPUS-$PWD/../../fuzz/corpus} LLVM_PROFILE_FILE=$dir/run-%p.profraw \
      "$OLDPWD/${binary#"$OLDPWD/"}" --exact "$test" >/dev/null
  )
  "$bin/llvm-profdata" merge -sparse "$dir"/run-*.profraw -o "$dir/run.profdata"
  counts=$("$bin/llvm-cov" report "$binary" -instr-profile="$dir/run.profdata" "$folder" 2>/dev/null \
    | awk '/^TOTAL/ { print $(NF - 3), $(NF - 4), $(NF - 5) }')
  read -r percent missed count <<<"$counts"
  echo "fuzz-coverage: $target: $percent of the $count lines of $folder (floor: $floor %)"
  awk -v have="${percent%\%}" -v floor="$floor" 'BEGIN { exit !(have >= floor) }' || failed=1
done
exit $failed
