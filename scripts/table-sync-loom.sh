#!/usr/bin/env bash
# Runs the loom models of table-sync: every interleaving within a bound on preemptions. Each model
# states its bound, and LOOM_MAX_PREEMPTIONS overrides it. Then checks that each planted mutant is
# found. About 75 s on 2 processors. Arguments go to the test binary, for instance the name of a
# model.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Other flags, so another folder: the ordinary build stays as it is.
export CARGO_TARGET_DIR="${LOOM_TARGET_DIR:-target/loom}"
export RUSTFLAGS="--cfg loom ${RUSTFLAGS:-}"
exec cargo test --release --package table-sync --test loom -- "$@"
