#!/usr/bin/env bash
# Makes a release on the forge from the artefacts in FOLDER, which has a folder for each
# architecture, as the workflow brings them. Its text is the changelog's part, and it has one list
# of checksums. The script writes to no registry: a maintainer does that by hand.
#
# usage: scripts/dist/publish.sh FOLDER TAG    with gh, and a token in GH_TOKEN
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:?usage: scripts/dist/publish.sh FOLDER TAG}
tag=${2:?usage: scripts/dist/publish.sh FOLDER TAG}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
if [ "$tag" != "v$version" ]; then
  echo "publish: the tag $tag is not that of version $version" >&2
  exit 1
fi
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
find "$folder" -type f ! -name SHA256SUMS -exec cp --target-directory "$all" {} +
(cd "$all" && sha256sum -- * >SHA256SUMS)
sed -n "/^## \[$version\]/,/^## \[/p" CHANGELOG.md | sed '$d' >"$all.md"
gh release create "$tag" --draft --title "$tag" --notes-file "$all.md" "$all"/*
rm -f "$all.md"
