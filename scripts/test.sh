#!/usr/bin/env bash
# Every check of the project, in the order of what fails fastest: packages,
# formatting, lints, tests, documentation. CI runs this and nothing else.
# Fails as soon as one check fails.
#
# usage: scripts/test.sh               every check, once
#        scripts/test.sh --repeat N    all tests N times beside a load of as many busy
#                                      processes as there are processors; goes on after a
#                                      failure, and prints how many runs failed and where.
#                                      Further arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --repeat ]; then
  shift
  exec scripts/repeat-tests.sh "$@"
fi
[ "$#" -eq 0 ] || { echo "test.sh: unknown argument: $1; see the top of the script" >&2; exit 2; }

step() { printf '\n== %s\n' "$*"; "$@"; }

step scripts/setup.sh
step cargo fmt --all --check
# Lengths of files, circles between folders, names of types: before what takes longer.
step scripts/architecture.sh
# Every step has --workspace, and doc has --examples, so that cargo takes the development
# dependencies into account there too. So all steps see one set of features, and wasmtime is checked
# once and built once.
step cargo clippy --workspace --all-targets -- -D warnings
step env RUSTDOCFLAGS='-D warnings' \
  cargo doc --workspace --no-deps --lib --bins --examples
# table-sync's models are built with other flags; the other crates' run with
# their tests.
step scripts/table-sync-loom.sh
# The sanitizer's runtime comes with the toolchains of this kind of host.
case "$(rustc -vV)" in
  *"host: x86_64-unknown-linux-gnu"* | *"host: aarch64-unknown-linux-gnu"*) step scripts/table-sync-sanitizers.sh ;;
  *) echo "test.sh: no AddressSanitizer on this host: scripts/table-sync-sanitizers.sh is left out" ;;
esac
# Every target and every documentation example; --no-fail-fast shows every
# failure of a run, not only the first.
step cargo test --workspace --no-fail-fast
# Versions as scripts/behind.py compares them.
step python3 -m doctest scripts/behind.py
# The binary of the tests, for a minute.
if [ "$(uname -s)" = Linux ]; then
  step env OURS=target/debug/wasi-threads-run scripts/soak.sh 0.0167
fi
echo
echo "test.sh: all checks passed"
