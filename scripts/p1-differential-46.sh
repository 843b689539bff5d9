#!/usr/bin/env bash
# The differential test of p1-adapter against wasi-common 46: sockets and what wasmtime_wasi::p1 48
# lacks (benches/peers/differential46). First it must find faults that are planted in p1-adapter's
# answers. The first difference that src/known.rs does not list ends it, with the shortest sequence
# that shows it. Builds both releases of wasmtime, which takes some minutes the first time, and
# 2,000 sequences some seconds (in the folder for temporary files: TMPDIR).
#
# usage: scripts/p1-differential-46.sh [SEQUENCES]     default: 2000
set -euo pipefail
cd "$(dirname "$0")/../benches/peers"

# Nothing is measured here, so there is no link-time optimisation, which this workspace has for the
# benches.
export CARGO_PROFILE_RELEASE_LTO=off
cargo run --release -q -p differential46 -- "${1:-2000}"
