#!/usr/bin/env bash
# Runs the loom models of crates/waits: every interleaving with at most
# three preemptions, or LOOM_MAX_PREEMPTIONS of them. An ordinary test run has
# them too, with two. Arguments name the models to run.
#
# The models compile the sources they check a second time, over loom's types
# (tests/loom/sync.rs), so there is no cfg and no feature to set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
exec cargo test -p memory-waits --test loom_waits -- "$@"
