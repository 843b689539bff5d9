#!/usr/bin/env bash
# Tests on another architecture: builds with Debian's cross compiler, runs in qemu's user mode, and
# prints how many tests passed and failed.
# Without arguments behind ARCH it runs the suites that docs/platforms.md lists; for x86_64-musl,
# where nothing is emulated, all suites.
#
# usage: scripts/cross.sh aarch64|riscv64|s390x|x86_64-musl [short | CARGO TEST ARGUMENTS]
#        scripts/cross.sh aarch64          the suites in docs/platforms.md
#        scripts/cross.sh aarch64 short    those that need no Wasmtime: minutes
#        scripts/cross.sh s390x -p wasi-threads
#
# A Wasmtime for the other architecture takes 12 minutes of two processors to build, and its
# programs run 10 to 30 times slower. So tests do less there: those that count or measure ask
# TESTS_EMULATED (tests/support/emulated.rs), the others have a variable of their own, set below.
#
# Some tests start the binary or themselves. For these the kernel is told that qemu runs such
# programs (binfmt_misc), for as long as this script runs. Only root can do that. Without it those
# tests fail.
#
# qemu shows an architecture's structures, sizes and order of bytes. It has the memory order of the
# host, so a test that passes here does not prove an ordering. x86_64-musl needs no qemu: it runs as
# it is.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=${1:?usage: scripts/cross.sh aarch64|riscv64|s390x|x86_64-musl [short | CARGO TEST ARGUMENTS]}
shift
case "$arch" in
  aarch64) target=aarch64-unknown-linux-gnu gcc=aarch64-linux-gnu-gcc library=libc6-dev-arm64-cross ;;
  riscv64) target=riscv64gc-unknown-linux-gnu gcc=riscv64-linux-gnu-gcc library=libc6-dev-riscv64-cross ;;
  s390x) target=s390x-unknown-linux-gnu gcc=s390x-linux-gnu-gcc library=libc6-dev-s390x-cross ;;
  x86_64-musl) target=x86_64-unknown-linux-musl gcc='' library='' ;;
  *) echo "cross.sh: no such architecture: $arch" >&2 && exit 2 ;;
esac
short=(--package table-sync --package memory-waits)
suites=("${short[@]}")
log=$(mktemp)
registered=''
leave() {
  rm -f "$log"
  [ -z "$registered" ] || echo -1 >"$registered" || true
}
trap leave EXIT

rustup target add "$target"
variable=$(echo "$target" | tr 'a-z-' 'A-Z_')
# The linker that comes with rustc: in minutes less, for there are 60 programs of tests.
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin/gcc-ld
[ ! -e "$lld/ld.lld" ] || export "CARGO_TARGET_${variable}_RUSTFLAGS=-C link-arg=-fuse-ld=lld -C link-arg=-B$lld"
if [ "$arch" = x86_64-musl ]; then
  command -v musl-gcc >/dev/null || { echo "cross.sh: missing (Debian's name): musl-tools" >&2 && exit 1; }
else
  for needed in "$gcc" "qemu-$arch-static"; do
    command -v "$needed" >/dev/null && continue
    echo "cross.sh: $needed is missing (Debian's names): gcc-${gcc%-gcc} $library qemu-user-static" >&2
    exit 1
  done
  export "CARGO_TARGET_${variable}_LINKER=$gcc"
  # A suite that hangs in the emulator is killed, and counts as failed.
  export "CARGO_TARGET_${variable}_RUNNER=timeout --kill-after=9 7200 qemu-$arch-static"
  # C parts of crates.
  export "CC_$(echo "$target" | tr - _)=$gcc"
  # Where qemu finds the libraries, also in a program that a test starts.
  export "QEMU_LD_PREFIX=/usr/${gcc%-gcc}"
  # Less code to translate, and to run.
  export CARGO_PROFILE_DEV_OPT_LEVEL=1
  export TESTS_EMULATED=1 RUST_TEST_THREADS=${RUST_TEST_THREADS:-2}
  export PROPTEST_CASES=${PROPTEST_CASES:-16}
  export P1_DIFFERENTIAL_CASES=${P1_DIFFERENTIAL_CASES:-30} P1_MADE_CASES=${P1_MADE_CASES:-30}
  export REWRITE_SMITH_MODULES=${REWRITE_SMITH_MODULES:-40}
  suites+=(--package interruptible-wasm --package p1-adapter --package wasi-threads)
  suites+=(--package wasi-threads-run --features table-sync/wasmtime)

  formats=/proc/sys/fs/binfmt_misc
  if [ ! -e "$formats/qemu-$arch" ]; then
    [ -e "$formats/register" ] || mount -t binfmt_misc none "$formats" 2>/dev/null || true
    if cat "/usr/lib/binfmt.d/qemu-$arch.conf" >"$formats/register" 2>/dev/null; then
      registered=$formats/qemu-$arch
    else
      echo "cross.sh: only root can tell the kernel about qemu: tests that start programs will fail" >&2
    fi
  fi
fi
# `--tests`: examples in the documentation are not run for another architecture.
case "${1:-}" in
  '')
    if [ "$arch" = x86_64-musl ]; then set -- --workspace; else set -- --tests "${suites[@]}"; fi
    ;;
  short) shift && set -- --tests "${short[@]}" "$@" ;;
esac

status=0
cargo test --locked --target "$target" --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
count() { grep -oE "[0-9]+ $1" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
echo
echo "cross.sh: $target: $(count passed) passed, $(count failed) failed, $(count ignored) ignored"
grep -E '^test .* FAILED$' "$log" | sort -u || true
exit "$status"
