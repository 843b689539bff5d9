#!/usr/bin/env bash
# Checks what the manifests promise. Each check is one of the arguments; without any, all are made.
#
#   package   each crate can be packed, and a package has its licence and its page
#   msrv      everything compiles with the Rust that `rust-version` names
#   minimal   everything compiles with the oldest versions of direct dependencies that the
#             manifests allow (needs nightly's cargo to choose them; made in a copy,
#             target/minimal-versions)
#   features  each crate compiles without its features, with each alone, and with all
#
# usage: scripts/manifests.sh [package|msrv|minimal|features]...
# The first `minimal` or `features` checks Wasmtime anew with each set of features: minutes each.
set -euo pipefail
cd "$(dirname "$0")/.."

package() {
  local list
  list=$(mktemp -d)
  cargo package --workspace --no-verify --allow-dirty --quiet --exclude integration-tests --exclude architecture \
    --exclude fuzzing --exclude fuzz --exclude benches --target-dir "$list"
  local file name held missing=0
  for file in "$list"/package/*.crate; do
    name=$(basename "$file" .crate)
    # Whole, before it is searched: a search that ends early would end the program that lists with a
    # signal.
    held=$(tar --list --gzip --file "$file")
    for needed in LICENSE README.md Cargo.toml; do
      if ! grep -q "^$name/$needed$" <<<"$held"; then
        echo "manifests: $name lacks $needed" >&2
        missing=1
      fi
    done
    echo "manifests: $name: $(stat -c %s "$file") bytes, $(wc -l <<<"$held") files"
  done
  rm -rf "$list"
  return "$missing"
}

msrv() {
  local needed
  needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  if command -v rustup >/dev/null; then rustup toolchain install --profile minimal "$needed"; fi
  RUSTUP_TOOLCHAIN=$needed rustc --version
  RUSTUP_TOOLCHAIN=$needed cargo check --locked --workspace --all-targets
}

minimal() {
  local copy=$PWD/target/minimal-versions
  mkdir -p "$copy"
  git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory "$copy"
  cd "$copy"
  rm -f Cargo.lock
  cargo +nightly generate-lockfile -Z direct-minimal-versions
  cargo check --locked --workspace --all-targets
  cd -
}

features() {
  cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if "/crates/" not in package["manifest_path"]:
        continue
    name, features = package["name"], [f for f in package["features"] if f != "default"]
    for chosen in ["", *features, ",".join(features)]:
        print(name, chosen or "-")
' | sort -u | while read -r name chosen; do
    echo "manifests: $name with $chosen"
    # `-` stands for none.
    [ "$chosen" != - ] || chosen=
    cargo check --locked --quiet --package "$name" --no-default-features --features "$chosen" </dev/null
  done
}

[ "$#" -gt 0 ] || set -- package msrv minimal features
for check in "$@"; do
  case "$check" in
    package | msrv | minimal | features) "$check" ;;
    *) echo "manifests.sh: no such check: $check" >&2 && exit 2 ;;
  esac
  echo "manifests: $check: done"
done
