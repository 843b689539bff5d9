#!/usr/bin/env bash
# Calls every function of p1-adapter with arbitrary arguments for a while
# (crates/p1-adapter/tests/fuzz).
#
# usage: scripts/p1-fuzz.sh [SECONDS [CORPUS]]     default: 1800
#
# With CORPUS, writes there the programs it takes to see every answer that was seen;
# crates/p1-adapter/tests/fuzz/corpus.txt was made that way.
set -euo pipefail
cd "$(dirname "$0")/.."

export P1_FUZZ_SECONDS=${1:-1800}
if [ -n "${2:-}" ]; then
  P1_FUZZ_SAVE=$(realpath "$2")
  export P1_FUZZ_SAVE
fi
cargo test --workspace --test fuzz -- --nocapture arbitrary_programs
