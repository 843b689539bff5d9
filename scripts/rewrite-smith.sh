#!/bin/sh
# Sends random modules (wasm-smith) through crates/rewrite. Each must validate, keep its places, and
# do the same as before.
#
#   scripts/rewrite-smith.sh [MODULES [FIRST_SEED]]      50,000 from seed 1
set -eu
cd "$(dirname "$0")/.."
REWRITE_SMITH_MODULES=${1:-50000}
REWRITE_SMITH_SEED=${2:-1}
export REWRITE_SMITH_MODULES REWRITE_SMITH_SEED
exec cargo test --workspace --test rewrite -- \
    --nocapture smith::random_modules_do_what_they_did
