#!/bin/sh
# The long form of the tests of thread groups. Every pair of cause and company runs 100 times, with
# and without WASI calls. Each of these is ended 20 times over: 1,000 parked threads, 1,000 sleeping
# ones, and 100 that read one stdin. There are 10,000 groups in a row, and 100,000 threads one after
# the other. Ten million waits must give no false report. The guests that would notice an instance
# made too early run 1,000 times. One test starts more threads than the system has mappings for.
#
# Usage: scripts/threads-stress.sh [ROUNDS [TEST]...]   (default 100; ten minutes on two cores)
#
# TEST is one of the binaries below; without any, all of them run.
set -eu
cd "$(dirname "$0")/.."
WASI_THREADS_STRESS="${1:-100}"
export WASI_THREADS_STRESS
[ "$#" -eq 0 ] || shift
[ "$#" -gt 0 ] || set -- ending wasi outcomes limits explaining embedding capacity
targets=''
for test in "$@"; do targets="$targets --test $test"; done
# One at a time: the tests measure time and count the host threads of their process.
# shellcheck disable=SC2086
exec cargo test --release -p wasi-threads --no-fail-fast $targets -- --nocapture --test-threads=1
