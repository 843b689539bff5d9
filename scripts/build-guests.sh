#!/usr/bin/env bash
# Compiles the C guests and examples into target/guests, for trying them by
# hand. The tests compile what they need by themselves.
#
# usage: scripts/build-guests.sh            everything
#        scripts/build-guests.sh FILE.c...  these files
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/guests
mkdir -p "$out"

if ! command -v clang-19 >/dev/null || ! command -v wasm-ld-19 >/dev/null; then
  echo "build-guests: clang-19 or wasm-ld-19 is missing: run scripts/setup.sh" >&2
  exit 1
fi

files=("$@")
[ "${#files[@]}" -gt 0 ] || files=(tests/guests/*.c examples/*.c)
for file in "${files[@]}"; do
  name=$(basename "$file" .c)
  # The flags are those of tests/guests/flags.txt, one a line, which the tests
  # read too.
  mapfile -t flags < tests/guests/flags.txt
  clang-19 "${flags[@]}" -Itests/guests/include \
    tests/guests/include/start.S "$file" -o "$out/$name.wasm"
  echo "$out/$name.wasm"
done

if [ -n "${WASI_SDK_PATH:-}" ]; then
  for file in tests/guests/pthread/*.c; do
    name=$(basename "$file" .c)
    "$WASI_SDK_PATH/bin/clang" --target=wasm32-wasip1-threads -pthread -O2 -g \
      -Wl,--import-memory,--export-memory,--max-memory=67108864 \
      "$file" -o "$out/$name.wasm"
    echo "$out/$name.wasm"
  done
else
  echo "build-guests: WASI_SDK_PATH is not set: the pthread guests are left out"
fi
