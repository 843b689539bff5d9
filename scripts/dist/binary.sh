#!/usr/bin/env bash
# Builds the static binary with the profile `dist`: 12 minutes of two processors, the first time.
# Fails if it is not static, or larger than 22 MB (docs/platforms.md says of what).
#
# usage: [TARGET=aarch64-unknown-linux-musl] scripts/dist/binary.sh
# needs musl-gcc (Debian: musl-tools) for the C parts of crates, or that of the other architecture
set -euo pipefail
source "$(dirname "$0")/names.sh"
cd "$root"
most=22000000

# Without rustup the target's standard library is taken for granted.
if command -v rustup >/dev/null; then rustup target add "$TARGET"; fi
cargo build --locked --profile dist --target "$TARGET" --package "$name"
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
