#!/bin/sh
# The long form of the tests of thread groups: every pair of cause and company 100 times, 1,000 threads
# ended 20 times over, 10,000 groups in a row, 100,000 threads one after the other.
#
# Usage: scripts/threads-stress.sh [ROUNDS]      (default 100; about ten minutes on two cores)
set -eu
cd "$(dirname "$0")/.."
WASI_THREADS_STRESS="${1:-100}" exec cargo test --release -p wasi-threads --no-fail-fast \
    --test outcomes --test limits --test ending --test explaining --test embedding -- --nocapture --test-threads=1
