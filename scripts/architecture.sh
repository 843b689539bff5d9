#!/usr/bin/env bash
# Checks a source tree: the length of files, circles between folders, types of one name, methods
# outside of their type's folder, links that lead nowhere, tests that pages name and that are not
# there, dependencies that the fuzz workspace lacks, what depends on the platform outside of sys/,
# and the order of folders in docs/architecture.md.
#
# usage: scripts/architecture.sh [TREE]    default: this one
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=$(cd "${1:-$root}" && pwd)
cd "$root"
exec cargo run -q -p architecture -- "$tree"
