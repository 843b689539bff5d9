#!/usr/bin/env bash
# The differential test of p1-adapter against wasi-common 46: sockets and what wasmtime_wasi::p1 48 lacks
# (benches/peers/differential46). Builds both releases of wasmtime, which takes some minutes the first time.
#
# usage: scripts/p1-differential-46.sh [SEQUENCES]     default: 2000
set -euo pipefail
cd "$(dirname "$0")/../benches/peers"

cargo run --release -q -p differential46 -- "${1:-2000}"
