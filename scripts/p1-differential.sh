#!/usr/bin/env bash
# The differential test of p1-adapter against wasmtime_wasi::p1, with more random sequences of calls
# than CI runs (2,000). The first difference ends it, with the shortest sequence that shows it.
#
# usage: scripts/p1-differential.sh [SEQUENCES]
#
# Default: 200000 for each of the two linkers, about an hour on one core for each.
set -euo pipefail
cd "$(dirname "$0")/.."

export P1_DIFFERENTIAL_CASES=${1:-200000}
cargo test --workspace --test differential -- --nocapture alike
