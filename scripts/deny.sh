#!/usr/bin/env bash
# Advisories, licences, second copies and sources of all dependencies, as deny.toml has them. Needs
# cargo-deny (`cargo install --locked cargo-deny`), and the network for the advisories. If
# cargo-deny is not installed, says so, and fails only if it must run (DENY=required).
#
# usage: scripts/deny.sh [CHECK]...      default: advisories bans licenses sources
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v cargo-deny >/dev/null; then
  echo "deny: cargo-deny is not installed: left out"
  [ "${DENY:-}" != required ]
  exit
fi
[ $# -gt 0 ] || set -- advisories bans licenses sources
exec cargo deny --locked check "$@"
