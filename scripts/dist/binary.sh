#!/usr/bin/env bash
# Builds the static binary with the profile `dist`: 14 minutes of two processors, the first time.
# Fails if it is not static, or has 20 MB or more (docs/platforms.md says of what).
#
# usage: [TARGET=aarch64-unknown-linux-musl] scripts/dist/binary.sh
# needs musl-gcc (Debian: musl-tools) for the C parts of crates. For aarch64 on another machine it
# needs clang-19 and musl-dev:arm64 (after `dpkg --add-architecture arm64`), or a compiler that is
# named in CC_aarch64_unknown_linux_musl. The linker comes with rustc.
set -euo pipefail
source "$(dirname "$0")/names.sh"
cd "$root"
most=20000000

# Without rustup the target's standard library is taken for granted.
if command -v rustup >/dev/null; then rustup target add "$TARGET"; fi
export "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$TARGET")_LINKER=rust-lld"
if [ "$TARGET" = aarch64-unknown-linux-musl ] && [ "$(uname -m)" != aarch64 ] && [ -z "${CC_aarch64_unknown_linux_musl:-}" ]; then
  export CC_aarch64_unknown_linux_musl=clang-19
  # The headers are musl's and the compiler's own, none of this machine's.
  export CFLAGS_aarch64_unknown_linux_musl="-nostdlibinc -isystem /usr/include/aarch64-linux-musl"
fi
# Of functions that are the same one is kept, and relocations are packed. Debuggers look for the two
# symbols, which would go with the others.
options=(--icf=all -z pack-relative-relocs)
for symbol in __jit_debug_register_code __jit_debug_descriptor; do
  options+=("--export-dynamic-symbol=$symbol")
done
cargo rustc --locked --profile dist --target "$TARGET" --package "$name" --bin "$name" -- \
  "${options[@]/#/-Clink-arg=}"
binary=target/$TARGET/dist/$name
if ! file -b "$binary" | grep -qE 'statically linked|static-pie linked'; then
  echo "dist: $binary is not static: $(file -b "$binary")" >&2
  exit 1
fi
size=$(stat -c %s "$binary")
echo "dist: $binary: $size bytes"
if [ "$size" -ge "$most" ]; then
  echo "dist: that is $most or more" >&2
  exit 1
fi
