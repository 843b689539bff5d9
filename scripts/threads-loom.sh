#!/usr/bin/env bash
# Runs the loom models of crates/waits and crates/threads: every interleaving with at most three
# preemptions, or LOOM_MAX_PREEMPTIONS of them. Then checks that each planted mutant is found. An
# ordinary test run has the models too, mostly with two preemptions. Arguments name the models to
# run.
#
# The models compile the sources they check a second time, over loom's types
# (crates/waits/tests/loom/sync.rs, crates/threads/tests/loom), so there is no cfg and no feature to
# set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
# The whole workspace, so that Wasmtime is not built once more with other features.
exec cargo test --workspace --test loom_waits --test loom_life_protocol --test loom_life -- "$@"
