#!/usr/bin/env bash
# Runs the stress test of table-sync: eight threads, by default for 60 seconds, then checks that no
# entry was lost, every value was dropped, and resident memory stayed flat. An argument sets
# another number of seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export TABLE_SYNC_STRESS_SECONDS="${1:-60}"
exec cargo test --release --package table-sync --test stress -- --nocapture
