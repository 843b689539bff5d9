#!/usr/bin/env bash
# Runs the tests of table-sync and memory-waits under ThreadSanitizer. It finds accesses of two
# threads that nothing orders, in the compiled code and not in a model. Needs a nightly toolchain
# with rust-src, as std is compiled anew: the sanitizer has to see what std's locks order. Says so
# if that is missing. Arguments go to the test binaries.
#
# usage: scripts/thread-sanitizer.sh [TEST ARGUMENT]...
#
# ThreadSanitizer does not know fences. Both crates are compiled with `--cfg sanitized`: each fence
# is then also an update of one atomic that all fences of the crate share. That orders at least what
# the fences order, so nothing that they order is reported. It may order more. So the loom models,
# and not this script, check what rests on a fence alone. What is left out is in
# scripts/thread-sanitizer.supp, each with its reason.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
toolchain="${TSAN_TOOLCHAIN:-nightly}"
if ! [ -d "$(rustc "+$toolchain" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ]; then
    echo "std's sources are missing: rustup component add --toolchain $toolchain rust-src" >&2
    exit 1
fi
target="${TSAN_TARGET:-$(rustc -vV | sed -n 's/^host: //p')}"
# Other flags, so another folder: the ordinary build stays as it is.
export CARGO_TARGET_DIR="${TSAN_TARGET_DIR:-target/thread-sanitizer}"
export RUSTFLAGS="-Zsanitizer=thread --cfg sanitized ${RUSTFLAGS:-}"
options="suppressions=$PWD/scripts/thread-sanitizer.supp halt_on_error=1 history_size=4"
export TSAN_OPTIONS="$options ${TSAN_OPTIONS:-}"
export TABLE_SYNC_STRESS_SECONDS="${TABLE_SYNC_STRESS_SECONDS:-10}"
export WAITS_STRESS_MS="${WAITS_STRESS_MS:-10000}"
# The sanitizer's own memory grows with what it has seen.
export TABLE_SYNC_STRESS_SANITIZED=1
# A sanitized std takes minutes to look up a backtrace, and some tests panic on purpose.
export RUST_BACKTRACE=0
run() {
    echo "thread-sanitizer: $*"
    cargo "+$toolchain" test -Zbuild-std --target "$target" --no-fail-fast "$@"
}
run --package table-sync --lib --test stress --test semantics --test waiting --test readiness \
    --test linearizability -- "$@"
# Left out are tests of resident memory, of which the sanitizer has its own, and tests of short
# times.
run --package memory-waits --lib --test waits_stress --test waits -- \
    --skip addresses_leave_nothing_behind --skip the_end_reaches_a_thousand_threads "$@"
