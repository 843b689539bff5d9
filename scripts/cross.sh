#!/usr/bin/env bash
# Tests on another architecture: builds with Debian's cross compiler, runs in qemu's user mode, and
# prints how many tests passed and failed. Without arguments behind ARCH it runs the suites that
# need no Wasmtime. A Wasmtime for the other architecture takes 12 minutes of two processors to
# build, and its programs run 10 to 30 times slower. For x86_64-musl, where nothing is emulated, it
# runs all suites.
#
# usage: scripts/cross.sh aarch64|riscv64|s390x|x86_64-musl [CARGO TEST ARGUMENTS]
#        scripts/cross.sh aarch64
#        scripts/cross.sh s390x -p wasi-threads
#
# qemu shows an architecture's structures, sizes and order of bytes. It has the memory order of the
# host, so a test that passes here does not prove an ordering. x86_64-musl needs no qemu: it runs as
# it is.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=${1:?usage: scripts/cross.sh aarch64|riscv64|s390x|x86_64-musl [CARGO TEST ARGUMENTS]}
shift
case "$arch" in
  aarch64) target=aarch64-unknown-linux-gnu gcc=aarch64-linux-gnu-gcc library=libc6-dev-arm64-cross ;;
  riscv64) target=riscv64gc-unknown-linux-gnu gcc=riscv64-linux-gnu-gcc library=libc6-dev-riscv64-cross ;;
  s390x) target=s390x-unknown-linux-gnu gcc=s390x-linux-gnu-gcc library=libc6-dev-s390x-cross ;;
  x86_64-musl) target=x86_64-unknown-linux-musl gcc='' library='' ;;
  *) echo "cross.sh: no such architecture: $arch" >&2 && exit 2 ;;
esac
rustup target add "$target"
if [ "$arch" = x86_64-musl ]; then
  command -v musl-gcc >/dev/null || { echo "cross.sh: missing (Debian's name): musl-tools" >&2 && exit 1; }
else
  for needed in "$gcc" "qemu-$arch-static"; do
    command -v "$needed" >/dev/null && continue
    echo "cross.sh: $needed is missing (Debian's names): gcc-${gcc%-gcc} $library qemu-user-static" >&2
    exit 1
  done
  variable=$(echo "$target" | tr 'a-z-' 'A-Z_')
  export "CARGO_TARGET_${variable}_LINKER=$gcc"
  export "CARGO_TARGET_${variable}_RUNNER=qemu-$arch-static -L /usr/${gcc%-gcc}"
  # C parts of crates.
  export "CC_$(echo "$target" | tr - _)=$gcc"
fi
if [ "$#" -eq 0 ]; then
  case "$arch" in
    x86_64-musl) set -- --workspace ;;
    *) set -- --package table-sync --package memory-waits ;;
  esac
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --locked --target "$target" --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
count() { grep -oE "[0-9]+ $1" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
echo
echo "cross.sh: $target: $(count passed) passed, $(count failed) failed, $(count ignored) ignored"
grep -E '^test .* FAILED$' "$log" | sort -u || true
exit "$status"
