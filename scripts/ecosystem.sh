#!/usr/bin/env bash
# Runs crates' own tests, built for wasm32-wasip1-threads, with the binary as cargo's runner. The
# sources come from the registry, and nothing of them is kept here. Prints a line for each test
# target that was built.
#
# usage: scripts/ecosystem.sh [CRATE...]     all of the list below, or these
#
# OURS=BINARY        the binary (target/release/wasi-threads-run unless set)
# OPTIONS=OPTIONS    more of its options: of wasmtime 46, whose answers to the same
#                    tests tell whose fault a failure is,
#                    "-W threads=y,shared-memory=y -S threads=y"
# ECOSYSTEM=FOLDER   where sources, builds and logs go (a new folder that is
#                    removed unless set)
# TIMEOUT=TIME       for each test program (300s)
# STACK=BYTES        of the guest's threads (262144)
# EXPLORE=N          explores each test under N schedules, of the crates that have a list of their
#                    own for that; scripts/explore-tests.py has more settings
# SMALL=1            with the small numbers of messages and turns that tests have for Miri
#
# Needs the target (rustup target add wasm32-wasip1-threads) and the registry.
# Fails if a test fails that is not named below with its reason.
set -euo pipefail
cd "$(dirname "$0")/.."
ours=$(realpath "${OURS:-target/release/wasi-threads-run}")
[ -x "$ours" ] || { echo "ecosystem.sh: no binary $ours" >&2; exit 2; }
rustup target list --installed | grep -qx wasm32-wasip1-threads ||
  { echo "ecosystem.sh: rustup target add wasm32-wasip1-threads" >&2; exit 2; }
if [ -n "${ECOSYSTEM:-}" ]; then
  mkdir -p "$ECOSYSTEM"
  work=$(realpath "$ECOSYSTEM")
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
mkdir -p "$work/logs"
export CARGO_TARGET_DIR=$work/target
export CARGO_TARGET_WASM32_WASIP1_THREADS_RUNNER="$ours run ${OPTIONS:-} --dir . --dir $work/tmp::/tmp --env RUST_MIN_STACK=${STACK:-262144} -W timeout=${TIMEOUT:-300s}"
mkdir -p "$work/tmp"
if [ -n "${EXPLORE:-}" ]; then
  export OURS=$ours EXPLORE
  export CARGO_TARGET_WASM32_WASIP1_THREADS_RUNNER=$PWD/scripts/explore-tests.py
fi
unset RUSTFLAGS

# CRATE VERSION ARGUMENTS-OF-CARGO-TEST -- ARGUMENTS-OF-THE-TESTS. What is skipped
# has its reason in docs/ecosystem.md.
list() {
  cat <<'LIST'
once_cell 1.21.4 --lib --tests -- --skip poison --skip wait_for_force_to_finish --skip get_or_init_stress --skip get_or_try_init --skip reentrant_init --skip wait_panic
crossbeam-queue 0.3.14 --lib --tests --
crossbeam-channel 0.5.17 --lib --tests -- --skip panic_on_drop
concurrent-queue 2.5.0 --lib --tests --
event-listener 5.4.1 --lib --tests --
parking 2.2.1 --lib --tests --
async-channel 2.5.0 --lib --tests --
flume 0.12.0 --lib --tests --
arc-swap 1.9.5 --lib --tests --
crossbeam-utils 0.8.23 --lib --tests --
crossbeam-deque 0.8.8 --lib --tests --
crossbeam-epoch 0.9.21 --lib --tests --
crossbeam-skiplist 0.1.3 --lib --tests --
rayon-core 1.13.0 --lib --tests --
rayon 1.12.0 --lib --tests --
parking_lot 0.12.5 --lib --tests --
dashmap 6.2.1 --lib --
thread_local 1.1.10 --lib --
async-lock 3.4.2 --lib --tests --
spin 0.10.0 --lib --tests --
tokio 1.54.1 --features sync,macros,io-util,rt,time --lib --tests --
LIST
}

# The same, for EXPLORE. What is skipped catches a panic, which is an abort on this target: it
# fails without a schedule as well. parking_lot parks on this target with a feature of rustc that
# is not stable.
explored() {
  cat <<'LIST'
event-listener 5.4.1 --lib --tests --
arc-swap 1.9.5 --lib --tests -- --skip rcu_panic
flume 0.12.0 --lib --tests --
parking_lot 0.12.5 --features nightly --lib --tests --
tokio 1.54.1 --no-default-features --features sync,macros,rt,time --test sync_* --
crossbeam-channel 0.5.17 --lib --tests -- --skip panic_on_drop
LIST
}

# The version of a crate in the registry that the list names, or the newest that its major has.
source_of() { # CRATE VERSION
  local scratch=$work/fetch/$1
  mkdir -p "$scratch/src"
  : >"$scratch/src/lib.rs"
  printf '[package]\nname = "fetch"\nedition = "2024"\n[workspace]\n[dependencies]\n%s = "%s"\n' "$1" "$2" >"$scratch/Cargo.toml"
  (cd "$scratch" && cargo metadata --format-version 1 2>"$work/logs/$1.fetch" |
    python3 -c 'import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == sys.argv[1]:
        print(package["version"], os.path.dirname(package["manifest_path"]))' "$1")
}

# Takes a development dependency out of a manifest, of every target.
without() { # NAME MANIFEST
  python3 - "$@" <<'PY'
import re, sys
name, manifest = sys.argv[1:]
text = open(manifest).read()
text = re.sub(r"(?ms)^\[(target\.[^\n]*\.)?dev-dependencies\." + re.escape(name) + r"\]\n.*?(?=^\[|\Z)", "", text)
open(manifest, "w").write(text)
PY
}

# Takes a test program out of a package.
without_test() { # NAME FOLDER
  python3 - "$@" <<'PY'
import os, re, sys
name, folder = sys.argv[1:]
manifest = os.path.join(folder, "Cargo.toml")
text = open(manifest).read()
text = re.sub(r'(?ms)^\[\[test\]\]\nname = "' + re.escape(name) + r'"\n.*?(?=^\[|\Z)', "", text)
open(manifest, "w").write(text)
os.remove(os.path.join(folder, "tests", name + ".rs"))
PY
}

# Removes from a development dependency its features for other systems: `fork` and `timeout` of
# proptest.
slim_proptest() { # MANIFEST
  python3 - "$@" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
text = re.sub(r'(?m)(^\[dev-dependencies\.proptest\]\nversion = ".*")$', r'\1\ndefault-features = false\nfeatures = ["std"]', text)
open(sys.argv[1], "w").write(text)
PY
}

failed=0
run() { # CRATE VERSION ARGUMENTS...
  local name=$1 asked=$2 found version source log=$work/logs/$1.log
  shift 2
  if ! found=$(source_of "$name" "$asked") || [ -z "$found" ]; then
    printf '%-20s %-9s not found: %s\n' "$name" "$asked" "$(tail -n 1 "$work/logs/$name.fetch")"
    failed=$((failed + 1))
    return
  fi
  read -r version source <<<"$found"
  rm -rf "$work/src/$name"
  mkdir -p "$work/src"
  cp -r "$source" "$work/src/$name"
  chmod -R u+w "$work/src/$name"
  # A package by itself, whatever is above it.
  grep -q '^\[workspace\]' "$work/src/$name/Cargo.toml" || printf '\n[workspace]\n' >>"$work/src/$name/Cargo.toml"
  # Parts that their tests do not use, and that do not compile for the target.
  unset RUSTC_BOOTSTRAP
  case $name in
    parking_lot) [ -z "${EXPLORE:-}" ] || export RUSTC_BOOTSTRAP=1 ;;
    crossbeam-channel) without signal-hook "$work/src/$name/Cargo.toml" ;;
    arc-swap)
      slim_proptest "$work/src/$name/Cargo.toml"
      without criterion "$work/src/$name/Cargo.toml" ;;
    event-listener)
      without criterion "$work/src/$name/Cargo.toml"
      # Their harness for browsers, which every target of wasm gets.
      without wasm-bindgen-test "$work/src/$name/Cargo.toml"
      sed -i '/^ *#\[cfg(target_family = "wasm")\]$/{N;/wasm_bindgen_test/d}' "$work/src/$name"/{src,tests}/*.rs ;;
    flume)
      # async-std, which does not support the target, and the tests that use it. Its lock file
      # has a wasm-bindgen that rustc refuses.
      without criterion "$work/src/$name/Cargo.toml"
      without async-std "$work/src/$name/Cargo.toml"
      for test in async method_sharing stream; do without_test $test "$work/src/$name"; done
      rm "$work/src/$name/Cargo.lock" ;;
    concurrent-queue | async-channel | async-lock | spin) without criterion "$work/src/$name/Cargo.toml" ;;
  esac
  if [ -n "${SMALL:-}" ]; then
    # In this package only: others of that configuration need an unstable rustc.
    find "$work/src/$name" -name '*.rs' -exec sed -i -E \
      's/cfg\(miri\)/cfg(all())/; s/cfg\(not\(miri\)\)/cfg(any())/; s/cfg!\(miri\)/true/; s/cfg_attr\(miri,/cfg_attr(all(),/' {} +
  fi
  local status=0
  (cd "$work/src/$name" && cargo test -j "${JOBS:-2}" --target wasm32-wasip1-threads --no-fail-fast "$@") >"$log" 2>&1 || status=$?
  python3 - "$name" "$version" "$log" "$status" <<'PY' || failed=$((failed + 1))
import re, sys
name, version, log, status = sys.argv[1:]
text = open(log, errors="replace").read()
targets = re.findall(r"Running (?:unittests )?(\S+)", text)
results = re.findall(r"test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored", text)
sums = [sum(int(one[at]) for one in results) for at in range(3)]
bad = sorted(set(re.findall(r"^test (\S+)(?: - .*)? \.\.\. FAILED", text, re.M)))
words = f"{len(results)} of {len(targets)} programs, {sums[0]} passed, {sums[1]} failed, {sums[2]} ignored"
if not targets:
    words = "not built: " + next(iter(re.findall(r"^error.*", text, re.M)), "see the log")[:120]
if bad:
    words += ": " + ", ".join(bad)
print(f"{name:<20} {version:<9} {words}")
sys.exit(status != "0")
PY
}

wanted=("$@")
while read -r name version arguments; do
  if [ "${#wanted[@]}" -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then
    continue
  fi
  # shellcheck disable=SC2086
  run "$name" "$version" $arguments </dev/null
done < <(if [ -n "${EXPLORE:-}" ]; then explored; else list; fi)
[ "$failed" -eq 0 ] || { echo "ecosystem.sh: $failed crates have something that failed; logs in $work/logs" >&2; exit 1; }
