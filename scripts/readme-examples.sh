#!/usr/bin/env bash
# Runs the commands of README.md and of the pages in docs/, each as written, with the
# binary that `cargo install` makes of this source.
#
# usage: scripts/readme-examples.sh
#
# OURS=BINARY    this one instead, and nothing that is to be run in the repository
#
# A comment before each block of shell commands says where it runs. A block with another comment, or
# without one, is named and left out. Builds a release binary: some minutes, the first time.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# `cargo install` puts the binary here, and the other examples
# find it here.
export CARGO_INSTALL_ROOT=$scratch/root
export PATH=$CARGO_INSTALL_ROOT/bin:$PATH
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repository/target}

# Beside app.wasm.
mkdir "$scratch/beside"
cp tests/guests/args_env.wat "$scratch/beside/app.wasm"
export NAME=value
if [ -n "${OURS:-}" ]; then
  mkdir -p "$CARGO_INSTALL_ROOT/bin"
  ln -s "$(realpath "$OURS")" "$CARGO_INSTALL_ROOT/bin/wasi-threads-run"
fi

# A cargo project.
mkdir -p "$scratch/project/src" "$scratch/project/.cargo"
cat >"$scratch/project/Cargo.toml" <<'TOML'
[package]
name = "app"
edition = "2024"
[workspace]
TOML
cat >"$scratch/project/src/main.rs" <<'RUST'
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let text = std::thread::spawn(move || args.join(" ")).join().unwrap();
    println!("a thread was given: {text}");
}

#[test]
fn threads() {
    assert_eq!(std::thread::spawn(|| 5).join().unwrap(), 5);
}
RUST
# The file that the README shows.
sed -n '/^```toml$/,/^```$/p' README.md | sed '1d;/^```$/,$d' >"$scratch/project/.cargo/config.toml"
grep -q '^runner = ' "$scratch/project/.cargo/config.toml"

# With wasi-sdk.
mkdir "$scratch/sdk"
cp tests/guests/pthread/sum.c "$scratch/sdk/app.c"

# Splits the pages into one file a block, named by its number, with the comment
# before it as its first line. The README first: it installs the binary.
awk -v to="$scratch/block" '
  /^<!-- .* -->$/ { note = $0; next }
  /^```sh$/ { name = sprintf("%s-%02d.sh", to, ++count); print "# " note > name; inside = 1; next }
  /^```/ { inside = 0 }
  inside { print > name }
  /^[^<]/ && !inside { note = "" }
' README.md crates/cli/README.md docs/*.md

run() { # FOLDER BLOCK
  (cd "$1" && bash -euo pipefail "$2") >"$scratch/said" 2>&1 || {
    cat "$scratch/said" >&2
    echo "readme-examples: failed: $(sed -n 2p "$2")" >&2
    return 1
  }
  sed -n '2,$s/^/$ /p' "$2"
  tail -n 3 "$scratch/said" | sed 's/^/    /'
}

ran=0 left=0
for block in "$scratch"/block-*.sh; do
  case ${OURS:+ours }$(head -n 1 "$block") in
    "ours "*"run in the repository"*)
      echo "readme-examples: left out, with a binary that is given: $(sed -n 2p "$block")"
      left=$((left + 1))
      continue ;;
    *"run in the repository"*) run "$repository" "$block" ;;
    # What another command has made.
    *"run beside app.wasm and app.replay"*)
      (cd "$scratch/beside" && : >app.supp &&
        wasi-threads-run --schedule random:1 --save app.replay app.wasm >/dev/null 2>&1)
      run "$scratch/beside" "$block" ;;
    *"run beside app.wasm"*) run "$scratch/beside" "$block" ;;
    *"run in a cargo project"*) CARGO_TARGET_DIR=$scratch/target run "$scratch/project" "$block" ;;
    *"run where WASI_SDK_PATH is set"*)
      if [ -n "${WASI_SDK_PATH:-}" ]; then
        run "$scratch/sdk" "$block"
      else
        echo "readme-examples: WASI_SDK_PATH is not set, left out: $(sed -n 2p "$block")"
        left=$((left + 1))
        continue
      fi ;;
    *)
      echo "readme-examples: left out: $(sed -n 2p "$block")"
      left=$((left + 1))
      continue ;;
  esac
  ran=$((ran + 1))
done
echo "readme-examples: $ran blocks ran, $left left out"
