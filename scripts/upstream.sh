#!/usr/bin/env bash
# Applies the patches in upstream/ to copies of released crates, outside of the tree. Compiles the
# copies, and runs their tests, with those that show the effect.
#
# usage: scripts/upstream.sh [PIECE...]     all, or some of: spot, lot, wasmtime, readiness, wiggle
#
# UPSTREAM=FOLDER    where copies and builds go (a new folder that is removed unless set)
# WASMTIME=VERSION   of Wasmtime (50.0.1)
# JOBS=N             of cargo (2)
#
# The sources come from the registry. `wasmtime` compiles Cranelift: some minutes.
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
features=(--no-default-features --features runtime,std,threads,cranelift,wat)

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

# The readiness piece by itself: without the table, and without what is for models.
readiness() {
  local to=$work/readiness
  rm -rf "$to"
  mkdir -p "$to/tests"
  python3 - crates/table-sync "$to" <<'PY'
import pathlib, re, sys
source, to = (pathlib.Path(path) for path in sys.argv[1:])
def plain(text):
    text = re.sub(r"^.*mutant!\(.*\n", "", text, flags=re.M)
    text = re.sub(r"^use crate::mutants::mutant;\n", "", text, flags=re.M)
    # What is for models only goes, up to the end of the item.
    text = re.sub(r"(?m)^(?:///.*\n)*#\[cfg\(loom\)\]\n(?:.*\n)*?(?:}|pub\(crate\) use loom.*(?:\n(?:.*\n)*?};)?)\n", "", text)
    return text.replace("#[cfg(not(loom))]\n", "").replace("#[cfg(all(test, not(loom)))]", "#[cfg(test)]")
files = ["readiness.rs", *(str(path.relative_to(source / "src")) for path in (source / "src/readiness").glob("*.rs")),
         "wait_line.rs", "sync/park.rs"]
lines = 0
for name in files:
    text = plain((source / "src" / name).read_text())
    # Tests of the park's are the table's.
    text = text.replace("table_sync::", "readiness::")
    lines += text.count("\n")
    path = to / "src" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if "loom" in text or "mutant" in text:
        sys.exit(f"upstream: {name} still has what is for models")
(to / "src/sync/mod.rs").write_text("""//! What the rest takes of the standard library.

pub(crate) mod park;
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::thread;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
""")
(to / "src/lib.rs").write_text("//! Waits for values that let one wait.\n\nmod readiness;\nmod sync;\nmod wait_line;\n\npub use readiness::*;\n")
tests = (source / "tests/readiness.rs").read_text()
tests = tests.replace("use table_sync::{Closed, Error, Pollable, Ready, Table, Waitable};",
                      "use readiness::{Closed, Pollable, Ready, Waitable};\nuse table_sync::{Error, Table};")
(to / "tests/readiness.rs").write_text(tests)
(to / "tests/forward.rs").write_text("""//! Any of wasmtime-wasi-io's pollables behind one `Waitable`.

use readiness::{Pollable, Waitable};

struct Forward(Box<dyn wasmtime_wasi_io::poll::Pollable>);

impl Pollable for Forward {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

struct Always;

#[async_trait::async_trait]
impl wasmtime_wasi_io::poll::Pollable for Always {
    async fn ready(&mut self) {}
}

#[test]
fn several_threads_wait() {
    let value = Waitable::new(Forward(Box::new(Always)));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| value.ready().block().unwrap());
        }
    });
}
""")
(to / "Cargo.toml").write_text(f"""[package]
name = "readiness"
version = "0.0.0"
edition = "2024"
[workspace]
[dependencies]
thiserror = "2"
[dev-dependencies]
async-trait = "0.1"
table-sync = {{ path = "{source.resolve()}" }}
wasmtime-wasi-io = {{ version = "48", default-features = false }}
""")
print(f"readiness: {len(files)} files, {lines} lines with their comments")
PY
  (cd "$to" && cargo test "${jobs[@]}")
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

[ "$#" -gt 0 ] || set -- spot lot wasmtime readiness wiggle
for piece in "$@"; do
  case "$piece" in
    spot | lot | wasmtime | readiness | wiggle) echo "== $piece"; "$piece" ;;
    *) echo "upstream.sh: no such piece: $piece" >&2; exit 2 ;;
  esac
done
