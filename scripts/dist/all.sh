#!/usr/bin/env bash
# Makes every artefact of one target, and their checksums, in target/dist-files.
#
# usage: [TARGET=...] scripts/dist/all.sh               builds the binary first
#        [TARGET=...] BINARY=FILE scripts/dist/all.sh   of a binary that is there
# needs npm, dpkg-deb and python3
set -euo pipefail
here=$(dirname "$0")
[ -n "${BINARY:-}" ] || "$here/binary.sh"
source "$here/names.sh"
export TARGET OUT BINARY
"$here/files.sh"
"$here/deb.sh"
"$here/npm.sh"
"$here/wheel.py" "$OUT/tree" "$OUT" "$version" "$wheel_arch" "$SOURCE_DATE_EPOCH"
"$here/oci.py" "$OUT/tree" "$OUT" "$version" "$oci_arch" "$SOURCE_DATE_EPOCH"
cd "$OUT"
# The names alone: they are checked where they are downloaded to.
find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
cat SHA256SUMS
