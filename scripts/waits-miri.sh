#!/usr/bin/env bash
# Runs the tests of memory-waits under Miri, which finds undefined behaviour and data races in what
# they do. Needs a nightly toolchain with the components miri and rust-src; says so if they are
# missing. Arguments go to the test binaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
toolchain="${MIRI_TOOLCHAIN:-nightly}"
if ! cargo "+$toolchain" miri --version >/dev/null 2>&1; then
    echo "Miri is missing: rustup component add --toolchain $toolchain miri rust-src" >&2
    exit 1
fi
export CARGO_TARGET_DIR="${MIRI_TARGET_DIR:-target/miri}"
# Clocks and /proc are looked at by some tests.
export MIRIFLAGS="-Zmiri-disable-isolation ${MIRIFLAGS:-}"
# Left out are a thousand threads, a test of processor time, and the stress tests, which want more
# done in their time than Miri can do.
exec cargo "+$toolchain" miri test --package memory-waits --lib --test waits -- \
    --skip the_end_reaches_a_thousand_threads --skip long_waits_take_no_processor_time "$@"
