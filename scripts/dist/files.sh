#!/usr/bin/env bash
# Puts what all artefacts share into OUT/tree: the binary, the manual page, completions, the
# licences, the README. And packs that as wasi-threads-run-VERSION-TARGET.tar.gz, for downloads and
# `cargo binstall`.
#
# usage: [BINARY=FILE] scripts/dist/files.sh
set -euo pipefail
source "$(dirname "$0")/names.sh"
tree=$OUT/tree
rm -rf "$tree"
mkdir -p "$tree/completions"
install -m 755 "$BINARY" "$tree/$name"
# A binary of another architecture cannot be asked; then HOST_BINARY says the same of itself.
asked=${HOST_BINARY:-$BINARY}
"$asked" man >"$tree/$name.1"
"$asked" completion bash >"$tree/completions/$name.bash"
"$asked" completion zsh >"$tree/completions/_$name"
"$asked" completion fish >"$tree/completions/$name.fish"
install -m 644 "$root/LICENSE" "$root/crates/cli/README.md" "$root/CHANGELOG.md" "$tree"
"$root/scripts/dist/licences.py" "$TARGET" >"$tree/LICENSES-THIRD-PARTY.txt"
archive=$name-$version-$TARGET
tar --create --gzip --file "$OUT/$archive.tar.gz" --directory "$tree" \
  --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
  --transform "s,^\.,$archive," .
echo "dist: $OUT/$archive.tar.gz"
