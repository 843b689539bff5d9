#!/usr/bin/env bash
# Applies the patches in upstream/ to copies of released crates, outside of the tree. Compiles the
# copies, and runs their tests, with those that show the effect.
#
# usage: scripts/upstream.sh [PIECE...]     all, or some of: facts, spot, lot, wasmtime, readiness,
#                                           wiggle
#
# UPSTREAM=FOLDER    where copies and builds go (a new folder that is removed unless set)
# WASMTIME=VERSION   of Wasmtime (50.0.1)
# JOBS=N             of cargo (2)
#
# The sources come from the registry. `wasmtime` compiles Cranelift: some minutes, and with a Rust
# that this Wasmtime takes (RUSTUP_TOOLCHAIN=1.97 or newer for 50).
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
if [ -n "${UPSTREAM:-}" ]; then
  mkdir -p "$UPSTREAM"
  work=$(realpath "$UPSTREAM")
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
export CARGO_TARGET_DIR=$work/target CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
unset RUSTFLAGS
version=${WASMTIME:-50.0.1}
jobs=(-j "${JOBS:-2}")
# What a copy of Wasmtime's tests need, and no more.
features=(--no-default-features --features runtime,std,threads,cranelift,wat,cache,coredump,gc,gc-drc,gc-null,pooling-allocator,async,component-model)

# Copies the sources of a released crate: NAME VERSION TO
copy() {
  local scratch=$work/fetch source
  rm -rf "$scratch" "$3"
  mkdir -p "$scratch/src"
  : >"$scratch/src/lib.rs"
  printf '[package]\nname = "fetch"\nedition = "2024"\n[workspace]\n[dependencies]\n%s = "=%s"\n' "$1" "$2" >"$scratch/Cargo.toml"
  source=$(cd "$scratch" && cargo metadata --format-version 1 2>/dev/null | python3 -c 'import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == sys.argv[1]:
        print(os.path.dirname(package["manifest_path"]))' "$1")
  cp -r "$source" "$3"
  chmod -R u+w "$3"
  grep -q '^\[workspace\]' "$3/Cargo.toml" || printf '\n[workspace]\n' >>"$3/Cargo.toml"
}

apply() { # PATCH FOLDER
  patch --batch --directory "$2" --strip 1 <"upstream/$1.patch"
}

# A crate of the file alone, with what it has of Wasmtime: quick to build. FOLDER FILE
alone() {
  rm -rf "$1"
  mkdir -p "$1/src/runtime/vm"
  cp "$2" "$1/src/runtime/vm/parking_spot.rs"
  printf 'pub mod vm;\n' >"$1/src/runtime/mod.rs"
  cat >"$1/src/runtime/vm/mod.rs" <<'RUST'
pub mod parking_spot;

#[derive(Debug, PartialEq)]
pub enum WaitResult { Ok, Mismatch, TimedOut }

pub struct SendSyncPtr<T>(std::ptr::NonNull<T>);
impl<T> std::fmt::Debug for SendSyncPtr<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
}
unsafe impl<T> Send for SendSyncPtr<T> {}
unsafe impl<T> Sync for SendSyncPtr<T> {}
impl<T> Clone for SendSyncPtr<T> { fn clone(&self) -> Self { *self } }
impl<T> Copy for SendSyncPtr<T> {}
impl<T> SendSyncPtr<T> {
    pub fn new(ptr: std::ptr::NonNull<T>) -> Self { Self(ptr) }
    pub unsafe fn as_ref<'a>(&self) -> &'a T { unsafe { self.0.as_ref() } }
    pub unsafe fn as_mut<'a>(&mut self) -> &'a mut T { unsafe { self.0.as_mut() } }
}
RUST
  printf '#![allow(dead_code, unused_imports, missing_docs)]\nmod prelude {}\nmod runtime;\n' >"$1/src/lib.rs"
  printf '[package]\nname = "alone"\nedition = "2024"\n[workspace]\n' >"$1/Cargo.toml"
}

# The figures of docs/upstream.md: sizes, and which of Wasmtime's files differ between two releases.
facts() {
  local file patch place
  for place in crates/waits/src crates/table-sync/src/readiness.rs crates/table-sync/src/readiness; do
    echo "$place: $(find "$place" -name '*.rs' -print0 | xargs -0 cat | wc -l) lines," \
      "$(find "$place" -name '*.rs' -print0 | xargs -0 cat | grep -c '^ *unsafe\|= unsafe\|unsafe {' || true) unsafe"
  done
  echo "upstream/parking_spot.rs: $(wc -l <upstream/parking_spot.rs) lines"
  for patch in upstream/*.patch; do
    echo "$patch: $(grep -c '^+[^+]' "$patch") lines more, $(grep -c '^-[^-]' "$patch") less," \
      "of them $(sed -n '/^+.*#\[test\]/,/^+    }/p' "$patch" | grep -c '^+') a test"
  done
  copy wasmtime 48.0.8 "$work/wasmtime-48.0.8"
  copy wasmtime "$version" "$work/wasmtime-$version"
  echo "parking_spot.rs of 48.0.8: $(wc -l <"$work/wasmtime-48.0.8/src/runtime/vm/parking_spot.rs") lines"
  for file in $(sed -n 's,^+++ b/,,p' upstream/parking-spot-forgets-addresses.patch upstream/limit-of-a-shared-memory.patch); do
    if cmp --silent "$work/wasmtime-48.0.8/$file" "$work/wasmtime-$version/$file"; then
      echo "$file: the same in 48.0.8 and $version"
    else
      echo "$file: differs between 48.0.8 and $version"
    fi
  done
}

# The patch, and Wasmtime's own tests with the new one, which fails without it.
spot() {
  copy wasmtime "$version" "$work/spot"
  local file=$work/spot/src/runtime/vm/parking_spot.rs
  cp "$file" "$work/parking_spot.before"
  apply parking-spot-forgets-addresses "$work/spot"
  alone "$work/spot-alone" "$file"
  (cd "$work/spot-alone" && cargo test "${jobs[@]}")
  # Its tests over the code as it was.
  { sed '/^mod tests {$/,$d' "$work/parking_spot.before"; sed -n '/^mod tests {$/,$p' "$file"; } >"$work/mixed"
  alone "$work/spot-alone" "$work/mixed"
  if (cd "$work/spot-alone" && cargo test "${jobs[@]}") >"$work/spot.log" 2>&1; then
    echo "upstream: the new test passes without the patch" >&2
    return 1
  fi
  grep '^test .*FAILED' "$work/spot.log"
}

# The lot behind Wasmtime's own interface, under Wasmtime's own tests.
lot() {
  copy wasmtime "$version" "$work/lot"
  { cat upstream/parking_spot.rs; printf '\n#[cfg(test)]\n'
    sed -n '/^mod tests {$/,$p' "$work/lot/src/runtime/vm/parking_spot.rs"; } >"$work/parking_spot.rs"
  alone "$work/lot-alone" "$work/parking_spot.rs"
  printf '[dependencies.memory-waits]\npath = "%s/crates/waits"\n' "$repository" >>"$work/lot-alone/Cargo.toml"
  (cd "$work/lot-alone" && cargo test "${jobs[@]}")
}

# Both patches in the whole of Wasmtime, and the tests of what they touch.
wasmtime() {
  copy wasmtime "$version" "$work/wasmtime"
  apply parking-spot-forgets-addresses "$work/wasmtime"
  apply limit-of-a-shared-memory "$work/wasmtime"
  (cd "$work/wasmtime" && cargo test "${jobs[@]}" --lib "${features[@]}" -- parking_spot memory::tests)
}

# The readiness piece by itself: without the table, and without what is for models. Once as it is,
# and once of `core` and `alloc` alone.
readiness() {
  rm -rf "$work/readiness"
  python3 upstream/readiness.py crates/table-sync "$work/readiness"
  (cd "$work/readiness/std" && cargo test "${jobs[@]}")
  (cd "$work/readiness/no-std" && cargo test "${jobs[@]}")
}

# A receiver that is shared, with an error type of its own: refused as it is, taken with the patch.
wiggle() {
  local to=$work/wiggle
  rm -rf "$to"
  mkdir -p "$to/src"
  cp upstream/errors.rs "$to/src/main.rs"
  printf '[package]\nname = "errors"\nedition = "2024"\n[workspace]\n[dependencies]\nwiggle = { version = "=48.0.8", default-features = false }\n' \
    >"$to/Cargo.toml"
  if (cd "$to" && cargo check "${jobs[@]}") >"$work/wiggle.log" 2>&1; then
    echo "upstream: wiggle takes it without the patch" >&2
    return 1
  fi
  grep '^error' "$work/wiggle.log" | sort | uniq -c
  copy wiggle-generate 48.0.8 "$work/wiggle-generate"
  apply errors-with-shared-receivers "$work/wiggle-generate"
  printf '[patch.crates-io]\nwiggle-generate = { path = "%s" }\n' "$work/wiggle-generate" >>"$to/Cargo.toml"
  (cd "$to" && cargo run "${jobs[@]}")
}

[ "$#" -gt 0 ] || set -- facts spot lot wasmtime readiness wiggle
for piece in "$@"; do
  case "$piece" in
    facts | spot | lot | wasmtime | readiness | wiggle) echo "== $piece"; "$piece" ;;
    *) echo "upstream.sh: no such piece: $piece" >&2; exit 2 ;;
  esac
done
