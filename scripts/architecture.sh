#!/usr/bin/env bash
# Checks a source tree. Text: the length of files, the width of comments and pages, words for
# persons, and words that the glossary avoids. Code: circles between folders, types of one name,
# methods outside of their type's folder, platform code outside of sys/, dependencies that the fuzz
# workspace lacks. Pages: links, commands and names of tests that lead nowhere, and the order of
# folders in docs/architecture.md.
#
# usage: scripts/architecture.sh [TREE]    default: this one
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=$(cd "${1:-$root}" && pwd)
cd "$root"
exec cargo run -q -p architecture -- "$tree"
