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
# Names of functions stay; lines would make the modules several times as large.
[ -n "${EXPLORE:-}" ] || export CARGO_PROFILE_DEV_DEBUG=0

# CRATE VERSION ARGUMENTS-OF-CARGO-TEST -- ARGUMENTS-OF-THE-TESTS. What is skipped
# has its reason in docs/ecosystem.md. parking_lot parks on this target with a feature of rustc that
# is not stable.
list() {
  cat <<'LIST'
once_cell 1.21.4 --lib --tests -- --skip poison --skip wait_for_force_to_finish --skip get_or_init_stress --skip get_or_try_init --skip reentrant_init --skip wait_panic
crossbeam-queue 0.3.14 --lib --tests --
crossbeam-channel 0.5.17 --lib --tests -- --skip panic_on_drop
concurrent-queue 2.5.0 --lib --tests --
event-listener 5.4.1 --lib --tests --
parking 2.2.1 --lib --tests --
async-channel 2.5.0 --lib --tests --
flume 0.12.0 --no-default-features --features select,eventual-fairness --lib --tests --
arc-swap 1.9.5 --lib --tests -- --skip panic
crossbeam-utils 0.8.23 --lib --tests -- --skip unwind --skip poison --skip panic --skip join
crossbeam-deque 0.8.8 --lib --tests --
crossbeam-epoch 0.9.21 --lib --tests --
crossbeam-skiplist 0.1.3 --lib --tests -- --skip panic
rayon-core 1.13.0 --lib --tests -- --skip panic
rayon 1.12.0 --lib --tests --
parking_lot 0.12.5 --features nightly --lib --tests -- --skip unwind --skip panic --skip poison --skip force
dashmap 6.2.1 --lib --
thread_local 1.1.10 --lib --
async-lock 3.4.2 --lib --tests --
spin 0.10.0 --lib --tests -- --skip unwind --skip panic --skip poison
event-listener-strategy 0.5.4 --lib --tests --
async-executor 1.13.1 --lib --test different_executors --test drop --test local_queue --test spawn_many -- --skip executor_cancels_everything --skip panic
crossbeam 0.8.4 --lib --tests --
atomic-waker 1.1.2 --lib --tests --
slab 0.4.12 --lib --tests -- --skip panic
sharded-slab 0.1.7 --lib -- --skip custom_config
bytes 1.12.2 --lib --tests --
triomphe 0.1 --lib --tests -- --skip panic
rtrb 0.3 --lib --tests -- --skip panic
ringbuf 0.4 --lib --tests --
left-right 0.11 --lib --tests --
evmap 11 --lib --tests -- --skip panic
seize 0.5 --lib --tests -- --skip stress
triple_buffer 9 --lib --tests --
tokio 1.54.1 --features sync,macros,io-util,rt,time --lib --tests --
LIST
}

# The same, for EXPLORE. What is skipped catches a panic, which is an abort on this target: it fails
# without a schedule as well.
explored() {
  cat <<'LIST'
event-listener 5.4.1 --lib --tests --
arc-swap 1.9.5 --lib --tests -- --skip rcu_panic
flume 0.12.0 --no-default-features --features select,eventual-fairness --lib --tests --
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

# Removes from a development dependency its features for other systems: `fork` and `timeout` of
# proptest.
slim_proptest() { # MANIFEST
  python3 - "$@" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
text = re.sub(r'(?ms)^(\[dev-dependencies\.proptest\]\nversion = "[^"]*"\n).*?(?=^\[|\Z)',
              r'\1default-features = false\nfeatures = ["std"]\n\n', text)
open(sys.argv[1], "w").write(text)
PY
}

# smol's crates and rayon take every wasm for a browser: they leave out what blocks a thread, ignore
# tests, and have those of wasm-bindgen. This makes them take it for a system.
of_a_system() { # FOLDER
  grep -rlZ 'target_family = ' "$1/src" "$1/tests" "$1/Cargo.toml" |
    xargs -0 --no-run-if-empty sed -i 's/target_family = \\\?"wasm\\\?"/any()/g'
}

# Has a dependency of smol's changed likewise.
modified() { # NAME MANIFEST
  local version source to=$work/modified/$1
  read -r version source <<<"$(source_of "$1" '*')"
  rm -rf "$to"
  mkdir -p "$work/modified"
  cp -r "$source" "$to"
  chmod -R u+w "$to"
  of_a_system "$to"
  grep -q '^\[patch.crates-io\]' "$2" || printf '\n[patch.crates-io]\n' >>"$2"
  printf '%s = { path = "%s" } # %s\n' "$1" "$to" "$version" >>"$2"
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
  # Of packages that have one, some are too old for this compiler.
  rm -f "$work/src/$name/Cargo.lock" "$work/src/$name"/rust-toolchain*
  # A package by itself, whatever is above it.
  grep -q '^\[workspace\]' "$work/src/$name/Cargo.toml" || printf '\n[workspace]\n' >>"$work/src/$name/Cargo.toml"
  # Parts that their tests do not use, and that do not compile for the target.
  slim_proptest "$work/src/$name/Cargo.toml"
  without criterion "$work/src/$name/Cargo.toml"
  unset RUSTC_BOOTSTRAP RUSTFLAGS
  case $name in
    parking_lot) export RUSTC_BOOTSTRAP=1 ;;
    crossbeam-channel) without signal-hook "$work/src/$name/Cargo.toml" ;;
    concurrent-queue | event-listener | event-listener-strategy | async-channel | async-lock)
      of_a_system "$work/src/$name"
      for part in event-listener event-listener-strategy; do
        [ "$part" = "$name" ] || modified "$part" "$work/src/$name/Cargo.toml"
      done ;;
    rayon-core | rayon) of_a_system "$work/src/$name" ;;
    # This compiler denies what was a warning when it was published.
    crossbeam-skiplist) export RUSTFLAGS=--cap-lints=warn ;;
    flume) without async-std "$work/src/$name/Cargo.toml" ;;
    async-executor) without async-io "$work/src/$name/Cargo.toml" ;;
    sharded-slab) without memory-stats "$work/src/$name/Cargo.toml" ;;
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
