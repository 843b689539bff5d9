#!/usr/bin/env bash
# The concurrency tests of p1-adapter (crates/p1-adapter/tests/README.md lists them), each repeated
# many times with 2, 4 and 16 threads.
#
# usage: scripts/p1-stress.sh [ROUNDS]     default: 1000, about a quarter of an hour on two cores
#
# On a machine that does nothing else: P1_BOUND_MS=10 scripts/p1-stress.sh, so that every blocked
# call of every thread must end within 10 ms of the signal.
set -euo pipefail
cd "$(dirname "$0")/.."

export P1_ROUNDS=${1:-1000}
cargo test --workspace --test preview1 -- races::
# Two at a time: each has up to 17 threads.
cargo test --workspace --test blocking -- --test-threads 2
