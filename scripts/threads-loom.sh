#!/usr/bin/env bash
# Runs the loom models of the threads crate: every interleaving with at most
# three preemptions, or LOOM_MAX_PREEMPTIONS of them. An ordinary test run has
# them too, with two. Arguments name the models to run.
#
# The models compile the sources they check a second time, over loom's types
# (tests/loom/sync.rs), so there is no cfg and no feature to set, and Wasmtime
# is not built anew: nor by --workspace, which has the features of a run of all tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
exec cargo test --workspace --test loom_waits -- "$@"
