#!/usr/bin/env bash
# Prints each message to users that the tests have seen, as one list, with a command that causes it.
# Then prints the texts of the sources that no test has seen.
#
# usage: scripts/messages.sh [TEST]...    parts of names of tests of the binary; default: all
set -euo pipefail
cd "$(dirname "$0")/.."
records=$(mktemp -d)
trap 'rm -rf "$records"' EXIT
# A failing test counts, too. This script does not report it.
RECORD_MESSAGES=$records cargo test --quiet --workspace --test cli -- "$@" >"$records/.said" 2>&1 ||
  echo "messages: some tests failed: $(grep -c '^test .* FAILED$' "$records/.said" || true)" >&2
exec python3 scripts/messages.py "$records" crates/cli/src
