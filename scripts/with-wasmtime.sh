#!/usr/bin/env bash
# Builds and tests the workspace on another version of Wasmtime, in a copy of it:
# target/with-wasmtime-VERSION. In the copy the script sets the versions of Wasmtime's crates, of
# those that must be the same as Wasmtime's, and of the workspace. Nothing else is changed. Prints
# what failed. A first build takes 12 minutes of two processors.
#
# usage: scripts/with-wasmtime.sh VERSION [CARGO TEST ARGUMENTS]
#        scripts/with-wasmtime.sh 50            the newest 50.x of the registry
#        scripts/with-wasmtime.sh 48            its newest patch
#        RUST=1.99.1 scripts/with-wasmtime.sh 50
#                                               with this toolchain, if the present one is too old;
#                                               by default the oldest that the version asks for
#        WASMTIME_GIT=https://github.com/bytecodealliance/wasmtime scripts/with-wasmtime.sh main
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=${1:?usage: scripts/with-wasmtime.sh VERSION [CARGO TEST ARGUMENTS]}
shift
copy=$PWD/target/with-wasmtime-$wanted
mkdir -p "$copy"
# What an earlier copy has and this one has not: a test that was removed would go on being run.
find "$copy" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory "$copy"
cd "$copy"

# What Wasmtime itself depends on: a package that has it alone says so.
ask=$(mktemp -d)
trap 'rm -rf "$ask"' EXIT
mkdir "$ask/src"
touch "$ask/src/lib.rs"
source_of=${WASMTIME_GIT:+git = \"$WASMTIME_GIT\"}
cat >"$ask/Cargo.toml" <<TOML
[package]
name = "ask"
version = "0.0.0"
edition = "2024"
[dependencies]
wasmtime = { ${source_of:-version = \"$wanted\"} }
[workspace]
TOML
cargo metadata --format-version 1 --manifest-path "$ask/Cargo.toml" >"$ask/metadata.json"
python3 - "$ask/metadata.json" "${source_of:-}" <<'PYTHON'
import json
import pathlib
import re
import sys

packages = {p["name"]: p for p in json.loads(pathlib.Path(sys.argv[1]).read_text())["packages"]}
source = sys.argv[2]
ours = ["wasmtime", "wasmtime-wasi", "wasmtime-internal-cache", "wasmtime-cli-flags", "wasmtime-environ", "wiggle"]
version = packages["wasmtime"]["version"]
# wasm-tools' crates are released together: 0.N, and wat 1.N. Other packages may bring another.
asked = packages["wasmtime"]["dependencies"]
minor = next(one["req"] for one in asked if one["name"] == "wasmparser").split(".")[1]
same = {}
for name in ["gimli", "addr2line", "cpp_demangle", "fxprof-processed-profile"]:
    owners = ["wasmtime", "wasmtime-environ"]
    asked = [one for owner in owners for one in packages[owner]["dependencies"] if one["name"] == name]
    if asked:
        same[name] = asked[0]["req"].lstrip("^=")

for manifest in [pathlib.Path("Cargo.toml"), *pathlib.Path(".").glob("*/*/Cargo.toml"), *pathlib.Path(".").glob("*/Cargo.toml")]:
    text = manifest.read_text()
    for name in ours:
        place = source or f'version = "={version}"'
        text = re.sub(rf'(?m)^{name} = {{ version = "[^"]*"', f"{name} = {{ {place}", text)
    for name in ["wasmparser", "wasm-encoder", "wasm-smith"]:
        text = re.sub(rf'(?m)^({name} = {{ version = ")0[\d.]+', rf"\g<1>0.{minor}", text)
    text = re.sub(r'(?m)^wat = "1[\d.]+"', f'wat = "1.{minor}"', text)
    for name, found in same.items():
        text = re.sub(rf'(?m)^({name} = {{ version = ")[^"]*', rf"\g<1>{found}", text)
    major = version.split(".")[0]
    text = re.sub(r'(?m)^version = "48\.', f'version = "{major}.', text)
    text = re.sub(r'(path = "crates/[^"]*", version = ")48\.', rf"\g<1>{major}.", text)
    manifest.write_text(text)
print(f"with-wasmtime: Wasmtime {version}, wasmparser 0.{minor}, Rust {packages['wasmtime']['rust_version']} or newer")
pathlib.Path("rust-version").write_text(packages["wasmtime"]["rust_version"])
PYTHON
needed=$(cat rust-version)
have=$(rustc --version | cut -d ' ' -f 2)
if [ "$(printf '%s\n' "$needed" "$have" | sort -V | head -n 1)" != "$needed" ]; then
  present=$(rustup show active-toolchain | cut -d ' ' -f 1)
  # Beside what is there, and by its number: the default toolchain stays what it is.
  export RUSTUP_TOOLCHAIN=${RUST:-$needed}
  rustup toolchain install --no-self-update --profile minimal "$RUSTUP_TOOLCHAIN"
  # The guests in Rust are built by the toolchain that is there, if the other lacks their target.
  if ! rustup target add wasm32-wasip1-threads 2>/dev/null; then
    export GUEST_TOOLCHAIN=${GUEST_TOOLCHAIN:-$present}
    echo "with-wasmtime: no target wasm32-wasip1-threads for Rust $RUSTUP_TOOLCHAIN: programs in Rust are built by $GUEST_TOOLCHAIN"
  fi
fi
rustc --version

[ "$#" -gt 0 ] || set -- --workspace
log=$copy/target/with-wasmtime.log
mkdir -p target
status=0
cargo test --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
count() { grep -oE "[0-9]+ $1" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
echo
grep -E '^error(\[|:)' "$log" | sort | uniq -c || true
grep -E '^test .* FAILED$' "$log" | sort -u || true
echo "with-wasmtime: $wanted: status $status, $(count passed) passed, $(count failed) failed, $(count ignored) ignored"
exit "$status"
