#!/usr/bin/env bash
# Runs tests of table-sync and memory-waits under Miri, which finds undefined behaviour and data
# races in what they do. Needs a nightly toolchain with the components miri and rust-src; says so if
# they are missing.
#
# usage: scripts/miri.sh [table-sync | memory-waits] [TEST ARGUMENT]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
toolchain="${MIRI_TOOLCHAIN:-nightly}"
if ! cargo "+$toolchain" miri --version >/dev/null 2>&1; then
    echo "Miri is missing: rustup component add --toolchain $toolchain miri rust-src" >&2
    exit 1
fi
export CARGO_TARGET_DIR="${MIRI_TARGET_DIR:-target/miri}"
# Clocks and /proc are looked at by some tests. Reader records of table-sync are never freed, by
# design, and are reachable from a static.
export MIRIFLAGS="-Zmiri-disable-isolation ${MIRIFLAGS:-}"
export TABLE_SYNC_STRESS_SECONDS="${TABLE_SYNC_STRESS_SECONDS:-5}"
only=''
case "${1:-}" in table-sync | memory-waits) only=$1 && shift ;; esac
miri() { cargo "+$toolchain" miri test "$@"; }
[ "$only" = memory-waits ] || miri --package table-sync --lib \
    --test semantics --test waiting --test readiness --test auto_traits --test linearizability --test stress \
    -- "$@"
# Left out are a thousand threads, a test of processor time, and the stress tests, which want more
# done in their time than Miri can do.
[ "$only" = table-sync ] || miri --package memory-waits --lib --test waits -- \
    --skip the_end_reaches_a_thousand_threads --skip long_waits_take_no_processor_time "$@"
