#!/usr/bin/env bash
# Runs the unit tests of table-sync under Miri, which finds undefined behaviour and data races in
# what they do. Needs a nightly toolchain with the components miri and rust-src; says so if they
# are missing. Arguments go to the test binaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
toolchain="${MIRI_TOOLCHAIN:-nightly}"
if ! cargo "+$toolchain" miri --version >/dev/null 2>&1; then
    echo "Miri is missing: rustup component add --toolchain $toolchain miri rust-src" >&2
    exit 1
fi
export CARGO_TARGET_DIR="${MIRI_TARGET_DIR:-target/miri}"
# Clocks and /proc are looked at by some tests. Reader records are never freed, by design, and are
# reachable from a static.
export MIRIFLAGS="-Zmiri-disable-isolation ${MIRIFLAGS:-}"
export TABLE_SYNC_STRESS_SECONDS="${TABLE_SYNC_STRESS_SECONDS:-5}"
exec cargo "+$toolchain" miri test --package table-sync --lib \
    --test semantics --test waiting --test readiness --test auto_traits --test linearizability --test stress \
    -- "$@"
