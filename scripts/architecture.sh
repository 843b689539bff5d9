#!/usr/bin/env bash
# Checks a source tree: the length of files, the width of comments and pages, words for persons and
# words that the glossary avoids, circles between folders, types of one name, methods outside of
# their type's folder, links, commands and names of tests that lead nowhere, dependencies that the
# fuzz workspace lacks, what depends on the platform outside of sys/, and the order of folders in
# docs/architecture.md.
#
# usage: scripts/architecture.sh [TREE]    default: this one
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=$(cd "${1:-$root}" && pwd)
cd "$root"
exec cargo run -q -p architecture -- "$tree"
