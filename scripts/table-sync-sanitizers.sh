#!/usr/bin/env bash
# Runs the tests of table-sync under AddressSanitizer and LeakSanitizer. They find values that are
# used after they were dropped, dropped twice, or never dropped. Works with the stable toolchain:
# its runtime libraries include the sanitizers, and the compiler only needs permission to use them.
# Arguments go to the test binaries.
#
# ThreadSanitizer wants a nightly toolchain: scripts/thread-sanitizer.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target="${SANITIZER_TARGET:-$(rustc -vV | sed -n 's/^host: //p')}"
# Other flags, so another folder: the ordinary build stays as it is.
export CARGO_TARGET_DIR="${SANITIZER_TARGET_DIR:-target/sanitizers}"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address ${RUSTFLAGS:-}"
export ASAN_OPTIONS="detect_stack_use_after_return=1 ${ASAN_OPTIONS:-}"
export TABLE_SYNC_STRESS_SECONDS="${TABLE_SYNC_STRESS_SECONDS:-10}"
# Freed memory is kept aside to catch its use, so what is resident is not a measure here.
export TABLE_SYNC_STRESS_SANITIZED=1
# A target of its own, so that build scripts and macros are not instrumented.
exec cargo test --package table-sync --target "$target" --lib --tests --no-fail-fast -- "$@"
