#!/usr/bin/env bash
# Makes the npm packages. wasi-threads-run has a script that runs the binary. The other package has
# the binary for this platform, and is an optional dependency of the first.
#
# usage: scripts/dist/npm.sh    after files.sh
set -euo pipefail
source "$(dirname "$0")/names.sh"
tree=$OUT/tree
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
description='Runs wasi-threads programs on current Wasmtime (unofficial)'
licence='Apache-2.0 WITH LLVM-exception'
platform=$name-linux-$npm_cpu

mkdir -p "$work/$platform/bin" "$work/$name"
install -m 755 "$tree/$name" "$work/$platform/bin/$name"
install -m 644 "$tree/LICENSE" "$tree/LICENSES-THIRD-PARTY.txt" "$work/$platform"
echo "The binary of the package \`$name\` for Linux on $npm_cpu, for any C library." >"$work/$platform/README.md"
cat >"$work/$platform/package.json" <<JSON
{
  "name": "$platform",
  "version": "$version",
  "description": "$description: the binary for Linux on $npm_cpu",
  "license": "$licence",
  "os": ["linux"],
  "cpu": ["$npm_cpu"],
  "files": ["bin", "LICENSE", "LICENSES-THIRD-PARTY.txt"]
}
JSON
install -m 755 "$root/scripts/dist/run.js" "$work/$name/run.js"
install -m 644 "$tree/LICENSE" "$tree/README.md" "$work/$name"
cat >"$work/$name/package.json" <<JSON
{
  "name": "$name",
  "version": "$version",
  "description": "$description",
  "license": "$licence",
  "keywords": ["wasi", "wasi-threads", "threads", "wasmtime", "wasm"],
  "bin": { "$name": "run.js" },
  "files": ["run.js", "LICENSE"],
  "engines": { "node": ">=16" },
  "optionalDependencies": {
    "$name-linux-x64": "$version",
    "$name-linux-arm64": "$version"
  }
}
JSON
for package in "$platform" "$name"; do
  (cd "$work/$package" && npm pack --silent --pack-destination "$OUT" >/dev/null)
  echo "dist: $OUT/$package-$version.tgz"
done
