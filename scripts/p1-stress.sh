#!/usr/bin/env bash
# The concurrency tests of p1-adapter, each repeated many times.
#
# usage: scripts/p1-stress.sh [ROUNDS]     default: 1000
#
# On a machine that does nothing else: P1_BOUND_MS=10 scripts/p1-stress.sh, so that every blocked call of every thread must
# end within 10 ms of the signal.
set -euo pipefail
cd "$(dirname "$0")/.."

export P1_ROUNDS=${1:-1000}
cargo test -p p1-adapter --test preview1 -- races::
# Some of these take up to a second a round, and each bounds its own time.
cargo test -p p1-adapter --test blocking -- --test-threads 2
