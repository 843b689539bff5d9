#!/usr/bin/env bash
# Tests the crates that run on every system that Rust does: table-sync and memory-waits, whose parts for one system have a part for
# all others. What the rest needs on which system is in docs/platforms.md.
#
# usage: scripts/portable.sh
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --locked --no-fail-fast --package table-sync --package memory-waits
